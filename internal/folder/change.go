package folder

import (
	"errors"
	"io/fs"
	"os"
)

// Move gives what lies at a name the name as in another directory, and replaces what may be
// replaced there. Who moves a directory writes into it, to its "..": a read-only one that
// belongs to this user is made writable for that moment, as are the two that the name is in.
// Build tools write-protect what they leave (the Go module cache), and its owner may not be
// stopped by that.
func (d Dir) Move(name string, to Dir, as string) error {
	err := d.rename(name, to, as)
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	moved, from, into := d.lend(name), d.lend("."), to.lend(".")
	err = d.rename(name, to, as)
	into(to, ".")
	from(d, ".")
	if err != nil {
		moved(d, name)
	} else {
		moved(to, as)
	}
	return err
}

// lend gives the owner every right on a directory. What it returns takes them back, at the
// place where the directory is then.
func (d Dir) lend(name string) (back func(Dir, string)) {
	info, err := d.Lstat(name)
	if err != nil || !info.IsDir() || info.Mode()&0o700 == 0o700 || d.Chmod(name, info.Mode()|0o700) != nil {
		return func(Dir, string) {}
	}
	return func(d Dir, name string) { _ = d.Chmod(name, info.Mode()) }
}

// rename works on the two open directories, where the system can: os.Root renames below
// one root alone, and would follow symlinks on the way from there.
func (d Dir) rename(name string, to Dir, as string) error {
	return d.both(renameat, name, to, as)
}

// Exchange gives two names to what the other one was, at once: at every moment one of the two
// lies at each. It fails where one is missing, and where the system or the file system has no
// such call.
func (d Dir) Exchange(name string, with Dir, as string) error {
	return d.both(exchangeat, name, with, as)
}

// LinkAll gives files here, never what a symlink leads to, the same names in another directory,
// too, and reports for each whether that was done.
func (d Dir) LinkAll(to Dir, names []string) ([]bool, error) {
	from, err := d.Open(".")
	if err != nil {
		return nil, err
	}
	defer func() { _ = from.Close() }()
	into, err := to.Open(".")
	if err != nil {
		return nil, err
	}
	defer func() { _ = into.Close() }()
	done := make([]bool, len(names))
	for i, name := range names {
		done[i] = linkat(from, name, into, name) == nil
	}
	return done, nil
}

// both calls f on a name here and one in another directory. Its answer alone counts: to close a
// directory that was only read cannot undo it, and who took that for a failure would do it twice.
func (d Dir) both(f func(from *os.File, name string, to *os.File, as string) error, name string, to Dir, as string) error {
	from, err := d.Open(".")
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	into, err := to.Open(".")
	if err != nil {
		return err
	}
	defer func() { _ = into.Close() }()
	if err := f(from, name, into, as); err != nil {
		return &os.LinkError{Op: "rename", Old: d.at(name), New: to.at(as), Err: err}
	}
	return nil
}

// RemoveAll removes what lies at one name, with all that is in it. Directories that this
// user may not write to, but owns, are made writable.
func (d Dir) RemoveAll(name string) error {
	err := d.Root.RemoveAll(name)
	if errors.Is(err, fs.ErrPermission) {
		d.unlock(name)
		err = d.Root.RemoveAll(name)
	}
	return d.named(err)
}

// unlock gives the owner every right on a directory and all that are in it. What it cannot
// do, the removal will say.
func (d Dir) unlock(name string) {
	if info, err := d.Lstat(name); err != nil || !info.IsDir() {
		return
	}
	d.lend(name)
	sub, err := d.enter(name)
	if err != nil {
		return
	}
	defer func() { _ = sub.Close() }()
	list, _ := sub.List()
	for _, e := range list {
		if e.IsDir() {
			sub.unlock(e.Name())
		}
	}
}
