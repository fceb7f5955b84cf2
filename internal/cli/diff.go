package cli

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// diffCmd makes pipe diff. Missing revisions stay empty, for which the verb has its defaults.
func (a *app) diffCmd() *cobra.Command {
	return command("diff [REV] [REV]", "Compare inputs and outputs between commits",
		"Compare the pipe.lock of two commits. Without the second REV, compare with the\nworkspace; without any, compare HEAD with the workspace.",
		"pipe diff\npipe diff v1.2 v1.3", arguments(0, 2, ""), func(c *cobra.Command, args []string) error {
			revs := append(args, "", "")
			return a.with(c.Context(), false, func(p *pipe.Project) error {
				changes, err := p.Diff(c.Context(), revs[0], revs[1])
				if err != nil {
					return err
				}
				return a.answer("pipe.diff/1", changes, func(w io.Writer) { printDiff(w, changes) })
			})
		})
}

// printDiff prints the changes grouped by stage: + is new, - is gone, ~ is different.
func printDiff(w io.Writer, changes []lockfile.Change) {
	stage := ""
	for _, x := range changes {
		if x.Stage != stage {
			stage = x.Stage
			view.Print(w, "%s\n", stage)
		}
		sign := "~"
		switch {
		case x.Old == "":
			sign = "+"
		case x.New == "":
			sign = "-"
		}
		view.Print(w, "  %s %s\n", sign, strings.TrimSpace(x.What+" "+x.Path))
		printOldNew(w, x.Old, x.New)
	}
}
