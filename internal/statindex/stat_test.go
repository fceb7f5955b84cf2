package statindex

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// However a file is looked at, its stat is the same: else nothing would ever fit.
func TestEveryWayToLookAtAFileTellsTheSame(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	must(t, os.WriteFile(path, []byte("abc"), 0o666))
	want, kind, err := Of(path)
	if err != nil || kind != IsFile || want.Size != 3 || want.Exec() {
		t.Fatalf("%+v, %v, %v", want, kind, err)
	}
	f, err := os.Open(path)
	must(t, err)
	if got, err := OfFile(f); err != nil || got != want {
		t.Errorf("open: %+v, %v, want %+v", got, err, want)
	}
	must(t, f.Close())
	if _, err := OfFile(f); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("a closed file: %v", err)
	}
	d, err := OpenDir(dir)
	must(t, err)
	defer d.Close()
	if got, kind, err := d.Lstat("a"); err != nil || got != want || kind != IsFile {
		t.Errorf("in its directory: %+v, %v, %v, want %+v", got, kind, err, want)
	}
	want, kind, err = Of(dir)
	must(t, err)
	if got, err := d.Stat(); err != nil || got != want || kind != IsDir {
		t.Errorf("the directory: %+v, %v, want %+v, %v", got, err, want, kind)
	}
}

func TestAStatTellsWhatTheSystemKnows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	must(t, os.WriteFile(path, nil, 0o666))
	info, err := os.Lstat(path)
	must(t, err)
	if st, _, err := Of(path); err != nil || st.Mtime != info.ModTime().UnixNano() {
		t.Errorf("changed at %d, %v; want %d", st.Mtime, err, info.ModTime().UnixNano())
	}
}

func TestWhatIsNotThereSaysSo(t *testing.T) {
	dir := t.TempDir()
	d, err := OpenDir(dir)
	must(t, err)
	defer d.Close()
	_, _, inDir := d.Lstat("none")
	_, _, byPath := Of(filepath.Join(dir, "none"))
	_, open := OpenDir(filepath.Join(dir, "none"))
	for what, err := range map[string]error{"in a directory": inDir, "by its path": byPath, "a directory": open} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", what, err)
		}
	}
	must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o666))
	if _, err := OpenDir(filepath.Join(dir, "file")); err == nil {
		t.Error("a file was opened as a directory")
	}
}

func TestKindsAreToldApart(t *testing.T) {
	for mode, want := range map[fs.FileMode]Kind{
		0o644: IsFile, fs.ModeDir | 0o755: IsDir, fs.ModeSymlink | 0o777: IsLink, fs.ModeSocket: IsOther,
		fs.ModeNamedPipe: IsOther, fs.ModeDevice: IsOther, fs.ModeDevice | fs.ModeCharDevice: IsOther,
	} {
		if got := KindOf(mode); got != want {
			t.Errorf("%v: %v, want %v", mode, got, want)
		}
	}
}
