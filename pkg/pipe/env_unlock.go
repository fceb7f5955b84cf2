package pipe

import (
	"context"
	"maps"
	"slices"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/yamldoc"
)

// Unlocked is what UnlockEnvironment did.
type Unlocked struct {
	Env      string   `json:"env"`               // the environment
	Unlocked bool     `json:"unlocked"`          // false: nobody had locked it
	Holder   *Holder  `json:"holder,omitempty"`  // who had it
	Unknown  []string `json:"unknown,omitempty"` // stages of which nobody knows what runs; the next deployment runs them again
}

// UnlockEnvironment takes an environment away from the run that deploys there. confirm is asked before, and
// told who that is; an error of it ends the call. If the run lives, its commands are ended at its next sign of life,
// and until then they go on beside those of the next deployment.
func (p *Project) UnlockEnvironment(ctx context.Context, name string, confirm func(*Holder) error) (*Unlocked, error) {
	e, s, _, err := p.known(ctx, name)
	if err != nil {
		return nil, err
	}
	u := &Unlocked{Env: name, Holder: holderOf(s)}
	if u.Holder == nil {
		return u, nil
	}
	if err := confirm(u.Holder); err != nil {
		return nil, err
	}
	old, err := e.Unlock(ctx, u.Holder.nonce)
	if err != nil {
		return nil, err
	}
	u.Unlocked = old != nil // it may have ended while somebody thought about it
	now, err := e.Look(ctx)
	if err != nil {
		return nil, err
	}
	for _, d := range describeEnvironment(now, false).Stages {
		if d.N == u.Holder.N && d.Status == "unknown" {
			u.Unknown = append(u.Unknown, d.Stage)
		}
	}
	return u, nil
}

// Forgotten is what ForgetStage did.
type Forgotten struct {
	Env   string        `json:"env"`   // the environment
	Stage DeployedStage `json:"stage"` // as the state had it
}

// ForgetStage drops a stage from an environment's state: nothing says any more that it is live.
// What runs goes on to run. confirm is asked before.
func (p *Project) ForgetStage(ctx context.Context, name, stage string, confirm func(*DeployedStage) error) (*Forgotten, error) {
	e, s, _, err := p.known(ctx, name)
	if err != nil {
		return nil, err
	}
	f := &Forgotten{Env: name}
	found := false
	for _, d := range describeEnvironment(s, false).Stages {
		if d.Stage == stage {
			f.Stage, found = d, true
		}
	}
	if !found {
		return nil, p.noStageThere(s, stage)
	}
	if err := confirm(&f.Stage); err != nil {
		return nil, err
	}
	return f, e.Forget(ctx, stage)
}

// noStageThere says that an environment has no stage of a name, and which one may be meant.
func (p *Project) noStageThere(s *release.Sight, stage string) error {
	err := diag.New(diag.Usage, "%s has no stage %q", s.Env, stage).Hinted("pipe env show %s lists its stages", s.Env)
	if near := yamldoc.Nearest(stage, slices.Sorted(maps.Keys(s.Stages))); near != "" {
		return err.Hinted("did you mean %s? pipe env show %s lists its stages", near, s.Env)
	}
	return err
}
