package pipe

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/folder"
	"github.com/pipe-build/pipe/internal/local"
)

// leftOver is the age from which a temporary file in a store is a killed process's: no batch
// takes so long.
const leftOver = 24 * time.Hour

// hold takes the workspace's lock, and removes what killed processes left in the cache. It
// waits for another pipe that holds it, and says so. Who may not write may not clean up, either.
func (p *Project) hold(ctx context.Context, verb string) (*local.Hold, error) {
	if p.built != "" {
		verb = "ci" // of which the others are parts: so it is named to those who wait
	}
	h, err := local.Acquire(ctx, p.work, local.Wanted{Verb: verb, NoWait: p.opt.NoWait, Say: p.note})
	if err != nil {
		return nil, err
	}
	p.readOnly = h.ReadOnly()
	if err := p.cache.Tidy(p.opt.Now().Add(-leftOver).Unix()); err != nil && !atomicfile.ReadOnly(err) {
		return nil, errors.Join(err, h.Release())
	}
	return h, nil
}

// cannotWrite is the error of a verb that would have to write in a read-only workspace. It
// comes before anything is fetched, written or deployed.
func (p *Project) cannotWrite(todo string) error {
	return diag.New(diag.Failed, "%s, but the workspace cannot be written: %w", todo, p.readOnly)
}

// useCache keeps gc out of the cache until the returned function is called. Between the moment
// when an object is found in the cache and the one when a lock names it, gc would take it for
// garbage.
func (p *Project) useCache(ctx context.Context) (func() error, error) {
	return p.lockCache(ctx, atomicfile.Shared)
}

// sharedMark is a file in a cache that was named by PIPE_CACHE. A cache that is one project's
// own and another's by PIPE_CACHE is shared, which gc could not know otherwise.
const sharedMark = "shared"

// shared reports whether PIPE_CACHE names another cache than the project's own.
func (p *Project) shared() bool {
	return p.cache.URL() != p.ownCache()
}

// lockCache locks the cache's directory, which several projects may share, until the returned
// function is called or the process ends. Where there is no lock and none can be made, this
// user changes nothing in the cache.
func (p *Project) lockCache(ctx context.Context, mode atomicfile.Mode) (func() error, error) {
	dir := p.cache.URL()
	path := filepath.Join(dir, "lock")
	in, err := p.cacheDir(dir)
	var l *atomicfile.Lock
	if err == nil {
		defer func() { _ = in.Close() }()
		l, err = atomicfile.Files{Root: in}.Acquire(ctx, "lock", mode, p.cacheBusy(path))
	}
	if atomicfile.Lockless(path, err) {
		return func() error { return nil }, nil
	}
	if err == nil && p.shared() {
		f, werr := in.OpenFile(sharedMark, os.O_WRONLY|os.O_CREATE, 0o666)
		if werr == nil {
			werr = f.Close()
		}
		// Who may not write there adds no objects, either.
		if werr != nil && !atomicfile.ReadOnly(werr) {
			err = errors.Join(werr, l.Release())
		}
	}
	if err != nil {
		return nil, err
	}
	return l.Release, nil
}

// cacheBusy returns what is called while another process has the cache's lock. One that
// called this process would be waited for for ever.
func (p *Project) cacheBusy(path string) func() error {
	said := false
	return func() error {
		switch {
		case local.Inside(path):
			return diag.New(diag.Busy, "the cache is in use by the pipe process that called this one").At(filepath.Dir(path)).
				Hinted("run this command when that one has ended")
		case p.opt.NoWait:
			return diag.New(diag.Busy, "in use by another pipe process").At(filepath.Dir(path)).Hinted("try again later, or without --no-wait")
		case !said:
			p.note("waiting for another pipe process that uses the cache " + filepath.Dir(path))
		}
		said = true
		return nil
	}
}

// cacheDir opens the cache's directory: below the root as all of pipe's own, elsewhere with
// the symlinks that the user has there.
func (p *Project) cacheDir(dir string) (folder.Dir, error) {
	if dir == p.ownCache() {
		// With the .gitignore in it: a verb that only asks must not leave what git then shows.
		if err := p.work.Prepare(); err != nil && !atomicfile.ReadOnly(err) {
			return folder.Dir{}, err
		}
		return p.work.MakeOwn(cacheName)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return folder.Dir{}, err
	}
	return folder.Open(dir)
}

// holdBoth takes the workspace's lock and keeps gc out of the cache. The order is the same in
// every verb, so two of them cannot wait for each other.
func (p *Project) holdBoth(ctx context.Context, verb string) (func() error, error) {
	h, err := p.hold(ctx, verb)
	if err != nil {
		return nil, err
	}
	unlock, err := p.useCache(ctx)
	if err != nil {
		return nil, errors.Join(err, h.Release())
	}
	return func() error { return errors.Join(unlock(), h.Release()) }, nil
}

// emptyTrash removes old files that resisted when they were to go, and says which still do.
func (p *Project) emptyTrash() error {
	left, err := p.work.EmptyTrash()
	for _, path := range left {
		p.note(path + " cannot be removed; check its owner: ls -lR " + path)
	}
	return err
}
