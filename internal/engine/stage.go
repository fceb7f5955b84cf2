package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/runlog"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// stage brings one stage up to date, on a worker's goroutine. An error goes into the stage's
// state, not to the caller: the collector decides what follows from it.
func (r *run) stage(ctx context.Context, i int) {
	st := &r.states[i]
	// An earlier pass has done it, and its result stands.
	if r.settled != nil && r.settled[i] != nil {
		st.Outcome, st.newLock = r.settled[i].Outcome, r.settled[i].newLock
		return
	}
	why, err := r.whyNot(ctx, st)
	switch {
	case err != nil:
	case why != nil:
		r.omit(st, why)
	case st.Stage.Input:
		err = r.input(ctx, st)
	case st.Stage.Frozen:
		err = r.frozen(ctx, st)
	case st.Stage.Deploy:
		err = r.decideDeploy(ctx, st)
	default:
		err = r.build(ctx, st)
	}
	var unknown errUnknown
	if errors.As(err, &unknown) && r.opt.Dry {
		st.unknown = true
		st.Verdict = action.Verdict{Do: event.Wait, Because: []event.Reason{{Code: cmp.Or(unknown.code, event.NeedsRun), Path: unknown.what, Note: unknown.note}}}
		r.decided(st)
		return
	}
	var omitted errOmitted
	if errors.As(err, &omitted) {
		r.omit(st, []event.Reason{{Code: event.NeedOmitted, Path: omitted.stage}})
	} else if err != nil {
		r.fail(st, err)
	}
}

// fail says that a stage has failed. A failure that only leads to another pass is not shown as one.
func (r *run) fail(st *state, err error) {
	st.Err = r.about(st, err)
	if !restarts(err) {
		r.emit(event.Event{Type: event.Failed, Stage: st.Stage.Name, Deploy: st.Stage.Deploy, Check: st.Stage.Check, Text: st.Err.Error(), How: runlog.HowFailed(err), Exit: runlog.ExitCode(err), Attempt: st.Attempts})
	}
}

// about gives an error without a kind the stage's name. An error with a kind names its place
// itself.
func (r *run) about(st *state, err error) error {
	var e *diag.Error
	if errors.As(err, &e) || restarts(err) {
		return err
	}
	return fmt.Errorf("%s: %w", st.Stage.Name, err)
}

// decided reports the verdict, before anything is done about it.
func (r *run) decided(st *state) {
	r.emit(told(&st.Outcome, event.Decided))
}

// keyText returns a key for an event; the zero key, of a stage whose inputs are not known yet,
// is "".
func keyText(k digest.Key) string {
	if k.IsZero() {
		return ""
	}
	return k.String()
}

// forced reports whether --force means this stage: the targets, what was asked for with them, or
// all. What the targets need is not meant.
func (r *run) forced(s *spec.Stage) bool {
	all := len(r.opt.Targets) == 0 || r.opt.Downstream || r.opt.Pipeline
	return r.opt.Force && (all || slices.Contains(r.opt.Targets, s.Name))
}

// attempt is what is known of a build stage while it is decided and done.
type attempt struct {
	*state
	in     *gathered
	record *object.Record  // of Key, when it was looked for and found
	here   []outHere       // what lies at each out
	lost   []repopath.Path // outs whose bytes are nowhere
}

// outHere is what lies at an out's path.
type outHere struct {
	spec  spec.Out
	found bool
	out   artifact.Output
	tree  *object.Tree
}

