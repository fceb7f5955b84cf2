package cli

import (
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
		`Show the cached objects that no pipe.lock uses. With --yes, delete them.

These locks keep their objects: the one in this workspace, those of all branches,
tags and stashes, of every worktree's HEAD and staged files, of a merge or rebase in
progress, and those that a reflog names for the last 30 days. Objects newer than one
hour are kept, too. The remote is not changed.

gc needs the complete history: it refuses to run in a shallow clone.`,
		"pipe gc\npipe gc --yes", noArgs, func(c *cobra.Command, _ []string) error {
			return a.with(c.Context(), func(p *pipe.Project) error {
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
					view.Print(w, "%s %s, %s%s; %d kept: %d used by this workspace and %s in git, %d newer than one hour\n",
						word, view.Count(g.Objects, "object"), view.Bytes(g.Bytes), next, g.Kept, g.Kept-g.Young, view.Count(g.Locks, "lock"), g.Young)
				})
			})
		})
	c.Flags().BoolVarP(&yes, "yes", "y", false, "delete them")
	return a.waits(c)
}
