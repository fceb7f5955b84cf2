package pipe

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/local"
	"github.com/pipe-build/pipe/internal/worktree"
)

// leftOver is the age from which a temporary file in a store is a killed process's: no batch
// takes so long.
const leftOver = 24 * time.Hour

// hold takes the workspace's lock, and removes what killed processes left in the cache. It
// waits for another pipe that holds it, and says so.
func (p *Project) hold(ctx context.Context, verb string) (*local.Hold, error) {
	h, err := local.Acquire(ctx, p.work, verb, p.note)
	if err != nil {
		return nil, err
	}
	if err := p.cache.Tidy(p.opt.Now().Add(-leftOver).Unix()); err != nil {
		return nil, errors.Join(err, h.Release())
	}
	return h, nil
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
	return p.cache.URL() != filepath.Join(p.root, worktree.Dir, "cache")
}

// lockCache locks the cache's directory, which several projects may share, until the returned
// function is called or the process ends.
func (p *Project) lockCache(ctx context.Context, mode atomicfile.Mode) (func() error, error) {
	dir := p.cache.URL()
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	if p.shared() {
		// Who may not write there adds no objects, either.
		if err := os.WriteFile(filepath.Join(dir, sharedMark), nil, 0o666); err != nil && !errors.Is(err, fs.ErrPermission) {
			return nil, err
		}
	}
	l, err := atomicfile.Acquire(ctx, filepath.Join(dir, "lock"), mode, func() { p.note("waiting for another pipe process that uses the cache " + dir) })
	if err != nil {
		return nil, err
	}
	return l.Release, nil
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