// build brings a build stage up to date: it hashes the inputs into the key, asks for the
// verdict and follows it. In a dry run it stops after the verdict; what depends on a stage
// that would run is then unknown, because outputs need not be reproducible.
func (r *run) build(ctx context.Context, st *state) error {
	in, err := r.gather(ctx, st)
	if err == nil {
		err = r.asked(ctx, st, in, st.lockedAsked())
	}
	if err != nil {
		return err
	}
	a := &attempt{state: st, in: in}
	st.Key, st.Trees, st.Deps = action.KeyOf(st.Stage, in.Inputs), in.byPath(), in.Deps
	if st.before != nil {
		st.Was = st.before.Deps
	}
	// The lock's generation counts for its own key alone; another key starts at 0.
	if st.locked != nil && st.locked.Key == st.Key {
		st.Generation = st.locked.Generation
	}
	if r.forced(st.Stage) {
		if err := r.raise(ctx, a); err != nil {
			return err
		}
	}
	if err := r.lookAtOuts(ctx, a); err != nil {
		return err
	}
	if err := r.decide(ctx, a); err != nil {
		return err
	}
	if err := r.checkedOut(ctx, st, in); err != nil {
		return err
	}
	r.decided(st)
	switch st.Verdict.Do {
	case event.Skip:
		r.replay(ctx, a)
		st.Outs = st.locked.Outs
		// Only the memory of where inputs were found changes; the key is the same.
		if !r.opt.Dry && moved(st.locked, in) {
			st.newLock = r.entry(a, st.Outs)
		}
		return r.ensurePublished(ctx, a)
	case event.Restore:
		r.replay(ctx, a)
		if err := r.restore(ctx, a); err != nil {
			return err
		}
		return r.ensurePublished(ctx, a)
	}
	if len(a.lost) > 0 { // other bytes than the lost ones need a generation of their own
		if err := a.mayRise(); err != nil {
			return err
		}
	}
	if r.opt.Dry {
		st.unknown = true
		return nil
	}
	return r.runBuild(ctx, a)
}

// moved reports whether an input was found, unchanged, in another tree than the
// lock says. Then the lock must name the new one, or every fresh clone fetches
// that tree only to look the input up.
func moved(l *lockfile.Stage, in *gathered) bool {
	return !slices.EqualFunc(l.Deps, in.Deps, func(o, d artifact.Input) bool { return o.Name() == d.Name() && o.In == d.In })
}

// lookAtOuts hashes what lies at the stage's outs. A skip needs them too: only the bytes show
// whether somebody has edited an output by hand. The stat index answers for files that have
// not changed since they were hashed.
func (r *run) lookAtOuts(ctx context.Context, a *attempt) error {
	for _, o := range a.Stage.Outs {
		h := outHere{spec: o}
		var err error
		h.out, h.tree, err = r.Work.Output(ctx, o.Path)
		if err != nil && !errors.Is(err, worktree.ErrAbsent) {
			return err
		}
		h.found = err == nil
		a.here = append(a.here, h)
	}
	return nil
}

// decide asks for a record when the lock does not answer, and fills in the verdict. A lock
// with this key is the answer: the record is not asked for, so a clone in which nothing
// changed makes no request. A record whose paths are not those in pipe.yaml counts as none.
func (r *run) decide(ctx context.Context, a *attempt) error {
	f := action.Facts{Stage: a.Stage, Key: a.Key, Inputs: a.in.Inputs, Locked: a.locked, Before: a.before, Force: r.forced(a.Stage)}
	var want []artifact.Output
	if a.before != nil && a.before.Key == a.Key {
		f.Unfit = a.before.Outs // but for a lock that fits, which is the answer
	}
	if a.locked != nil && a.locked.Key == a.Key {
		want = a.locked.Outs
	} else if !f.Force && !a.Stage.AlwaysChanged {
		record, err := r.latest(ctx, a)
		if err != nil {
			return err
		}
		switch {
		case record == nil:
		case Fits(a.Stage, record.Outs):
			a.record, a.Generation, f.Recorded, want = record, record.ID.Generation, true, record.Outs
			a.Seconds = record.Seconds
		case samePaths(a.Stage, record.Outs):
			f.Unfit = record.Outs
			// The record stands for ever: what is made now needs one of its own.
			if err := r.raise(ctx, a); err != nil {
				return err
			}
		}
	}
	for _, h := range a.here {
		o := action.OutState{Path: h.spec.Path, Here: h.found, NoCache: h.spec.NoCache}
		o.Same = h.found && slices.ContainsFunc(want, func(w artifact.Output) bool { return w.Path == h.spec.Path && w.Same(h.out) })
		f.Outs = append(f.Outs, o)
	}
	a.lost = r.lost[a.Stage.Name]
	if want != nil && len(a.lost) == 0 && r.opt.RebuildMissing {
		var err error
		if a.lost, err = r.nowhere(ctx, a.Stage, want, a.id()); err != nil {
			return err
		}
	}
	f.Lost = a.lost
	if !f.Force && !a.Stage.AlwaysChanged {
		f.Was = r.was(ctx, a)
	}
	a.Verdict = action.Decide(f)
	return nil
}

