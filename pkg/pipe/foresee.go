package pipe

import (
	"cmp"
	"context"
	"runtime"
	"slices"

	"github.com/pipe-build/pipe/internal/deploy"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/engine"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/event"
)

// PlanEnvironments says what would be deployed to each environment in pipe.yaml. What cannot be found out is said
// there, and is no failure: a pull request may have no credentials.
func (p *Project) PlanEnvironments(ctx context.Context) ([]DeployedTo, error) {
	if !p.spec.DeclaresEnvironments() {
		return nil, nil
	}
	all, err := p.declared()
	if err != nil {
		return nil, err
	}
	planned, err := p.planEach(ctx, all, func(*spec.Environment) bool { return true })
	if ctx.Err() != nil {
		return nil, err
	}
	if planned == nil && err != nil {
		p.note("what would be deployed is not known: " + diag.All(err)[0].What)
	}
	return planned, nil
}

// planEach says what would be deployed to some of the environments.
func (p *Project) planEach(ctx context.Context, all *spec.Environments, wanted func(*spec.Environment) bool) ([]DeployedTo, error) {
	opt := DeployOptions{Dry: true}
	for i := range all.All {
		if e := &all.All[i]; !e.IsPattern() && wanted(e) {
			opt.Envs = append(opt.Envs, e.Name)
		}
	}
	if len(opt.Envs) == 0 {
		return nil, nil
	}
	d, err := p.Deploy(ctx, opt)
	if d == nil {
		return nil, err
	}
	return d.Environments, err
}

// foresee says what would become of the targets, and changes nothing. Targets that would get the
// workspace's own release are looked at one after the other, because they look at the same files.
func (r *rollouts) foresee(ctx context.Context, targets []*target) error {
	stored := slices.DeleteFunc(slices.Clone(targets), func(t *target) bool { return t.origin == nil })
	if err := r.each(ctx, stored, r.judge); err != nil {
		return err
	}
	mine := slices.DeleteFunc(unsettled(targets), func(t *target) bool { return t.origin != nil })
	for i, t := range mine {
		if err := r.dryRun(ctx, t, i == 0); ctx.Err() != nil {
			return err
		} else if err != nil {
			r.refuse(t, err)
		}
	}
	for _, t := range unsettled(targets) {
		t.settle(DeployPlanned, "", nil)
	}
	return nil
}

// dryRun decides about all stages as a deployment would, builds among them. What waits for a build
// has no key yet, so it is not known who has approved it either. first tells to speak of builds.
func (r *rollouts) dryRun(ctx context.Context, t *target, first bool) error {
	p, o := r.p, r.opt
	stages, omit, err := p.choose(o, p.deployStages())
	if err == nil {
		_, err = p.needed(stages)
	}
	if err != nil {
		return err
	}
	lock, err := p.lock()
	if err != nil {
		return err
	}
	if err := p.lookAtSources(ctx, lock, o.Sources); err != nil {
		return err
	}
	e, err := p.engine(ctx, ReproOptions{Sources: o.Sources, TrustLock: o.TrustLock, RebuildMissing: o.RebuildMissing}, nil)
	if err != nil {
		return err
	}
	e.Env, e.Given = t.env, t.given
	e.Emit = func(ev event.Event) {
		if ev.Deploy {
			r.emit(t, ev)
		} else if first {
			p.emit(ev)
		}
	}
	t.work = &deploy.Work{Want: p.workspaceRelease(ctx)}
	if err := r.describe(ctx, t); err != nil {
		return err
	}
	result, err := e.Run(ctx, lock, engine.Options{
		Targets: stages, Deploys: stages, Jobs: cmp.Or(o.Jobs, runtime.GOMAXPROCS(0)), KeepGoing: true, Force: o.Force,
		TrustLock: o.TrustLock, RebuildMissing: o.RebuildMissing, Dry: true, Want: t.work.Want,
	})
	if result != nil {
		t.result.Stages, t.result.Commit = results(result).Stages, t.work.Commit
		r.tellOmitted(t, omit)
	}
	if err != nil {
		return err
	}
	return r.foreseen(ctx, t, result)
}

// foreseen settles a target by what a dry run has found.
func (r *rollouts) foreseen(ctx context.Context, t *target, result *engine.Result) error {
	if t.planned(); result.Work != nil {
		t.result.Release = result.Work.Release.String()
	}
	switch {
	case result.Refused != nil:
		return r.requested(ctx, t, result.Refused)
	case result.Turned.Do != release.Go:
		t.settle(outcomeOf(result.Turned.Do), result.Turned.Why, nil)
	case len(result.Stages) > 0 && !slices.ContainsFunc(result.Stages, func(o engine.Outcome) bool { return o.Stage.Deploy && o.Verdict.Do != event.Omit }):
		t.settle(DeployCurrent, allOmitted, nil)
	case !result.Pending():
		t.settle(DeployCurrent, "live in "+t.conf.Name, nil)
	}
	return nil
}
