package statindex

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/pkg/digest"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var settled = Stat{Dev: 1, Ino: 2, Size: 3, Mtime: 4e9, Ctime: 5e9, Mode: 0o100644}

// others are settled with one thing changed.
func others() map[string]Stat {
	m := map[string]Stat{}
	for name, change := range map[string]func(*Stat){
		"device": func(s *Stat) { s.Dev++ }, "inode": func(s *Stat) { s.Ino++ }, "size": func(s *Stat) { s.Size++ },
		"modification time": func(s *Stat) { s.Mtime++ }, "change time": func(s *Stat) { s.Ctime++ }, "mode": func(s *Stat) { s.Mode ^= 0o100 },
	} {
		s := settled
		change(&s)
		m[name] = s
	}
	return m
}

func TestARecordFitsOnlyTheVeryStatThatWasRead(t *testing.T) {
	const later = int64(60e9)
	file, dir := File{Stat: settled, Read: later}, Dir{Stat: settled, Read: later}
	if !file.Fits(settled) || !dir.Fits(settled) {
		t.Error("the same stat does not fit")
	}
	for name, st := range others() {
		if file.Fits(st) || dir.Fits(st) {
			t.Errorf("another %s fits: file %v, directory %v", name, file.Fits(st), dir.Fits(st))
		}
	}
}

// What changed in the tick in which it was read may change again without a trace.
func TestAReadingTooSoonAfterAChangeIsNotTrusted(t *testing.T) {
	for _, c := range []struct {
		mtime, ctime, read int64
		want               bool
	}{
		{1e9 + 1, 1e9 + 1, 2e9, true},
		{1e9 + 1, 1e9 + 1, 1e9 + racy + 2, true},
		{1e9 + 1, 1e9 + 1, 1e9 + racy + 1, false},
		{1e9 + 1, 1e9 + 1, 1e9 + 1, false},
		{1e9, 1e9 + 1, 2e9, true}, // a time that was set
		{1e9 + 1, 3e9, 2e9, false},
		{3e9 + 1, 1e9, 2e9, false},
		{-9e9, -9e9, 0, false}, // never read
		// A file system that counts whole seconds.
		{1e9, 1e9, 2e9, false},
		{1e9, 1e9, 3e9 + racy, false},
		{1e9, 1e9, 3e9 + racy + 1, true},
	} {
		st := Stat{Mtime: c.mtime, Ctime: c.ctime}
		file, dir := File{Stat: st, Read: c.read}, Dir{Stat: st, Read: c.read}
		if file.Fits(st) != c.want || dir.Fits(st) != c.want {
			t.Errorf("%+v: file %v, directory %v", c, file.Fits(st), dir.Fits(st))
		}
	}
}

// filled returns an index with one directory and one file.
func filled(path string) (*Index, *Dir, File) {
	x := Load(path)
	f := File{Stat: settled, Read: 9e9, Digest: digest.Of([]byte("b"))}
	d := &Dir{Stat: settled, Read: 9e9, Rules: [32]byte{1}, Entries: []Entry{{Name: "a", Kind: IsFile, File: f}, {Name: "d", Kind: IsDir, Ignored: true}, {Name: "l", Kind: IsLink}}}
	x.SetDir("src", d)
	x.SetFile("b", f)
	return x, d, f
}

func TestAnIndexIsReadBackAsItWasSaved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "index")
	x, dir, file := filled(path)
	for range 2 { // the second one from what was not parsed
		must(t, x.Save(atomicfile.Files{}, path))
		x = Load(path)
		x.SetFile("other", file)
	}
	if d, ok := x.File("b", settled); !ok || d != file.Digest {
		t.Errorf("%s, %v", d, ok)
	}
	if _, ok := x.File("b", others()["inode"]); ok {
		t.Error("a file with another inode is known")
	}
	if got := x.Dir("src"); !reflect.DeepEqual(got, dir) {
		t.Errorf("%+v, want %+v", got, dir)
	}
	if x.Dir("none") != nil {
		t.Error("a directory that nobody listed is known")
	}
}

func TestWhatIsListedAnewTakesThePlaceOfWhatWasSaved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "index")
	x, old, _ := filled(path)
	must(t, x.Save(atomicfile.Files{}, path))
	for _, look := range []bool{false, true} { // whether it was asked for before
		x = Load(path)
		if look {
			x.Dir("src")
		}
		d := old.Clone()
		d.Entries[0].Name = "new"
		x.SetDir("src", d)
		for range 2 {
			must(t, x.Save(atomicfile.Files{}, path))
		}
		if got := Load(path).Dir("src"); got == nil || got.Entries[0].Name != "new" {
			t.Errorf("looked at before: %v: %+v", look, got)
		}
	}
}

