package cli

import (
	"context"
	"io"
	"path"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/settings"
	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// reproCmd makes pipe repro. The run's events are its answer, so nothing is printed after
// them.
func (a *app) reproCmd() *cobra.Command {
	var opt pipe.ReproOptions
	var yes, dry bool
	c := command("repro [STAGE|OUT]...", "Bring stages up to date",
		`Bring all stages, or the named ones and their dependencies, up to date.

A stage with the inputs in pipe.lock is skipped. If any machine that shares the
remote has built the same inputs before, its outputs are restored. Otherwise its
command runs. A deploy stage runs unless this version is live in its environment.
The first deployment to a new environment needs --create-env.

A stage is named by its name, by that of its foreach or matrix, by a glob, or by an
output. --only and --skip take the same but for outputs; what they leave out, and
what a condition (when) leaves out, stays as pipe.lock has it.

Where pipe.yaml has environments, pipe deploy deploys, and pipe repro builds; with
--env ENV it does the same as pipe deploy ENV.

Without --push, only the stages that a deployment depends on are published.`,
		"pipe repro\npipe repro --push --env production --create-env\npipe repro -s build\npipe repro --skip 'train@*'", cobra.ArbitraryArgs, func(c *cobra.Command, args []string) error {
			opt.Targets = args
			if opt.Replay && a.quiet {
				return diag.New(diag.Usage, "--verbose and --quiet contradict each other").Hinted("pipe repro -v")
			}
			// The same as pipe plan, but for the exit code.
			if dry {
				return a.plan(c, opt, false)
			}
			if err := a.deploying(c.Context(), yes, &opt); err != nil {
				return err
			}
			if a.many {
				return a.reproAll(c.Context(), opt)
			}
			return a.opened(c.Context(), a.options(), func(p *pipe.Project) error {
				r, err := p.Repro(c.Context(), opt)
				// Only after outputs may have been written: a run that does nothing says
				// nothing.
				if r != nil && r.Counts.Ran+r.Counts.Restored > 0 {
					a.hintIgnore(p)
				}
				return err
			})
		})
	f := c.Flags()
	a.selection(c, &opt)
	f.IntVarP(&opt.Jobs, "jobs", "j", 0, "number of stages to run at once (default: the number of CPUs)")
	f.BoolVarP(&opt.KeepGoing, "keep-going", "k", false, "after a failure, run the stages that do not depend on it")
	f.BoolVar(&opt.Push, "push", false, "publish the outputs and the record of each stage as soon as it is done")
	f.BoolVarP(&yes, "yes", "y", false, "deploy without confirmation (only asked on a terminal, and never in CI)")
	f.BoolVarP(&opt.Replay, "verbose", "v", false, "replay the logs of stages that are skipped or restored")
	f.BoolVar(&dry, "dry-run", false, "show what would be done, without changing anything")
	return a.waits(c)
}

// selection adds the flags that repro and plan share, so that a plan can be made of every run.
func (a *app) selection(c *cobra.Command, opt *pipe.ReproOptions) {
	f := c.Flags()
	f.StringSliceVar(&opt.Only, "only", nil, "run only the stages that match this pattern; others count as pipe.lock has them")
	f.StringSliceVar(&opt.Skip, "skip", nil, "leave out the stages that match this pattern; they count as pipe.lock has them")
	a.stagePatterns(c)
	f.BoolVarP(&opt.Force, "force", "f", false, "run the stages even if unchanged; the new outputs replace the old ones for everyone (with --downstream or --pipeline, all of them)")
	f.BoolVar(&opt.Downstream, "downstream", false, "the named stages and all stages that depend on them")
	f.BoolVarP(&opt.Single, "single", "s", false, "only the named stages, one after the other in the given order")
	f.BoolVarP(&opt.Pipeline, "pipeline", "p", false, "the named stages and all stages that are connected with them")
	f.BoolVar(&opt.NoPull, "no-pull", false, "do not look for records and objects in the remote")
	f.BoolVar(&opt.RebuildMissing, "rebuild-missing", false, "run stages whose outputs are in neither the cache nor the remote")
	f.BoolVar(&opt.CreateEnv, "create-env", false, "let --env name an environment that nothing was deployed to yet")
	f.BoolVar(&opt.AllowOlder, "allow-older", false, "in CI, deploy even if a later commit is live")
	f.BoolVar(&opt.NoDeploy, "no-deploy", false, "build and check only; leave deploy stages out")
	f.Var(setting{nil, &opt.Params}, "set", "value of a key of a params or vars file, in this run only, as `FILE:KEY=VALUE`")
	f.BoolVar(&opt.TrustLock, "trust-lock", false, "deploy the outputs in pipe.lock even if a record of the same inputs names others")
}

// deploying settles what becomes of deploy stages: a flag says it, else they run in CI, where
// the merge was the decision, else the user's settings say it. Who has said nothing is asked,
// where there is somebody to answer.
func (a *app) deploying(ctx context.Context, yes bool, opt *pipe.ReproOptions) error {
	if yes && opt.NoDeploy {
		return diag.New(diag.Usage, "--yes and --no-deploy contradict each other").Hinted("pipe repro --no-deploy")
	}
	if yes || opt.NoDeploy || a.set("CI") {
		return nil
	}
	set, err := settings.Read(a.Environ)
	if err != nil {
		return err
	}
	opt.NoDeploy = set.Deploy == settings.Never
	if a.Terminal && set.Deploy != settings.Always {
		opt.Confirm = func(d pipe.Deployment) error {
			return a.ask(ctx, func() error { return a.confirm(d) })
		}
	}
	return nil
}

// confirm asks on the terminal before the first deployment.
func (a *app) confirm(d pipe.Deployment) error {
	const digits = len("k1:") + 12
	live := "nothing"
	for _, r := range d.Because {
		switch r.Code {
		case event.LiveOther:
			live = r.Old[:digits]
		case event.LastFailed, event.LastUnknown:
			live = "unknown"
		case event.ForcedRun, event.AlwaysChanged:
			live = "not looked at"
		}
	}
	if a.yes(func(w io.Writer) {
		view.Print(w, "Deploy %s to %s?\n  live: %s\n  new:  %s (%s)\n", d.Stage, d.Env, live, d.Key[:digits], view.Words(d.Because))
	}) {
		return nil
	}
	return diag.New(diag.Policy, "%s: deployment not confirmed", d.Stage).
		Hinted("run pipe repro --yes to deploy without confirmation, or pipe repro --no-deploy to build only")
}

// hintIgnore names outs that git would take for sources. Once an output is committed, git and
// pipe both claim it, and pipe refuses to run its stage.
func (a *app) hintIgnore(p *pipe.Project) {
	outs, err := p.UnignoredOuts()
	if err != nil || len(outs) == 0 || a.json {
		return
	}
	view.Print(a.Err, "note: git does not ignore these outputs; pipe init adds these lines to %s:\n", path.Join(p.Dir(), ".gitignore"))
	for _, o := range outs {
		view.Print(a.Err, "/%s\n", o)
	}
}
