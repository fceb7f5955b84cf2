package pipe

import (
	"context"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/spec"
)

// HeldEnvironment is what became of a hold.
type HeldEnvironment struct {
	Env       string   `json:"env"`                 // the environment
	Held      *EnvHold `json:"held,omitempty"`      // the hold that is there now; nil: there is none
	Was       *EnvHold `json:"was,omitempty"`       // the one that was there before; nil: there was none
	Deploying *Holder  `json:"deploying,omitempty"` // the run that deploys meanwhile: a hold does not stop it
	// Next is what the next automatic deployment brings, after a hold has ended; nil: pipe.yaml does not say.
	Next *NextDeployment `json:"next,omitempty"`
}

// NextDeployment is what comes to an environment when nobody asks for more; nothing does when it is empty.
type NextDeployment struct {
	Branch  string `json:"branch,omitempty"`  // whose runs deploy here
	Commit  string `json:"commit,omitempty"`  // its newest commit that is known here
	From    string `json:"from,omitempty"`    // the environment from which releases are promoted
	Pin     string `json:"pin,omitempty"`     // the file that names the release
	Release string `json:"release,omitempty"` // the release
	Live    bool   `json:"live,omitempty"`    // it is live already
}

// HoldEnvironment keeps automatic deployments away from an environment until it is resumed. A
// deployment that goes on is not stopped.
func (p *Project) HoldEnvironment(ctx context.Context, name, reason string) (*HeldEnvironment, error) {
	e, before, _, err := p.known(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := e.Hold(ctx, reason); err != nil {
		return nil, err
	}
	s, err := e.Look(ctx)
	if err != nil {
		return nil, err
	}
	return &HeldEnvironment{Env: name, Held: holdOf(s.Hold), Was: holdOf(before.Hold), Deploying: holderOf(s)}, nil
}

// ResumeEnvironment ends a hold, and says what the next automatic deployment brings. Where
// nothing is held, nothing is written.
func (p *Project) ResumeEnvironment(ctx context.Context, name string) (*HeldEnvironment, error) {
	e, s, d, err := p.known(ctx, name)
	if err != nil {
		return nil, err
	}
	out := &HeldEnvironment{Env: name, Deploying: holderOf(s)}
	if s.Hold != nil {
		old, err := e.Resume(ctx)
		if err != nil {
			return nil, err
		}
		out.Was = holdOf(old)
	}
	if d != nil {
		out.Next = p.next(ctx, s, d)
	}
	return out, nil
}

// next says what comes to an environment on its own, as far as that is cheap to find out: by
// a file, git as it is here, or one other state. What cannot be found out is left open: the hold has
// ended in any case.
func (p *Project) next(ctx context.Context, s *release.Sight, d *spec.Environment) *NextDeployment {
	n := &NextDeployment{}
	var id release.ID
	switch {
	case d.Auto == "":
		return n // nothing comes on its own
	case d.Pin != "":
		n.Branch, n.Pin = d.Auto, string(d.Pin)
		id, _ = p.pin(ctx, d)
	case d.Promoted():
		n.From = d.From[0]
		if x, err := p.verifiedIn(ctx, n.From); err == nil {
			id, n.Commit = x.Release, x.Commit
		}
	default:
		n.Branch = d.Auto
		if p.repo != nil {
			for _, ref := range []string{"refs/remotes/origin/" + d.Auto, "refs/heads/" + d.Auto} {
				if n.Commit == "" {
					n.Commit, _ = p.repo.Resolve(ctx, ref)
				}
			}
		}
	}
	n.Release = idText(id)
	n.Live = !id.IsZero() && id == s.Live
	for _, st := range s.Stages {
		n.Live = n.Live || id.IsZero() && n.Commit != "" && st.Commit == n.Commit && st.Status == action.StatusOK
	}
	return n
}
