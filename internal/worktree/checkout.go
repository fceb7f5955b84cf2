package worktree

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Save puts an out's bytes, and its tree, into the cache, durably, and returns
// what it is. A file that must be hashed is hashed while it is copied.
func (w *Work) Save(ctx context.Context, cache store.Cache, p repopath.Path) (o artifact.Output, err error) {
	batch, err := cache.Begin()
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, batch.Close()) }()
	o, t, err := w.output(ctx, p, batch)
	if err != nil {
		return o, err
	}
	if t == nil {
		t = &object.Tree{Entries: []object.Entry{{Kind: object.File, Path: ".", Digest: o.Digest, Size: o.Size}}}
	} else if err := t.Check(); err != nil {
		return o, diag.New(diag.Failed, "cannot be kept as an out: %w", err).At(string(p)).Hinted("rename one of them")
	}
	if err := w.saveEntries(ctx, cache, batch, p, t); err != nil {
		return o, err
	}
	if o.Dir {
		b := t.Encode()
		if err := batch.Put(ctx, object.Of(o), store.Bytes(b)); err != nil {
			return o, err
		}
	}
	return o, batch.Commit()
}

// SaveInputs puts the files of a tree whose root is p into the cache; nested
// trees are left out. A file whose bytes are not the tree's any more is an error.
func (w *Work) SaveInputs(ctx context.Context, cache store.Cache, p repopath.Path, t *object.Tree) (err error) {
	batch, err := cache.Begin()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, batch.Close()) }()
	if err := w.saveEntries(ctx, cache, batch, p, t); err != nil {
		return err
	}
	return batch.Commit()
}

// saveEntries copies the files that the cache lacks into the batch.
func (w *Work) saveEntries(ctx context.Context, cache store.Cache, batch store.Batch, p repopath.Path, t *object.Tree) error {
	return par.Each(ctx, len(t.Entries), w.opt.Workers, func(ctx context.Context, i int) error {
		e := t.Entries[i]
		if e.Kind != object.File && e.Kind != object.Executable {
			return nil
		}
		ref := object.Ref{Digest: e.Digest}
		if size, err := cache.Stat(ctx, ref); err == nil && size == e.Size {
			return nil
		}
		at := p
		if e.Path != repopath.Root {
			at = p.Child(string(e.Path))
		}
		return batch.Put(ctx, ref, fileSource(w.OS(at), e.Size))
	})
}

func fileSource(path string, size int64) store.Source {
	return store.Source{Size: size, Open: func() (io.ReadCloser, error) { return os.Open(path) }}
}

// output is Output with a sink for the files that are read.
func (w *Work) output(ctx context.Context, p repopath.Path, sink store.Batch) (artifact.Output, *object.Tree, error) {
	info, err := os.Lstat(w.OS(p))
	if err != nil {
		return artifact.Output{}, nil, absent(p, err)
	}
	switch {
	case info.IsDir():
		t, err := w.scan(ctx, scan{top: p, output: true, sink: sink})
		if err != nil {
			return artifact.Output{}, nil, err
		}
		return t.Output(p), t, nil
	case info.Mode().IsRegular():
		d, st, err := w.file(ctx, p, sink)
		return artifact.Output{Path: p, Exec: st.exec(), Digest: d, Size: st.size}, nil, err
	}
	return artifact.Output{}, nil, diag.New(diag.Failed, "is a %s; an out is a file or a directory", typeWord(info.Mode())).At(string(p))
}

// Checkout puts an out's bytes at its path, all or nothing, in place of what
// lies there. The tree is nil for a file. The objects must be in the cache:
// ErrNotFound and ErrCorrupt are the cache's.
func (w *Work) Checkout(ctx context.Context, cache store.Cache, o artifact.Output, t *object.Tree) error {
	if err := w.guard(o.Path); err != nil {
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

func fileKind(exec bool) object.Kind {
	if exec {
		return object.Executable
	}
	return object.File
}

// swap renames fresh to the out's path, and what lay there to old.
func (w *Work) swap(fresh, old string, o artifact.Output, t *object.Tree) error {
	to := w.OS(o.Path)
	if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
		return err
	}
	if err := os.Rename(to, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	named := now()
	if err := os.Rename(fresh, to); err != nil {
		return errors.Join(err, os.Rename(old, to))
	}
	if !o.Dir {
		if st, k, err := statPath(to); err == nil && k == kindFile {
			w.index.setSingle(string(o.Path), fileRec{stat: st, hashed: named, digest: o.Digest})
		}
		return nil
	}
	w.learn(o.Path, t, named)
	return nil
}

// learn tells the index of files that were just written and renamed into place.
func (w *Work) learn(top repopath.Path, t *object.Tree, named int64) {
	recs := map[repopath.Path]*dirRec{}
	for _, e := range t.Entries {
		if e.Kind != object.File && e.Kind != object.Executable {
			continue
		}
		dir := top.Child(string(e.Path)).Dir()
		rec := recs[dir]
		if rec == nil {
			d, err := openDir(w.OS(dir))
			if err != nil {
				return
			}
			st, err := d.stat()
			if err == nil {
				rec, err = listDir(d, st, nil)
			}
			d.close()
			if err != nil {
				return
			}
			recs[dir] = rec
		}
		if en := rec.find(e.Path.Base()); en != nil {
			if st, k, err := statPath(w.OS(top.Child(string(e.Path)))); err == nil && k == kindFile {
				en.rec = fileRec{stat: st, hashed: named, digest: e.Digest}
			}
		}
	}
	for dir, rec := range recs {
		w.index.setDir(string(dir), rec)
	}
}

// guard refuses a path that leads through a symlink: it could lead anywhere.
func (w *Work) guard(p repopath.Path) error {
	for d := p.Dir(); d != repopath.Root; d = d.Dir() {
		info, err := os.Lstat(w.OS(d))
		if err == nil && info.Mode()&fs.ModeSymlink != 0 {
			return diag.New(diag.Policy, "lies behind the symlink %s; pipe writes nothing there", d).At(string(p)).
				Hinted("name the real path in outs, or make %s a directory", d)
		}
	}
	return nil
}

// BuildTree writes a tree into dir, which must not exist, from verified bytes.
func (w *Work) BuildTree(ctx context.Context, cache store.Cache, dir string, t *object.Tree) error {
	if err := t.Check(); err != nil {
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

func makeDirs(dir string, t *object.Tree) error {
	if err := os.Mkdir(dir, 0o777); err != nil {
		return err
	}
	made := map[repopath.Path]bool{repopath.Root: true}
	for _, e := range t.Entries {
		p := e.Path
		if !filepath.IsLocal(filepath.FromSlash(string(p))) {
			return fmt.Errorf("%w: %q cannot be a file name here", object.ErrMalformed, p)
		}
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
