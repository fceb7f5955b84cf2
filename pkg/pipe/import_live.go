package pipe

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/local"
	"github.com/pipe-build/pipe/internal/release"
)

// deployed notes in the environment that the deploy stages which are up to date by dvc.lock are live: a
// deployment like any other, number, history and release included, whose commands are not run.
func (im *importing) deployed(ctx context.Context, opt Options) (err error) {
	var stages []string
	for _, s := range im.stages {
		if s.Deploy && s.carried {
			stages = append(stages, s.Name)
		}
	}
	if len(stages) == 0 {
		return nil
	}
	env := cmp.Or(opt.Env, release.Default)
	opt.Emit = nil // the events of a deployment would say that its commands run
	p, err := Open(ctx, opt)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	p.assumed = true
	_, err = p.Deploy(ctx, DeployOptions{Envs: []string{env}, Only: stages, CreateEnv: true, Reason: "pipe import dvc --deployed: live by dvc.lock"})
	if err == nil {
		im.r.Deployed = stages
	}
	return err
}

// sayDeploys says what becomes of the deploy stages.
func (im *importing) sayDeploys() {
	var stale []string
	for _, s := range im.stages {
		switch {
		case !s.Deploy:
		case s.carried && im.how.Deployed:
		case s.carried:
			s.carried, s.why, s.do = false, "dvc.lock cannot say whether it is live", "the first pipe repro deploys it; if it is live, import with --deployed"
		default:
			s.do = "the first pipe repro deploys it"
			stale = append(stale, s.Name)
		}
	}
	if im.how.Deployed && len(stale) > 0 {
		im.note(ImportNote{At: "dvc.lock", What: strings.Join(stale, ", ") + ": not noted as live, because dvc.lock is not up to date there", Do: "run pipe repro to deploy"})
	}
}

// deploys runs deployments on this machine, or none where what they would deploy is live.
func (p *Project) deploys(files *local.Workspace, h *local.Hold) action.Runner {
	if p.assumed {
		return assumedRunner{}
	}
	return p.runner(files, h)
}

// assumedRunner runs nothing, and says that it succeeded.
type assumedRunner struct{}

// Run implements action.Runner.
func (assumedRunner) Run(context.Context, *action.Job) (*action.Made, error) {
	return &action.Made{Earlier: true, Settle: func(bool) error { return nil }}, nil
}
