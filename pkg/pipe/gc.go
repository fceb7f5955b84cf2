package pipe

import (
	"context"
	"errors"
	"time"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/history"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/sweep"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

// Garbage is what GC may free, or has freed.
type Garbage struct {
	Objects int   `json:"objects"` // that may go, or are gone
	Bytes   int64 `json:"bytes"`   // of them
	Kept    int   `json:"kept"`    // objects that stay
	Done    bool  `json:"done"`    // they are gone
}

// Grace is how old an object must be before it may go: what a run that is under
// way, or was just interrupted, has saved is not garbage.
const Grace = time.Hour

// GC frees what no lock of any branch, tag, worktree or of the workspace names, in the cache
// alone. Without yes it only says what would go. It excludes every other pipe that uses this
// cache. A lock in the history that cannot be read is an error: taken for an empty one, it
// would cost its objects. See ADR 0010.
func (p *Project) GC(ctx context.Context, yes bool) (g *Garbage, err error) {
	if dir, ok := shell.Getenv(p.env, "PIPE_CACHE"); ok && dir != "" {
		return nil, diag.New(diag.Policy, "the cache is shared, and other projects may need its objects").At(dir).
			Hinted("unset PIPE_CACHE to clean the project's own cache")
	}
	h, err := p.hold(ctx, "gc")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.Release()) }()
	unlock, err := p.lockCache(ctx, atomicfile.Exclusive)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if yes {
		if err := p.emptyTrash(); err != nil {
			return nil, err
		}
	}
	roots, err := p.roots(ctx)
	if err != nil {
		return nil, err
	}
	// The roots are complete now, and the lock keeps everyone from adding objects that only
	// they know of.
	doomed, err := sweep.Plan(ctx, p.cache, roots, p.opt.Now().Add(-Grace).Unix())
	if err != nil {
		return nil, err
	}
	g = &Garbage{Objects: len(doomed), Done: yes}
	for _, e := range doomed {
		g.Bytes += e.Size
	}
	err = p.cache.List(ctx, func(store.Entry) error { g.Kept++; return nil })
	g.Kept -= g.Objects
	if err != nil || !yes {
		return g, err
	}
	return g, sweep.Sweep(ctx, p.cache, doomed)
}

// roots are the outs of the workspace's lock and of every lock in git's history of any
// reference, and what environments kept in this workspace name. In a shallow clone the locks
// of older commits are missing, and the objects that only they name go; the user is told.
func (p *Project) roots(ctx context.Context) (*sweep.Roots, error) {
	roots := &sweep.Roots{}
	add := func(l *lockfile.File) error { return roots.AddLock(ctx, p.cache, l) }
	lock, err := p.lock()
	if err != nil {
		return nil, err
	}
	if err := add(lock); err != nil {
		return nil, err
	}
	if p.repo != nil {
		if p.repo.Shallow() {
			p.note("the clone is shallow: objects of missing commits are not kept")
		}
		if err := history.Locks(ctx, p.repo, p.lockAt, add); err != nil {
			return nil, err
		}
	}
	return roots, p.addLive(ctx, roots)
}

// addLive keeps what the workspace's own environments name. Those in a remote name objects
// that the remote has, so the cache may lose its copies.
func (p *Project) addLive(ctx context.Context, roots *sweep.Roots) error {
	local := p.local()
	states, err := release.All(ctx, local, local, release.Options{})
	if err != nil {
		return err
	}
	for _, s := range states {
		for _, ref := range s.Roots() {
			if err := roots.Add(ctx, p.cache, ref); err != nil {
				return err
			}
		}
	}
	return nil
}
