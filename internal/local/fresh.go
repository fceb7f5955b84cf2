package local

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/folder"
	"github.com/pipe-build/pipe/internal/worktree"
)

// A fresh directory is its deployment's own: while a command deploys, the workspace is free for
// other runs, which clean up after those that were killed. So a lock beside the directory says
// that it is in use, and whoever cleans up lets it be. Directory and lock come into being, and
// are looked through, under one more lock, so that nobody sees the one without the other.
const (
	inUse    = ".lock" // after the directory's name
	freshAll = "lock"  // for all of them
)

// freshDir is a fresh directory.
type freshDir struct {
	*worktree.Temp
	files atomicfile.Files
	in    folder.Dir
	lock  *atomicfile.Lock
}

// newFresh makes one. It needs no lock of the workspace's.
func newFresh(ctx context.Context, w *worktree.Work) (f *freshDir, err error) {
	in, err := w.MakeOwn(worktree.Deploys)
	if err != nil {
		return nil, err
	}
	f = &freshDir{in: in, files: atomicfile.Files{Root: in}}
	all, err := f.files.Acquire(ctx, freshAll, atomicfile.Shared, nil)
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	defer func() { err = errors.Join(err, all.Release()) }()
	if f.Temp, err = w.Temp(worktree.Deploys, "deploy-"); err != nil {
		return nil, errors.Join(err, in.Close())
	}
	if f.lock, err = f.files.Acquire(ctx, f.Base()+inUse, atomicfile.Exclusive, nil); err != nil {
		f.Temp.Discard()
		return nil, errors.Join(err, in.Close())
	}
	return f, nil
}

// file is what the commands inherit, so that the directory is in use as long as they run.
func (f *freshDir) file() *os.File { return f.lock.File() }

// discard removes the directory, then what says that it is in use.
func (f *freshDir) discard() {
	f.Temp.Discard()
	_ = f.in.Remove(f.Base() + inUse)
	_ = f.lock.Release()
	_ = f.in.Close()
}

// cleanFresh removes the fresh directories of runs that were killed. While another run makes one, it leaves
// that to the next.
func cleanFresh(w *worktree.Work) error {
	in, err := w.Own(worktree.Deploys)
	if err != nil {
		if worktree.Gone(err) {
			return nil
		}
		return err
	}
	defer func() { _ = in.Close() }()
	files := atomicfile.Files{Root: in}
	all, err := files.TryAcquire(freshAll, atomicfile.Exclusive)
	if err != nil || all == nil {
		return err
	}
	defer func() { _ = all.Release() }()
	list, err := in.List()
	for _, e := range list {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), "deploy-") {
			continue
		}
		lock, lerr := files.TryAcquire(e.Name()+inUse, atomicfile.Exclusive)
		if lerr != nil || lock == nil {
			continue // its command is at work
		}
		w.Discard(in, e.Name())
		_ = in.Remove(e.Name() + inUse)
		_ = lock.Release()
	}
	return err
}
