package cli

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// lockCmd makes pipe lock, which groups commands on pipe.lock.
func (a *app) lockCmd() *cobra.Command {
	c := command("lock", "Work with pipe.lock", "", "pipe lock commit", group, func(c *cobra.Command, _ []string) error { return c.Help() })
	var opt pipe.CommitOptions
	commit := command("commit", "Commit only pipe.lock",
		`Commit pipe.lock to the current branch. The index and all other changes stay as
they are. Nothing is pushed.

With a remote, this is refused (exit code 9) if the remote lacks a record or an output
that pipe.lock names, because no other machine could fetch it. --unpushed skips that
check.`,
		"pipe lock commit -m \"Build 42\"", noArgs, func(c *cobra.Command, _ []string) error {
			return a.with(c.Context(), func(p *pipe.Project) error {
				r, err := p.LockCommit(c.Context(), opt)
				if err != nil {
					return err
				}
				return a.answer("pipe.lock.commit/1", r, func(w io.Writer) {
					if r.Changed {
						view.Print(w, "committed %.12s\n", r.Commit)
						return
					}
					view.Print(w, "pipe.lock is already committed\n")
				})
			})
		})
	commit.Flags().BoolVar(&opt.Unpushed, "unpushed", false, "do not check that the remote has what pipe.lock names")
	commit.Flags().StringVarP(&opt.Message, "message", "m", "", "commit message")
	c.AddCommand(a.waits(commit), a.lockResolveCmd(), a.lockCheckCmd(), a.lockTextCmd())
	return c
}
