package pipe

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

// Environments are those that exist: something was deployed there, or was to be.
type Environments struct {
	Remote       string        `json:"remote,omitempty"` // where they are kept; empty: in this workspace alone
	Environments []Environment `json:"environments"`     // sorted by name
}

// Environment is one of them.
type Environment struct {
	Name      string          `json:"env"`                 // as --env takes it
	Stages    []DeployedStage `json:"stages"`              // sorted by name
	Live      string          `json:"live,omitempty"`      // the release of which every stage is live; empty: of none
	Held      *EnvHold        `json:"held,omitempty"`      // what keeps deployments away; nil: nothing
	Deploying *Holder         `json:"deploying,omitempty"` // the run that deploys; nil: none does
	Behind    bool            `json:"behind,omitempty"`    // HEAD has changes after all commits that are live; false also where git cannot tell
}

// DeployedStage is what a deploy stage's last deployment to an environment was.
type DeployedStage struct {
	Stage      string            `json:"stage"`              // its name; pipe.yaml may have no such stage any more
	Status     string            `json:"status"`             // ok: live; failed, deploying, or unknown: its run died
	Key        string            `json:"key"`                // of the version
	Artifacts  []artifact.Output `json:"artifacts"`          // outputs that it got; empty when it got sources alone
	Closure    digest.Digest     `json:"closure"`            // of the tree of all files that it got
	Commit     string            `json:"commit,omitempty"`   // HEAD's hash at that time
	At         time.Time         `json:"at"`                 // since when the status is this one
	By         string            `json:"by,omitempty"`       // who deployed
	Deployment string            `json:"deployment"`         // its unique name
	N          uint64            `json:"n"`                  // its number
	Release    string            `json:"release,omitempty"`  // that it came with
	Was        string            `json:"was,omitempty"`      // key of the version before
	Dirty      bool              `json:"dirty,omitempty"`    // inputs were edited after that commit
	Override   bool              `json:"override,omitempty"` // other sources or values than the commit's were asked for
	Values     map[string]string `json:"values,omitempty"`   // of its variables, as pipe.yaml or --set gave them
	Gone       uint64            `json:"gone,omitempty"`     // deployment since which no release has the stage; 0: releases have it
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
		list.Remote = p.home.URL()
		// An empty list of a remote that is not mounted says nothing.
		if err := store.Present(ctx, p.home); err != nil {
			return nil, err
		}
	}
	states, err := release.All(ctx, cells, o)
	b := p.behind(ctx)
	for _, s := range states {
		list.Environments = append(list.Environments, describeEnvironment(s, b(s)))
	}
	return list, err
}

// describeEnvironment is a state as answers have it.
func describeEnvironment(s *release.Sight, behind bool) Environment {
	env := Environment{Name: s.Env, Live: idText(s.Live), Held: holdOf(s.Hold), Deploying: holderOf(s), Behind: behind, Stages: []DeployedStage{}}
	for _, name := range slices.Sorted(maps.Keys(s.Stages)) {
		st := s.Stages[name]
		d := DeployedStage{
			Stage: name, Status: s.Status(name), Key: st.Key.String(), Release: idText(st.Release), Artifacts: append([]artifact.Output{}, st.Artifacts...), Closure: st.Closure,
			Commit: st.Commit, Dirty: st.Dirty, Override: st.Override, Values: st.Values, At: st.At, By: st.By,
			Deployment: fmt.Sprintf("%s-%d", s.Env, st.N), N: st.N, Gone: st.Gone,
		}
		if !st.Was.IsZero() {
			d.Was = st.Was.String()
		}
		env.Stages = append(env.Stages, d)
	}
	return env
}

// behind returns what tells whether HEAD has changes of the project after all commits that are live in an
// environment.
// Only git is asked, as it is here: an edge of a shallow clone hides the answer.
func (p *Project) behind(ctx context.Context) func(*release.Sight) bool {
	head := p.commit(ctx)
	if head == "" || p.repo.Shallow() {
		return func(*release.Sight) bool { return false }
	}
	before := map[string]bool{head: false}
	return func(s *release.Sight) bool {
		if s.Head != nil && s.Head.Commit == head {
			return false // a run of CI has found all of it live
		}
		found := false
		for _, st := range s.Stages {
			if st.Commit == "" || st.Gone > 0 || st.Status != action.StatusOK {
				continue
			}
			if _, ok := before[st.Commit]; !ok {
				older, known, err := p.older(ctx, st.Commit, head)
				before[st.Commit] = older && known && err == nil
				// The commit of pipe.lock that follows a deployment brings nothing to deploy.
				if same, known, err := p.repo.Same(ctx, st.Commit, head, p.at(), p.at().Child(lockfile.FileName)); err == nil && known && same {
					before[st.Commit] = false
				}
			}
			if !before[st.Commit] {
				return false // HEAD itself is there, or what it does not have
			}
			found = true
		}
		return found
	}
}
