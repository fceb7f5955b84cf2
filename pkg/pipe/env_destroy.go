package pipe

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/deploy"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/spec"
)

// Destroyed is what DestroyEnvironment did.
type Destroyed struct {
	Env   string   `json:"env"`         // the environment
	N     uint64   `json:"n,omitempty"` // number of the deployment that took its stages down; 0: nothing was live
	Down  []string `json:"down"`        // stages that were taken down
	Left  []string `json:"left"`        // stages that are still there
	Empty bool     `json:"empty"`       // no stage is left
}

// DestroyEnvironment runs the undeploy command of each stage that is live, each before those that it
// needs, and drops it from the state. A stage without such a command refuses it all. confirm is asked
// before, and told the stages in their order; it is asked again when another deployment came in between. Where
// nothing is live there is nothing to do.
func (p *Project) DestroyEnvironment(ctx context.Context, name string, confirm func(stages []string) error) (*Destroyed, error) {
	out := &Destroyed{Env: name, Down: []string{}, Left: []string{}, Empty: true}
	for {
		e, s, d, err := p.known(ctx, name)
		if err != nil {
			return nil, err
		}
		if len(s.Stages) == 0 && s.Holder() == nil {
			return out, nil
		}
		w, err := p.teardown(ctx, e, s, d)
		if err == nil && len(w.Stages) > 0 {
			err = confirm(w.Order())
		}
		if err != nil {
			return nil, err
		}
		var result *deploy.Result
		err = p.withDeployer(ctx, "env destroy", e, w, func(d *deploy.Deployer) error {
			// Before the environment is taken: what is nowhere must not be found out half way.
			if err := d.Fetch(ctx, w, slices.Sorted(maps.Keys(w.Stages))); err != nil {
				return err
			}
			result, err = d.Run(ctx, w)
			return err
		})
		if errors.Is(err, release.ErrMoved) || err == nil && result.Entry == nil {
			continue // another deployment came in between, and what it left is to be destroyed
		}
		if result == nil || result.Entry == nil {
			return nil, err
		}
		out.took(result)
		return out, err
	}
}

// teardown plans it. Nothing is run where something would be left that nobody can take down.
func (p *Project) teardown(ctx context.Context, e *release.Environment, s *release.Sight, d *spec.Environment) (*deploy.Work, error) {
	parts, err := e.Parts(ctx, s.State)
	if err != nil {
		return nil, err
	}
	var without []string
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		if parts[name].Undeploy == "" {
			without = append(without, name)
		}
	}
	if len(without) > 0 {
		return nil, diag.New(diag.Policy, "nothing was destroyed in %s: no undeploy command was deployed with %s", s.Env, strings.Join(without, ", ")).
			Hinted("add undeploy: to %s in pipe.yaml and deploy again, or leave it running with pipe env forget %s %s", without[0], s.Env, without[0])
	}
	w := &deploy.Work{Want: e.Teardown(s.State, parts)}
	w.Commit, w.NoWait = p.commit(ctx), p.opt.NoWait
	return w, p.supplied(w, s, d)
}

// took takes over what became of the stages.
func (d *Destroyed) took(r *deploy.Result) {
	d.N = r.Entry.N
	for _, name := range slices.Sorted(maps.Keys(r.Entry.Stages)) {
		if r.Entry.Stages[name].Status == "" {
			d.Down = append(d.Down, name)
		} else {
			d.Left = append(d.Left, name)
		}
	}
	d.Empty = len(d.Left) == 0
}
