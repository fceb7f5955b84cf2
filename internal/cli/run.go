package cli

import (
	"bufio"
	"fmt"
	"io"
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

func (a *app) planCmd() *cobra.Command {
	var opt pipe.ReproOptions
	c := command("plan [STAGE|OUT]...", "say what repro would do; exit 3 when it would do something",
		`Decides about all stages, or the named ones and all that they need, as repro
would now, and changes nothing. A stage that depends on one that must run first is
listed as such: whether it runs is decided when its inputs are known.

Exit code 3 says that something would run or be restored.`,
		cobra.ArbitraryArgs, func(c *cobra.Command, args []string) error {
			opt.Targets = args
			return a.plan(c, opt, true)
		})
	a.selection(c, &opt)
	return c
}

func (a *app) plan(c *cobra.Command, opt pipe.ReproOptions, code bool) error {
	return a.with(c.Context(), false, func(p *pipe.Project) error {
		r, err := p.Plan(c.Context(), opt)
		if err != nil {
			return err
		}
		if err := a.answer("pipe.plan/1", r, func(w io.Writer) { printStages(w, r.Stages, a.quiet) }); err != nil {
			return err
		}
		if code && r.Pending {
			return pending("something would run")
		}
		return nil
	})
}

func printStages(w io.Writer, stages []pipe.StageResult, quiet bool) {
	width := 0
	for _, s := range stages {
		width = max(width, len(s.Stage))
	}
	for _, s := range stages {
		if quiet && (s.Verb == event.Skip || s.Verb == event.Frozen) {
			continue
		}
		verb := string(s.Verb)
		if s.Deploy && s.Verb == event.Run {
			verb = "deploy"
		}
		_, _ = fmt.Fprintf(w, "%-*s  %-7s  %s\n", width, s.Stage, verb, view.Words(s.Because))
	}
}

func (a *app) whyCmd() *cobra.Command {
	var opt pipe.ReproOptions
	c := command("why STAGE", "say why a stage would run or not, with old and new hashes",
		"Decides about one stage as repro would now, and lists every reason: which input,\nits hash in pipe.lock (or in what is live) and its hash now.",
		cobra.ExactArgs(1), func(c *cobra.Command, args []string) error {
			return a.with(c.Context(), false, func(p *pipe.Project) error {
				r, err := p.Why(c.Context(), args[0], opt)
				if err != nil {
					return err
				}
				return a.answer("pipe.why/1", r, func(w io.Writer) { printWhy(w, r) })
			})
		})
	c.Flags().BoolVar(&opt.NoPull, "no-pull", false, "do not ask the remote for records")
	return c
}

func printWhy(w io.Writer, r *pipe.StageResult) {
	_, _ = fmt.Fprintf(w, "%s: %s\n", r.Stage, r.Verb)
	for _, b := range r.Because {
		_, _ = fmt.Fprintf(w, "  %s\n", b)
		printOldNew(w, b.Old, b.New)
	}
	for _, f := range r.Files {
		word := "changed"
		switch {
		case f.Old == "":
			word = "is new"
		case f.New == "":
			word = "is gone"
		}
		_, _ = fmt.Fprintf(w, "  %s %s\n", f.Path, word)
		printOldNew(w, f.Old, f.New)
	}
	if r.Key != "" {
		_, _ = fmt.Fprintf(w, "  key %s\n", r.Key)
	}
}

// printOldNew prints what was and what is, where there is one.
func printOldNew(w io.Writer, was, now string) {
	if was != "" {
		_, _ = fmt.Fprintf(w, "      was  %s\n", was)
	}
	if now != "" {
		_, _ = fmt.Fprintf(w, "      now  %s\n", now)
	}
}

func (a *app) statusCmd() *cobra.Command {
	var opt pipe.ReproOptions
	var code bool
	c := command("status [STAGE|OUT]...", "compare the workspace with pipe.lock and what is live",
		"Compares, without the network but for the environment's state, and writes nothing.",
		cobra.ArbitraryArgs, func(c *cobra.Command, args []string) error {
			opt.Targets = args
			return a.with(c.Context(), false, func(p *pipe.Project) error {
				s, err := p.Status(c.Context(), opt)
				if err != nil {
					return err
				}
				if err := a.answer("pipe.status/1", s, func(w io.Writer) { printStatus(w, s, a.quiet) }); err != nil {
					return err
				}
				if code && s.Pending {
					return pending("something would run")
				}
				return nil
			})
		})
	c.Flags().BoolVar(&code, "exit-code", false, "exit 3 when something would run or be restored")
	return c
}

func printStatus(w io.Writer, s *pipe.Status, quiet bool) {
	printStages(w, s.Stages, quiet)
	for _, o := range s.Outs {
		if o.State == "same" && o.Cache && quiet {
			continue
		}
		where := ""
		if !o.Cache {
			where = ", not in the cache"
		}
		_, _ = fmt.Fprintf(w, "  out %s  %s  %s%s\n", o.Path, o.Hash.Short(), o.State, where)
	}
	if s.Note != "" {
		_, _ = fmt.Fprintf(w, "the environment could not be asked: %s\n", s.Note)
	}
}
