package worktree

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/folder"
	"github.com/pipe-build/pipe/internal/ignore"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/statindex"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Output reads what lies at an out's path: a file, or a directory as a tree that
// keeps executable bits, symlinks and empty directories. Ignore rules do not
// apply; only .git is left out. The tree is nil for a file. Nothing there is
// ErrAbsent; a socket or device, or a symlink that leaves the tree, is an error.
func (w *Work) Output(ctx context.Context, p repopath.Path) (artifact.Output, *object.Tree, error) {
	return w.output(ctx, p, nil)
}

// output is Output with a sink for the files that are read.
func (w *Work) output(ctx context.Context, p repopath.Path, sink store.Batch) (artifact.Output, *object.Tree, error) {
	if sink != nil {
		// The index may know the path as an input's, and that is read through symlinks.
		in, err := w.Holder(p)
		if err != nil {
			return artifact.Output{}, nil, absent(p, err)
		}
		_ = in.Close()
	}
	info, err := os.Lstat(w.OS(p))
	if err != nil {
		return artifact.Output{}, nil, absent(p, err)
	}
	switch {
	case info.IsDir():
		t, err := w.scan(ctx, &scan{top: p, open: func() (folder.Dir, error) { return w.enter(p) }, view: whole{w, p, sink != nil}, empty: true, sink: sink})
		if err != nil {
			return artifact.Output{}, nil, err
		}
		return t.Output(p), t, nil
	case info.Mode().IsRegular():
		e, err := w.file(ctx, p, func() (*os.File, error) { return w.ReadOut(p) }, sink)
		return e.Output(p), nil, err
	}
	return artifact.Output{}, nil, diag.New(diag.Failed, "is a %s, not a file or directory", atomicfile.TypeWord(info.Mode())).At(string(p))
}

// enter opens the directory p, which an output is.
func (w *Work) enter(p repopath.Path) (folder.Dir, error) {
	in, err := w.Holder(p)
	if err != nil {
		return in, err
	}
	defer func() { _ = in.Close() }()
	d, err := in.Enter(p.Base())
	return d, changed(p, err)
}

// ReadOut opens the file p, which an output is.
func (w *Work) ReadOut(p repopath.Path) (*os.File, error) {
	in, err := w.Holder(p)
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }()
	f, err := in.Read(p.Base())
	return f, changed(p, err)
}

// changed tells people of what has become something else since pipe looked at it.
func changed(p repopath.Path, err error) error {
	if link := (*folder.LinkError)(nil); errors.As(err, &link) || errors.Is(err, folder.ErrChanged) {
		return diag.New(diag.Failed, "changed while pipe read it").At(string(p)).Hinted("run pipe again")
	}
	return err
}

// whole is the view of an out: all of it counts but .git, which nothing that is
// restored may hold.
type whole struct {
	w      *Work
	top    repopath.Path
	saving bool
}

// Enter implements View: nothing is ignored.
func (whole) Enter(repopath.Path, *ignore.Rules, func(string) bool) (*ignore.Rules, error) {
	return nil, nil
}

// Sees implements View.
func (v whole) Sees(p repopath.Path, k statindex.Kind) (bool, error) {
	if p.IsGit() {
		if v.saving {
			v.w.note("%s was left out: outputs cannot contain git repositories", p)
		}
		return false, nil
	}
	if k == statindex.IsOther {
		return false, diag.New(diag.Failed, "is not a file, directory or symlink, so an output cannot contain it").At(string(p))
	}
	return true, nil
}

// Link implements View: a symlink is kept as it is, and must stay inside.
func (v whole) Link(_ context.Context, p repopath.Path, target string) (object.Entry, bool, error) {
	if !Inside(v.top.Rel(p), target) {
		return object.Entry{}, false, diag.New(diag.Failed, "is a symlink to %s, outside the output", target).At(string(p)).
			Hinted("use a relative link inside the output, or copy the file")
	}
	return object.Link(target), true, nil
}

// Inside reports whether a symlink at p of a tree leads to something in the tree. It
// reads the names only: what a target with ".." behind another link leads to, its text
// does not say.
func Inside(p repopath.Path, target string) bool {
	to := path.Join(path.Dir(string(p)), target)
	return !path.IsAbs(target) && to != ".." && !strings.HasPrefix(to, "../")
}

// note tells a person something, once: an output is read several times in a run.
func (w *Work) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if _, noted := w.notes.LoadOrStore(text, true); !noted && w.opt.Note != nil {
		w.opt.Note(text)
	}
}

// Save puts an out's bytes, and its tree, into the cache, durably, and returns
// what it is. A file that must be hashed is hashed while it is copied; one that the
// index knows is copied only if the cache lacks it, and its bytes are verified then.
// Nothing is in the cache before Commit, so an error leaves no tree without its files.
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
		t = &object.Tree{Entries: []object.Entry{{Kind: object.File, Path: repopath.Root, Digest: o.Digest, Size: o.Size}}}
	} else if err := t.Check(); err != nil {
		return o, diag.New(diag.Failed, "cannot be saved as an output: %w", err).At(string(p))
	}
	if err := w.saveEntries(ctx, cache, batch, p, t); err != nil {
		return o, err
	}
	if o.Dir {
		if err := batch.Put(ctx, object.Of(o), store.Bytes(t.Encode())); err != nil {
			return o, err
		}
		if a, b, ok := t.Folding(); ok {
			w.note("%s and %s have the same name on case-insensitive file systems; %s cannot be restored there", p.Child(string(a)), p.Child(string(b)), p)
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

// saveEntries copies the files that the cache lacks into the batch. An object with
// another size is damaged and is put again. Put verifies the bytes: a file that changed
// after it was hashed is store.ErrCorrupt. So it does not matter which way they are reached.
func (w *Work) saveEntries(ctx context.Context, cache store.Cache, batch store.Batch, p repopath.Path, t *object.Tree) error {
	return par.Each(ctx, len(t.Entries), w.opt.Workers, func(ctx context.Context, i int) error {
		e := t.Entries[i]
		if !e.IsFile() {
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
		open := func() (io.ReadCloser, error) { return atomicfile.Open(w.OS(at)) }
		return batch.Put(ctx, ref, store.Source{Size: e.Size, Open: open})
	})
}
