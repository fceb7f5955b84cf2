//go:build !linux

package statindex

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Directory is a directory that is read by paths.
type Directory struct{ path string }

// OpenDir opens a directory; symlinks are followed. The caller closes it.
func OpenDir(path string) (*Directory, error) {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "open", Path: path, Err: syscall.ENOTDIR}
	}
	return &Directory{path}, err
}

// Close lets go of the directory.
func (d *Directory) Close() {}

// Stat describes the directory itself.
func (d *Directory) Stat() (Stat, error) {
	st, _, err := Of(d.path)
	return st, err
}

// Lstat describes what lies at a name in it; symlinks are not followed.
func (d *Directory) Lstat(name string) (Stat, Kind, error) {
	info, err := os.Lstat(filepath.Join(d.path, name))
	if err != nil {
		return Stat{}, 0, err
	}
	return fromInfo(info), KindOf(info.Mode()), nil
}

// names returns all names with their kinds.
func (d *Directory) names() ([]fs.DirEntry, error) { return os.ReadDir(d.path) }
