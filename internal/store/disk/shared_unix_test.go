//go:build unix

package disk

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/digest"
)

// fill writes something of every kind into a store.
func fill(t *testing.T, s *Store) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	put := func(content string) (object.Ref, store.Source) {
		return object.Ref{Digest: digest.Of([]byte(content))}, store.Bytes([]byte(content))
	}
	ref, src := put("one")
	must(s.Put(t.Context(), ref, src))
	b, err := s.Begin()
	must(err)
	ref, src = put("two")
	must(b.Put(t.Context(), ref, src))
	must(b.Commit())
	must(b.Close())
	_, err = s.Record(t.Context(), object.RunID{}, []byte("{}"))
	must(err)
	_, err = s.Swap(t.Context(), "projects/p/env/e/state", "", []byte("1"))
	must(err)
}

// A shared directory says who may use what is in it, not the umask of the one who wrote.
func TestASharedDirectoryPassesItsPermissionsOn(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	group := os.Getgid()
	if os.Getuid() == 0 {
		group = 65534
	}
	for _, mode := range []fs.FileMode{0o770 | fs.ModeSetgid, 0o770, 0o755, 0o700, 0o777} {
		root := filepath.Join(t.TempDir(), "remote")
		if err := os.Mkdir(root, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(root, -1, group); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(root, mode); err != nil {
			t.Fatal(err)
		}
		fill(t, OpenShared(root))
		n := 0
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || path == root {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			n++
			got, want := info.Mode()&(fs.ModePerm|fs.ModeSetgid), mode
			if !d.IsDir() {
				want = mode & 0o666
				if got&0o200 == 0 {
					want &= 0o444 // an object, which nobody changes
				}
			}
			if st := info.Sys().(*syscall.Stat_t); got != want || int(st.Gid) != group {
				t.Errorf("%v: %s has %v and group %d, want %v and %d", mode, path, got, st.Gid, want, group)
			}
			return nil
		})
		if err != nil || n < 10 {
			t.Errorf("%v: %d files and directories, %v", mode, n, err)
		}
	}
}

func TestACacheIsItsUsersOwn(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	root := filepath.Join(t.TempDir(), "cache")
	if err := os.Mkdir(root, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(root, 0o777); err != nil {
		t.Fatal(err)
	}
	fill(t, Open(root))
	for _, name := range []string{"files", "tmp", "runs"} {
		if info, err := os.Stat(filepath.Join(root, name)); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}
