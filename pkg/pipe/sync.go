package pipe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/engine"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// SyncOptions say which stages' outs are moved. The zero value means all.
type SyncOptions struct {
	Targets []string // stages or outs
}

// SyncResult says what Push, Pull and Checkout did.
type SyncResult struct {
	Objects  int       `json:"objects"` // copied between cache and remote
	Bytes    int64     `json:"bytes"`
	Records  int       `json:"records,omitempty"` // Push: written, because the remote had none
	Outs     []SyncOut `json:"outs"`              // Pull, Checkout: written to the workspace; Push: in the remote now
	Adopted  []string  `json:"adopted,omitempty"` // Push: stages whose outs another machine recorded first
	Unpushed []string  `json:"unpushed,omitempty"`
}

// SyncOut is one output that was moved or written.
type SyncOut struct {
	Stage string `json:"stage"`
	artifact.Output
	Changed bool `json:"changed"` // false: it was as it should be
}

// useCache keeps gc out of the cache until the returned function is called.
func (p *Project) useCache(ctx context.Context) (func() error, error) {
	return p.lockCache(ctx, atomicfile.Shared)
}

func (p *Project) lockCache(ctx context.Context, mode atomicfile.Mode) (func() error, error) {
	dir := p.cache.URL()
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	l, err := atomicfile.Acquire(ctx, filepath.Join(dir, "lock"), mode, func() { p.note("waiting for another pipe that uses the cache " + dir) })
	if err != nil {
		return nil, err
	}
	return l.Release, nil
}

// holdBoth takes the workspace's lock and keeps gc out of the cache.
func (p *Project) holdBoth(ctx context.Context, verb string) (func() error, error) {
	h, err := p.hold(ctx, verb)
	if err != nil {
		return nil, err
	}
	unlock, err := p.useCache(ctx)
	if err != nil {
		return nil, errors.Join(err, h.release())
	}
	return func() error { return errors.Join(unlock(), h.release()) }, nil
}

// begin takes the locks, reads pipe.lock and picks the stages that are meant. The
// caller releases.
func (p *Project) begin(ctx context.Context, verb string, opt SyncOptions) (release func() error, lock *lockfile.File, stages []*lockfile.Stage, err error) {
	if release, err = p.holdBoth(ctx, verb); err != nil {
		return nil, nil, nil, err
	}
	if lock, err = p.lock(); err == nil {
		stages, err = p.named(lock, opt.Targets)
	}
	if err != nil {
		return nil, nil, nil, errors.Join(err, release())
	}
	return release, lock, stages, nil
}

// named returns the lock's stages that the targets mean.
func (p *Project) named(lock *lockfile.File, targets []string) ([]*lockfile.Stage, error) {
	targets = p.targets(targets)
	var out []*lockfile.Stage
	for i := range lock.Stages {
		s := &lock.Stages[i]
		if p.fits(s) && (len(targets) == 0 || slices.ContainsFunc(targets, func(t string) bool { return means(s, t) })) {
			out = append(out, s)
		}
	}
	for _, t := range targets {
		if !slices.ContainsFunc(out, func(s *lockfile.Stage) bool { return means(s, t) }) {
			hint := "pipe status lists the stages"
			if p.spec.Stage(t) != nil {
				hint = "pipe repro " + t
			}
			return nil, diag.New(diag.NotFound, "%s has no stage or out %q", lockfile.FileName, t).Hinted("%s", hint)
		}
	}
	return out, nil
}

// fits reports whether a lock's block has the outs that its stage declares: a
// lock comes from outside and never says where something is written.
func (p *Project) fits(l *lockfile.Stage) bool {
	s := p.spec.Stage(l.Name)
	return s != nil && engine.Fits(s, l.Outs)
}

func means(s *lockfile.Stage, target string) bool {
	if s.Name == target {
		return true
	}
	p, err := repopath.Join(repopath.Root, target)
	return err == nil && slices.ContainsFunc(s.Outs, func(o artifact.Output) bool { return o.Path == p })
}

// declared says of an out how its stage declares it.
func (p *Project) declared(stage string, at repopath.Path) spec.Out {
	if s := p.spec.Stage(stage); s != nil {
		for _, o := range s.Outs {
			if o.Path == at {
				return o
			}
		}
	}
	return spec.Out{Path: at}
}

// cached returns a stage's outs whose bytes are kept in the cache.
func (p *Project) cached(l *lockfile.Stage) (outs []artifact.Output) {
	for _, o := range l.Outs {
		if !p.declared(l.Name, o.Path).NoCache {
			outs = append(outs, o)
		}
	}
	return outs
}

