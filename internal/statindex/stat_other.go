//go:build !linux

package statindex

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// Directory is an open directory.
type Directory struct{ root *os.Root }

// OpenDir opens a directory; symlinks are followed. The caller closes it.
func OpenDir(path string) (*Directory, error) {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "open", Path: path, Err: syscall.ENOTDIR}
	}
	if err != nil {
		return nil, err
	}
	r, err := os.OpenRoot(path)
	return &Directory{r}, err
}

// DirOf opens the directory of a root once more. The caller closes it.
func DirOf(r *os.Root) (*Directory, error) {
	r, err := r.OpenRoot(".")
	return &Directory{r}, err
}

// Close lets go of the directory.
func (d *Directory) Close() { _ = d.root.Close() }

// Stat describes the directory itself.
func (d *Directory) Stat() (Stat, error) {
	info, err := d.root.Stat(".")
	if err != nil {
		return Stat{}, err
	}
	return OfInfo(info), nil
}

// Lstat describes what lies at a name in it; symlinks are not followed.
func (d *Directory) Lstat(name string) (Stat, Kind, error) {
	info, err := d.root.Lstat(name)
	if err != nil {
		return Stat{}, 0, err
	}
	return OfInfo(info), KindOf(info.Mode()), nil
}

// Readlink returns where the symlink at a name in it leads.
func (d *Directory) Readlink(name string) (string, error) { return d.root.Readlink(name) }

// names returns all names with their kinds.
func (d *Directory) names() ([]fs.DirEntry, error) {
	f, err := d.root.Open(".")
	if err != nil {
		return nil, err
	}
	list, err := f.ReadDir(-1)
	return list, errors.Join(err, f.Close())
}
