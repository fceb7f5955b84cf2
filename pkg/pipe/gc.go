package pipe

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/history"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/sweep"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

// Garbage is what GC may free, or has freed.
type Garbage struct {
	Objects int   `json:"objects"` // that may go, or are gone
	Bytes   int64 `json:"bytes"`   // of them
	Kept    int   `json:"kept"`    // objects that stay
	Young   int   `json:"young"`   // of those the ones that stay for their age alone
	Locks   int   `json:"locks"`   // versions of pipe.lock whose objects stay
	Done    bool  `json:"done"`    // they are gone
}

// Grace is how old an object must be before it may go: what a run that is under
// way, or was just interrupted, has saved is not garbage.
const Grace = time.Hour

// Memory is how far back a reflog keeps objects. Git keeps the commits that only a reflog
// names for as long (gc.reflogExpireUnreachable).
const Memory = 30 * 24 * time.Hour

// GC frees what no lock that git keeps (see history.Locks) and none of the workspace names,
// in the cache alone. Without yes it only says what would go. It excludes every other pipe
// that uses this cache. A lock that cannot be read, and a history of which a part is not
// here, is an error: taken for an empty one, it would cost its objects. See ADR 0010.
func (p *Project) GC(ctx context.Context, yes bool) (g *Garbage, err error) {
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
	// Looked at under the lock: nobody begins to share the cache any more.
	if err := p.refuseShared(); err != nil {
		return nil, err
	}
	if yes {
		if err := p.emptyTrash(); err != nil {
			return nil, err
		}
		p.runs().Prune()
	}
	g = &Garbage{Done: yes}
	roots, err := p.roots(ctx, g)
	if err != nil {
		return nil, err
	}
	// The roots are complete now, and the lock keeps everyone from adding objects that only
	// they know of.
	doomed, err := sweep.Plan(ctx, p.cache, roots, p.opt.Now().Add(-Grace).Unix())
	if err != nil {
		return nil, err
	}
	g.Objects = len(doomed)
	for _, e := range doomed {
		g.Bytes += e.Size
	}
	err = p.cache.List(ctx, func(e store.Entry) error {
		g.Kept++
		if !roots.Keeps(e.Ref) {
			g.Young++
		}
		return nil
	})
	g.Kept -= g.Objects
	g.Young -= g.Objects
	if err != nil || !yes {
		return g, err
	}
	return g, sweep.Sweep(ctx, p.cache, doomed)
}

// refuseShared refuses a cache that other projects may use: this one's git knows nothing of
// what they need.
func (p *Project) refuseShared() error {
	mark := filepath.Join(p.cache.URL(), sharedMark)
	_, err := os.Lstat(mark)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	e := diag.New(diag.Policy, "the cache is shared (PIPE_CACHE), and other projects may need its objects").At(p.cache.URL())
	if p.shared() {
		return e.Hinted("unset PIPE_CACHE to clean the project's own cache")
	}
	return e.Hinted("once no other project uses it, run rm %s", mark)
}

// roots are the outs of the workspace's lock and of every lock that git keeps, and what
// environments kept in this workspace name.
func (p *Project) roots(ctx context.Context, g *Garbage) (*sweep.Roots, error) {
	roots := &sweep.Roots{}
	add := func(l *lockfile.File) error { g.Locks++; return roots.AddLock(ctx, p.cache, l) }
	own := func() error {
		lock, err := p.lock()
		if err != nil {
			return err
		}
		if len(lock.Absent) > 0 {
			// What they named may be in no commit: a stash that was popped is gone from git.
			return diag.New(diag.Policy, "parts of pipe.lock cannot be read, and they may need any cached object").At(lockfile.FileName).
				Hinted("run pipe repro, which rewrites it")
		}
		return roots.AddLock(ctx, p.cache, lock)
	}
	if err := own(); err != nil {
		return nil, err
	}
	if p.repo == nil {
		p.note("not in a git repository: only what this workspace's pipe.lock uses is kept")
		return roots, p.addLive(ctx, roots)
	}
	if err := history.Locks(ctx, p.repo, p.lockAt, p.opt.Now().Add(-Memory), add); err != nil {
		return nil, err
	}
	// Again: git stash pop may have moved a lock from there to here meanwhile.
	if err := own(); err != nil {
		return nil, err
	}
	return roots, p.addLive(ctx, roots)
}

// addLive keeps what the workspace's own environments name. Those in a remote name objects
// that the remote has, so the cache may lose its copies.
func (p *Project) addLive(ctx context.Context, roots *sweep.Roots) error {
	local := p.local()
	states, err := release.All(ctx, local, release.Options{Lister: local})
	if err != nil {
		return err
	}
	for _, s := range states {
		env, err := release.Open(local, release.Options{Name: s.Env})
		if err != nil {
			return err
		}
		refs, err := env.Roots(ctx, s.State)
		if err != nil {
			return err
		}
		for _, ref := range refs {
			if err := roots.Add(ctx, p.cache, ref); err != nil {
				return err
			}
		}
	}
	return nil
}
