package pipe

import (
	"context"
	"errors"

	"github.com/pipe-build/pipe/internal/deploy"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/spec"
)

// rollBack goes back to the release before when on_fail: rollback asks for that and nothing but
// verify has failed. It is tried once, and the run fails in any case: what was to be deployed is not live.
func (r *rollouts) rollBack(ctx context.Context, t *target, result *deploy.Result) {
	_, verify := result.Failed()
	if t.conf.OnFail != spec.OnFailRollback || !verify || ctx.Err() != nil || t.work.Kind == release.KindRollback {
		return
	}
	reason := "verify of " + t.work.Release.Short() + " failed"
	r.p.note(t.conf.Name + ": " + reason + "; rolling back (on_fail: rollback)")
	d, err := r.p.Rollback(ctx, t.conf.Name, RollbackOptions{DeployOptions: DeployOptions{Jobs: r.opt.Jobs, KeepGoing: r.opt.KeepGoing, Reason: reason}})
	if d != nil {
		t.result.Rollback = &d.Environments[0]
	}
	if err != nil {
		t.result.Why += "; the rollback also failed"
		// The deployment's own failure comes first: it decides the exit code.
		t.err = errors.Join(t.err, diag.New(diag.Failed, "%s was not rolled back: %w", t.conf.Name, err).
			Hinted("pipe env history %s, then pipe rollback %s --to N", t.conf.Name, t.conf.Name))
		return
	}
	t.result.Why += "; rolled back to " + d.Environments[0].Release[:min(len(d.Environments[0].Release), 14)]
}
