package atomicfile_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/atomicfile/powercut"
)

// replaced is what Write promises of the file f in dir.
func replaced(dir string, done bool) error {
	b, err := os.ReadFile(filepath.Join(dir, "f"))
	if err != nil || string(b) != "new" && (done || string(b) != "old") {
		return fmt.Errorf("f holds %q, %w", b, err)
	}
	return nil
}

func TestEveryStepOfWriteMayFailOrBeTheLast(t *testing.T) {
	powercut.Walk(t, powercut.Case{
		Setup: func(dir string) error { return os.WriteFile(filepath.Join(dir, "f"), []byte("old"), 0o666) },
		Do: func(files atomicfile.Files, dir string) error {
			return files.Write(filepath.Join(dir, "f"), []byte("new"), 0o666, "")
		},
		Check: replaced,
		Litter: func(dir string) []string {
			left, _ := filepath.Glob(filepath.Join(dir, ".tmp-*"))
			return left
		},
	})
}

// exFAT and many network shares have no modes and no fsync of a directory.
func TestAFileSystemWithoutModesOrDirectorySyncIsGoodEnough(t *testing.T) {
	for _, errno := range []error{syscall.EPERM, syscall.EINVAL, syscall.ENOTSUP, syscall.ENOSYS} {
		files := atomicfile.Files{Before: func(s atomicfile.Step) error {
			if s.Op == atomicfile.OpChmod || s.Op == atomicfile.OpSyncDir && !errors.Is(errno, syscall.EPERM) {
				return &os.PathError{Op: string(s.Op), Path: s.Path, Err: errno}
			}
			return nil
		}}
		dir := t.TempDir()
		for range 2 {
			if err := files.Write(filepath.Join(dir, "f"), []byte("new"), 0o666, ""); err != nil {
				t.Errorf("%v: %v", errno, err)
			}
		}
		if err := replaced(dir, true); err != nil {
			t.Errorf("%v: %v", errno, err)
		}
	}
	files := atomicfile.Files{Before: func(atomicfile.Step) error { return syscall.EPERM }}
	if err := files.SyncDir(t.TempDir()); !errors.Is(err, syscall.EPERM) {
		t.Errorf("a directory that may not be synced: %v", err)
	}
}

func TestAReplacedFileKeepsItsMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for _, mode := range []os.FileMode{0o640, 0o400, 0o755} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if err := atomicfile.Write(path, []byte("new"), 0o666, ""); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%v, want %v; %v", info.Mode(), mode, err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}
