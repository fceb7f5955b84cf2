package pipe

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/folder"
	"github.com/pipe-build/pipe/internal/local"
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

// lockCache locks the cache's directory, which several projects may share, until the returned
// function is called or the process ends.
func (p *Project) lockCache(ctx context.Context, mode atomicfile.Mode) (func() error, error) {
	dir := p.cache.URL()
	in, err := p.cacheDir(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }()
	l, err := atomicfile.Files{Root: in.Root}.Acquire(ctx, "lock", mode, func() { p.note("waiting for another pipe process that uses the cache " + dir) })
	if err != nil {
		return nil, err
	}
	return l.Release, nil
}

// cacheDir opens the cache's directory: below the root as all of pipe's own, elsewhere with
// the symlinks that the user has there.
func (p *Project) cacheDir(dir string) (folder.Dir, error) {
	if dir == p.ownCache() {
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