// counted makes the carrier count what it copies into r.
func counted(c *transfer.Carrier, r *SyncResult) {
	var mu sync.Mutex
	tell := c.Moved
	c.Moved = func(where string, n int64) {
		mu.Lock()
		r.Objects++
		r.Bytes += n
		mu.Unlock()
		tell(where, n)
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
	if c.Moved != nil {
		counted(c, r)
	}
	var outs []artifact.Output
	for _, s := range stages {
		outs = append(outs, p.cached(s)...)
	}
	if err := c.Fetch(ctx, outs); err != nil {
		return r, notBrought(verb, err)
	}
	for _, s := range stages {
		for _, o := range p.cached(s) {
			changed, err := p.place(ctx, c, s.Name, o)
			if err != nil {
				return r, notBrought(verb, err)
			}
			r.Outs = append(r.Outs, SyncOut{Stage: s.Name, Output: o, Changed: changed})
		}
	}
	return r, nil
}

// notBrought gives a missing object its next step.
func notBrought(verb string, err error) error {
	if verb == "checkout" && errors.Is(err, store.ErrNotFound) {
		return diag.New(diag.NotFound, "%w", err).Hinted("pipe pull brings it from the remote")
	}
	return transfer.Explained(err)
}

// place writes an out to the workspace unless it is there. Other bytes that lie
// there and that nothing recorded are kept in the cache.
func (p *Project) place(ctx context.Context, c *transfer.Carrier, stage string, o artifact.Output) (bool, error) {
	here, _, err := p.work.Output(ctx, o.Path)
	if err == nil && here.Same(o) {
		return false, nil
	}
	if err != nil && !errors.Is(err, worktree.ErrAbsent) {
		return false, err
	}
	if err == nil {
		_, serr := p.cache.Stat(ctx, object.Of(here))
		if _, err := p.work.Save(ctx, p.cache, o.Path); err != nil {
			return false, err
		}
		if serr != nil {
			text := fmt.Sprintf("%s had other bytes; the cache keeps them until pipe gc: pipe find %s -o FILE", o.Path, here.Digest.Short())
			p.emit(event.Event{Type: event.Note, Stage: stage, Text: text})
		}
	}
	return true, engine.Checkout(ctx, p.work, p.cache, c, o)
}

// Push puts the outs that the lock names into the remote, and records them. When
// another machine recorded a key first, its outs are taken: lock, cache and
// workspace change to them, and the result names the stage.
func (p *Project) Push(ctx context.Context, opt SyncOptions) (r *SyncResult, err error) {
	remote, err := p.needRemote(ctx)
	if err != nil {
		return nil, err
	}
	release, lock, stages, err := p.begin(ctx, "push", opt)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, release()) }()
	c, err := p.carry(ctx)
	if err != nil {
		return nil, err
	}
	if t, ok := store.As[store.Tidier](remote); ok {
		if err := t.Tidy(p.opt.Now().Add(-leftOver).Unix()); err != nil {
			return nil, err
		}
	}
	r = &SyncResult{Outs: []SyncOut{}}
	counted(c, r)
	winners := make([]*object.Record, len(stages))
	fresh := make([]bool, len(stages))
	stageWorkers := min(p.workers(), 16) // each moves its own objects at once, too
	err = par.Each(ctx, len(stages), stageWorkers, func(ctx context.Context, i int) (err error) {
		winners[i], fresh[i], err = p.pushStage(ctx, c, remote, stages[i])
		return err
	})
	if err != nil {
		return r, transfer.Explained(err)
	}
	for i, s := range stages {
		if fresh[i] {
			r.Records++
		}
		if winners[i] == nil {
			r.Unpushed = append(r.Unpushed, s.Name)
			continue
		}
		if err := p.take(ctx, c, r, s, winners[i]); err != nil {
			return r, transfer.Explained(err)
		}
	}
	if len(r.Adopted) > 0 {
		err = p.saveLock(lock)
	}
	return r, err
}

// pushStage publishes one stage and returns the record that its key has then,
// and whether it was written now; nil when the stage's outs stay on this machine.
func (p *Project) pushStage(ctx context.Context, c *transfer.Carrier, remote store.Remote, l *lockfile.Stage) (rec *object.Record, fresh bool, err error) {
	s := p.spec.Stage(l.Name)
	if s.AlwaysChanged {
		return &object.Record{Outs: l.Outs}, false, p.publish(ctx, c, l, nil)
	}
	value, err := remote.Lookup(ctx, id(l))
	if errors.Is(err, store.ErrNotFound) {
		if slices.ContainsFunc(s.Outs, func(o spec.Out) bool { return o.NoPush }) {
			return nil, false, p.publish(ctx, c, l, nil)
		}
		rec, err = p.pushRecord(ctx, c, remote, l)
		return rec, true, err
	}
	if err != nil {
		return nil, false, err
	}
	if rec, err = p.parseRemote(remote, value, id(l)); err != nil {
		return nil, false, err
	}
	// The record implies its objects, but somebody may have removed them.
	for _, o := range p.cached(l) {
		there, err := c.Has(ctx, object.Of(o))
		if err != nil {
			return nil, false, err
		}
		if !there && slices.ContainsFunc(rec.Outs, o.Same) {
			return rec, false, p.publish(ctx, c, l, nil)
		}
	}
	return rec, false, nil
}

