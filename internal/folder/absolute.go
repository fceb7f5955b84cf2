package folder

import (
	"io/fs"
	"os"
	"path/filepath"
)

// Absolute takes the absolute paths of what lies below a Dir, for those who know only these, and
// works below the open directory all the same. Symlinks that stay below it are followed.
type Absolute struct{ d Dir }

// Absolute returns the Dir for absolute paths.
func (d Dir) Absolute() Absolute { return Absolute{d} }

// below returns the path that d knows. What lies elsewhere does not exist for d.
func (a Absolute) below(path string) (string, error) {
	rel, err := filepath.Rel(a.d.Name(), path)
	if err != nil || !filepath.IsLocal(rel) {
		return "", &fs.PathError{Op: "open", Path: path, Err: fs.ErrInvalid}
	}
	return rel, nil
}

func (a Absolute) on(path string, f func(string) error) error {
	rel, err := a.below(path)
	if err != nil {
		return err
	}
	return f(rel)
}

func (a Absolute) onBoth(from, to string, f func(from, to string) error) error {
	return a.on(from, func(from string) error {
		return a.on(to, func(to string) error { return f(from, to) })
	})
}

// Stat is os.Stat.
func (a Absolute) Stat(path string) (info os.FileInfo, err error) {
	err = a.on(path, func(rel string) (err error) { info, err = a.d.Stat(rel); return err })
	return info, err
}

// OpenFile is os.OpenFile.
func (a Absolute) OpenFile(path string, flag int, perm os.FileMode) (f *os.File, err error) {
	err = a.on(path, func(rel string) (err error) { f, err = a.d.OpenFile(rel, flag, perm); return err })
	return f, err
}

// Chmod is os.Chmod.
func (a Absolute) Chmod(path string, mode os.FileMode) error {
	return a.on(path, func(rel string) error { return a.d.Chmod(rel, mode) })
}

// Mkdir is os.Mkdir.
func (a Absolute) Mkdir(path string, perm os.FileMode) error {
	return a.on(path, func(rel string) error { return a.d.Mkdir(rel, perm) })
}

// MkdirAll is os.MkdirAll.
func (a Absolute) MkdirAll(path string, perm os.FileMode) error {
	return a.on(path, func(rel string) error { return a.d.MkdirAll(rel, perm) })
}

// Remove is os.Remove.
func (a Absolute) Remove(path string) error { return a.on(path, a.d.Remove) }

// RemoveAll is os.RemoveAll.
func (a Absolute) RemoveAll(path string) error { return a.on(path, a.d.RemoveAll) }

// Rename is os.Rename.
func (a Absolute) Rename(from, to string) error { return a.onBoth(from, to, a.d.Rename) }

// Link is os.Link.
func (a Absolute) Link(from, to string) error { return a.onBoth(from, to, a.d.Link) }
