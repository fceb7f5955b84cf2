package pipe

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/engine"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

// SyncOptions say which stages' outs are moved. The zero value means all.
type SyncOptions struct {
	Targets []string // stages, outs, or paths inside directory outs
	Repair  bool     // Push: check everything that the lock names in the remote, and replace what is missing or damaged
	Read    bool     // Push, with Repair: read every object to check its hash
	RevOptions
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
	Changed         bool   `json:"changed"`          // false: it was as it should be
	Commit          string `json:"commit,omitempty"` // whose pipe.lock names it, if that is not the workspace's
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
func fits(project *spec.Project, l *lockfile.Stage) bool {
	if l == nil {
		return false
	}
	s := project.Stage(l.Name)
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

// Pull brings the outs that the lock names into the cache and the workspace, and what the locks of
// other commits name into the cache.
func (p *Project) Pull(ctx context.Context, opt SyncOptions) (*SyncResult, error) {
	if _, err := p.needRemote(ctx); err != nil {
		return nil, err
	}
	return p.bring(ctx, "pull", opt)
}

// Fetch brings the outs that the lock names into the cache alone, or those that the locks of other
// commits name.
func (p *Project) Fetch(ctx context.Context, opt SyncOptions) (*SyncResult, error) {
	if _, err := p.needRemote(ctx); err != nil {
		return nil, err
	}
	return p.bring(ctx, "fetch", opt)
}

// Checkout writes the outs that the lock names into the workspace, from the cache alone.
func (p *Project) Checkout(ctx context.Context, opt SyncOptions) (*SyncResult, error) {
	return p.bring(ctx, "checkout", opt)
}

// bring fetches the outs of the locked stages, but for checkout, which has no remote, and puts
// them into the workspace, but for fetch. All objects are fetched before the first output is
// written. An object that is missing or damaged stops the outs that need it, which stay as they
// were; the others are written, and the error comes beside the answer.
func (p *Project) bring(ctx context.Context, verb string, opt SyncOptions) (r *SyncResult, err error) {
	names, parts := p.split(opt.Targets)
	if len(parts) > 0 && !opt.none() {
		return nil, diag.New(diag.Usage, "%s is a path inside an output; of another commit only whole outputs are fetched", parts[0].at).
			At(string(parts[0].at)).Hinted("pipe get --rev REV %s", parts[0].at)
	}
	opt.Targets = names
	release, lock, stages, err := p.begin(ctx, verb, opt)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, release()) }()
	if verb != "fetch" {
		if err := p.refuseParts(parts); err != nil {
			return nil, err
		}
	}
	if len(names) == 0 && len(parts) > 0 || verb == "fetch" && !opt.none() {
		stages = nil
	}
	c := &transfer.Carrier{Cache: p.cache, Workers: p.workers()}
	if verb != "checkout" {
		if c, err = p.carry(ctx); err != nil {
			return nil, err
		}
	}
	r = &SyncResult{Outs: []SyncOut{}}
	if p.readOnly != nil && verb != "fetch" {
		return r, p.inPlace(ctx, r, stages, parts)
	}
	counted(c, r)
	older, err := p.fetchPinned(ctx, c, r, opt)
	if err != nil {
		return r, err
	}
	all, lost, err := p.all(ctx, c, r, lock, stages, parts)
	if err != nil {
		return r, err
	}
	var files []artifact.Output
	for _, w := range all {
		files = append(files, w.files...)
	}
	fetched := c.Fetch(ctx, files)
	var partial *transfer.Partial
	if fetched != nil && !errors.As(fetched, &partial) {
		return r, fetched
	}
	write := p.place
	if verb == "fetch" {
		write = keepTree
	}
	err = r.put(all, partial, func(w *wanted) error { return write(ctx, c, w) })
	return r, p.notBrought(verb, errors.Join(lost, fetched, err, older))
}

// put writes what was fetched, until a write fails for another reason than bytes of its own.
func (r *SyncResult) put(all []*wanted, partial *transfer.Partial, write func(*wanted) error) (lost error) {
	for _, w := range all {
		if w.stops(partial) {
			r.Lost = append(r.Lost, w.SyncOut)
			continue
		}
		switch err := write(w); {
		case err == nil:
			r.Outs = append(r.Outs, w.SyncOut)
		case lostOnly(err): // the cache's copy was damaged, and there is no other
			r.Lost = append(r.Lost, w.SyncOut)
			lost = errors.Join(lost, err)
		default:
			return errors.Join(err, lost)
		}
	}
	return lost
}

// all returns what the stages and parts consist of. A part whose tree is nowhere goes to the
// answer's Lost, with an error.
func (p *Project) all(ctx context.Context, c *transfer.Carrier, r *SyncResult, lock *lockfile.File, stages []*lockfile.Stage, parts []part) (all []*wanted, lost, err error) {
	for _, s := range stages {
		for _, o := range p.cached(s) {
			all = append(all, &wanted{SyncOut: SyncOut{Stage: s.Name, Output: o}, locked: s, files: []artifact.Output{o}})
		}
	}
	for _, x := range parts {
		w, err := p.find(ctx, c, lock, x)
		switch {
		case err == nil:
			all = append(all, w)
		case lostOnly(err):
			r.Lost = append(r.Lost, SyncOut{Stage: x.stage, Output: artifact.Output{Path: x.at}})
			lost = errors.Join(lost, err)
		default:
			return nil, nil, err
		}
	}
	return all, lost, nil
}

// keepTree puts the tree of a part into the cache, for the next time. That the cache lacks most
// of its files does no harm: whoever reads a tree there looks for each file.
func keepTree(ctx context.Context, c *transfer.Carrier, w *wanted) error {
	if w.tree == nil {
		return nil
	}
	ref := object.Of(w.whole)
	if _, err := c.Cache.Stat(ctx, ref); !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return c.Cache.Put(ctx, ref, store.Bytes(w.tree.Encode()))
}

// place puts a fetched output, or a part of one, into the workspace.
func (p *Project) place(ctx context.Context, c *transfer.Carrier, w *wanted) (err error) {
	if err := keepTree(ctx, c, w); err != nil {
		return err
	}
	if w.tree != nil {
		w.Changed, err = p.files(c).PlacePart(ctx, w.Stage, w.whole, w.tree, w.Path)
		return err
	}
	pub := &engine.Publisher{Workspace: p.files(c), Stamp: p.stamp(ctx)}
	if w.Changed, err = pub.Place(ctx, w.Stage, w.Output, nil); err == nil && p.spec.Stage(w.Stage).Input {
		err = pub.Remember(ctx, w.locked)
	}
	return err
}

// inPlace finds the outs in a workspace that cannot be written, or fails.
func (p *Project) inPlace(ctx context.Context, r *SyncResult, stages []*lockfile.Stage, parts []part) error {
	if len(parts) > 0 {
		return p.cannotWrite(fmt.Sprintf("%s is to be written", parts[0].at))
	}
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
