//go:build unix

package atomicfile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/pipe-build/pipe/internal/atomicfile"
)

func TestOnlyRegularFilesAreReadAndOnlyToABound(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(at("file"), []byte("12345"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Symlink("file", at("link")), os.Symlink("/dev/zero", at("zero")), syscall.Mkfifo(at("fifo"), 0o666)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{"file": nil, "link": nil, "zero": atomicfile.ErrSpecial, "fifo": atomicfile.ErrSpecial, ".": atomicfile.ErrSpecial, "none": fs.ErrNotExist} {
		b, err := atomicfile.Read(at(name), 5)
		if !errors.Is(err, want) || (want == nil) != (string(b) == "12345") {
			t.Errorf("%s: %q, %v; want %v", name, b, err, want)
		}
	}
	if _, err := atomicfile.Read(at("file"), 4); !errors.Is(err, atomicfile.ErrLarge) {
		t.Errorf("one byte too many: %v", err)
	}
	// Of a huge sparse file no more is read than the bound.
	f, err := os.Create(at("huge"))
	if err == nil {
		err = errors.Join(f.Truncate(1<<40), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := atomicfile.Read(at("huge"), 1<<10); !errors.Is(err, atomicfile.ErrLarge) {
		t.Errorf("huge: %v", err)
	}
}
