package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/pipe"
)

func (a *app) diffCmd() *cobra.Command {
	return command("diff [REV] [REV]", "compare stages' inputs and outs between commits",
		"Compares pipe.lock: of HEAD with the workspace's, of REV with the workspace's, or\nof the first REV with the second.",
		cobra.MaximumNArgs(2), func(c *cobra.Command, args []string) error {
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

func printDiff(w io.Writer, changes []lockfile.Change) {
	stage := ""
	for _, x := range changes {
		if x.Stage != stage {
			stage = x.Stage
			_, _ = fmt.Fprintf(w, "%s\n", stage)
		}
		sign := "~"
		switch {
		case x.Old == "":
			sign = "+"
		case x.New == "":
			sign = "-"
		}
		_, _ = fmt.Fprintf(w, "  %s %s\n", sign, strings.TrimSpace(x.What+" "+x.Path))
		printOldNew(w, x.Old, x.New)
	}
}
