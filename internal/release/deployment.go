package release

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/lease"
	"github.com/pipe-build/pipe/pkg/digest"
)

// Deployment is one that goes on: this run holds the environment. Its methods are called from
// one goroutine, but for Context and Beats.
type Deployment struct {
	e     *Environment
	want  *Want
	held  *lease.Held
	nonce string
	lease lease.Lease
	began time.Time

	N       uint64   // its number
	Epoch   uint64   // grows with each holder: a fence for what the command calls
	Pending []string // the stages that must run, sorted
	First   []string // those of them that have begun

	mu     sync.Mutex       // a write may go on after its caller's context has ended
	live   ID               // what was live before
	before map[string]Stage // what the state said of the stages that have begun
	ends   map[string]*End  // of stages that have ended
	entry  *Entry           // made once: the history has its bytes
}

// End is how the commands of a stage ended.
type End struct {
	OK      bool
	Not     bool // its command never began: the stage is what it was
	Seconds float64
	Attempt Attempt // Attempts, Error, Exit and Log; the rest is filled in
}

// deployment is what a successful write has begun.
func (b *beginning) deployment(ctx context.Context) *Deployment {
	d := &Deployment{
		e: b.Environment, want: b.want, nonce: b.nonce, began: b.now(), lease: *b.last.Lease, N: b.last.N, Epoch: b.last.Epoch,
		Pending: b.pending, First: b.first, live: b.live, before: b.before, ends: map[string]*End{},
	}
	d.held = b.doc.Hold(ctx, time.Duration(b.last.Lease.TTL)*time.Second, b.sent, d.write(nil))
	return d
}

// Token is the deployment's name, which its commands get.
func (d *Deployment) Token() string { return fmt.Sprintf("%s-%d", d.e.opt.Name, d.N) }

// Lease returns the deployment's lease, by which it takes other things while it goes on.
func (d *Deployment) Lease() lease.Lease { return d.lease }

// Context ends when this run may not deploy any more: the lease was lost, or ctx of Begin ended.
func (d *Deployment) Context() context.Context { return d.held.Context() }

// Beats has an item whenever the lease was found to be good; what a command lives by.
func (d *Deployment) Beats() <-chan time.Time { return d.held.Beats() }

// Silence is how long a command may go on without a beat.
func (d *Deployment) Silence() time.Duration { return d.e.opt.TTL * 2 / 3 }

// write is a change of the holder's. It counts as a beat, and fails when somebody else holds the
// environment.
func (d *Deployment) write(change func(*State) error) func(lease.Seen) ([]byte, error) {
	return func(seen lease.Seen) ([]byte, error) {
		return d.e.next(seen, d.nonce, func(_ lease.Seen, s *State) error {
			if s.Lease == nil || s.Lease.Nonce != d.nonce {
				return d.fenced(s)
			}
			s.Lease.Renew()
			if change == nil {
				return nil
			}
			return change(s)
		})
	}
}

// fenced says who has the environment in place of this run.
func (d *Deployment) fenced(s *State) error {
	what := fmt.Sprintf("%s was unlocked; this run (#%d) had to stop", d.e.opt.Name, d.N)
	if s.N > d.N {
		who := ""
		if s.Lease != nil {
			who = by(s.Lease.By)
		}
		what = fmt.Sprintf("%s: fenced by #%d%s: this run (#%d) took too long to prove that it was alive", d.e.opt.Name, s.N, who, d.N)
	}
	return &diag.Error{Kind: diag.Busy, Place: d.e.cell(), What: what, Hint: "pipe env history " + d.e.opt.Name, Err: lease.ErrLost}
}

// lost says why this run may not deploy any more, and who may, as far as the store tells.
func (d *Deployment) lost(ctx context.Context, cause error) error {
	if diag.Is(cause, diag.Busy) {
		return cause
	}
	if s, err := d.e.Read(ctx); err == nil && (s.Lease == nil || s.Lease.Nonce != d.nonce) {
		return d.fenced(s)
	}
	return diag.New(diag.Busy, "%s: #%d: %w", d.e.opt.Name, d.N, cause).At(d.e.cell()).Hinted("run the command again")
}

// Step writes in one go how stages have ended, and which ones begin now. No command of theirs may
// run before it.
func (d *Deployment) Step(ctx context.Context, ended map[string]*End, start []string) error {
	d.note(ended)
	return d.held.Change(ctx, d.write(func(s *State) error {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.settle(s, false)
		d.e.start(s, d.want, start, d.before)
		return nil
	}))
}

// note takes over how stages have ended.
func (d *Deployment) note(ended map[string]*End) {
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.Copy(d.ends, ended)
}

// settle says of the stages that have ended how. What never ran, by the end at the latest, is what
// it was. What a run after this one has written stays.
func (d *Deployment) settle(s *State, over bool) {
	for name, old := range d.before {
		st, end := s.Stages[name], d.ends[name]
		switch {
		case st.N != d.N || st.Status != action.StatusDeploying || end == nil && !over:
			continue
		case end == nil || end.Not:
			if st = old; st.Status == "" {
				delete(s.Stages, name)
				continue
			}
		case end.OK && d.want.Kind == KindDestroy:
			delete(s.Stages, name)
			continue
		case end.OK:
			st.Status, st.At = action.StatusOK, d.e.now()
		default:
			st.Status, st.At = action.StatusFailed, d.e.now()
		}
		s.Stages[name] = st
	}
}

