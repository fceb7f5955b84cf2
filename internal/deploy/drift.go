package deploy

import (
	"context"
	"errors"
	"slices"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/runlog"
	"github.com/pipe-build/pipe/pkg/event"
)

// Drift is what a command found that compares what runs with what was deployed.
type Drift struct {
	Found   bool // something else runs: the command failed
	Exit    int
	Seconds float64
	Output  string // masked
}

// Drift runs the command of a stage's part in w as the deployment id has run the stage's own, but without
// holding the environment: it only looks. A command that was ended, by a signal or by its
// timeout, has found nothing and is an error.
func (d *Deployer) Drift(ctx context.Context, w *Work, name string, id ID) (*Drift, error) {
	job, err := d.job(ctx, w, name, id)
	if err != nil {
		return nil, err
	}
	log := runlog.NewOutput(slices.Concat(w.Values[name], w.Passed[name])) // in the answer alone: pipe log shows deployments
	began := d.Now()
	_, err = d.execute(ctx, name, job, event.Drift, log)
	found := &Drift{Seconds: d.Now().Sub(began).Seconds()}
	found.Output = string(log.Bytes())
	found.Exit = runlog.ExitCode(err)
	if found.Exit > 0 && !errors.Is(err, action.ErrTimeout) && ctx.Err() == nil {
		found.Found, err = true, nil
	}
	if err != nil {
		d.Emit(event.Event{
			Schema: event.Schema, Type: event.Failed, Stage: name, Deploy: true, Text: err.Error(), How: runlog.HowFailed(err), Exit: found.Exit,
		})
		return nil, log.Explain(job.Stage, err)
	}
	d.Emit(event.Event{Schema: event.Schema, Type: event.Done, Stage: name, Deploy: true, Verb: event.Drift, Seconds: found.Seconds, Exit: found.Exit})
	return found, nil
}
