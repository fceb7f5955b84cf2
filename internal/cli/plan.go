package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/pipe"
)

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
			return pending("some stages are not up to date")
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
		verb, why := view.Verdict(s.Verb, s.Deploy, s.Because)
		_, _ = fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("%-*s  %-7s  %s", width, s.Stage, verb, why), " "))
	}
}
