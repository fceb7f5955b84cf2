package worktree

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/statindex"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Checkout puts an out's bytes at its path, all or nothing, in place of what
// lies there. The tree is nil for a file. The objects must be in the cache:
// ErrNotFound and ErrCorrupt are the cache's.
//
// The copy is made and verified in pipe's tmp before anything at the path changes;
// after an error the old output is still there. What lay at the path is removed, so
// a caller has saved it before if it may be the only copy. After a kill between the
// two renames nothing lies at the path. That is a state that every command knows: the
// output is absent, and its bytes are in the cache.
func (w *Work) Checkout(ctx context.Context, cache store.Cache, o artifact.Output, t *object.Tree) error {
	if err := w.Guard(o.Path); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(w.Tmp(), "checkout-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	fresh := filepath.Join(tmp, "new")
	if o.Dir {
		err = w.BuildTree(ctx, cache, fresh, t)
	} else {
		err = w.buildFile(ctx, cache, fresh, object.Entry{Kind: fileKind(o.Exec), Digest: o.Digest})
	}
	if err != nil {
		return err
	}
	return w.swap(fresh, filepath.Join(tmp, "old"), o, t)
}

// swap renames fresh to the out's path, and what lay there to old. Two renames are
// needed, as rename(2) does not replace a directory that is not empty. If the second
// one fails, the first is taken back.
func (w *Work) swap(fresh, old string, o artifact.Output, t *object.Tree) error {
	to := w.OS(o.Path)
	if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
		return err
	}
	there := os.Rename(to, old)
	if there != nil && !errors.Is(there, fs.ErrNotExist) {
		return there
	}
	// The time is read before the rename: see learn.
	named := w.opt.Now()
	if err := os.Rename(fresh, to); err != nil {
		if there == nil {
			err = errors.Join(err, os.Rename(old, to))
		}
		return err
	}
	if o.Dir {
		w.learn(o.Path, t, named)
	} else if st, k, err := statindex.Of(to); err == nil && k == statindex.IsFile {
		w.index.SetFile(string(o.Path), statindex.File{Stat: st, Read: named, Digest: o.Digest})
	}
	return nil
}

// learn tells the index of files that were just written and renamed into place, so that
// they need not be hashed to find what is known. named is a time before the rename: who
// writes to a file at its new place gives it a later one, and the record does not fit.
// What it cannot learn is read when it is asked for.
func (w *Work) learn(top repopath.Path, t *object.Tree, named int64) {
	dirs := map[repopath.Path]*statindex.Dir{}
	for _, e := range t.Entries {
		if e.Kind != object.File && e.Kind != object.Executable {
			continue
		}
		at := top.Child(string(e.Path))
		dir := dirs[at.Dir()]
		if dir == nil {
			var err error
			if dir, err = w.list(at.Dir()); err != nil {
				return
			}
			dirs[at.Dir()] = dir
		}
		st, k, err := statindex.Of(w.OS(at))
		if known := dir.Find(at.Base()); known != nil && err == nil && k == statindex.IsFile {
			known.File = statindex.File{Stat: st, Read: named, Digest: e.Digest}
		}
	}
	for p, dir := range dirs {
		w.index.SetDir(string(p), dir)
	}
}

// list reads the names of one directory for the index.
func (w *Work) list(p repopath.Path) (*statindex.Dir, error) {
	d, err := statindex.OpenDir(w.OS(p))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	st, err := d.Stat()
	if err != nil {
		return nil, err
	}
	return d.List(st, w.opt.Now(), nil)
}

// BuildTree writes a tree into dir, which must not exist, from verified bytes. The tree
// may come from a remote, so it is checked first: no path leaves dir. After an error a
// part of it may be left in dir.
func (w *Work) BuildTree(ctx context.Context, cache store.Cache, dir string, t *object.Tree) error {
	if err := t.Check(); err != nil {
		return err
	}
	if err := w.writable(filepath.Dir(dir), t); err != nil {
		return err
	}
	if err := makeDirs(dir, t); err != nil {
		return err
	}
	err := par.Each(ctx, len(t.Entries), w.opt.Workers, func(ctx context.Context, i int) error {
		e := t.Entries[i]
		if e.Kind != object.File && e.Kind != object.Executable {
			return nil
		}
		return w.buildFile(ctx, cache, filepath.Join(dir, filepath.FromSlash(string(e.Path))), e)
	})
	if err != nil {
		return err
	}
	// Links last: no file is written through one.
	for _, e := range t.Entries {
		if e.Kind == object.Symlink {
			if err := os.Symlink(filepath.FromSlash(e.Target), filepath.Join(dir, filepath.FromSlash(string(e.Path)))); err != nil {
				return err
			}
		}
	}
	return nil
}

// writable refuses names that this disk cannot hold as they are: names that Windows
// reserves or reads as two elements, and two that fold to one, where the second file
// would replace the first. The disk is only tried if the tree has such a pair.
func (w *Work) writable(dir string, t *object.Tree) error {
	for _, e := range t.Entries {
		if !filepath.IsLocal(filepath.FromSlash(string(e.Path))) || separates(filepath.Separator, string(e.Path)+e.Target) {
			return diag.New(diag.Failed, "the name %q is not valid on this system", e.Path).Hinted("restore it on the system on which it was built")
		}
	}
	a, b, ok := t.Folding()
	if !ok {
		return nil
	}
	one, err := w.opt.folds(dir)
	if one && err == nil {
		return diag.New(diag.Failed, "%q and %q are the same name on this file system, so one would overwrite the other", a, b).
			Hinted("restore it on a case-sensitive file system")
	}
	return err
}

// separates reports whether a name with slashes has another separator of the system in it.
func separates(separator rune, name string) bool {
	return separator != '/' && strings.ContainsRune(name, separator)
}

// folds finds out, by trying, whether the disk of a directory takes names for the
// same that differ in case or in the normal form of Unicode.
func folds(dir string) (is bool, err error) {
	tmp, err := os.MkdirTemp(dir, ".pipe-names-*")
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	for _, pair := range [...][2]string{{"a", "A"}, {"e\u0301", "\u00e9"}} {
		if err := os.WriteFile(filepath.Join(tmp, pair[0]), nil, 0o666); err != nil {
			return false, err
		}
		if _, err := os.Lstat(filepath.Join(tmp, pair[1])); !Gone(err) {
			return err == nil, err
		}
	}
	return false, nil
}

// makeDirs makes dir and all directories of the tree before the files, which many
// goroutines then write.
func makeDirs(dir string, t *object.Tree) error {
	if err := os.Mkdir(dir, 0o777); err != nil {
		return err
	}
	made := map[repopath.Path]bool{repopath.Root: true}
	for _, e := range t.Entries {
		p := e.Path
		if e.Kind != object.Dir {
			p = p.Dir()
		}
		if made[p] {
			continue
		}
		made[p] = true
		if err := os.MkdirAll(filepath.Join(dir, filepath.FromSlash(string(p))), 0o777); err != nil {
			return err
		}
	}
	return nil
}

// buildFile writes one file, whose bytes the cache verifies. The file must be new: one
// that is there, or a symlink, is an error and is not written to. The user's umask
// applies, so of the mode only the executable bit is the output's.
func (w *Work) buildFile(ctx context.Context, cache store.Cache, path string, e object.Entry) (err error) {
	mode := os.FileMode(0o666)
	if e.Kind == object.Executable {
		mode = 0o777
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return cache.Fill(ctx, object.Ref{Digest: e.Digest}, f)
}
