package cli

import (
	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// ciCmd makes pipe ci.
func (a *app) ciCmd() *cobra.Command {
	var opt pipe.CIOptions
	c := command("ci", "Do what a CI job does: build, publish, commit pipe.lock, deploy",
		`Do all that a CI job does for a push: build and check, publish what is new, commit
pipe.lock and push that commit, and deploy. It can run for every push, on every branch
and in any number of jobs at once. If there is nothing to do, it does nothing.

Environments with auto: BRANCH are deployed from that branch. Without environments in
pipe.yaml, deploy stages run on the default branch, or on the one that deploy_on names.

Only pipe.lock is committed. If others have pushed meanwhile, their pipe.lock is merged
with this one. If the push is refused, for example because the branch is protected,
pipe ci says so and goes on: nothing is built twice because of it. lock: {commit: pr} in
pipe.yaml, or --lock-commit pr, opens a pull request instead; branch pushes to a branch
pipe-lock/BRANCH, and off commits nothing.

For a pull request it builds and checks, and says what would be deployed. Nothing is
deployed, and without --push or --lock-commit nothing is published or committed.`,
		"exec pipe ci\npipe ci --lock-commit off", noArgs, func(c *cobra.Command, _ []string) error {
			if a.env != "" {
				return diag.New(diag.Usage, "pipe ci deploys to the environments that auto: in pipe.yaml names; leave out --env").Hinted("pipe deploy %s", a.env)
			}
			return a.reported(c.Context(), func(p *pipe.Project) (*pipe.CIResult, error) { return p.CI(c.Context(), opt) })
		})
	f := c.Flags()
	f.StringVar(&opt.LockCommit, "lock-commit", "", "what to do with pipe.lock: push, pr, branch or off (default: lock: {commit: ...} in pipe.yaml, else push)")
	f.BoolVar(&opt.Push, "push", false, "for a pull request, publish what was built, too")
	f.BoolVar(&opt.NoDeploy, "no-deploy", false, "do not deploy")
	f.IntVarP(&opt.Jobs, "jobs", "j", 0, "number of stages to run at once (default: the number of CPUs)")
	f.BoolVarP(&opt.KeepGoing, "keep-going", "k", false, "after a failure, run the stages that do not depend on it")
	f.BoolVar(&opt.RebuildMissing, "rebuild-missing", false, "run stages whose outputs are in neither the cache nor the remote")
	f.BoolVar(&opt.TrustLock, "trust-lock", false, "deploy the outputs in pipe.lock even if a record of the same inputs names others")
	f.BoolVar(&opt.AllowOlder, "allow-older", false, "deploy even if a later commit is live")
	return a.waits(c)
}
