//go:build unix

package disk_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/disk"
	"github.com/pipe-build/pipe/internal/store/storetest"
	"github.com/pipe-build/pipe/pkg/digest"
)

// None of them may hang: no context ends the opening of a named pipe.
func TestANamedPipeOrADeviceInAStoreIsRefused(t *testing.T) {
	for name, make := range map[string]func(path string) error{
		"named pipe": func(path string) error { return syscall.Mkfifo(path, 0o666) },
		"device":     func(path string) error { return os.Symlink("/dev/zero", path) },
		"directory":  func(path string) error { return os.Mkdir(path, 0o777) },
	} {
		root, id, ref := t.TempDir(), object.RunID{Key: digest.Key{1}}, storetest.File([]byte("x"))
		s := disk.Open(root)
		for _, path := range []string{store.RecordPath(id), "projects/p/env/e/state", store.MarkerName, store.Path(ref)} {
			path = filepath.Join(root, filepath.FromSlash(path))
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), make(path)); err != nil {
				t.Fatal(err)
			}
		}
		_, err := s.Lookup(t.Context(), id)
		_, _, lerr := s.Load(t.Context(), "projects/p/env/e/state")
		_, serr := s.Swap(t.Context(), "projects/p/env/e/state", "", []byte("v"))
		merr := store.Marked(s, store.Past{}).Put(t.Context(), ref, store.Bytes([]byte("x")))
		_, oerr := s.Open(t.Context(), ref)
		for what, err := range map[string]error{"record": err, "cell": lerr, "swap": serr, "marker": merr, "object": oerr} {
			if !diag.Is(err, diag.Integrity) {
				t.Errorf("%s as a %s: %v", what, name, err)
			}
		}
		if err := s.Fill(t.Context(), ref, target(t)); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("fill from a %s: %v", name, err)
		}
		if err := s.Put(t.Context(), ref, store.Bytes([]byte("x"))); err != nil {
			t.Errorf("a good copy in the place of a %s: %v", name, err)
		}
	}
}
