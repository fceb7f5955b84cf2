package pipe

import (
	"context"
	"errors"
	"fmt"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/deploy"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/release"
)

// DriftReport says whether what runs in an environment is what was deployed.
type DriftReport struct {
	Env     string       `json:"env"`     // the environment
	Drifted bool         `json:"drifted"` // of some stage something else runs
	Stages  []DriftStage `json:"stages"`  // sorted by name
}

// DriftStage is one stage of a DriftReport.
type DriftStage struct {
	Stage   string  `json:"stage"`             // its name
	Found   string  `json:"found"`             // same, drifted, or unchecked
	Why     string  `json:"why,omitempty"`     // why it was not checked, or the next deployment does not run it
	Exit    int     `json:"exit,omitempty"`    // of its drift command
	Seconds float64 `json:"seconds,omitempty"` // how long that took
	Output  string  `json:"output,omitempty"`  // what that printed, secrets masked
}

// The values of DriftStage.Found.
const (
	driftNone  = "same"
	driftFound = "drifted"
	driftNot   = "unchecked"
)

// Drift runs the drift command of each stage that is live, or of which nobody knows. A stage of which
// something else runs is unknown from then on, so that the next deployment runs it. An error of one command keeps no other back.
func (p *Project) Drift(ctx context.Context, name string) (*DriftReport, error) {
	e, s, d, err := p.known(ctx, name)
	if err != nil {
		return nil, err
	}
	parts, err := e.Parts(ctx, s.State)
	if err != nil {
		return nil, err
	}
	r := &DriftReport{Env: name, Stages: []DriftStage{}}
	w := &deploy.Work{Want: release.Want{Stages: map[string]release.Aim{}}}
	for _, st := range describeEnvironment(s, false).Stages {
		x := DriftStage{Stage: st.Stage, Found: driftNot}
		part := parts[st.Stage]
		switch {
		case st.Status != action.StatusOK && st.Status != action.StatusUnknown:
			x.Why = "its state is " + st.Status
		case part.Drift == "":
			x.Why = "it has no drift command"
		default:
			x.Found = ""
			part.Cmd, part.Verify, part.Retries = []string{part.Drift}, nil, 0 // a failure is the answer
			w.Stages[st.Stage] = release.Aim{Part: part, Key: s.Stages[st.Stage].Key}
		}
		r.Stages = append(r.Stages, x)
	}
	if len(w.Stages) == 0 {
		return r, nil
	}
	if err := p.supplied(w, s, d); err != nil {
		return nil, err
	}
	return r, p.withDeployer(ctx, "env drift", e, w, func(d *deploy.Deployer) error { return r.run(ctx, d, w, s) })
}

// run runs the commands.
func (r *DriftReport) run(ctx context.Context, d *deploy.Deployer, w *deploy.Work, s *release.Sight) error {
	errs := make([]error, len(r.Stages))
	err := par.Each(ctx, len(r.Stages), d.Jobs, func(ctx context.Context, i int) error {
		if x := &r.Stages[i]; x.Found == "" {
			errs[i] = x.run(ctx, d, w, s)
		}
		return nil
	})
	for i := range r.Stages {
		r.Drifted = r.Drifted || r.Stages[i].Found == driftFound
	}
	return errors.Join(append(errs, err)...)
}

// run runs the command of one stage, and tells the environment what it has found.
func (x *DriftStage) run(ctx context.Context, d *deploy.Deployer, w *deploy.Work, s *release.Sight) error {
	n, status := s.Stages[x.Stage].N, s.Stages[x.Stage].Status
	found, err := d.Drift(ctx, w, x.Stage, deploy.ID{Token: fmt.Sprintf("%s-%d", s.Env, n), Epoch: s.Epoch})
	if err != nil {
		x.Found, x.Why = driftNot, err.Error()
		return err
	}
	x.Found, x.Exit, x.Seconds, x.Output = driftNone, found.Exit, found.Seconds, found.Output
	if !found.Found {
		return nil
	}
	marked, err := d.Env.Drifted(ctx, x.Stage, n)
	x.Found = driftFound
	if err == nil && !marked && status == action.StatusOK {
		x.Found, x.Why = driftNot, "it was deployed again meanwhile"
	}
	return err
}
