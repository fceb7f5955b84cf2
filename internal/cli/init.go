package cli

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// initCmd makes pipe init, which makes a project where there is none.
func (a *app) initCmd() *cobra.Command {
	return command("init", "Create pipe.yaml and add pipe's files to .gitignore",
		`Create a pipe.yaml with comments, unless there is one, and add the missing lines
to .gitignore and .gitattributes. If pipe.yaml deploys through a remote but has no
project name, add one. Nothing is overwritten.`,
		"pipe init", noArgs, func(c *cobra.Command, _ []string) error {
			r, err := pipe.Init(c.Context(), a.options())
			if err != nil {
				return err
			}
			return a.answer("pipe.init/1", r, func(w io.Writer) {
				if len(r.Wrote) == 0 {
					view.Print(w, "nothing to do: pipe.yaml, .gitignore and .gitattributes are up to date\n")
					return
				}
				view.Print(w, "wrote %s\nnext: pipe repro\n", strings.Join(r.Wrote, ", "))
			})
		})
}
