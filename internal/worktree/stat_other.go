//go:build !linux

package worktree

import (
	"io/fs"
	"os"
	"path/filepath"
)

// directory is a directory that is read by paths.
type directory struct{ path string }

func openDir(path string) (*directory, error) {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "open", Path: path, Err: fs.ErrInvalid}
	}
	return &directory{path}, err
}

func (d *directory) close() {}

func (d *directory) stat() (stat, error) {
	st, _, err := statPath(d.path)
	return st, err
}

func (d *directory) lstat(name string) (stat, kind, error) {
	info, err := os.Lstat(filepath.Join(d.path, name))
	if err != nil {
		return stat{}, 0, err
	}
	return fromInfo(info), kindOf(info.Mode()), nil
}

func (d *directory) list() ([]fs.DirEntry, error) { return os.ReadDir(d.path) }