// End writes how the deployment ended, and gives the lease up: the history's entry first, then
// one write of the state. status is EndOK, EndFailed or EndStopped; cause is for people.
func (d *Deployment) End(ctx context.Context, ended map[string]*End, status, cause string) (*Entry, error) {
	d.note(ended)
	err := d.held.Free(ctx, d.over(func(s *State) (err error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.settle(s, true)
		if d.entry == nil {
			if d.entry, err = d.describe(s, status, cause); err != nil {
				return err
			}
		}
		// A history that cannot be written now is written by the next run, from the state.
		if there, err := d.e.log(ctx, d.entry); err == nil {
			if !d.entry.equal(there) {
				return d.fenced(s) // somebody took this run for dead
			}
			s.Logged = d.N
		}
		d.leave(s)
		return nil
	}))
	switch {
	case err == nil:
		return d.entry, nil
	case errors.Is(err, lease.ErrLost):
		return d.entry, d.lost(ctx, err)
	}
	return d.entry, fmt.Errorf("the commands of #%d ended (%s), but the environment could not be told; the next run deploys again: %w", d.N, status, err)
}

// over is the last write. One whose answer was lost, over which others have written since, is known
// by the entry, or by that of one of them: as long as this run is not taken for dead, nobody else can
// deploy before that write is in.
func (d *Deployment) over(change func(*State) error) func(lease.Seen) ([]byte, error) {
	last := d.write(change)
	return func(seen lease.Seen) ([]byte, error) {
		if d.entry != nil {
			s, err := d.e.parse(seen.Value)
			if err == nil && s.Last != nil && (s.Last.equal(d.entry) || s.Last.N > d.N) {
				return seen.Value, nil
			}
		}
		return last(seen)
	}
}

// leave is the state after the deployment.
func (d *Deployment) leave(s *State) {
	s.free()
	s.Last = d.entry
	w := d.want
	if !d.ran() {
		s.Live = d.live
	}
	if w.Kind == KindDestroy {
		return
	}
	whole := w.Whole
	for name := range w.Stages {
		whole = whole && s.Stages[name].Status == action.StatusOK && s.Stages[name].Key == w.Stages[name].Key
	}
	if !whole {
		return
	}
	if w.Automatic && !w.MayGoBack && w.Commit != "" && (!d.ran() || w.sealed()) {
		s.Head = w.head() // no stage has this commit
	}
	s.Live = w.Release
	clean := !w.Dirty && !w.Override && w.Commit != ""
	for name, st := range s.Stages {
		_, ok := w.Stages[name]
		if ok && clean && (st.Dirty || st.Override) { // by now that is what a commit has
			st.Commit, st.Committed, st.Dirty, st.Override = w.Commit, w.Committed.UTC().Truncate(time.Second), false, false
		}
		switch {
		case ok || slices.Contains(w.Frozen, name):
			st.Gone = 0
		case st.Gone == 0:
			st.Gone = d.N
		}
		s.Stages[name] = st
	}
	if w.Dirty || w.Override || w.Release.IsZero() {
		return
	}
	// A rollback leaves the order alone: the next one goes on from there.
	if w.Kind == KindRollback && slices.Contains(s.Verified, w.Release) {
		return
	}
	s.Verified = append([]ID{w.Release}, slices.DeleteFunc(s.Verified, func(id ID) bool { return id == w.Release })...)
	s.Verified = s.Verified[:min(len(s.Verified), maxVerified)]
}

// ran reports whether a command has begun.
func (d *Deployment) ran() bool {
	for _, end := range d.ends {
		if !end.Not {
			return true
		}
	}
	return false
}

// maxVerified is how many releases a rollback can choose from without being told.
const maxVerified = 25

// describe describes the deployment for the history.
func (d *Deployment) describe(s *State, status, cause string) (*Entry, error) {
	w := d.want
	prev, err := s.lastDigest()
	if err != nil {
		return nil, err
	}
	x := &Entry{
		Schema: EntrySchema, Project: d.e.opt.Project, Env: d.e.opt.Name, N: d.N, Prev: prev, Kind: w.Kind, Status: status, Release: w.Release, From: w.From,
		Commit: w.Commit, Dirty: w.Dirty, Override: w.Override, By: d.e.opt.Stamp.By, Run: d.e.opt.Run, Version: d.e.opt.Stamp.Version,
		At: d.began, Ended: d.e.now(), Reason: w.Reason, Options: w.Options, Error: cause, Stages: map[string]Attempt{},
	}
	for name, a := range w.Stages {
		st := s.Stages[name]
		at := Attempt{Do: "skip"}
		switch end := d.ends[name]; {
		case end != nil && end.Not:
			at = Attempt{Do: "not", Error: end.Attempt.Error}
		case end != nil:
			at = end.Attempt
			at.Do, at.Seconds = "run", end.Seconds
		case slices.Contains(d.Pending, name):
			at.Do = "not"
		}
		at.Status, at.Was, at.Key, at.Values, at.Outside, at.Commit = st.now(), st.Was, a.Key, a.Values, a.Outside, a.Commit
		if w.Kind == KindDestroy {
			at.Was, at.Key = a.Key, digest.Key{}
		}
		x.Stages[name] = at
	}
	return x, nil
}
