package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

// stage brings one stage up to date, on a worker's goroutine.
func (r *run) stage(ctx context.Context, i int) {
	st := &r.states[i]
	if r.settled != nil && r.settled[i] != nil {
		st.Outcome, st.newLock = r.settled[i].Outcome, r.settled[i].newLock
		return
	}
	var err error
	switch {
	case st.Stage.Frozen:
		err = r.frozen(ctx, st)
	case st.Stage.Deploy:
		err = r.deploy(ctx, st)
	default:
		err = r.build(ctx, st)
	}
	var unknown errUnknown
	if errors.As(err, &unknown) && r.opt.Dry {
		st.unknown = true
		st.Verdict = action.Verdict{Do: event.Wait, Because: []event.Reason{{Code: event.NeedsRun, Path: unknown.stage}}}
		r.decided(st)
		return
	}
	if err != nil {
		st.Err = r.about(st, err)
		var l *lostError
		if !errors.As(err, &l) {
			r.emit(event.Event{Type: event.Failed, Stage: st.Stage.Name, Deploy: st.Stage.Deploy, Text: st.Err.Error(), Exit: exitCode(err)})
		}
	}
}

// about gives an error without a kind the stage's name.
func (r *run) about(st *state, err error) error {
	var e *diag.Error
	var l *lostError
	if errors.As(err, &e) || errors.As(err, &l) {
		return err
	}
	return fmt.Errorf("%s: %w", st.Stage.Name, err)
}

func (r *run) decided(st *state) {
	r.emit(event.Event{
		Type: event.Decided, Stage: st.Stage.Name, Deploy: st.Stage.Deploy,
		Verb: st.Verdict.Do, Because: st.Verdict.Because, Key: keyText(st.Key), Outs: eventOuts(st.Outs),
	})
}

func keyText(k digest.Key) string {
	if k.IsZero() {
		return ""
	}
	return k.String()
}

func eventOuts(outs []object.Output) (list []event.Out) {
	for _, o := range outs {
		list = append(list, event.Out{Path: string(o.Path), Dir: o.Dir, Hash: o.Digest, Size: o.Size})
	}
	return list
}

// forced reports whether --force means this stage: the targets, or all.
func (r *run) forced(s *spec.Stage) bool {
	return r.opt.Force && (len(r.opt.Targets) == 0 || slices.Contains(r.opt.Targets, s.Name))
}

// frozen takes a stage's outs as they are recorded, else as they lie there.
func (r *run) frozen(ctx context.Context, st *state) error {
	st.Verdict = action.Verdict{Do: event.Frozen, Because: []event.Reason{{Code: event.IsFrozen}}}
	if st.locked != nil {
		st.Outs = Outputs(st.locked)
	} else {
		for _, o := range st.Stage.Outs {
			out, _, err := r.Work.Output(ctx, o.Path)
			if errors.Is(err, worktree.ErrAbsent) {
				return diag.New(diag.NotFound, "%s is frozen, has no lock, and %s is not here", st.Stage.Name, o.Path).At(st.Stage.Place).
					Hinted("put the file there, or take frozen away")
			}
			if err != nil {
				return err
			}
			st.Outs = append(st.Outs, out)
		}
	}
	r.decided(st)
	return nil
}

// attempt is what is known of a build stage while it is decided and done.
type attempt struct {
	*state
	in     *gathered
	record *object.Record // of Key, when it was looked for and found
	here   []outHere      // what lies at each out
}

// outHere is what lies at an out's path.
type outHere struct {
	spec  spec.Out
	found bool
	out   object.Output
	tree  *object.Tree
}

