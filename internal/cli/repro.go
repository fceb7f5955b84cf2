package cli

import (
	"bufio"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// reproCmd makes pipe repro. The run's events are its answer, so nothing is printed after
// them. Deployments are confirmed only where somebody can answer: in CI there is no terminal,
// and the merge was the decision.
func (a *app) reproCmd() *cobra.Command {
	var opt pipe.ReproOptions
	var yes, dry bool
	c := command("repro [STAGE|OUT]...", "Bring stages up to date",
		`Bring all stages, or the named ones and their dependencies, up to date.

A stage with the inputs in pipe.lock is skipped. If any machine that shares the
remote has built the same inputs before, its outputs are restored. Otherwise its
command runs. A deploy stage runs unless this version is live in its environment.

Without --push, only the stages that a deployment depends on are published.`,
		"pipe repro\npipe repro --push --env production\npipe repro -s build", cobra.ArbitraryArgs, func(c *cobra.Command, args []string) error {
			opt.Targets = args
			// The same as pipe plan, but for the exit code.
			if dry {
				return a.plan(c, opt, false)
			}
			if a.Terminal && !yes {
				opt.Confirm = a.confirm
			}
			return a.with(c.Context(), true, func(p *pipe.Project) error {
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
	f.BoolVarP(&yes, "yes", "y", false, "deploy without confirmation (only asked on a terminal)")
	f.BoolVar(&dry, "dry-run", false, "show what would be done, without changing anything")
	return a.waits(c)
}

// selection adds the flags that repro and plan share, so that a plan can be made of every run.
func (a *app) selection(c *cobra.Command, opt *pipe.ReproOptions) {
	f := c.Flags()
	f.BoolVarP(&opt.Force, "force", "f", false, "run the stages even if unchanged; the new outputs replace the old ones for everyone (with --downstream or --pipeline, all of them)")
	f.BoolVar(&opt.Downstream, "downstream", false, "the named stages and all stages that depend on them")
	f.BoolVarP(&opt.Single, "single", "s", false, "only the named stages, one after the other in the given order")
	f.BoolVarP(&opt.Pipeline, "pipeline", "p", false, "the named stages and all stages that are connected with them")
	f.BoolVar(&opt.NoPull, "no-pull", false, "do not look for records and objects in the remote")
	f.BoolVar(&opt.RebuildMissing, "rebuild-missing", false, "run stages whose outputs are in neither the cache nor the remote")
	f.BoolVar(&opt.TrustLock, "trust-lock", false, "deploy the outputs in pipe.lock even if a record of the same inputs names others")
}

// confirm asks on the terminal before the first deployment. Anything but y or yes, and the end
// of the input, is a no.
func (a *app) confirm(stage string, because []event.Reason) error {
	env := a.env
	if env == "" {
		env = "default"
	}
	view.Print(a.Err, "deploy %s to %s (%s)? [y/N] ", stage, env, view.Words(because))
	line, _ := bufio.NewReader(a.In).ReadString('\n')
	if s := strings.ToLower(strings.TrimSpace(line)); s == "y" || s == "yes" {
		return nil
	}
	return diag.New(diag.Policy, "%s: deployment not confirmed", stage).Hinted("run pipe repro --yes to deploy without confirmation")
}

// hintIgnore names outs that git would take for sources. Once an output is committed, git and
// pipe both claim it, and pipe refuses to run its stage.
func (a *app) hintIgnore(p *pipe.Project) {
	outs, err := p.UnignoredOuts()
	if err != nil || len(outs) == 0 || a.json {
		return
	}
	view.Print(a.Err, "note: git does not ignore these outputs; add them to .gitignore:\n")
	for _, o := range outs {
		view.Print(a.Err, "/%s\n", o)
	}
}
