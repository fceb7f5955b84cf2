package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/pipe-build/pipe/internal/atomicfile"
)

// OpenShared is Open for a directory that several users share. What is made in it gets the
// directory's group, and of its permissions for group and others those that the new file or
// directory is to have: whoever may use the directory may use all of it, whatever the umask of
// the user who wrote. This is what git's core.sharedRepository does.
func OpenShared(root string) *Store {
	return OpenOn(atomicfile.Files{Root: shared{atomicfile.Files{}.Disk(), root}}, root)
}

// shared is a disk on which a directory's permissions are passed on.
type shared struct {
	atomicfile.Disk
	root string
}

// Mkdir implements atomicfile.Disk.
func (s shared) Mkdir(path string, perm os.FileMode) error {
	root, rerr := os.Stat(s.root)
	if err := s.Disk.Mkdir(path, perm); err != nil || rerr != nil {
		return err // the root itself gets what the user's umask says
	}
	return s.pass(root, path, perm)
}

// MkdirAll implements atomicfile.Disk.
func (s shared) MkdirAll(path string, perm os.FileMode) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil
	}
	if rel, err := filepath.Rel(s.root, path); err != nil || rel == "." || !filepath.IsLocal(rel) {
		return s.Disk.MkdirAll(path, perm)
	}
	if err := s.MkdirAll(filepath.Dir(path), perm); err != nil {
		return err
	}
	if err := s.Mkdir(path, perm); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return s.Disk.MkdirAll(path, perm) // a directory that another made meanwhile is as good; anything else is the error
}

// OpenFile implements atomicfile.Disk.
func (s shared) OpenFile(path string, flag int, perm os.FileMode) (*os.File, error) {
	f, err := s.Disk.OpenFile(path, flag, perm)
	if err != nil || flag&os.O_CREATE == 0 {
		return f, err
	}
	root, err := os.Stat(s.root)
	if err == nil {
		err = s.pass(root, path, perm)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Chmod implements atomicfile.Disk.
func (s shared) Chmod(path string, mode os.FileMode) error {
	root, err := os.Stat(s.root)
	if err != nil {
		return err
	}
	return s.pass(root, path, mode)
}

// pass gives what lies at a path, and belongs to this user, group and permissions of the root.
func (s shared) pass(root os.FileInfo, path string, perm os.FileMode) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !owned(info) {
		return nil // a lock file that a colleague has made
	}
	want := perm.Perm() & (0o700 | root.Mode().Perm())
	if info.IsDir() {
		want |= root.Mode() & os.ModeSetgid
	}
	if gid, ok := otherGroup(info, root); ok {
		_ = os.Lchown(path, -1, gid) // who is not in the group cannot; the permissions for others are left
		if info, err = os.Lstat(path); err != nil {
			return err
		}
	}
	if info.Mode()&(os.ModePerm|os.ModeSetgid) == want {
		return nil
	}
	err = s.Disk.Chmod(path, want)
	if errors.Is(err, syscall.EPERM) || errors.Is(err, errors.ErrUnsupported) {
		return nil // a file system without modes
	}
	return err
}
