package cli

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// getCmd makes pipe get.
func (a *app) getCmd() *cobra.Command {
	var opt pipe.GetOptions
	c := command("get PATH", "Write an output of any commit to a new file",
		`Write an output, or a path inside a directory output, to a new file or directory: as
pipe.lock names it, or with --rev as the pipe.lock of that commit does. The outputs in
the workspace stay as they are, and nothing is overwritten.

Without -o, the new file gets the name that PATH ends in. -o - prints a file to standard
output.`,
		"pipe get dist/app.zip -o app.zip\npipe get --rev v1.2 dist/app.zip\npipe get data/notes.txt -o -", arguments(1, 1, "give the path of an output"), func(c *cobra.Command, args []string) error {
			opt.Path = args[0]
			if opt.Output == "-" {
				if a.json {
					return diag.New(diag.Usage, "-o - prints the file, so --json cannot print an answer").Hinted("pipe get %s -o FILE --json", args[0])
				}
				opt.Output, opt.To = "", a.Out
			}
			return a.with(c.Context(), func(p *pipe.Project) error {
				g, err := p.Get(c.Context(), opt)
				if err != nil || opt.To != nil {
					return err
				}
				return a.answer("pipe.get/1", g, func(w io.Writer) {
					view.Print(w, "%s  %s  %s\n", g.Wrote, g.Hash.Short(), view.Bytes(g.Size))
				})
			})
		})
	c.Flags().StringVar(&opt.Rev, "rev", "", "commit, branch or tag whose pipe.lock names the output")
	c.Flags().StringVarP(&opt.Output, "output", "o", "", "new file or directory; - is standard output")
	return c
}
