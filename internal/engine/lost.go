package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/sweep"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// nowhere returns those of a stage's recorded outputs whose bytes neither workspace, cache
// nor remote has, down to the files of directories. What only the workspace has is saved:
// these bytes are somewhere. Where the remote's record of the same build names other
// outputs, they count as well: whoever asks for the build is given those.
func (r *run) nowhere(ctx context.Context, s *spec.Stage, want []artifact.Output, id object.RunID) (lost []repopath.Path, err error) {
	if r.Remote != nil && !s.AlwaysChanged {
		rec, err := r.published(ctx, r.Remote, id)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		if err == nil && Fits(s, rec.Outs) {
			want = slices.Concat(want, rec.Outs)
		}
	}
	for i, o := range want {
		if s.Outs[i%len(s.Outs)].NoCache || slices.ContainsFunc(want[:i], o.Same) {
			continue // git keeps it, or it was looked at
		}
		here, _, err := r.Work.Output(ctx, o.Path)
		// What cannot be read is not lost. What cannot be an output at all is another thing.
		if err != nil && !errors.Is(err, worktree.ErrAbsent) && !errors.As(err, new(*diag.Error)) {
			return nil, err
		}
		if err == nil && here.Same(o) {
			if !r.opt.Dry {
				err = r.Rescue(ctx, o)
			}
		} else {
			err = r.Carrier.Lost(ctx, o)
		}
		if errors.As(err, new(*transfer.Missing)) {
			lost, err = append(lost, o.Path), nil
		}
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(lost)
	return slices.Compact(lost), nil
}

// thawed says with RebuildMissing that an input or a frozen stage, for which no command runs, has
// lost its outputs.
func (r *run) thawed(ctx context.Context, st *state) error {
	if !r.opt.RebuildMissing {
		return nil
	}
	lost, err := r.nowhere(ctx, st.Stage, st.Outs, runID(st.locked))
	if err != nil || len(lost) == 0 {
		return err
	}
	return irreplaceable(st.Stage, fmt.Errorf("%s: %w", lost[0], store.ErrNotFound))
}

// lostOr turns "nowhere" into a lostError of the stage that makes the output, where that stage
// may run again: there is no remote, or the user said so, or the output never leaves a
// machine. Otherwise the bytes may still be somewhere else, and the user decides: a rebuild
// would differ from what others have under the same key.
func (r *run) lostOr(err error) error {
	var m *transfer.Missing
	if !errors.As(err, &m) {
		return err
	}
	holder, ok := r.outs.holder(m.Path)
	if !ok {
		return err
	}
	s := &r.Project.Stages[r.outs.by[holder]]
	if gone := irreplaceable(s, err); gone != nil {
		return gone
	}
	if r.states[r.outs.by[holder]].Verdict.Do == event.Omit { // however often it is decided
		return diag.New(diag.NotFound, "%s is left out of this run, so it is not rebuilt: %w", s.Name, err).At(s.Place).
			Hinted("run pipe push --repair on a machine that has the output, or pipe repro --rebuild-missing without leaving out %s", s.Name)
	}
	if r.opt.RebuildMissing || r.Carrier.Remote == nil || r.mustStay(holder) {
		return &lostError{stage: s.Name, paths: []repopath.Path{holder}, err: err}
	}
	return fmt.Errorf("%s: %w", s.Name, err)
}

// raiseLost gives a rebuild of lost bytes a generation of its own, if they came out otherwise
// than any record of the build says. Bytes that came out the same fill the gap under the old
// name.
func (r *run) raiseLost(ctx context.Context, a *attempt, outs []artifact.Output) error {
	rec, err := r.lookup(ctx, a.Stage.Name, a.id())
	if err != nil {
		return err
	}
	differs := func(rec *object.Record) bool {
		return rec != nil && !slices.EqualFunc(rec.Outs, outs, artifact.Output.Same)
	}
	// The cache's record may be another one than the remote's, which all others take.
	if !differs(rec) && r.Remote != nil {
		if rec, err = r.published(ctx, r.Remote, a.id()); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	if !differs(rec) {
		return nil
	}
	return r.raise(ctx, a)
}

// mended has a run with Push and RebuildMissing leave nothing missing in the remote: a tree
// that is there is no proof of its files.
func (r *run) mended(ctx context.Context, a *attempt, outs []artifact.Output) error {
	if !r.opt.Push || !r.opt.RebuildMissing {
		return nil
	}
	lost, err := r.MendAll(ctx, []sweep.Stage{Wanted(a.Stage, r.entry(a, outs))}, false)
	for _, f := range lost {
		r.note(a.Stage.Name, "%s (%s) is missing or damaged in the remote, and this machine has no copy", f.Path, f.Name())
	}
	return err
}
