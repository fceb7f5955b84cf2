package engine

import (
	"context"
	"errors"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/event"
)

// frozen takes a stage's outs as they are recorded, else as they lie there.
func (r *run) frozen(ctx context.Context, st *state) error {
	st.Verdict = action.Verdict{Do: event.Frozen, Because: []event.Reason{{Code: event.IsFrozen}}}
	if st.locked != nil {
		st.Outs = st.locked.Outs
		if err := r.thawed(ctx, st); err != nil {
			return err
		}
	} else {
		for _, o := range st.Stage.Outs {
			out, _, err := r.Work.Output(ctx, o.Path)
			if errors.Is(err, worktree.ErrAbsent) {
				return diag.New(diag.NotFound, "%s is frozen, but pipe.lock does not list it and %s does not exist", st.Stage.Name, o.Path).At(st.Stage.Place).
					Hinted("create the file, or remove frozen")
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
