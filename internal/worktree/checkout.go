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
// ErrNotFound and ErrCorrupt are the cache's. here is the tree of what lies there, as Output
// has read it, or nil if that is not a directory. What has not changed stays.
//
// Of a directory only the smallest part that holds all that differs is replaced, at best one
// file. It is made and verified in pipe's tmp before anything at the path changes;
// after an error the old output is still there. What lay there is removed, so
// a caller has saved it before if it may be the only copy. A kill leaves the old output or the
// new one, where the file system can exchange two names; elsewhere perhaps none, which is a
// state that every command knows: the output is absent, and its bytes are in the cache.
func (w *Work) Checkout(ctx context.Context, cache store.Cache, o artifact.Output, t, here *object.Tree) error {
	p, err := w.replace(ctx, cache, o, t, here)
	if err != nil {
		return err
	}
	w.learn(p, p.out.Path != o.Path)
	return p.in.Close()
}

// placed is what was put in its place.
type placed struct {
	out   artifact.Output
	tree  *object.Tree
	from  *reuse
	in    folder.Dir  // that holds it
	was   fs.FileInfo // what it was before
	named int64       // a time before
}

// replace is Checkout, but the index learns nothing. When it returns, nothing is left of the old
// output. The caller closes the directory.
func (w *Work) replace(ctx context.Context, cache store.Cache, o artifact.Output, t, here *object.Tree) (p placed, err error) {
	tmp, err := w.Temp(Tmp, "checkout-")
	if err != nil {
		return p, err
	}
	defer tmp.Discard()
	if o.Dir {
		// The whole tree: a link or a name that is right in it may be wrong in a part, and the other way round.
		if err := w.CheckTree(tmp.Dir, t); err != nil {
			return p, err
		}
		if here != nil {
			o, t, here = narrow(o, t, here)
		}
	}
	from := w.openReuse(o, here)
	defer from.close()
	if o.Dir {
		err = w.buildTree(ctx, cache, tmp.Dir, fresh, t, from)
	} else {
		err = w.Build(ctx, cache, tmp.Dir, fresh, o, nil)
	}
	if err != nil {
		return p, err
	}
	p, err = w.swap(tmp.Dir, o.Path)
	p.out, p.tree, p.from = o, t, from
	return p, err
}

// The names in the directory that a checkout works in.
const (
	fresh = "new"
	old   = "old"
)

// swap exchanges what is new in tmp with what lies at a path. Where that cannot be done,
// because nothing lies there, or the file system has no such call, or a directory is
// write-protected, it takes two renames: rename(2) does not replace a directory that is not
// empty. If the second one fails, the first is taken back. The caller closes the directory.
func (w *Work) swap(tmp folder.Dir, at repopath.Path) (p placed, err error) {
	if p.in, err = w.MakeHolder(at); err != nil {
		return p, err
	}
	defer func() {
		if err != nil {
			_ = p.in.Close()
		}
	}()
	if p.was, err = tmp.Lstat(fresh); err != nil {
		return p, err
	}
	to := at.Base()
	// The time is read before the rename: see learn.
	p.named = w.opt.Now()
	if tmp.Exchange(fresh, p.in, to) == nil {
		return p, nil
	}
	there := p.in.Move(to, tmp, old)
	if there != nil && !errors.Is(there, fs.ErrNotExist) {
		return p, there
	}
	if err := tmp.Move(fresh, p.in, to); err != nil {
		if there == nil {
			err = errors.Join(err, tmp.Move(old, p.in, to))
		}
		return p, err
	}
	return p, nil
}

// learn tells the index of what was just written and renamed into place, so that it need
// not be hashed to find what is known. Who writes to a file at its new place gives it a later
// time than that before the rename, and the record does not fit. What it cannot learn is read
// when it is asked for. part says that an output that is a directory has it.
func (w *Work) learn(p placed, part bool) {
	name := p.out.Path.Base()
	switch {
	case p.out.Dir:
		w.learnDir(p)
	case part:
		e := object.Entry{Path: repopath.Path(name), Digest: p.out.Digest}
		above := string(p.out.Path.Dir())
		if dir, err := w.list(p.in, "", []object.Entry{e}, p.named, w.index.Dir(above)); err == nil {
			w.index.SetDir(above, dir)
		}
	default:
		if info, err := p.in.Lstat(name); err == nil && os.SameFile(p.was, info) {
			w.index.SetFile(string(p.out.Path), statindex.File{Stat: statindex.OfInfo(info), Read: p.named, Digest: p.out.Digest})
		}
	}
}

func (w *Work) learnDir(p placed) {
	top, err := p.in.Enter(p.out.Path.Base())
	if err != nil {
		return
	}
	defer func() { _ = top.Close() }()
	if info, err := top.Stat("."); err != nil || !os.SameFile(p.was, info) {
		return
	}
	files := map[repopath.Path][]object.Entry{}
	for _, e := range p.tree.Entries {
		if e.IsFile() {
			files[e.Path.Dir()] = append(files[e.Path.Dir()], e)
		}
	}
	for at, entries := range files {
		now := w.opt.Now()
		if dir, err := w.list(top, string(at), entries, p.named, nil); err == nil {
			p.from.relearn(dir, entries, now)
			w.index.SetDir(string(below(p.out.Path, at)), dir)
		}
	}
}

// below is where a path of a tree lies whose top is at p.
func below(p, at repopath.Path) repopath.Path {
	if at == repopath.Root {
		return p
	}
	return p.Child(string(at))
}

// list describes one directory of an out for the index. old, which may be nil, is what the index
// knows of its other files.
func (w *Work) list(in folder.Dir, path string, entries []object.Entry, named int64, old *statindex.Dir) (*statindex.Dir, error) {
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
	dir, err := d.List(st, w.opt.Now(), old)
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
	if err := w.CheckTree(in, t); err != nil {
		return err
	}
	return w.buildTree(ctx, cache, in, name, t, nil)
}

// CheckTree refuses a tree that may not be put on a disk, or not on this one.
func (w *Work) CheckTree(in folder.Dir, t *object.Tree) error {
	if err := t.Check(); err != nil {
		return err
	}
	return w.writable(in, t)
}

// buildTree is BuildTree for a tree that was checked, or for a part of one. Files that can be
// taken from elsewhere are not copied.
func (w *Work) buildTree(ctx context.Context, cache store.Cache, in folder.Dir, name string, t *object.Tree, from *reuse) error {
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
	if err := from.fill(ctx, dir, t); err != nil {
		return err
	}
	err = par.Each(ctx, len(t.Entries), w.opt.Workers, func(ctx context.Context, i int) error {
		e := t.Entries[i]
		if !e.IsFile() || from.has(e.Path) {
			return nil
		}
		at := filepath.FromSlash(string(e.Path))
		err := buildFile(ctx, cache, dir, at, e)
		if was := from.time(e.Path); err == nil && !was.IsZero() {
			_ = dir.Chtimes(at, was, was) // the bytes are right, whatever the file system keeps of times
		}
		return err
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
