package folder

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// nobody is a user without rights.
const nobody = 65534

// open returns a new directory, which belongs to nobody when this is root.
func open(t *testing.T) Dir {
	t.Helper()
	dir := t.TempDir()
	if os.Getuid() == 0 {
		must(t, os.Chown(dir, nobody, nobody))
	}
	d, err := Open(dir)
	must(t, err)
	t.Cleanup(func() { must(t, errors.Join(d.RemoveAll("a"), d.RemoveAll("b"), d.Close())) })
	return d
}

// asNobody takes from this thread what root may do to files, so that the test means the
// same for every user.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	if os.Getuid() == 0 {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		must(t, syscall.Setfsuid(nobody))
		defer func() { must(t, syscall.Setfsuid(0)) }()
	}
	f()
}

// readOnly makes a/deep/er with a file in each, as the Go command leaves its modules.
func readOnly(t *testing.T, d Dir) {
	t.Helper()
	for _, dir := range []string{"a", "a/deep", "a/deep/er"} {
		must(t, d.Mkdir(dir, 0o777))
		must(t, d.WriteFile(dir+"/f", []byte(dir), 0o444))
	}
	for _, dir := range []string{"a/deep/er", "a/deep", "a"} {
		must(t, d.Chmod(dir, 0o555))
	}
}

func TestAReadOnlyDirectoryOfOnesOwnIsRemoved(t *testing.T) {
	d := open(t)
	asNobody(t, func() {
		readOnly(t, d)
		must(t, d.RemoveAll("a"))
	})
	if _, err := d.Lstat("a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
}

func TestAReadOnlyDirectoryIsMovedAndStaysReadOnly(t *testing.T) {
	d := open(t)
	asNobody(t, func() {
		readOnly(t, d)
		must(t, d.Mkdir("b", 0o777))
		must(t, d.Chmod("b", 0o500))
		b, err := d.Enter("b")
		must(t, err)
		must(t, d.Move("a", b, "moved"))
		deep, err := b.Enter("moved/deep")
		must(t, err)
		must(t, deep.Move("er", b, "er")) // out of a read-only one
		for name, want := range map[string]fs.FileMode{"b": 0o500, "b/moved": 0o555, "b/moved/deep": 0o555, "b/er": 0o555} {
			if info, err := d.Lstat(name); err != nil || info.Mode().Perm() != want {
				t.Errorf("%s: %v, %v", name, info, err)
			}
		}
		if err := d.Move("none", b, "x"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("what is not there: %v", err)
		}
		must(t, errors.Join(b.Close(), deep.Close()))
	})
}

func TestWhatBelongsToSomebodyElseIsNotRemoved(t *testing.T) {
	if os.Getuid() != 0 {
		return // nobody can give a directory away
	}
	d := open(t)
	must(t, d.MkdirAll("a/theirs/x", 0o755))
	must(t, d.Chown("a", nobody, nobody))
	asNobody(t, func() {
		if err := d.RemoveAll("a"); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%v", err)
		}
	})
}

func TestNoSymlinkIsEntered(t *testing.T) {
	d := open(t)
	must(t, d.MkdirAll("a/real/in", 0o777))
	must(t, d.WriteFile("a/real/in/f", nil, 0o666))
	must(t, d.Symlink("real", "a/link"))
	must(t, d.Symlink("real/in/f", "a/file"))
	for path, want := range map[string]string{"a/link": "a/link", "a/link/in": "a/link"} {
		for what, enter := range map[string]func(string) (Dir, error){"enter": d.Enter, "make": d.Make} {
			link := (*LinkError)(nil)
			if _, err := enter(path); !errors.As(err, &link) || link.Path != want {
				t.Errorf("%s %s: %v", what, path, err)
			}
		}
	}
	in, err := d.Make("a/new/er")
	must(t, err)
	must(t, errors.Join(in.WriteFile("f", []byte("1"), 0o666), in.Close()))
	if b, err := os.ReadFile(filepath.Join(d.Name(), "a/new/er/f")); err != nil || string(b) != "1" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := d.Enter("a/real/in/f"); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("a file: %v", err)
	}
	a, err := d.Enter("a")
	must(t, err)
	defer func() { must(t, a.Close()) }()
	must(t, syscall.Mkfifo(filepath.Join(a.Name(), "fifo"), 0o666))
	for _, name := range []string{"file", "real", "fifo"} {
		if f, err := a.Read(name); !errors.Is(err, ErrChanged) {
			t.Errorf("read %s: %v, %v", name, f, err)
		}
	}
}

// A directory that is open stays the same, whatever its path leads to by then.
func TestAMovedDirectoryIsStillTheSame(t *testing.T) {
	d, outside := open(t), t.TempDir()
	must(t, d.MkdirAll("a/in", 0o777))
	in, err := d.Enter("a/in")
	must(t, err)
	must(t, d.Rename("a/in", "b"))
	must(t, d.Symlink(outside, "a/in"))
	must(t, errors.Join(in.WriteFile("f", nil, 0o666), in.Close()))
	if _, err := d.Lstat("b/f"); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
		t.Errorf("outside: %v, %v", left, err)
	}
}
