package pipe

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
)

// Environments are those that exist: something was deployed there, or was to be.
type Environments struct {
	Remote       string        `json:"remote,omitempty"` // where they are kept; empty: in this workspace alone
	Environments []Environment `json:"environments"`     // sorted by name
}

// Environment is one of them.
type Environment struct {
	Name   string          `json:"env"`    // as --env takes it
	Stages []DeployedStage `json:"stages"` // sorted by name
}

// DeployedStage is what a deploy stage's last deployment to an environment was.
type DeployedStage struct {
	Stage      string            `json:"stage"`            // its name; pipe.yaml may have no such stage any more
	Status     string            `json:"status"`           // ok: live; failed, unknown, or deploying: it has not ended, or its run died
	Key        string            `json:"key"`              // of the version
	Artifacts  []artifact.Output `json:"artifacts"`        // outputs that it got; empty when it got sources alone
	Closure    digest.Digest     `json:"closure"`          // of the tree of all files that it got
	Commit     string            `json:"commit,omitempty"` // HEAD's hash at that time
	At         time.Time         `json:"at"`               // since when the status is this one
	By         string            `json:"by,omitempty"`     // who deployed
	Deployment string            `json:"deployment"`       // its unique name
}

// Environments lists the project's environments with what was deployed there, as their
// states say it now. Those that cannot be read are left out, and named by the error.
func (p *Project) Environments(ctx context.Context) (*Environments, error) {
	cells, o, err := p.environments(ctx)
	if err != nil {
		return nil, err
	}
	list := &Environments{Environments: []Environment{}}
	if o.Project != "" {
		list.Remote = p.remote.URL()
		// An empty list of a remote that is not mounted says nothing.
		if err := store.Present(ctx, p.remote); err != nil {
			return nil, err
		}
	}
	states, err := release.All(ctx, cells, o)
	for _, s := range states {
		e := Environment{Name: s.Env, Stages: []DeployedStage{}}
		for _, name := range slices.Sorted(maps.Keys(s.Stages)) {
			st := s.Stages[name]
			e.Stages = append(e.Stages, DeployedStage{
				Stage: name, Status: st.Status, Key: st.Key.String(), Artifacts: append([]artifact.Output{}, st.Artifacts...), Closure: st.Closure,
				Commit: st.Commit, At: st.At, By: st.By, Deployment: fmt.Sprintf("%s-%d", s.Env, st.N),
			})
		}
		list.Environments = append(list.Environments, e)
	}
	return list, err
}
