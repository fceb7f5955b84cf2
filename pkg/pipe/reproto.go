package pipe

import (
	"context"
	"slices"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/pkg/event"
)

// DeploysTo returns the environment in pipe.yaml that Options.Env asks to deploy to. It is empty
// where pipe.yaml has no environments, or none was asked for: then Repro and Plan are about builds.
func (p *Project) DeploysTo() string {
	if !p.spec.DeclaresEnvironments() || !p.envAsked {
		return ""
	}
	return p.opt.Env
}

// AsDeploy returns what a run with the options is as a deployment to the environment in Options.Env.
func (p *Project) AsDeploy(opt ReproOptions) (DeployOptions, error) {
	o := DeployOptions{
		Envs: []string{p.opt.Env}, Only: opt.Only, Skip: opt.Skip, Sources: opt.Sources, Params: opt.Params, Force: opt.Force, Jobs: opt.Jobs, KeepGoing: opt.KeepGoing,
		TrustLock: opt.TrustLock, RebuildMissing: opt.RebuildMissing,
	}
	if len(opt.Targets) > 0 || opt.Single || opt.Downstream || opt.Pipeline || opt.NoPull {
		return o, diag.New(diag.Usage, "pipe.yaml has environments, so --env cannot be combined with stages, --single, --downstream, --pipeline or --no-pull").
			Hinted("pipe deploy %s --only STAGE", p.opt.Env)
	}
	return o, nil
}

// reproTo is Repro with an environment that pipe.yaml has.
func (p *Project) reproTo(ctx context.Context, opt ReproOptions) (*Result, error) {
	began := p.opt.Now()
	o, err := p.AsDeploy(opt)
	if err != nil {
		return nil, err
	}
	d, err := p.Deploy(ctx, o)
	if d == nil {
		return nil, err
	}
	r := &Result{Stages: []StageResult{}}
	for _, t := range d.Environments {
		r.Stages = append(r.Stages, t.Stages...)
	}
	for _, s := range r.Stages {
		switch {
		case s.Error != "":
			r.Counts.Failed++
		case s.Verb == event.Skip:
			r.Counts.Skipped++
		case s.Verb == event.Omit:
			r.Counts.Omitted++
		case err != nil:
			r.Counts.Not++
		default:
			r.Counts.Ran++
		}
	}
	r.Counts.Seconds = p.opt.Now().Sub(began).Seconds()
	return r, err
}

// listDeploys says of the deploy stages that were left out what deploys them.
func (p *Project) listDeploys(opt ReproOptions, r *Result) {
	for _, name := range p.deployStages() {
		if len(opt.Targets) > 0 && !opt.Downstream && !opt.Pipeline && !slices.Contains(opt.Targets, name) {
			continue
		}
		s := StageResult{Stage: name, Deploy: true, Verb: event.Skip, Because: []event.Reason{{Code: event.ByDeploy}}}
		r.Stages = append(r.Stages, s)
		p.emit(event.Event{Schema: event.Schema, Type: event.Decided, Stage: name, Deploy: true, Verb: s.Verb, Because: s.Because})
	}
}
