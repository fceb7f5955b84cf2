package release

import (
	"context"
	"time"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/lease"
)

// Sight is a state as somebody saw it who only looks, with what the store's clock says of its lease.
type Sight struct {
	*State
	// Silent is how long ago the holder of the lease gave a sign of life; negative: the store does not tell.
	Silent time.Duration
	Dead   bool // the lease may be taken over: the run that holds it has died
}

// Look reads the state, and finds out whether the run that holds the environment is alive.
func (e *Environment) Look(ctx context.Context) (*Sight, error) {
	seen, err := e.doc.Read(ctx)
	if err != nil {
		return nil, err
	}
	s, err := e.parse(seen.Value)
	if err != nil {
		return nil, err
	}
	sight := &Sight{State: s, Silent: -1}
	if l := s.Lease; l != nil {
		sight.Dead, sight.Silent = e.doc.Dead(seen, l), l.Silent(seen)
	}
	return sight, nil
}

// Holder returns the lease of the deployment that goes on; nil: none does, or its run has died.
func (s *Sight) Holder() *lease.Lease {
	if s.Dead {
		return nil
	}
	return s.Lease
}

// Status returns what becomes of a stage now: it is being deployed only as long as the run lives
// that does it.
func (s *Sight) Status(stage string) string {
	st := s.Stages[stage]
	if h := s.Holder(); st.Status == action.StatusDeploying && h != nil && h.N == st.N {
		return st.Status
	}
	return st.now()
}

// Running returns what the history will say of the deployment that goes on, or of one whose run
// has died and that nobody has written down yet. nil: there is none.
func (e *Environment) Running(s *Sight) *Entry {
	if s.Lease == nil {
		return nil
	}
	x := e.unfinished(s.State)
	if !s.Dead {
		x.Status, x.Error, x.Ended = EndRunning, "", time.Time{}
	}
	return x
}