func TestAnIndexThatDidNotChangeIsNotWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "index")
	x, _, _ := filled(path)
	must(t, x.Save(atomicfile.Files{}, path))
	must(t, os.Remove(path))
	must(t, x.Save(atomicfile.Files{}, path))
	if _, err := os.Lstat(path); err == nil {
		t.Error("it was")
	}
}

func TestAFileAloneMakesAnIndexWorthSaving(t *testing.T) {
	path := filepath.Join(t.TempDir(), "index")
	f := File{Stat: settled, Read: 9e9, Digest: digest.Of([]byte("b"))}
	x := Load(path)
	x.SetFile("b", f)
	must(t, x.Save(atomicfile.Files{}, path))
	if d, ok := Load(path).File("b", settled); !ok || d != f.Digest {
		t.Errorf("%s, %v", d, ok)
	}
}

func TestAnIndexThatIsCutShortIsEmptyThoughItsSumIsRight(t *testing.T) {
	path := filepath.Join(t.TempDir(), "index")
	x, _, _ := filled(path)
	must(t, x.Save(atomicfile.Files{}, path))
	whole, err := os.ReadFile(path)
	must(t, err)
	body := whole[len(magic)+digest.Size:]
	for n := range body {
		sum := digest.Of(body[:n])
		if files, raw := decode(slices.Concat([]byte(magic), sum[:], body[:n])); files != nil || raw != nil {
			t.Fatalf("%d of %d bytes: %d files, %d directories", n, len(body), len(files), len(raw))
		}
	}
}

func TestADirectoryThatIsCutShortIsNotKnown(t *testing.T) {
	_, d, _ := filled("")
	whole := appendDir(nil, d)
	for n := range whole {
		if got := parseDir(slices.Clip(whole[:n])); got != nil {
			t.Fatalf("%d of %d bytes: %+v", n, len(whole), got)
		}
	}
}

func TestADamagedIndexIsEmpty(t *testing.T) {
	path := filepath.Join(t.TempDir(), "index")
	x, _, _ := filled(path)
	must(t, x.Save(atomicfile.Files{}, path))
	good, err := os.ReadFile(path)
	must(t, err)
	for i := range good {
		bad := append([]byte(nil), good...)
		bad[i] ^= 0x40
		for _, b := range [][]byte{bad, good[:i]} {
			must(t, os.WriteFile(path, b, 0o666))
			if x := Load(path); len(x.raw) != 0 || len(x.files) != 0 {
				t.Fatalf("byte %d: %d directories, %d files", i, len(x.raw), len(x.files))
			}
		}
	}
	x, _, _ = filled(path)
	must(t, x.Save(atomicfile.Files{}, path))
	if x := Load(path); len(x.raw) != 1 || len(x.files) != 1 {
		t.Error("the index was not written anew")
	}
}

func TestACloneSharesNothing(t *testing.T) {
	_, d, _ := filled("")
	c := d.Clone()
	c.Entries[0].Name, c.Read = "changed", 1
	if d.Entries[0].Name != "a" || d.Read == 1 {
		t.Errorf("%+v", d)
	}
}

func TestListTakesOverWhatIsKnownOfFilesThatAreStillThere(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "b"), nil, 0o666))
	must(t, os.WriteFile(filepath.Join(dir, "a"), nil, 0o666))
	must(t, os.Mkdir(filepath.Join(dir, "was-a-file"), 0o777))
	known := File{Read: 1, Digest: digest.Of([]byte("x"))}
	old := &Dir{Entries: []Entry{{Name: "b", Kind: IsFile, File: known}, {Name: "gone", Kind: IsFile, File: known}, {Name: "was-a-file", Kind: IsFile, File: known}}}
	d, err := OpenDir(dir)
	must(t, err)
	defer d.Close()
	got, err := d.List(settled, 7, old)
	must(t, err)
	want := &Dir{Stat: settled, Read: 7, Entries: []Entry{{Name: "a", Kind: IsFile}, {Name: "b", Kind: IsFile, File: known}, {Name: "was-a-file", Kind: IsDir}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

func FuzzDirectory(f *testing.F) {
	_, d, _ := filled("")
	f.Add(appendDir(nil, d))
	f.Fuzz(func(_ *testing.T, b []byte) { parseDir(b) })
}
