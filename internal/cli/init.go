package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/pkg/pipe"
)

func (a *app) initCmd() *cobra.Command {
	return command("init", "write a first pipe.yaml and the lines git needs",
		"Writes a pipe.yaml that explains itself, unless there is one, and adds what\n.gitignore and .gitattributes lack, and project: to a pipe.yaml that deploys to a\nremote without a name. It overwrites nothing.",
		cobra.NoArgs, func(c *cobra.Command, _ []string) error {
			r, err := pipe.Init(c.Context(), a.options())
			if err != nil {
				return err
			}
			return a.answer("pipe.init/1", r, func(w io.Writer) {
				if len(r.Wrote) == 0 {
					_, _ = fmt.Fprintln(w, "nothing to do: pipe.yaml, .gitignore and .gitattributes are complete")
					return
				}
				_, _ = fmt.Fprintf(w, "wrote %s\nnext: pipe repro\n", strings.Join(r.Wrote, ", "))
			})
		})
}
