package worktree

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/folder"
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
// a caller has saved it before if it may be the only copy. A kill leaves the old output or the
// new one, where the file system can exchange two names; elsewhere perhaps none, which is a
// state that every command knows: the output is absent, and its bytes are in the cache.
func (w *Work) Checkout(ctx context.Context, cache store.Cache, o artifact.Output, t *object.Tree) error {
	tmp, err := w.Temp(Tmp, "checkout-")
	if err != nil {
		return err
	}
	defer tmp.Discard()
	if err := w.Build(ctx, cache, tmp.Dir, fresh, o, t); err != nil {
		return err
	}
	return w.swap(tmp.Dir, o, t)
}

// The names in the directory that a checkout works in.
const (
	fresh = "new"
	old   = "old"
)

// swap exchanges what is new in tmp with what lies at the out's path. Where that cannot be done,
// because nothing lies there, or the file system has no such call, or a directory is
// write-protected, it takes two renames: rename(2) does not replace a directory that is not
// empty. If the second one fails, the first is taken back.
func (w *Work) swap(tmp folder.Dir, o artifact.Output, t *object.Tree) error {
	in, err := w.MakeHolder(o.Path)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	was, err := tmp.Lstat(fresh)
	if err != nil {
		return err
	}
	to := o.Path.Base()
	// The time is read before the rename: see learn.
	named := w.opt.Now()
	if tmp.Exchange(fresh, in, to) == nil {
		w.learn(o, in, was, t, named)
		return nil
	}
	there := in.Move(to, tmp, old)
	if there != nil && !errors.Is(there, fs.ErrNotExist) {
		return there
	}
	if err := tmp.Move(fresh, in, to); err != nil {
		if there == nil {
			err = errors.Join(err, tmp.Move(old, in, to))
		}
		return err
	}
	w.learn(o, in, was, t, named)
	return nil
}

// learn tells the index of what was just written and renamed into place, so that it need
// not be hashed to find what is known. was is what it was before the rename, and named a
// time before: who writes to a file at its new place gives it a later one, and the record
// does not fit. What it cannot learn is read when it is asked for.
func (w *Work) learn(o artifact.Output, in folder.Dir, was fs.FileInfo, t *object.Tree, named int64) {
	if !o.Dir {
		if info, err := in.Lstat(o.Path.Base()); err == nil && os.SameFile(was, info) {
			w.index.SetFile(string(o.Path), statindex.File{Stat: statindex.OfInfo(info), Read: named, Digest: o.Digest})
		}
		return
	}
	top, err := in.Enter(o.Path.Base())
	if err != nil {
		return
	}
	defer func() { _ = top.Close() }()
	if info, err := top.Stat("."); err != nil || !os.SameFile(was, info) {
		return
	}
	files := map[repopath.Path][]object.Entry{}
	for _, e := range t.Entries {
		if e.Kind == object.File || e.Kind == object.Executable {
			files[e.Path.Dir()] = append(files[e.Path.Dir()], e)
		}
	}
	for p, entries := range files {
		at := o.Path
		if p != repopath.Root {
			at = at.Child(string(p))
		}
		if dir, err := w.list(top, string(p), entries, named); err == nil {
			w.index.SetDir(string(at), dir)
		}
	}
}

// list describes one directory of an out for the index.
func (w *Work) list(in folder.Dir, path string, entries []object.Entry, named int64) (*statindex.Dir, error) {
	sub, err := in.Enter(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sub.Close() }()
	d, err := statindex.DirOf(sub.Root)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	st, err := d.Stat()
	if err != nil {
		return nil, err
	}
	dir, err := d.List(st, w.opt.Now(), nil)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		name := e.Path.Base()
		st, k, err := d.Lstat(name)
		if known := dir.Find(name); known != nil && err == nil && k == statindex.IsFile {
			known.File = statindex.File{Stat: st, Read: named, Digest: e.Digest}
		}
	}
	return dir, nil
}