// pushRecord puts objects, then the record that names them.
func (p *Project) pushRecord(ctx context.Context, c *transfer.Carrier, remote store.Remote, l *lockfile.Stage) (*object.Record, error) {
	rec, err := p.recordOf(ctx, l)
	if err != nil {
		return nil, err
	}
	if err := p.publish(ctx, c, l, rec); err != nil {
		return nil, err
	}
	value, err := rec.Encode()
	if err != nil {
		return nil, err
	}
	winner, err := remote.Record(ctx, id(l), value)
	if err != nil {
		return nil, err
	}
	return p.parseRemote(remote, winner, id(l))
}

// id names the record that a block of the lock stands for.
func id(l *lockfile.Stage) object.RunID {
	return object.RunID{Key: l.Key, Generation: l.Generation}
}

func (p *Project) parseRemote(remote store.Remote, value []byte, run object.RunID) (*object.Record, error) {
	rec, err := object.ParseRecord(value, run)
	if err != nil {
		return nil, diag.New(diag.Integrity, "%w", err).At(remote.URL() + "/" + store.RecordPath(run)).
			Hinted("look at that object; a newer pipe may have written it")
	}
	return rec, nil
}

// recordOf returns the cache's record of a stage, or one made from the lock.
func (p *Project) recordOf(ctx context.Context, l *lockfile.Stage) (*object.Record, error) {
	outs := l.Outs
	value, err := p.cache.Lookup(ctx, id(l))
	if err == nil {
		rec, err := object.ParseRecord(value, id(l))
		if err == nil && slices.EqualFunc(rec.Outs, outs, artifact.Output.Same) {
			return rec, nil
		}
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	return &object.Record{ID: id(l), Stage: l.Name, Outs: outs, Stamp: p.stamp(ctx), FromLock: true}, nil
}

// publish puts a stage's objects into the remote, and its log if the cache has it.
func (p *Project) publish(ctx context.Context, c *transfer.Carrier, l *lockfile.Stage, rec *object.Record) error {
	var outs []artifact.Output
	for _, o := range p.cached(l) {
		if p.declared(l.Name, o.Path).NoPush {
			continue
		}
		if err := p.saveIfHere(ctx, o); err != nil {
			return err
		}
		outs = append(outs, o)
	}
	// Notes go along where the cache has them: the log, and the inputs' manifests.
	var notes []object.Ref
	if rec != nil && !rec.Log.IsZero() {
		notes = append(notes, object.Ref{Shelf: object.Logs, Digest: rec.Log})
	}
	for _, d := range l.Deps {
		if d.Kind != artifact.OneFile {
			notes = append(notes, object.Ref{Shelf: object.Inputs, Digest: d.Digest})
		}
	}
	return c.Publish(ctx, outs, notes...)
}

// saveIfHere puts an out into the cache again when only the workspace has it.
func (p *Project) saveIfHere(ctx context.Context, o artifact.Output) error {
	// A cached tree is no proof of its files; Save looks at each.
	if _, err := p.cache.Stat(ctx, object.Of(o)); !o.Dir && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	here, _, err := p.work.Output(ctx, o.Path)
	if err != nil || !here.Same(o) {
		return nil //nolint:nilerr // the remote may have it; if not, that is the error
	}
	_, err = p.work.Save(ctx, p.cache, o.Path)
	return err
}

// take makes the record's outs those of the lock and the workspace.
func (p *Project) take(ctx context.Context, c *transfer.Carrier, r *SyncResult, l *lockfile.Stage, rec *object.Record) error {
	ours := l.Outs
	if slices.EqualFunc(ours, rec.Outs, func(a, b artifact.Output) bool { return a.Path == b.Path && a.Same(b) }) {
		for _, o := range ours {
			r.Outs = append(r.Outs, SyncOut{Stage: l.Name, Output: o})
		}
		return nil
	}
	for i, o := range rec.Outs {
		if i >= len(ours) || ours[i].Path != o.Path {
			return diag.New(diag.Integrity, "the record of %s has other outs than the lock", l.Name).At(store.RecordPath(id(l)))
		}
		here, _, err := p.work.Output(ctx, o.Path)
		switch {
		case errors.Is(err, worktree.ErrAbsent) || p.declared(l.Name, o.Path).NoCache:
		case err != nil:
			return err
		case !here.Same(o):
			if err := c.Fetch(ctx, []artifact.Output{o}); err != nil {
				return err
			}
			if _, err := p.place(ctx, c, l.Name, o); err != nil {
				return err
			}
		}
		l.Outs[i] = o
		r.Outs = append(r.Outs, SyncOut{Stage: l.Name, Output: o, Changed: true})
	}
	value, err := rec.Encode()
	if err != nil {
		return err
	}
	r.Adopted = append(r.Adopted, l.Name)
	p.emit(event.Event{
		Type: event.Note, Stage: l.Name,
		Text: fmt.Sprintf("%s built the same inputs first; its outs are taken, and pipe repro deploys them", rec.By),
	})
	return p.cache.Adopt(ctx, id(l), value)
}
