package deploy

import (
	"context"
	"errors"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/runlog"
	"github.com/pipe-build/pipe/pkg/event"
)

// job describes the stage's commands to the runner. What another run has deployed meanwhile may
// make a stage pending whose objects are not here yet.
func (d *Deployer) job(ctx context.Context, w *Work, name string, id ID) (*action.Job, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	p := w.part(name)
	s, in := p.Stage(name, w.Values[name])
	env := d.environ(w, name, id)
	if base := w.Base[name]; base != nil {
		job := *base
		job.Env = env
		return &job, nil
	}
	if err := d.Fetch(ctx, w, []string{name}); err != nil {
		return nil, err
	}
	tree, err := d.Carrier.Tree(ctx, p.Output().Path, p.Closure)
	if err != nil {
		return nil, err
	}
	return &action.Job{Stage: s, Inputs: tree, Under: p.Dir, Params: in.Params, Fresh: true, Env: env}, nil
}

// execute runs a job, and tells and keeps what it prints.
func (d *Deployer) execute(ctx context.Context, name string, job *action.Job, verb event.Verb, log *runlog.Output) (*action.Made, error) {
	d.Emit(event.Event{Schema: event.Schema, Type: event.Started, Stage: name, Deploy: true, Verb: verb})
	job.Again = func(attempt int, failed error) { d.Emit(log.Again(job.Stage, attempt, failed)) }
	job.Line = func(line []byte) {
		if text, ok := log.Add(line); ok {
			d.Emit(event.Event{Schema: event.Schema, Type: event.Output, Stage: name, Text: text})
		}
	}
	made, err := d.Runner.Run(ctx, job)
	if err == nil {
		err = made.Settle(true)
	}
	return made, err
}

// kind is what a stage's run is called among those of this machine.
func (r *rollout) kind() string {
	if r.work.Kind == release.KindDestroy {
		return "undeploy"
	}
	return "deploy"
}

// explain gives a command that takes a stage down its own next step: it comes from the release.
func (r *rollout) explain(err error) error {
	failed := (*diag.Error)(nil)
	if r.work.Kind != release.KindDestroy || !errors.As(err, &failed) || failed.Kind != diag.Stage {
		return err
	}
	return failed.Hinted("run pipe env destroy %s again when the cause is gone; a new undeploy command counts once it is deployed (--force)", r.Env.Name())
}