// Build writes an output under a new name into a directory, from verified bytes. After an
// error a part of it may be left.
func (w *Work) Build(ctx context.Context, cache store.Cache, in folder.Dir, name string, o artifact.Output, t *object.Tree) error {
	if o.Dir {
		return w.BuildTree(ctx, cache, in, name, t)
	}
	return buildFile(ctx, cache, in, name, object.Entry{Kind: fileKind(o.Exec), Digest: o.Digest})
}

// BuildTree writes a tree into the directory name, which it makes, from verified bytes. The
// tree may come from a remote, so it is checked first: no path leaves it. Whatever other
// processes make of it meanwhile, os.Root lets nothing out of it. After an error a part of
// it may be left.
func (w *Work) BuildTree(ctx context.Context, cache store.Cache, in folder.Dir, name string, t *object.Tree) error {
	if err := t.Check(); err != nil {
		return err
	}
	if err := w.writable(in, t); err != nil {
		return err
	}
	if err := in.Mkdir(name, 0o777); err != nil {
		return err
	}
	dir, err := in.Enter(name)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	if err := makeDirs(dir, t); err != nil {
		return err
	}
	err = par.Each(ctx, len(t.Entries), w.opt.Workers, func(ctx context.Context, i int) error {
		e := t.Entries[i]
		if e.Kind != object.File && e.Kind != object.Executable {
			return nil
		}
		return buildFile(ctx, cache, dir, filepath.FromSlash(string(e.Path)), e)
	})
	if err != nil {
		return err
	}
	// Links last: no file is written through one.
	for _, e := range t.Entries {
		if e.Kind == object.Symlink {
			if err := dir.Symlink(filepath.FromSlash(e.Target), filepath.FromSlash(string(e.Path))); err != nil {
				return err
			}
		}
	}
	return nil
}

// writable refuses names that this disk cannot hold as they are: names that Windows
// reserves or reads as two elements, and two that fold to one, where the second file
// would replace the first. The disk is only tried if the tree has such a pair.
func (w *Work) writable(in folder.Dir, t *object.Tree) error {
	for _, e := range t.Entries {
		if !filepath.IsLocal(filepath.FromSlash(string(e.Path))) || separates(filepath.Separator, string(e.Path)+e.Target) {
			return diag.New(diag.Failed, "the name %q is not valid on this system", e.Path).Hinted("restore it on the system on which it was built")
		}
	}
	a, b, ok := t.Folding()
	if !ok {
		return nil
	}
	one, err := w.opt.folds(in)
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
func folds(in folder.Dir) (is bool, err error) {
	tmp, name, err := in.Temp(".pipe-names-")
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, tmp.Close(), in.RemoveAll(name)) }()
	for _, pair := range [...][2]string{{"a", "A"}, {"e\u0301", "\u00e9"}} {
		if err := tmp.WriteFile(pair[0], nil, 0o666); err != nil {
			return false, err
		}
		if _, err := tmp.Lstat(pair[1]); !Gone(err) {
			return err == nil, err
		}
	}
	return false, nil
}

// makeDirs makes all directories of the tree before the files, which many goroutines then
// write.
func makeDirs(dir folder.Dir, t *object.Tree) error {
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
		if err := dir.MkdirAll(filepath.FromSlash(string(p)), 0o777); err != nil {
			return err
		}
	}
	return nil
}

// buildFile writes one file, whose bytes the cache verifies. The file must be new: one
// that is there, or a symlink, is an error and is not written to. The user's umask
// applies, so of the mode only the executable bit is the output's.
func buildFile(ctx context.Context, cache store.Cache, in folder.Dir, path string, e object.Entry) (err error) {
	mode := os.FileMode(0o666)
	if e.Kind == object.Executable {
		mode = 0o777
	}
	f, err := in.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return cache.Fill(ctx, object.Ref{Digest: e.Digest}, f)
}
