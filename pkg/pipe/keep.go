package pipe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/history"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/sweep"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

// Verified is what re-hashing a store found.
type Verified struct {
	Store   string          `json:"store"`
	Objects int             `json:"objects"`
	Bytes   int64           `json:"bytes"`
	Damaged []digest.Digest `json:"damaged"`
}

// Verify reads and hashes every object of the cache, or of the remote. A damaged
// object of the cache is put out of the way, so that the remote's copy is taken;
// one of the remote is only named. Any damage is an error of kind integrity.
func (p *Project) Verify(ctx context.Context, inRemote bool) (v *Verified, err error) {
	unlock, err := p.useCache(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	var s store.Store = p.cache
	var lister store.Lister = p.cache
	v = &Verified{Store: p.cache.URL(), Damaged: []digest.Digest{}}
	if inRemote {
		remote, err := p.needRemote(ctx)
		if err != nil {
			return nil, err
		}
		l, ok := store.As[store.Lister](remote)
		if !ok {
			return nil, diag.New(diag.Usage, "this remote cannot list what it holds").At(remote.URL())
		}
		s, lister, v.Store = remote, l, remote.URL()
	}
	var all []store.Entry
	if err := lister.List(ctx, func(e store.Entry) error { all = append(all, e); return nil }); err != nil {
		return nil, err
	}
	damaged := make([]bool, len(all))
	err = par.Each(ctx, len(all), p.workers(), func(ctx context.Context, i int) error {
		err := readThrough(ctx, s, all[i].Ref)
		damaged[i] = errors.Is(err, store.ErrCorrupt)
		if damaged[i] || errors.Is(err, store.ErrNotFound) {
			return nil
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for i, e := range all {
		v.Objects++
		v.Bytes += e.Size
		if damaged[i] {
			v.Damaged = append(v.Damaged, e.Ref.Digest)
			if !inRemote {
				err = errors.Join(err, p.cache.Quarantine(e.Ref))
			}
		}
	}
	if err == nil && len(v.Damaged) > 0 {
		err = p.damage(v, inRemote)
	}
	return v, err
}

func (p *Project) damage(v *Verified, inRemote bool) error {
	e := diag.New(diag.Integrity, "%d of %d objects are not what they are named", len(v.Damaged), v.Objects).At(v.Store)
	if inRemote {
		return e.Hinted("remove them there, then pipe push from a machine whose pipe verify passes")
	}
	return e.Hinted("they are moved to %s; pipe pull fetches good copies", filepath.Join(v.Store, "corrupt"))
}

// readThrough reads an object to its end, which verifies it.
func readThrough(ctx context.Context, s store.Store, ref object.Ref) error {
	r, err := s.Open(ctx, ref)
	if err != nil {
		return err
	}
	buf := make([]byte, 64<<10)
	for err == nil {
		_, err = r.Read(buf)
	}
	if cerr := r.Close(); errors.Is(err, io.EOF) {
		return cerr
	}
	return err
}

// Garbage is what GC may free, or has freed.
type Garbage struct {
	Objects int   `json:"objects"`
	Bytes   int64 `json:"bytes"`
	Kept    int   `json:"kept"`
	Done    bool  `json:"done"`
}

// Grace is how old an object must be before it may go: what a run that is under
// way, or was just interrupted, has saved is not garbage.
const Grace = time.Hour

// GC frees what no lock of any branch, tag, worktree or of the workspace names,
// in the cache alone. Without yes it only says what would go.
func (p *Project) GC(ctx context.Context, yes bool) (g *Garbage, err error) {
	if dir, ok := shell.Getenv(p.env, "PIPE_CACHE"); ok && dir != "" {
		return nil, diag.New(diag.Policy, "the cache is shared; what other projects need in it cannot be known").At(dir).
			Hinted("unset PIPE_CACHE to collect the project's own cache")
	}
	h, err := p.hold(ctx, "gc")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.release()) }()
	unlock, err := p.lockCache(ctx, atomicfile.Exclusive)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	roots, err := p.roots(ctx)
	if err != nil {
		return nil, err
	}
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

// roots are the outs of the workspace's lock and of every lock in git's history
// of any reference, and what environments kept in this workspace name.
func (p *Project) roots(ctx context.Context) (*sweep.Roots, error) {
	roots := &sweep.Roots{}
	add := func(l *lockfile.File) error {
		for i := range l.Stages {
			for _, o := range l.Stages[i].Outs {
				if err := roots.Add(ctx, p.cache, object.Of(o)); err != nil {
					return err
				}
			}
			for _, d := range l.Stages[i].Deps {
				if err := roots.Add(ctx, p.cache, object.Ref{Shelf: object.Inputs, Digest: d.Digest}); err != nil {
					return err
				}
			}
			if err := p.addLog(ctx, roots, id(&l.Stages[i])); err != nil {
				return err
			}
		}
		return nil
	}
	lock, err := p.lock()
	if err != nil {
		return nil, err
	}
	if err := add(lock); err != nil {
		return nil, err
	}
	if p.repo != nil {
		if p.repo.Shallow() {
			p.note("the clone is shallow: locks of commits that are not here keep nothing")
		}
		if err := history.Locks(ctx, p.repo, p.lockAt, add); err != nil {
			return nil, err
		}
	}
	return roots, p.addLive(ctx, roots)
}

// addLog keeps the log that a stage's record names.
func (p *Project) addLog(ctx context.Context, roots *sweep.Roots, run object.RunID) error {
	b, err := p.cache.Lookup(ctx, run)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if rec, err := object.ParseRecord(b, run); err == nil && !rec.Log.IsZero() {
		return roots.Add(ctx, p.cache, object.Ref{Shelf: object.Logs, Digest: rec.Log})
	}
	return nil
}

// addLive keeps what the workspace's own environments name.
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

// Committed is what LockCommit did.
type Committed struct {
	Commit  string `json:"commit"`
	Changed bool   `json:"changed"` // false: HEAD has this lock already
}

// LockCommit commits pipe.lock alone to the current branch, and leaves the index
// and other changes as they are. An empty message takes a default one.
func (p *Project) LockCommit(ctx context.Context, message string) (c *Committed, err error) {
	if p.repo == nil {
		return nil, diag.New(diag.Usage, "not in a git repository").At(p.root).Hinted("git init")
	}
	h, err := p.hold(ctx, "lock commit")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.release()) }()
	lock, err := p.lock()
	if err != nil {
		return nil, err
	}
	if message == "" {
		message = fmt.Sprintf("Update %s", lockfile.FileName)
	}
	if head, err := p.repo.Head(ctx); err == nil && head.Branch == "" {
		p.note("HEAD is on no branch: name the commit before you leave it (git branch NAME)")
	}
	hash, changed, err := p.repo.CommitFile(ctx, p.lockAt, lock.Encode(), message)
	return &Committed{Commit: hash, Changed: changed}, err
}
