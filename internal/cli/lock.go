package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/pkg/pipe"
)

// lockCmd makes pipe lock, which groups commands on pipe.lock.
func (a *app) lockCmd() *cobra.Command {
	c := command("lock", "Work with pipe.lock", "", "pipe lock commit", cobra.NoArgs, func(c *cobra.Command, _ []string) error { return c.Help() })
	var message string
	commit := command("commit", "Commit only pipe.lock",
		"Commit pipe.lock to the current branch. The index and all other changes stay as\nthey are. Nothing is pushed.",
		"pipe lock commit -m \"Build 42\"", noArgs, func(c *cobra.Command, _ []string) error {
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
					_, _ = fmt.Fprintln(w, "pipe.lock is already committed")
				})
			})
		})
	commit.Flags().StringVarP(&message, "message", "m", "", "commit message")
	c.AddCommand(a.waits(commit))
	return c
}
