package pipe

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/deploy"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/yamldoc"
)

// DeployOptions say what Deploy does. With Envs alone it builds what is needed, and deploys that.
type DeployOptions struct {
	Envs           []string          // environments, and groups of them; empty with Auto: all
	Release        string            // deploy this release and build nothing: its name, or the beginning of it
	Commit         string            // deploy the release that this commit made, and build nothing
	Only, Skip     []string          // stages, as patterns with *
	Set            map[string]string // values of variables, before those of the environment
	Sources        map[string]string // refs of sources for this run alone, by their names
	Params         map[string]string // as in ReproOptions
	Force          bool              // run the commands though this version is live
	Hold           bool              // keep a hold that is there, or set one
	Auto           bool              // as a CI system does: obey auto:, pins, holds and newer commits
	Dry            bool              // only say what would be done
	CreateEnv      bool              // without environments: in pipe.yaml, an environment may be new
	Jobs           int               // stages at once; 0: the number of CPUs
	KeepGoing      bool              // after a failure, go on with what does not depend on it
	TrustLock      bool              // as in ReproOptions
	RebuildMissing bool              // as in ReproOptions
	PastBarrier    bool              // a rollback may change a stage with barrier: true
	Reason         string            // for the history
}

// Deployed is what became of each environment.
type Deployed struct {
	Environments []DeployedTo `json:"environments"` // in the order in which they were named
	Pending      bool         `json:"pending"`      // something would be deployed; of a dry run
}

// The outcomes of a deployment to one environment.
const (
	DeployedOK    = "deployed"
	DeployCurrent = "current"    // all of it was live
	DeployHeld    = "held"       // a hold keeps it away
	DeployNewer   = "superseded" // a newer commit is there, or waits
	DeployFailed  = "failed"
	DeployBusy    = "busy"    // another run deploys, and this one was not to wait
	DeployRefused = "refused" // a rule does not allow it
	DeployWaiting = "waiting" // for an approval
	DeployOff     = "off"     // it is not automatic
	DeployPlanned = "planned" // of a dry run: it would be deployed
)

// DeployedTo is what became of one environment.
type DeployedTo struct {
	Env     string        `json:"env"`               // its name
	Outcome string        `json:"outcome"`           // one of the constants
	Why     string        `json:"why,omitempty"`     // for people
	N       uint64        `json:"n,omitempty"`       // number of the deployment
	Release string        `json:"release,omitempty"` // its name
	Commit  string        `json:"commit,omitempty"`  // that made it
	Stages  []StageResult `json:"stages,omitempty"`  // what was done about each

	Plan     string      `json:"plan,omitempty"`     // digest of what is live and what shall be; empty where it is not known
	Approval *Approval   `json:"approval,omitempty"` // who must agree to the plan, and who has
	Rollback *DeployedTo `json:"rollback,omitempty"` // what on_fail: rollback did
}

// target is one environment that is deployed to.
type target struct {
	conf  *spec.Environment
	env   *release.Environment
	state *release.State
	given map[string]string // values of its variables
	gate  *gate
	// worked is what the deployment that a rollback goes back to did, if it worked.
	worked map[string]release.Attempt

	origin origin
	work   *deploy.Work
	verbs  map[string]action.Verdict
	order  []string // of stages, for people
	done   bool     // what is to say is said
	result DeployedTo
	err    error
}

// origin is where a release comes from: the workspace, or the store.
type origin interface {
	// For describes the deployment to an environment.
	For(ctx context.Context, s *release.State, given map[string]string) (*deploy.Work, map[string]action.Verdict, error)
	// Supply brings what the pending stages need to where their commands take it from.
	Supply(ctx context.Context, env *release.Environment, w *deploy.Work, pending []string) error
}

// environmentsAtOnce is how many environments are deployed to at the same time.
const environmentsAtOnce = 16