// id names the record of the attempt.
func (a *attempt) id() object.RunID { return object.RunID{Key: a.Key, Generation: a.Generation} }

// latest returns the record of a's key with the highest generation; nil when there is
// none. Records have no gaps, so one look-up beyond the last is enough, and a
// deliberate rebuild wins everywhere.
func (r *run) latest(ctx context.Context, a *attempt) (found *object.Record, err error) {
	for id := (object.RunID{Key: a.Key}); ; id.Generation++ {
		rec, err := r.lookup(ctx, a.Stage.Name, id)
		if err != nil || rec == nil {
			return found, err
		}
		found = rec
	}
}

// lookup returns a record from the cache, else from the remote; nil when there is none. The
// cache may be trusted for what it has: a record is never replaced in the remote, and a cache
// that lost the race has adopted the winner's or does so when its stage is published.
func (r *run) lookup(ctx context.Context, stage string, id object.RunID) (*object.Record, error) {
	rec, err := r.cached(ctx, stage, id, r.opt.Dry)
	if errors.Is(err, store.ErrNotFound) && r.Remote != nil {
		rec, err = r.published(ctx, r.Remote, id)
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return rec, err
}

// restore takes the recorded outs. An out that is here gets its recorded bytes now; one that
// is absent stays absent until something reads it. Other bytes at an output's path would
// contradict the lock that is about to be written; see ADR 0004.
func (r *run) restore(ctx context.Context, a *attempt) error {
	want := recorded(a)
	a.Outs = want
	if r.opt.Dry {
		return nil
	}
	for i, h := range a.here {
		if !h.found || want[i].Same(h.out) { // outs that cannot be restored are the same, or the stage runs
			continue
		}
		known := lockedOuts(a.state)
		if h.spec.Report { // a failed run left it: nobody has edited it
			known = append(slices.Clone(known), h.out)
		}
		if _, err := r.Place(ctx, a.Stage.Name, want[i], known); err != nil {
			return r.lostOr(err)
		}
	}
	a.newLock = r.entry(a, want)
	r.emit(event.Event{Type: event.Done, Stage: a.Stage.Name, Verb: event.Restore, Outs: want})
	return nil
}

// recorded returns what an attempt's record, else its lock, names.
func recorded(a *attempt) []artifact.Output {
	if a.record != nil {
		return a.record.Outs
	}
	return a.locked.Outs
}

// lockedOuts returns the outputs that the lock named before this run, nil when it had no
// block.
func lockedOuts(st *state) []artifact.Output {
	if st.locked == nil {
		return nil
	}
	return st.locked.Outs
}

// ensurePublished gives the remote a stage that need not run, if it lacks the record or an
// object: with Push, whatever the lock names can be fetched by everybody. Another machine may
// have recorded the key first. Its outputs then replace ours in the lock.
func (r *run) ensurePublished(ctx context.Context, a *attempt) error {
	if !r.opt.Push || r.opt.Dry || r.known(a) {
		return nil
	}
	if err := r.ready(ctx); err != nil {
		return err
	}
	rec, _, err := r.Ensure(ctx, a.Stage, r.entry(a, a.Outs))
	if err != nil {
		return err
	}
	if rec != nil {
		outs, differs, err := r.Adopt(ctx, a.Stage, a.Outs, rec)
		if err != nil {
			return err
		}
		if differs {
			a.Outs, a.newLock = outs, r.entry(a, outs)
		}
	}
	return r.mended(ctx, a, a.Outs)
}

// known reports whether a stage is as in a lock that names only what is published.
func (r *run) known(a *attempt) bool {
	if r.opt.Known == nil || r.opt.RebuildMissing {
		return false
	}
	l := r.opt.Known.Stage(a.Stage.Name)
	return l != nil && runID(l) == a.id() && slices.EqualFunc(l.Outs, a.Outs, artifact.Output.Same)
}

// ready asks whether the remote can be written to, if something is to be published.
func (r *run) ready(ctx context.Context) error {
	if !r.opt.Push || r.opt.Ready == nil {
		return nil
	}
	return r.opt.Ready(ctx)
}
