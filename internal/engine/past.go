package engine

import (
	"context"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/spec"
)

// was finds out from which definition the lock's block was made, where the stage has another key
// now. It is for the reasons alone: what cannot be read is not known.
func (r *run) was(ctx context.Context, a *attempt) *action.Was {
	if a.before == nil || a.before.Key == a.Key {
		return nil
	}
	now := r.definition(a.Stage, a.in)
	return action.Recall(now, a.in.Inputs, a.before, func(yield func(action.Definition) bool) {
		// A platform that somebody named stands in the record.
		if rec, err := r.cached(ctx, a.Stage.Name, runID(a.before), true); err == nil {
			d := now
			if d.Platform = rec.Platform; !yield(d) {
				return
			}
		}
		r.past(ctx, now, "", yield)
	})
}

// wasLive does the same for what is live.
func (r *run) wasLive(ctx context.Context, st *state, in *gathered, live action.Live) *action.Was {
	if live.Status != action.StatusOK || live.Key == st.Key || r.forced(st.Stage) || st.Stage.AlwaysChanged {
		return nil
	}
	now := r.definition(st.Stage, in)
	return action.RecallLive(now, in.Inputs, live, func(yield func(action.Definition) bool) { r.past(ctx, now, live.Commit, yield) })
}

// definition is what pipe.yaml says of a stage now.
func (r *run) definition(s *spec.Stage, in *gathered) action.Definition {
	return action.Definition{Stage: s, Loose: r.Project.Loose, Platform: in.Platform}
}

// past yields what pipe.yaml has said of a stage.
func (r *run) past(ctx context.Context, now action.Definition, commit string, yield func(action.Definition) bool) {
	if r.Past == nil {
		return
	}
	for p := range r.Past(ctx, commit) {
		s := p.Stage(now.Stage.Name)
		if s == nil {
			continue
		}
		for d := range (action.Definition{Stage: s, Loose: p.Loose, Platform: now.Platform}).Machines {
			if !yield(d) {
				return
			}
		}
	}
}
