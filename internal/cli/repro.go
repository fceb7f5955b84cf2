package cli

import (
	"bufio"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/pipe"
)

func (a *app) reproCmd() *cobra.Command {
	var opt pipe.ReproOptions
	var yes, dry bool
	c := command("repro [STAGE|OUT]...", "bring stages up to date: skip, restore, run, deploy",
		`Brings all stages, or the named ones and all that they need, up to date.

A stage whose inputs are those in pipe.lock is skipped. One whose inputs were
built before, on any machine that shares the remote, gets the recorded outs. Else
its command runs. A deploy stage runs unless its environment says that this very
version is live.

Without --push nothing is published but what a deploy stage is about to use.`,
		cobra.ArbitraryArgs, func(c *cobra.Command, args []string) error {
			opt.Targets = args
			if dry {
				return a.plan(c, opt, false)
			}
			if a.Terminal && !yes {
				opt.Confirm = a.confirm
			}
			return a.with(c.Context(), true, func(p *pipe.Project) error {
				r, err := p.Repro(c.Context(), opt)
				if r != nil && r.Counts.Ran+r.Counts.Restored > 0 {
					a.hintIgnore(p)
				}
				return err
			})
		})
	f := c.Flags()
	a.selection(c, &opt)
	f.IntVarP(&opt.Jobs, "jobs", "j", 0, "stages at once (default: the number of CPUs)")
	f.BoolVarP(&opt.KeepGoing, "keep-going", "k", false, "after a failure, go on with what does not depend on it")
	f.BoolVar(&opt.Push, "push", false, "put each stage's outs and record into the remote as soon as it is done")
	f.BoolVarP(&yes, "yes", "y", false, "do not ask before deploying (off a terminal nothing is asked)")
	f.BoolVar(&dry, "dry-run", false, "say what would be done, and do nothing")
	return c
}

// selection adds the flags that repro and plan share.
func (a *app) selection(c *cobra.Command, opt *pipe.ReproOptions) {
	f := c.Flags()
	f.BoolVarP(&opt.Force, "force", "f", false, "run the named stages, or all, changed or not; the new outs replace the old for everybody")
	f.BoolVar(&opt.Downstream, "downstream", false, "the named stages and all that need them")
	f.BoolVarP(&opt.Single, "single", "s", false, "the named stages alone")
	f.BoolVar(&opt.NoPull, "no-pull", false, "do not ask the remote for records and objects")
	f.BoolVar(&opt.RebuildMissing, "rebuild-missing", false, "run a stage whose recorded bytes are nowhere")
	f.BoolVar(&opt.TrustLock, "trust-lock", false, "deploy what pipe.lock names, even if a record of the same inputs names other outputs")
}

// confirm asks on the terminal before the first deployment.
func (a *app) confirm(stage string, because []event.Reason) error {
	env := a.env
	if env == "" {
		env = "default"
	}
	_, _ = fmt.Fprintf(a.Err, "deploy %s to %s (%s)? [y/N] ", stage, env, view.Words(because))
	line, _ := bufio.NewReader(a.In).ReadString('\n')
	if s := strings.ToLower(strings.TrimSpace(line)); s == "y" || s == "yes" {
		return nil
	}
	return diag.New(diag.Policy, "%s: not deployed: the answer was no", stage).Hinted("pipe repro --yes deploys without asking")
}

// hintIgnore names outs that git would take for sources.
func (a *app) hintIgnore(p *pipe.Project) {
	outs, err := p.UnignoredOuts()
	if err != nil || len(outs) == 0 || a.json {
		return
	}
	_, _ = fmt.Fprintf(a.Err, "note: git does not ignore what pipe keeps; add to .gitignore:\n")
	for _, o := range outs {
		_, _ = fmt.Fprintf(a.Err, "/%s\n", o)
	}
}
