package pipe

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/engine"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

// SyncOptions say which stages' outs are moved. The zero value means all.
type SyncOptions struct {
	Targets []string // stages or outs
	Repair  bool     // Push: check everything that the lock names in the remote, and replace what is missing or damaged
	Read    bool     // Push, with Repair: read every object to check its hash
}

// SyncResult says what Push, Pull and Checkout did.
type SyncResult struct {
	Objects  int       `json:"objects"`            // copied between cache and remote
	Bytes    int64     `json:"bytes"`              // of them
	Records  int       `json:"records,omitempty"`  // Push: written, because the remote had none
	Outs     []SyncOut `json:"outs"`               // Pull, Checkout: written to the workspace; Push: in the remote now
	Adopted  []string  `json:"adopted,omitempty"`  // Push: stages whose outs another machine recorded first
	Unpushed []string  `json:"unpushed,omitempty"` // Push: stages whose outputs stay on this machine
	Lost     []SyncOut `json:"lost,omitempty"`     // Pull, Checkout: not written, because bytes are missing or damaged
}

// SyncOut is one output that was moved or written.
type SyncOut struct {
	Stage           string `json:"stage"` // that makes it
	artifact.Output        // what it is
	Changed         bool   `json:"changed"` // false: it was as it should be
}

// begin takes the locks, reads pipe.lock and picks the stages that are meant. The caller
// releases. After an error nothing is held.
func (p *Project) begin(ctx context.Context, verb string, opt SyncOptions) (release func() error, lock *lockfile.File, stages []*lockfile.Stage, err error) {
	if release, err = p.holdBoth(ctx, verb); err != nil {
		return nil, nil, nil, err
	}
	if lock, err = p.lock(); err == nil {
		stages, err = p.locked(lock, opt.Targets)
	}
	if err != nil {
		return nil, nil, nil, errors.Join(err, release())
	}
	return release, lock, stages, nil
}

// fits reports whether a lock's block has the outs that its stage declares.
func (p *Project) fits(l *lockfile.Stage) bool {
	if l == nil {
		return false
	}
	s := p.spec.Stage(l.Name)
	return s != nil && engine.Fits(s, l.Outs)
}

// cached returns a stage's outs whose bytes are kept in the cache. The block fits.
func (p *Project) cached(l *lockfile.Stage) (outs []artifact.Output) {
	s := p.spec.Stage(l.Name)
	for i, o := range l.Outs {
		if !s.Outs[i].NoCache {
			outs = append(outs, o)
		}
	}
	return outs
}

// counted makes the carrier count what it copies into r. Objects move on several workers at
// once.
func counted(c *transfer.Carrier, r *SyncResult) {
	var mu sync.Mutex
	tell := c.Moved
	c.Moved = func(where string, n int64) {
		mu.Lock()
		r.Objects++
		r.Bytes += n
		mu.Unlock()
		if tell != nil {
			tell(where, n)
		}
	}
}

// Pull brings the outs that the lock names into the cache and the workspace.
func (p *Project) Pull(ctx context.Context, opt SyncOptions) (*SyncResult, error) {
	if _, err := p.needRemote(ctx); err != nil {
		return nil, err
	}
	return p.bring(ctx, "pull", opt)
}

// Checkout writes the outs that the lock names into the workspace, from the cache alone.
func (p *Project) Checkout(ctx context.Context, opt SyncOptions) (*SyncResult, error) {
	return p.bring(ctx, "checkout", opt)
}

// bring puts the outs of the locked stages into the workspace; checkout has no remote to fetch
// from. All objects are fetched before the first output is written. An object that is missing
// or damaged stops the outs that need it, which stay as they were; the others are written, and
// the error comes beside the answer.
func (p *Project) bring(ctx context.Context, verb string, opt SyncOptions) (r *SyncResult, err error) {
	release, _, stages, err := p.begin(ctx, verb, opt)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, release()) }()
	c := &transfer.Carrier{Cache: p.cache, Workers: p.workers()}
	if verb == "pull" {
		if c, err = p.carry(ctx); err != nil {
			return nil, err
		}
	}
	r = &SyncResult{Outs: []SyncOut{}}
	if p.readOnly != nil {
		return r, p.inPlace(ctx, r, stages)
	}
	counted(c, r)
	var outs []SyncOut
	var all []artifact.Output
	for _, s := range stages {
		for _, o := range p.cached(s) {
			outs = append(outs, SyncOut{Stage: s.Name, Output: o})
			all = append(all, o)
		}
	}
	lost := c.Fetch(ctx, all)
	var partial *transfer.Partial
	if lost != nil && !errors.As(lost, &partial) {
		return r, lost
	}
	lost = p.notBrought(verb, lost)
	files := p.files(c)
	for _, o := range outs {
		if partial != nil && partial.Stops(o.Output) {
			r.Lost = append(r.Lost, o)
			continue
		}
		o.Changed, err = files.Place(ctx, o.Stage, o.Output, nil)
		switch {
		case err == nil:
			r.Outs = append(r.Outs, o)
		case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrCorrupt):
			// The cache's copy was damaged, and there is no other.
			r.Lost = append(r.Lost, o)
			lost = errors.Join(lost, p.notBrought(verb, err))
		default:
			return r, errors.Join(err, lost)
		}
	}
	return r, lost
}

// inPlace finds the outs in a workspace that cannot be written, or fails.
func (p *Project) inPlace(ctx context.Context, r *SyncResult, stages []*lockfile.Stage) error {
	for _, s := range stages {
		for _, o := range p.cached(s) {
			here, _, err := p.work.Output(ctx, o.Path)
			if err != nil && !errors.Is(err, worktree.ErrAbsent) {
				return err
			}
			if err != nil || !here.Same(o) {
				return p.cannotWrite(fmt.Sprintf("%s of stage %s is not as in pipe.lock", o.Path, s.Name))
			}
			r.Outs = append(r.Outs, SyncOut{Stage: s.Name, Output: o})
		}
	}
	return nil
}

// notBrought gives missing objects their next step.
func (p *Project) notBrought(verb string, err error) error {
	err = transfer.Explained(err)
	if r, _ := p.chosen(); r != nil && verb == "checkout" {
		for _, e := range diag.All(err) {
			if e.Kind == diag.NotFound {
				e.Hint = "pipe pull"
			}
		}
	}
	return err
}
