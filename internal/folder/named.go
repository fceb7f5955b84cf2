package folder

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// named gives an error the whole path: os.Root knows names in its directory alone, and "openat
// .: permission denied" helps nobody. Nor does the at.
func (d Dir) named(err error) error {
	whole := func(name string) string {
		if filepath.IsAbs(name) {
			return name
		}
		return filepath.Join(d.Name(), name)
	}
	if e := (*fs.PathError)(nil); errors.As(err, &e) {
		return &fs.PathError{Op: strings.TrimSuffix(e.Op, "at"), Path: whole(e.Path), Err: e.Err}
	}
	if e := (*os.LinkError)(nil); errors.As(err, &e) {
		return &os.LinkError{Op: strings.TrimSuffix(e.Op, "at"), Old: whole(e.Old), New: whole(e.New), Err: e.Err}
	}
	return err
}

// The methods of os.Root, with errors that name the whole path.

// Open is os.Root's Open.
func (d Dir) Open(name string) (*os.File, error) {
	f, err := d.Root.Open(name)
	return f, d.named(err)
}

// OpenFile is os.Root's OpenFile.
func (d Dir) OpenFile(name string, flag int, perm os.FileMode) (*os.File, error) {
	f, err := d.Root.OpenFile(name, flag, perm)
	return f, d.named(err)
}

// OpenRoot is os.Root's OpenRoot.
func (d Dir) OpenRoot(name string) (*os.Root, error) {
	r, err := d.Root.OpenRoot(name)
	return r, d.named(err)
}

// Lstat is os.Root's Lstat.
func (d Dir) Lstat(name string) (os.FileInfo, error) {
	info, err := d.Root.Lstat(name)
	return info, d.named(err)
}

// Readlink is os.Root's Readlink.
func (d Dir) Readlink(name string) (string, error) {
	target, err := d.Root.Readlink(name)
	return target, d.named(err)
}

// Symlink is os.Root's Symlink.
func (d Dir) Symlink(target, name string) error {
	err := d.Root.Symlink(target, name)
	if e := (*os.LinkError)(nil); errors.As(err, &e) {
		return &fs.PathError{Op: strings.TrimSuffix(e.Op, "at"), Path: filepath.Join(d.Name(), name), Err: e.Err} // the target is a text, not a path below d
	}
	return d.named(err)
}

// Link is os.Root's Link.
func (d Dir) Link(from, to string) error { return d.named(d.Root.Link(from, to)) }

// Rename is os.Root's Rename.
func (d Dir) Rename(from, to string) error { return d.named(d.Root.Rename(from, to)) }

// Remove is os.Root's Remove.
func (d Dir) Remove(name string) error { return d.named(d.Root.Remove(name)) }

// Mkdir is os.Root's Mkdir.
func (d Dir) Mkdir(name string, perm os.FileMode) error { return d.named(d.Root.Mkdir(name, perm)) }

// MkdirAll is os.Root's MkdirAll.
func (d Dir) MkdirAll(name string, perm os.FileMode) error {
	return d.named(d.Root.MkdirAll(name, perm))
}

// Chmod is os.Root's Chmod.
func (d Dir) Chmod(name string, mode os.FileMode) error { return d.named(d.Root.Chmod(name, mode)) }

// Chtimes is os.Root's Chtimes.
func (d Dir) Chtimes(name string, atime, mtime time.Time) error {
	return d.named(d.Root.Chtimes(name, atime, mtime))
}

// Stat is os.Root's Stat.
func (d Dir) Stat(name string) (os.FileInfo, error) {
	info, err := d.Root.Stat(name)
	return info, d.named(err)
}

// WriteFile is os.Root's WriteFile.
func (d Dir) WriteFile(name string, b []byte, perm os.FileMode) error {
	return d.named(d.Root.WriteFile(name, b, perm))
}
