package disk_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/atomicfile/powercut"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/disk"
	"github.com/pipe-build/pipe/internal/store/storetest"
)

func TestRefusedBytesLeaveNoTemporaryFile(t *testing.T) {
	dir := t.TempDir()
	b, err := disk.Open(room(dir)).Begin()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Put(t.Context(), storetest.File([]byte("good")), store.Bytes([]byte("evil"))); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("%v", err)
	}
	if left := litter(dir); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
	if err := errors.Join(b.Commit(), b.Close()); err != nil {
		t.Error(err)
	}
}

func TestASaveOfWhatIsThereLeavesNoTemporaryFile(t *testing.T) {
	dir := t.TempDir()
	s := disk.Open(room(dir))
	ref := put(t, s, []byte("there"))
	path := filepath.Join(dir, "file")
	if err := os.WriteFile(path, []byte("there"), 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if got, n, err := b.Save(t.Context(), f); err != nil || got != ref.Digest || n != 5 {
		t.Errorf("%s, %d, %v", got, n, err)
	}
	if err := errors.Join(b.Commit(), b.Close(), f.Close()); err != nil {
		t.Error(err)
	}
	if left := below(t, filepath.Join(room(dir), "tmp")); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestATemporaryFileThatCannotBeRemovedIsAnError(t *testing.T) {
	stuck := errors.New("stuck")
	s := disk.OpenOn(atomicfile.Files{Before: func(st atomicfile.Step) error {
		if st.Op == atomicfile.OpRemove {
			return stuck
		}
		return nil
	}}, t.TempDir())
	b, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Put(t.Context(), storetest.File([]byte("x")), store.Bytes([]byte("x"))); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); !errors.Is(err, stuck) {
		t.Errorf("%v", err)
	}
}

func TestNothingIsSwappedWithoutItsLock(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "cell.lock", "in the way"), 0o777); err != nil {
		t.Fatal(err)
	}
	s := disk.Open(root)
	if _, err := s.Swap(t.Context(), "cell", "", []byte("v")); err == nil {
		t.Error("no error")
	}
	if _, _, err := s.Load(t.Context(), "cell"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("%v", err)
	}
}

// The second writer of the same bytes begins before the first has ended.
func TestTwoWritersOfOneObjectLeaveOneObject(t *testing.T) {
	dir, content := t.TempDir(), []byte("the same")
	s := disk.Open(room(dir))
	b, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	ref := storetest.File(content)
	src := store.Bytes(content)
	src.Open = func() (io.ReadCloser, error) {
		err := b.Put(t.Context(), ref, store.Bytes(content))
		return io.NopCloser(bytes.NewReader(content)), err
	}
	if err := errors.Join(b.Put(t.Context(), ref, src), b.Commit(), b.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := store.ReadAll(t.Context(), s, ref, 100); err != nil {
		t.Error(err)
	}
	if left := below(t, filepath.Join(room(dir), "tmp")); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}

// LESSONS 9: presence is no proof of content, but a size that is wrong proves damage.
func TestAnObjectOfTheWrongSizeIsStoredAgain(t *testing.T) {
	root, content := t.TempDir(), []byte("whole")
	s := disk.Open(root)
	ref := put(t, s, content)
	path := filepath.Join(root, store.Path(ref))
	if err := errors.Join(os.Chmod(path, 0o644), os.Truncate(path, 2)); err != nil {
		t.Fatal(err)
	}
	put(t, s, content)
	if got, err := store.ReadAll(t.Context(), s, ref, 100); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%q, %v", got, err)
	}
}

