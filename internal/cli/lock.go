package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/pkg/pipe"
)

func (a *app) lockCmd() *cobra.Command {
	c := command("lock", "what concerns pipe.lock", "", cobra.NoArgs, func(c *cobra.Command, _ []string) error { return c.Help() })
	var message string
	commit := command("commit", "commit pipe.lock alone",
		"Commits pipe.lock to the current branch, and leaves the index and other changes\nas they are. It does not push.",
		cobra.NoArgs, func(c *cobra.Command, _ []string) error {
			return a.with(c.Context(), false, func(p *pipe.Project) error {
				r, err := p.LockCommit(c.Context(), message)
				if err != nil {
					return err
				}
				return a.answer("pipe.lock.commit/1", r, func(w io.Writer) {
					if r.Changed {
						_, _ = fmt.Fprintf(w, "committed %.12s\n", r.Commit)
						return
					}
					_, _ = fmt.Fprintln(w, "pipe.lock is committed already")
				})
			})
		})
	commit.Flags().StringVarP(&message, "message", "m", "", "the commit's message")
	c.AddCommand(commit)
	return c
}