// Deploy brings environments to the release that the workspace makes, or to another one that
// exists. It builds what is needed first, and holds an environment only while its commands run. The
// result is there beside an error.
func (p *Project) Deploy(ctx context.Context, opt DeployOptions) (*Deployed, error) {
	if len(opt.Envs) == 0 && !opt.Auto {
		return nil, diag.New(diag.Usage, "name an environment to deploy to").Hinted("pipe deploy staging")
	}
	if len(opt.Envs) == 0 && !p.spec.DeclaresEnvironments() {
		return nil, diag.New(diag.Usage, "pipe.yaml has no environments, so none is deployed to automatically").Hinted("pipe deploy staging, or write environments: {staging: {auto: main}}")
	}
	undo, err := p.setParams(opt.Params)
	if err != nil {
		return nil, err
	}
	defer undo()
	targets, err := p.targetsOf(ctx, &opt)
	if err != nil {
		return nil, err
	}
	return p.rollout(ctx, &rollouts{p: p, opt: &opt, targets: targets})
}

// rollout runs the deployments, and keeps gc out of the cache meanwhile.
func (p *Project) rollout(ctx context.Context, r *rollouts) (_ *Deployed, err error) {
	unlock, err := p.useCache(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	err = r.run(ctx)
	return r.deployed(), err
}

// targetsOf opens the environments that the options name. No network.
func (p *Project) targetsOf(ctx context.Context, opt *DeployOptions) (targets []*target, err error) {
	all, err := p.declared()
	if err != nil {
		return nil, err
	}
	var confs []*spec.Environment
	for _, name := range opt.Envs {
		if slices.Contains(all.Groups, name) {
			confs = append(confs, all.Members(name)...)
			continue
		}
		e, err := all.Find(name)
		if err != nil {
			return nil, err
		}
		confs = append(confs, e)
	}
	for i := range all.All {
		if len(opt.Envs) == 0 && !all.All[i].IsPattern() {
			confs = append(confs, &all.All[i])
		}
	}
	seen := map[string]bool{}
	for _, c := range confs {
		if seen[c.Name] {
			continue
		}
		seen[c.Name] = true
		t, err := p.target(ctx, c, opt)
		if err != nil {
			return nil, err
		}
		targets = append(targets, t)
	}
	return targets, p.knownValues(opt)
}

// knownValues refuses values of variables that no deploy stage lists: a typing error would go
// unseen.
func (p *Project) knownValues(opt *DeployOptions) error {
	var names []string
	stages, unread := p.withEnv().full.Stages, p.withEnv().unread
	for i := range stages {
		if s := &stages[i]; s.Deploy {
			for _, e := range s.Env {
				names = append(names, e.Name)
			}
		}
	}
	for _, k := range slices.Sorted(maps.Keys(opt.Set)) {
		if len(unread) > 0 {
			break // who reads the files for good reports what is wrong with them
		}
		if !slices.Contains(names, k) {
			return unknownName("--set "+k+": no deploy stage lists this variable in its env", k, names)
		}
	}
	return nil
}

// unknownName is a usage error with the nearest name.
func unknownName(what, name string, names []string) error {
	e := diag.New(diag.Usage, "%s", what)
	slices.Sort(names)
	names = slices.Compact(names)
	if near := yamldoc.Nearest(name, names); near != "" {
		return e.Hinted("did you mean %s?", near)
	}
	if len(names) > 0 {
		return e.Hinted("known: %s", strings.Join(names, ", "))
	}
	return e
}

// declared reads the environments that pipe.yaml and its each: files declare.
func (p *Project) declared() (*spec.Environments, error) {
	return p.spec.Expand(p.file)
}

func (p *Project) target(ctx context.Context, c *spec.Environment, opt *DeployOptions) (*target, error) {
	env, err := p.environment(ctx, c.Name, opt.CreateEnv || p.spec.DeclaresEnvironments())
	if err != nil {
		return nil, err
	}
	t := &target{conf: c, env: env, given: given(c), result: DeployedTo{Env: c.Name}}
	maps.Copy(t.given, opt.Set)
	return t, nil
}

// given returns the values that an environment gives to variables.
func given(c *spec.Environment) map[string]string {
	values := map[string]string{}
	for _, v := range c.Env {
		values[v.Name] = v.Value
	}
	return values
}

// valuesOf is given for an environment by its name.
func (p *Project) valuesOf(name string) (map[string]string, error) {
	all, err := p.declared()
	if err != nil {
		return nil, err
	}
	c, err := all.Find(name)
	if err != nil {
		return nil, err
	}
	return given(c), nil
}
