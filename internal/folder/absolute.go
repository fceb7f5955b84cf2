package folder

import (
	"io/fs"
	"os"
	"path/filepath"
)

// Absolute takes the absolute paths of what lies below a Dir, for those who know only these, and
// works on the last name of each in the directory that holds it. No symlink is followed on the
// way there: one that stays below the Dir could lead into .git.
type Absolute struct{ d Dir }

// Absolute returns the Dir for absolute paths.
func (d Dir) Absolute() Absolute { return Absolute{d} }

// below returns a path as d knows it. What lies elsewhere is refused.
func (a Absolute) below(path string) (string, error) {
	rel, err := filepath.Rel(a.d.Name(), path)
	if err != nil || !filepath.IsLocal(rel) {
		return "", &fs.PathError{Op: "open", Path: path, Err: fs.ErrInvalid}
	}
	return filepath.ToSlash(rel), nil
}

// in calls f with the directory that holds the path, and the name in it.
func (a Absolute) in(path string, f func(d Dir, name string) error) error {
	rel, err := a.below(path)
	if err != nil {
		return err
	}
	d, err := a.d.Enter(filepath.ToSlash(filepath.Dir(rel)))
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }() // it was only entered
	return f(d, filepath.Base(rel))
}

// Stat is os.Stat.
func (a Absolute) Stat(path string) (info os.FileInfo, err error) {
	err = a.in(path, func(d Dir, name string) (err error) { info, err = d.Stat(name); return err })
	return info, err
}

// OpenFile is os.OpenFile.
func (a Absolute) OpenFile(path string, flag int, perm os.FileMode) (f *os.File, err error) {
	err = a.in(path, func(d Dir, name string) (err error) { f, err = d.OpenFile(name, flag, perm); return err })
	return f, err
}

// Chmod is os.Chmod.
func (a Absolute) Chmod(path string, mode os.FileMode) error {
	return a.in(path, func(d Dir, name string) error { return d.Chmod(name, mode) })
}

// Mkdir is os.Mkdir.
func (a Absolute) Mkdir(path string, perm os.FileMode) error {
	return a.in(path, func(d Dir, name string) error { return d.Mkdir(name, perm) })
}

// MkdirAll is os.MkdirAll, with the usual mode.
func (a Absolute) MkdirAll(path string, _ os.FileMode) error {
	rel, err := a.below(path)
	if err != nil {
		return err
	}
	d, err := a.d.Make(rel)
	if err != nil {
		return err
	}
	return d.Close()
}

// Remove is os.Remove.
func (a Absolute) Remove(path string) error { return a.in(path, Dir.Remove) }

// RemoveAll is os.RemoveAll.
func (a Absolute) RemoveAll(path string) error { return a.in(path, Dir.RemoveAll) }

// Rename is os.Rename.
func (a Absolute) Rename(from, to string) error {
	return a.in(from, func(d Dir, name string) error {
		return a.in(to, func(in Dir, as string) error { return d.rename(name, in, as) })
	})
}

// Link is os.Link.
func (a Absolute) Link(from, to string) error {
	return a.in(from, func(d Dir, name string) error {
		return a.in(to, func(in Dir, as string) error { return d.both(linkat, name, in, as) })
	})
}
