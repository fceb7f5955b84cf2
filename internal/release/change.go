package release

import (
	"context"
	"errors"
	"slices"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/lease"
	"github.com/pipe-build/pipe/pkg/digest"
)

// mustExist refuses to make an environment by a change of it.
func (e *Environment) mustExist(ctx context.Context, s *State) error {
	if s.absent && !e.mayCreate() {
		return e.unknown(ctx)
	}
	return nil
}

// Hold keeps automatic deployments away until Resume, whatever goes on meanwhile.
func (e *Environment) Hold(ctx context.Context, reason string) error {
	_, err := e.change(ctx, "", func(_ lease.Seen, s *State) error {
		if err := e.mustExist(ctx, s); err != nil {
			return err
		}
		s.keep(&Hold{By: e.opt.Stamp.By, At: e.now(), Reason: reason, Until: UntilResume}, ID{})
		return nil
	})
	return err
}

// Resume ends the hold and forgets what was vetoed. It returns the hold; nil: there was none, and
// nothing is written.
func (e *Environment) Resume(ctx context.Context) (old *Hold, err error) {
	err = e.changeIf(ctx, func(s *State) (bool, error) {
		if s.Hold == nil {
			return false, nil // maybe by a write of ours whose answer was lost
		}
		old, s.Hold = s.Hold, nil
		return true, nil
	})
	return old, err
}

// changeIf writes what f makes of the state, if f says that it has changed it.
func (e *Environment) changeIf(ctx context.Context, f func(*State) (bool, error)) error {
	_, err := e.change(ctx, "", func(_ lease.Seen, s *State) error {
		if err := e.mustExist(ctx, s); err != nil {
			return err
		}
		changed, err := f(s)
		if err == nil && !changed {
			err = errNothing
		}
		return err
	})
	if errors.Is(err, errNothing) {
		return nil
	}
	return err
}

// Unlock takes the lease away from whoever has it: the holder's next beat ends its commands, and
// stages that were being deployed are unknown. It returns what was taken away; nil: nobody
// had it. Only who knows that the holder is dead, or accepts two commands at once, may call it.
func (e *Environment) Unlock(ctx context.Context, nonce string) (old *lease.Lease, err error) {
	err = e.changeIf(ctx, func(s *State) (bool, error) {
		switch {
		case s.Lease == nil:
			return false, nil // maybe by a write of ours whose answer was lost
		case s.Lease.Nonce != nonce:
			return false, diag.New(diag.Busy, "%s: another run has begun meanwhile", e.opt.Name).Hinted("pipe env show %s", e.opt.Name)
		}
		old = s.Lease
		s.Epoch++
		return true, e.catchUp(ctx, s, "unlocked"+by(e.opt.Stamp.By))
	})
	return old, err
}

// Forget drops a stage from the state: nothing says any more that it is, or was, live.
func (e *Environment) Forget(ctx context.Context, stage string) error {
	dropped := false // maybe by a write whose answer was lost
	return e.changeIf(ctx, func(s *State) (bool, error) {
		st, ok := s.Stages[stage]
		switch {
		case !ok && dropped:
			return false, nil
		case !ok:
			return false, diag.New(diag.NotFound, "%s has no stage %s", e.opt.Name, stage).Hinted("pipe env show %s", e.opt.Name)
		case st.Status == action.StatusDeploying && s.Lease != nil:
			return false, e.busy(s)
		}
		delete(s.Stages, stage)
		if st.Gone == 0 {
			s.Live = ID{}
		}
		dropped = true
		return true, nil
	})
}

// Drifted says of a stage that something else runs than what was deployed, if that is still
// what the state says: the next deployment runs it again. It reports whether the state says so now.
func (e *Environment) Drifted(ctx context.Context, stage string, n uint64) (marked bool, err error) {
	err = e.changeIf(ctx, func(s *State) (bool, error) {
		st := s.Stages[stage]
		if marked && st.N == n && st.Status == action.StatusUnknown {
			return false, nil // by a write of ours whose answer was lost
		}
		marked = st.N == n && st.Status == action.StatusOK
		if marked {
			st.Status, st.At = action.StatusUnknown, e.now()
			s.Stages[stage] = st
			s.Live = ID{}
		}
		return marked, nil
	})
	return marked && err == nil, err
}

// maxAsked bounds how many plans may wait for an approval.
const maxAsked = 20

// Ask notes that a plan waits for an approval, so that whoever may approve finds it.
func (e *Environment) Ask(ctx context.Context, plan digest.Digest) error {
	return e.changeIf(ctx, func(s *State) (bool, error) {
		if slices.Contains(s.Asked, plan) {
			return false, nil
		}
		s.Asked = append(s.Asked, plan)
		s.Asked = s.Asked[max(0, len(s.Asked)-maxAsked):]
		return true, nil
	})
}

// Keep sets the hold of a deployment that finds nothing to deploy.
func (e *Environment) Keep(ctx context.Context, h *Hold, live ID) error {
	return e.changeIf(ctx, func(s *State) (bool, error) {
		s.keep(h, live)
		return true, nil
	})
}

// keep sets a hold. Releases that were vetoed before still are, but for the one that somebody has asked for by now.
// A hold that lasts until somebody ends it is not replaced by one that keeps a few releases away.
func (s *State) keep(h *Hold, wanted ID) {
	set := *h
	if old := s.Hold; old != nil {
		if old.Until == UntilResume && h.Until == UntilNext {
			set = *old
		}
		set.Veto = slices.DeleteFunc(Unique(slices.Concat(old.Veto, h.Veto)), func(id ID) bool { return id == wanted })
	}
	s.Hold = &set
}