// What is known to be durable is not synced again: a second object in the same
// directory costs two syncs, its own and its directory's.
// What lies at an object's name is believed only after it was read: good bytes are at hand.
func TestWhateverLiesAtAnObjectsNameGivesWayToIt(t *testing.T) {
	b := []byte("the right bytes")
	for name, spoil := range map[string]func(path string) error{
		"flipped": func(path string) error { return os.WriteFile(path, []byte("the wrong bytes"), 0o644) },
		"cut":     func(path string) error { return os.Truncate(path, 3) },
		"empty":   func(path string) error { return os.Truncate(path, 0) },
		"a directory": func(path string) error {
			return errors.Join(os.Remove(path), os.MkdirAll(filepath.Join(path, "sub"), 0o755))
		},
		"a link": func(path string) error { return errors.Join(os.Remove(path), os.Symlink("/dev/zero", path)) },
	} {
		dir := t.TempDir()
		s := disk.Open(room(dir))
		save := func() error {
			file := filepath.Join(dir, "file")
			f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o666)
			if err != nil {
				return err
			}
			_, werr := f.WriteAt(b, 0)
			batch, err := s.Begin()
			if err != nil {
				return err
			}
			_, _, err = batch.Save(t.Context(), f)
			return errors.Join(werr, err, batch.Commit(), batch.Close(), f.Close())
		}
		for how, again := range map[string]func() error{
			"put":  func() error { return s.Put(t.Context(), storetest.File(b), store.Bytes(b)) },
			"save": save,
		} {
			ref := put(t, s, b)
			path := filepath.Join(room(dir), filepath.FromSlash(store.Path(ref)))
			if err := errors.Join(os.Chmod(path, 0o644), spoil(path), again()); err != nil {
				t.Errorf("%s, %s: %v", name, how, err)
			}
			if got, err := store.ReadAll(t.Context(), s, ref, 100); err != nil || !bytes.Equal(got, b) {
				t.Errorf("%s, %s: %q, %v", name, how, got, err)
			}
		}
	}
}

func TestWhatIsNoFileIsNoObject(t *testing.T) {
	dir := t.TempDir()
	s := disk.Open(room(dir))
	ref := put(t, s, []byte("x"))
	path := filepath.Join(room(dir), filepath.FromSlash(store.Path(ref)))
	if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o755)); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Stat(t.Context(), ref); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("%d, %v", n, err)
	}
}

func TestDirectoriesAreMadeDurableOnce(t *testing.T) {
	dir := t.TempDir()
	power, err := powercut.New(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := disk.OpenOn(power.Files(), room(dir))
	d := newDirectory(2, 1)
	put(t, s, d.files[0])
	before := len(power.Steps())
	put(t, s, d.files[1])
	syncs := map[atomicfile.Op]int{}
	for _, step := range power.Steps()[before:] {
		syncs[step.Op]++
	}
	if syncs[atomicfile.OpSyncFile] != 1 || syncs[atomicfile.OpSyncDir] != 1 || syncs[atomicfile.OpSyncFS] != 0 {
		t.Errorf("%v", syncs)
	}
}

func TestABatchOfWhatIsThereTakesNoStep(t *testing.T) {
	dir, content := t.TempDir(), []byte("there")
	power, err := powercut.New(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := disk.OpenOn(power.Files(), room(dir))
	put(t, s, content)
	before := len(power.Steps())
	put(t, s, content)
	if steps := power.Steps()[before:]; len(steps) != 0 {
		t.Errorf("%+v", steps)
	}
}

func TestTidyRemovesOnlyWhatIsOld(t *testing.T) {
	root := t.TempDir()
	s := disk.Open(root)
	b, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Put(t.Context(), storetest.File([]byte("x")), store.Bytes([]byte("x"))); err != nil {
		t.Fatal(err)
	}
	left := below(t, filepath.Join(root, "tmp"))
	info, err := os.Stat(left[0])
	if err != nil {
		t.Fatal(err)
	}
	for after, want := range []int{1, 0} { // at its very time it stays, a second later it goes
		if err := s.Tidy(info.ModTime().Unix() + int64(after)); err != nil {
			t.Error(err)
		}
		if got := len(below(t, filepath.Join(root, "tmp"))); got != want {
			t.Errorf("%d s: %d files are left, want %d", after, got, want)
		}
	}
	if err := disk.Open(filepath.Join(root, "none")).Tidy(1); err != nil {
		t.Errorf("a store without temporary files: %v", err)
	}
}

func TestProbeAndKilledWritersLeaveNoCells(t *testing.T) {
	root := t.TempDir()
	s := disk.Open(root)
	_, err := s.Swap(t.Context(), "env/a", "", nil)
	if err := errors.Join(err, s.Probe(t.Context())); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"probe", "tmp"} {
		if left := below(t, filepath.Join(root, dir)); len(left) != 0 {
			t.Errorf("left behind: %q", left)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "env", ".tmp-KILLED"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	var names []string
	err = s.Names(t.Context(), "env", func(n string) error { names = append(names, n); return nil })
	if err != nil || !slices.Equal(names, []string{"env/a"}) {
		t.Errorf("%q, %v", names, err)
	}
}
