package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/pipe"
)

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
