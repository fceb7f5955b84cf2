package cli

import (
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// planCmd makes pipe plan, which has the flags of repro that choose and decide.
func (a *app) planCmd() *cobra.Command {
	var opt pipe.ReproOptions
	c := command("plan [STAGE|OUT]...", "Show what repro would do",
		`Show what pipe repro would do with all stages, or with the named ones and their
dependencies, without changing anything. A stage is listed as "depends" if another
stage must run before its inputs are known.

Exit code 3 means that at least one stage would run or be restored.`,
		"pipe plan\npipe plan build", cobra.ArbitraryArgs, func(c *cobra.Command, args []string) error {
			opt.Targets = args
			return a.plan(c, opt, true)
		})
	a.selection(c, &opt)
	return c
}

// plan prints what repro would do; code asks for exit code 3 when that is something. repro
// --dry-run leaves it out: its exit code means success or failure, as without the flag.
func (a *app) plan(c *cobra.Command, opt pipe.ReproOptions, code bool) error {
	return a.with(c.Context(), func(p *pipe.Project) error {
		r, failed := p.Plan(c.Context(), opt)
		if r == nil {
			return failed
		}
		if err := a.answer("pipe.plan/1", r, func(w io.Writer) { printStages(w, r.Stages, a.quiet) }); err != nil {
			return errors.Join(failed, err)
		}
		if failed != nil {
			return failed
		}
		if code && r.Pending {
			return pending("some stages are not up to date")
		}
		return nil
	})
}

// printStages prints a line per stage with its verdict, and the files that changed where they
// are asked for. All are known here, so the columns fit
// all of them.
func printStages(w io.Writer, stages []pipe.StageResult, quiet bool) {
	width := 0
	for _, s := range stages {
		width = max(width, len(s.Stage))
	}
	for _, s := range stages {
		if quiet && (s.Verb == event.Skip || s.Verb == event.Frozen) {
			continue
		}
		verb, why := view.Verdict(s.Verb, s.Deploy, s.Check, s.Because)
		view.PrintRow(w, width, s.Stage, verb, why)
		printFiles(w, "  ", s.Files)
	}
}
