package engine

import (
	"context"
	"errors"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

// input brings an input of the project up to date. It is a build whose command is a person: what
// they put there is saved and recorded like outputs, so that whatever holds for those holds for
// it. Nothing can make it anew, so bytes that are lost are an error, and force means nothing.
func (r *run) input(ctx context.Context, st *state) error {
	o := st.Stage.Outs[0]
	here, tree, err := r.Work.Output(ctx, o.Path)
	absent := errors.Is(err, worktree.ErrAbsent)
	switch {
	case absent && st.locked == nil:
		return diag.New(diag.NotFound, "input %s does not exist, and pipe.lock does not list it", o.Path).At(o.Place).
			Hinted("put it there, or run pipe add %s on a machine that has it and commit pipe.lock", o.Path)
	case err != nil && !absent:
		return err
	case !absent && o.Dir && !here.Dir:
		return diag.New(diag.Usage, "input %s/ is a file, not a directory", o.Path).At(o.Place).Hinted("remove the slash at its end")
	}
	f := action.InputFacts{Stage: st.Stage, Locked: st.locked, Take: r.opt.Take}
	if !absent {
		f.Here = &here
		if st.locked != nil && !here.Same(st.locked.Outs[0]) {
			rec, err := r.lookup(ctx, st.Stage.Name, object.RunID{Key: action.InputKey(st.Stage, here)})
			if err != nil {
				return err
			}
			f.Known = rec != nil
		}
	}
	st.Verdict = action.DecideInput(f)
	r.decided(st)
	a := &attempt{state: st, in: &gathered{}}
	if st.Verdict.Do == event.Add {
		return r.addInput(ctx, a, here, tree)
	}
	st.Outs, st.Key, st.Generation = st.locked.Outs, st.locked.Key, st.locked.Generation
	if err := r.thawed(ctx, st); err != nil || r.opt.Dry {
		return err
	}
	if st.Verdict.Do == event.Restore {
		if _, err := r.Place(ctx, st.Stage.Name, st.Outs[0], st.Outs); err != nil {
			return r.lostOr(err)
		}
		r.emit(event.Event{Type: event.Done, Stage: st.Stage.Name, Verb: event.Restore, Outs: st.Outs})
	}
	if err := r.Remember(ctx, st.locked); err != nil {
		return err
	}
	return r.ensurePublished(ctx, a)
}

// addInput saves what lies at an input's path, and records it. What is saved counts, should
// somebody have written there since it was looked at. tree lists a directory.
func (r *run) addInput(ctx context.Context, a *attempt, here artifact.Output, tree *object.Tree) error {
	a.Key, a.Outs = action.InputKey(a.Stage, here), []artifact.Output{here}
	if err := r.refuseKept(ctx, a.Stage); err != nil {
		return err
	}
	if err := r.refusePointers(ctx, a.Stage, r.Checkout, filesOf(here, tree), ""); err != nil || r.opt.Dry {
		return err
	}
	saved, err := r.Work.Save(ctx, r.Cache, here.Path)
	if err != nil {
		return err
	}
	a.Key, a.Outs = action.InputKey(a.Stage, saved), []artifact.Output{saved}
	rec := &object.Record{ID: a.id(), Stage: a.Stage.Name, Outs: a.Outs, Stamp: r.Stamp, At: r.Now()}
	if _, err := r.first(ctx, a, rec); err != nil {
		return err
	}
	a.newLock = r.entry(a, a.Outs)
	if err := r.mended(ctx, a, a.Outs); err != nil {
		return err
	}
	r.emit(event.Event{Type: event.Done, Stage: a.Stage.Name, Verb: event.Add, Outs: a.Outs, Key: a.Key.String()})
	return nil
}

// filesOf lists the files of an output, with paths from the project's root.
func filesOf(o artifact.Output, tree *object.Tree) (files []object.Entry) {
	if tree == nil {
		return []object.Entry{{Path: o.Path, Size: o.Size}}
	}
	for _, e := range tree.Entries {
		if e.Kind == object.File || e.Kind == object.Executable {
			e.Path = o.Path.Child(string(e.Path))
			files = append(files, e)
		}
	}
	return files
}

// refuseKept refuses an input that git tracks, too: two owners of one file undo each other's
// work.
func (r *run) refuseKept(ctx context.Context, s *spec.Stage) error {
	if r.Tracked == nil {
		return nil
	}
	at := s.Outs[0]
	tracked, err := r.Tracked(ctx, []string{r.Work.OS(at.Path)})
	if err != nil || len(tracked) == 0 {
		return err
	}
	return diag.New(diag.Policy, "git tracks the input %s", at.Path).At(at.Place).Hinted("git rm -r --cached %s", at.Path)
}

// Remember lets the cache know that an input of the project once was as the lock says. When
// another version is in the lock, it tells this one from an edit. Who may not write the cache, or
// make it, finds the record in the remote.
func (p *Publisher) Remember(ctx context.Context, l *lockfile.Stage) error {
	if _, err := p.Cache.Lookup(ctx, runID(l)); !errors.Is(err, store.ErrNotFound) {
		return nil //nolint:nilerr // what is damaged there is found by whoever needs it
	}
	rec := &object.Record{ID: runID(l), Stage: l.Name, Outs: l.Outs, Stamp: p.Stamp, FromLock: true}
	value, err := rec.Encode()
	if err == nil {
		_, err = p.Cache.Record(ctx, rec.ID, value)
	}
	if atomicfile.ReadOnly(err) || errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// irreplaceable says of a stage's lost outputs that no run makes them again, nil when one can.
func irreplaceable(s *spec.Stage, err error) error {
	switch {
	case s.Input:
		return diag.New(diag.NotFound, "nothing can rebuild input %s: %w", s.Outs[0].Path, err).At(s.Place).
			Hinted("run pipe push --repair on a machine that has it, or put it there and run pipe add %s", s.Outs[0].Path)
	case s.Frozen:
		return diag.New(diag.NotFound, "%s is frozen, so it is not rebuilt: %w", s.Name, err).At(s.Place).
			Hinted("run pipe push --repair on a machine that has the output, or remove frozen and run pipe repro --rebuild-missing")
	}
	return nil
}
