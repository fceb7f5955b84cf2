// Package folder works in directories that it holds open, reached without following a symlink.
//
// A path is looked up anew by each call, and whoever can write to a directory on the way
// can turn it elsewhere between two of them. A Dir stays the directory that it was when it
// was opened. Its methods, and those of os.Root below it, are meant for one name each: that
// name lies in this directory, and os.Root lets nothing out of it.
package folder

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// Dir is an open directory.
type Dir struct{ *os.Root }

// Open opens a directory by its path, symlinks followed.
func Open(path string) (Dir, error) {
	r, err := os.OpenRoot(path)
	return Dir{r}, err
}

// LinkError says that a symlink stands where a directory was to be entered.
type LinkError struct{ Path string } // relative to where it began

// Error names the symlink.
func (e *LinkError) Error() string { return e.Path + " is a symlink" }

// ErrChanged says that a name was given to something else between two looks at it.
var ErrChanged = errors.New("was replaced by another process")

// Enter opens the directory at a path with slashes below d; "" is d itself. A symlink
// on the way, or at its end, is a *LinkError.
func (d Dir) Enter(path string) (Dir, error) { return d.walk(path, Dir.enter) }

// Make is Enter, and makes the directories that are not there.
func (d Dir) Make(path string) (Dir, error) {
	return d.walk(path, func(d Dir, name string) (Dir, error) {
		sub, err := d.enter(name)
		if !errors.Is(err, fs.ErrNotExist) {
			return sub, err
		}
		if err := d.Mkdir(name, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
			return Dir{}, err
		}
		return d.enter(name)
	})
}

func (d Dir) walk(path string, enter func(Dir, string) (Dir, error)) (Dir, error) {
	r, err := d.OpenRoot(".")
	at := Dir{r}
	for rest := path; err == nil && rest != "" && rest != "."; {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		above := at
		at, err = enter(above, name)
		_ = above.Close()
		if link := (*LinkError)(nil); errors.As(err, &link) {
			link.Path = strings.TrimSuffix(strings.TrimSuffix(path, rest), "/")
		}
	}
	return at, err
}

// enter opens the directory at one name. os.Root follows a symlink that stays below it,
// into .git for one, so what was opened must be what the name itself was before.
func (d Dir) enter(name string) (Dir, error) {
	was, err := d.Lstat(name)
	if err != nil {
		return Dir{}, err
	}
	if was.Mode()&fs.ModeSymlink != 0 {
		return Dir{}, &LinkError{name}
	}
	if !was.IsDir() {
		return Dir{}, &fs.PathError{Op: "open", Path: d.at(name), Err: syscall.ENOTDIR}
	}
	r, err := d.OpenRoot(name + "/.") // with the dot, a named pipe that takes its place is not waited for
	if err != nil {
		return Dir{}, err
	}
	is, err := Dir{r}.Stat(".")
	if err == nil && !os.SameFile(was, is) {
		err = &fs.PathError{Op: "open", Path: d.at(name), Err: ErrChanged}
	}
	if err != nil {
		_ = r.Close()
	}
	return Dir{r}, err
}

// at is where a name lies, for people.
func (d Dir) at(name string) string { return d.Name() + string(os.PathSeparator) + name }

// Read opens the regular file at one name for reading. What a symlink leads to is not
// opened, and a named pipe is not waited for.
func (d Dir) Read(name string) (*os.File, error) {
	was, err := d.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !was.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: d.at(name), Err: fmt.Errorf("%w: it is not a regular file", ErrChanged)}
	}
	f, err := d.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	is, err := f.Stat()
	if err == nil && !os.SameFile(was, is) {
		err = &fs.PathError{Op: "open", Path: d.at(name), Err: ErrChanged}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// List returns what lies in the directory.
func (d Dir) List() ([]fs.DirEntry, error) {
	f, err := d.Open(".")
	if err != nil {
		return nil, err
	}
	list, err := f.ReadDir(-1)
	return list, errors.Join(err, f.Close())
}

// Temp makes a directory for the caller alone, and returns its name in d.
func (d Dir) Temp(prefix string) (Dir, string, error) {
	name := prefix + rand.Text()
	if err := d.Mkdir(name, 0o700); err != nil {
		return Dir{}, "", err
	}
	t, err := d.enter(name)
	return t, name, err
}
