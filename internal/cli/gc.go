package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

func (a *app) gcCmd() *cobra.Command {
	var yes bool
	c := command("gc", "free cached objects that no commit names",
		`Frees what no pipe.lock of any branch, tag or worktree, nor the workspace's own,
names, in the cache alone. It shows what would go; --yes lets it go. What is
younger than an hour stays.`,
		cobra.NoArgs, func(c *cobra.Command, _ []string) error {
			return a.with(c.Context(), false, func(p *pipe.Project) error {
				g, err := p.GC(c.Context(), yes)
				if err != nil {
					return err
				}
				return a.answer("pipe.gc/1", g, func(w io.Writer) {
					word, next := "would free", " (pipe gc --yes)"
					if g.Done {
						word, next = "freed", ""
					}
					if g.Objects == 0 {
						next = ""
					}
					_, _ = fmt.Fprintf(w, "%s %s, %s%s; %d stay\n", word, view.Count(g.Objects, "object"), view.Bytes(g.Bytes), next, g.Kept)
				})
			})
		})
	c.Flags().BoolVarP(&yes, "yes", "y", false, "free them")
	return c
}
