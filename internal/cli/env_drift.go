package cli

import (
	"errors"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// envDriftCmd makes pipe env drift. The commands' output is progress; the answer follows.
func (a *app) envDriftCmd() *cobra.Command {
	return a.waits(command("drift ENV", "Compare what runs in an environment with what was deployed",
		`Run the drift command of each stage that is live, in a fresh directory and with the
variables of its deployment. Exit code 0 of the command means that what runs is what was
deployed. Otherwise the exit code here is 3, and the next deployment runs the stage
again. Stages without a drift command are named, but not checked.`,
		"pipe env drift production\npipe env drift production --json", arguments(1, 1, "name an environment"), func(c *cobra.Command, args []string) error {
			if err := a.named(c); err != nil {
				return err
			}
			return a.opened(c.Context(), a.options(), func(p *pipe.Project) error {
				r, err := p.Drift(c.Context(), args[0])
				if r == nil {
					return err
				}
				if err := errors.Join(err, a.answer("pipe.env.drift/1", r, func(w io.Writer) { printDrift(w, r) })); err != nil {
					return err
				}
				if r.Drifted {
					return pending("drift")
				}
				return nil
			})
		}))
}

// printDrift prints each stage that was checked, then once those that were not.
func printDrift(w io.Writer, r *pipe.DriftReport) {
	var rows [][]string
	because := map[string][]string{}
	var order []string
	for _, s := range r.Stages {
		switch s.Found {
		case "same":
			rows = append(rows, []string{s.Stage, "as deployed"})
		case "drifted":
			rows = append(rows, []string{s.Stage, "drifted: something else runs; the next deployment runs this stage again"})
		default:
			if because[s.Why] == nil {
				order = append(order, s.Why)
			}
			because[s.Why] = append(because[s.Why], s.Stage)
		}
	}
	view.Table(w, rows)
	for _, why := range order {
		view.Print(w, "not checked: %s (%s)\n", strings.Join(because[why], ", "), why)
	}
	if len(r.Stages) == 0 {
		view.Print(w, "nothing is live in %s\n", r.Env)
	}
}
