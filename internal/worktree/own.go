package worktree

import (
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// CheckOwn refuses to work with a directory of pipe's own that is a symlink or
// holds one: a repository or an archive can carry such a link, and then pipe would
// write, move and remove files outside the project. It reports whether the
// directory is there. Call it before anything in the directory is read.
func (w *Work) CheckOwn() (there bool, err error) {
	return w.looksAt(Dir, 3) // .pipe/cache/files is the deepest name that pipe itself gives to a directory
}

// looksAt looks at p and at what lies at most depth levels below it.
func (w *Work) looksAt(p repopath.Path, depth int) (bool, error) {
	info, err := w.dir.Lstat(filepath.FromSlash(string(p)))
	if err != nil {
		return false, absentIsNil(err)
	}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return true, diag.New(diag.Policy, "is a symlink; pipe does not follow symlinks in its own directory").At(string(p)).
			Hinted("remove it (to keep the cache elsewhere, set PIPE_CACHE)")
	case p == Dir && !info.IsDir():
		return true, diag.New(diag.Policy, "must be a directory").At(string(p)).Hinted("remove it")
	case !info.IsDir() || depth == 0:
		return true, nil
	}
	dir, err := w.dir.Enter(string(p))
	if err != nil {
		return true, absentIsNil(ours(err))
	}
	entries, err := dir.List()
	if err := errors.Join(err, dir.Close()); err != nil {
		return true, absentIsNil(err)
	}
	for _, e := range entries {
		// Temporary files come and go, commands make links in what lies there, and of runs there may
		// be thousands.
		if p == Dir && (e.Name() == Tmp || e.Name() == "partial" || e.Name() == trash || e.Name() == Runs || e.Name() == Deploys) && e.IsDir() {
			continue
		}
		if !e.IsDir() && e.Type()&fs.ModeSymlink == 0 {
			continue
		}
		if _, err := w.looksAt(p.Child(e.Name()), depth-1); err != nil {
			return true, err
		}
	}
	return true, nil
}

// absentIsNil is for what another process may remove while pipe looks: that is no fault.
func absentIsNil(err error) error {
	if Gone(err) {
		return nil
	}
	return err
}