func (r *run) build(ctx context.Context, st *state) error {
	in, err := r.gather(ctx, st)
	if err != nil {
		return err
	}
	a := &attempt{state: st, in: in}
	if st.locked != nil {
		in.Generation = st.locked.Generation
	}
	st.Key, st.Trees = action.KeyOf(st.Stage, in.Inputs), in.byPath()
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
	r.decided(st)
	switch st.Verdict.Do {
	case event.Skip:
		st.Outs = Outputs(st.locked)
		if !r.opt.Dry && moved(st.locked, in) {
			st.newLock = entry(st.Stage, st.Key, in.Inputs, st.Outs)
		}
		return r.ensurePublished(ctx, a)
	case event.Restore:
		if err := r.restore(ctx, a); err != nil {
			return err
		}
		return r.ensurePublished(ctx, a)
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
	return !slices.EqualFunc(l.Deps, in.Deps, func(o lockfile.Dep, d action.Input) bool { return o.Path == d.Path && o.In == d.In })
}

// lookAtOuts hashes what lies at the stage's outs.
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

// decide asks for a record when the lock does not answer, and fills in the verdict.
func (r *run) decide(ctx context.Context, a *attempt) error {
	f := action.Facts{Stage: a.Stage, Key: a.Key, Inputs: a.in.Inputs, Locked: a.locked, Force: r.forced(a.Stage), Lost: r.lost[a.Stage.Name]}
	var want []object.Output
	if a.locked != nil && a.locked.Key == a.Key {
		want = Outputs(a.locked)
	} else if !f.Force && !a.Stage.AlwaysChanged {
		record, err := r.lookup(ctx, a.Key)
		if err != nil {
			return err
		}
		if record != nil && Fits(a.Stage, record.Outs) {
			a.record, f.Recorded, want = record, true, record.Outs
		}
	}
	for _, h := range a.here {
		o := action.OutState{Path: h.spec.Path, Here: h.found, NoCache: h.spec.NoCache}
		o.Same = h.found && slices.ContainsFunc(want, func(w object.Output) bool { return w.Path == h.spec.Path && w.Same(h.out) })
		f.Outs = append(f.Outs, o)
	}
	a.Verdict = action.Decide(f)
	return nil
}

// Fits reports whether outs from a record or a lock are at the paths that the
// stage declares, and nowhere else.
func Fits(s *spec.Stage, outs []object.Output) bool {
	return slices.EqualFunc(s.Outs, outs, func(o spec.Out, x object.Output) bool { return o.Path == x.Path })
}

// lookup returns the record of key from the cache, else from the remote; nil when there is none.
func (r *run) lookup(ctx context.Context, key digest.Key) (*object.Record, error) {
	for _, ix := range []store.Index{r.Cache, r.Remote} {
		if ix == nil {
			continue
		}
		b, err := ix.Lookup(ctx, key)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		rec, err := object.ParseRecord(b, key)
		if err != nil {
			return nil, diag.New(diag.Integrity, "%w", err).At(store.RecordPath(key)).
				Hinted("look at that object in the cache or remote; without it the stage runs again")
		}
		return rec, nil
	}
	return nil, nil
}

// restore takes the recorded outs. An out that is here gets its recorded bytes
// now; one that is absent stays absent until something reads it.
func (r *run) restore(ctx context.Context, a *attempt) error {
	want := recorded(a)
	a.Outs = want
	if r.opt.Dry {
		return nil
	}
	for i, h := range a.here {
		if !h.found || want[i].Same(h.out) || h.spec.NoCache {
			continue
		}
		if err := r.keepEdit(ctx, a, h); err != nil {
			return err
		}
		if err := r.put(ctx, a.index, want[i]); err != nil {
			return r.lostOr(err, a.index, want[i].Path)
		}
	}
	a.newLock = entry(a.Stage, a.Key, a.in.Inputs, want)
	r.emit(event.Event{Type: event.Done, Stage: a.Stage.Name, Verb: event.Restore, Outs: eventOuts(want)})
	return nil
}

// recorded returns what an attempt's record, else its lock, names.
func recorded(a *attempt) []object.Output {
	if a.record != nil {
		return a.record.Outs
	}
	return Outputs(a.locked)
}

// keepEdit makes sure that the cache has what lies at an out before it is
// replaced: nobody's work is lost. It names what nothing recorded.
func (r *run) keepEdit(ctx context.Context, a *attempt, h outHere) error {
	known := a.locked != nil && slices.ContainsFunc(Outputs(a.locked), func(o object.Output) bool { return o.Path == h.spec.Path && o.Same(h.out) })
	if !known {
		_, err := r.Cache.Stat(ctx, h.out.Ref())
		known = err == nil
	}
	o, err := r.Work.Save(ctx, r.Cache, h.spec.Path)
	if err != nil {
		return err
	}
	if !known {
		r.note(a.Stage.Name, "%s had other bytes; the cache keeps them until pipe gc: pipe find %s -o FILE", h.spec.Path, o.Digest.Short())
	}
	return nil
}

// put brings an out into the workspace.
func (r *run) put(ctx context.Context, maker int, o object.Output) error {
	if err := r.Carrier.Fetch(ctx, []object.Output{o}); err != nil {
		return err
	}
	return Checkout(ctx, r.Work, r.Cache, r.Carrier, o)
}

// Checkout puts a fetched out into the workspace. A cached object that turns out
// to be damaged is fetched again, once.
func Checkout(ctx context.Context, w *worktree.Work, cache store.Cache, c Carrier, o object.Output) error {
	const tries = 2
	var err error
	for range tries {
		var t *object.Tree
		if o.Dir {
			if t, err = c.Tree(ctx, o.Path, o.Digest); err != nil {
				return err
			}
		}
		if err = w.Checkout(ctx, cache, o, t); !errors.Is(err, store.ErrCorrupt) {
			return err
		}
		if ferr := c.Fetch(ctx, []object.Output{o}); ferr != nil {
			return errors.Join(ferr, err)
		}
	}
	return err
}

// bring puts all outs of a stage into the workspace, for a command that reads them.
func (r *run) bring(ctx context.Context, maker int) error {
	st := &r.states[maker]
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, o := range st.Outs {
		here, _, err := r.Work.Output(ctx, o.Path)
		if err == nil && here.Same(o) {
			continue
		}
		if err != nil && !errors.Is(err, worktree.ErrAbsent) {
			return err
		}
		if err == nil {
			h := outHere{spec: spec.Out{Path: o.Path}, found: true, out: here}
			if err := r.keepEdit(ctx, &attempt{state: st}, h); err != nil {
				return err
			}
		}
		if err := r.put(ctx, maker, o); err != nil {
			return r.lostOr(err, maker, o.Path)
		}
	}
	return nil
}

// bringInputs puts every out that the stage reads into the workspace.
func (r *run) bringInputs(ctx context.Context, in *gathered) error {
	for _, o := range in.made {
		if err := r.bring(ctx, r.outs.by[o.Path]); err != nil {
			return err
		}
	}
	return nil
}
