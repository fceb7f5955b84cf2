package source

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/pipe-build/pipe/internal/folder"
	"github.com/pipe-build/pipe/internal/gitlog"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// remove takes away the files that the commit does not have, and then the directories that are
// empty and that it does not have either: a kill may have come between the two.
func (p *put) remove(here, want *object.Tree, was ...*object.Tree) error {
	for _, e := range here.Entries {
		if _, ok := want.Find(e.Path); ok {
			continue
		}
		if err := p.unlink(e.Path); err != nil && !worktree.Gone(err) {
			return err
		}
	}
	stays, dirs := lensOf(p.s.Path, want), []repopath.Path{}
	for at, file := range lensOf(p.s.Path, was...).files {
		if isFile, known := stays.files[at]; !file && (!known || isFile) {
			dirs = append(dirs, at)
		}
	}
	slices.Sort(dirs)
	for _, at := range slices.Backward(dirs) {
		err := p.unlink(at)
		if err != nil && !worktree.Gone(err) && !errors.Is(err, fs.ErrExist) { // one in which something else lies stays
			return err
		}
	}
	return nil
}

// unlink removes a file or an empty directory of the source.
func (p *put) unlink(at repopath.Path) error {
	in, err := p.Work.Holder(p.s.Path.Child(string(at)))
	if err != nil {
		return err
	}
	return errors.Join(in.Remove(at.Base()), in.Close())
}

// bufSize is read from git at once.
const bufSize = 256 << 10

// fill writes what is not here. Each file is whole before it gets its name.
func (p *put) fill(ctx context.Context, here *object.Tree, want *commitTree) error {
	top, err := p.Work.MakeHolder(p.s.Path.Child("x")) // an empty commit is a directory, too
	if err != nil {
		return err
	}
	_ = top.Close()
	var missing []gitlog.File
	for _, e := range want.tree.Entries {
		if is, ok := here.Find(e.Path); !ok || e.Digest.IsZero() || !p.same(is, e) {
			missing = append(missing, want.blobs[e.Path])
		}
	}
	tmp, err := p.Work.Temp(worktree.Tmp, "source-")
	if err != nil {
		return err
	}
	defer tmp.Discard()
	w := &writer{put: p, tmp: tmp.Dir, buf: make([]byte, bufSize)}
	defer w.close()
	err = p.repo.Blobs(ctx, missing, func(f gitlog.File, _ int64, r io.Reader) error {
		e := want.at(repopath.Path(f.Path))
		is, _ := here.Find(e.Path)
		return w.write(ctx, e, is, r)
	})
	if errors.Is(err, gitlog.ErrNoBlob) {
		p.forget() // the next run fetches it anew
	}
	return err
}

// writer writes files, one after the other. Those of one directory are neighbors.
type writer struct {
	*put
	tmp folder.Dir
	buf []byte
	dir repopath.Path
	in  folder.Dir
}

func (w *writer) close() {
	if w.in.Root != nil {
		_ = w.in.Close()
	}
}

// write puts one file in its place, and fills in its digest. is is what lies there.
func (w *writer) write(ctx context.Context, e *object.Entry, is object.Entry, r io.Reader) error {
	const name = "file"
	at := w.s.Path.Child(string(e.Path))
	if w.in.Root == nil || w.dir != at.Dir() {
		w.close()
		w.in = folder.Dir{}
		in, err := w.Work.MakeHolder(at)
		if err != nil {
			return err
		}
		w.dir, w.in = at.Dir(), in
	}
	var err error
	if e.Kind == object.Symlink {
		err = w.tmp.Symlink(e.Target, name)
	} else {
		err = w.file(ctx, e, name, r)
	}
	if err != nil {
		return err
	}
	if !is.Digest.IsZero() && w.same(is, *e) {
		return w.tmp.Remove(name) // it keeps its time
	}
	return w.tmp.Move(name, w.in, at.Base())
}

func (w *writer) file(ctx context.Context, e *object.Entry, name string, r io.Reader) error {
	mode := os.FileMode(0o666)
	if e.Kind == object.Executable {
		mode = 0o777
	}
	f, err := w.tmp.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	e.Digest, e.Size, err = digest.NewHasher().Copy(ctx, f, r, w.buf)
	return errors.Join(err, f.Close())
}
