package local

import (
	"context"
	"errors"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// attempts calls run until the stage's command succeeds, as often as the stage says. It returns how many
// seconds the commands took. There is no wait between: what needs one has a sleep in its command. All attempts live by the same beats: a further one proves nothing.
func (r *Runner) attempts(ctx context.Context, job *action.Job, run func(*shell.Keep) (float64, error)) (seconds float64, err error) {
	keep, stop := r.keep(job)
	defer stop()
	for n := 1; ; n++ {
		took, err := run(keep)
		seconds += took
		// A run that was interrupted, or lost its lease, is over whatever its command says.
		if n > job.Stage.Retries || !flaky(err) || ctx.Err() != nil {
			return seconds, err
		}
		if job.Again != nil {
			job.Again(n+1, err)
		}
	}
}

// flaky reports whether a command may succeed when it runs again: it ended by itself, or by its timeout. A
// deployment that verify has turned down was tried often enough by verify's own retries.
func flaky(err error) bool {
	var exit *shell.ExitError
	return (errors.As(err, &exit) || errors.Is(err, action.ErrTimeout)) && !errors.Is(err, action.ErrVerify)
}

// ready removes what lies at the outputs, and puts copies of the persistent ones there: as the first attempt
// began, so does each. Reports go last: what fails before the command starts costs none.
func (r *Runner) ready(ctx context.Context, job *action.Job, persist map[repopath.Path]artifact.Output) error {
	var reports []repopath.Path
	for _, o := range job.Stage.Outs {
		if o.Report {
			reports = append(reports, o.Path)
			continue
		}
		if err := r.clear(o.Path); err != nil {
			return err
		}
		if old, ok := persist[o.Path]; ok {
			if err := r.checkout(ctx, old, nil); err != nil {
				return err
			}
		}
	}
	for _, p := range reports {
		if err := r.clear(p); err != nil {
			return err
		}
	}
	return nil
}
