package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// gcCmd makes pipe gc. It deletes nothing unless --yes says so: what no commit names may be
// nowhere else.
func (a *app) gcCmd() *cobra.Command {
	var yes bool
	c := command("gc", "Delete cached objects that no commit uses",
		`Show the cached objects that no pipe.lock uses, in any branch, tag, worktree or in
this workspace. With --yes, delete them. Objects newer than one hour are kept.
The remote is not changed.`,
		"pipe gc\npipe gc --yes", noArgs, func(c *cobra.Command, _ []string) error {
			return a.with(c.Context(), false, func(p *pipe.Project) error {
				g, err := p.GC(c.Context(), yes)
				if err != nil {
					return err
				}
				return a.answer("pipe.gc/1", g, func(w io.Writer) {
					word, next := "would delete", " (run pipe gc --yes)"
					if g.Done {
						word, next = "deleted", ""
					}
					if g.Objects == 0 {
						next = ""
					}
					_, _ = fmt.Fprintf(w, "%s %s, %s%s; %d kept\n", word, view.Count(g.Objects, "object"), view.Bytes(g.Bytes), next, g.Kept)
				})
			})
		})
	c.Flags().BoolVarP(&yes, "yes", "y", false, "delete them")
	return a.waits(c)
}
