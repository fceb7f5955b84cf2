package cli

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// lockResolveCmd makes pipe lock resolve.
func (a *app) lockResolveCmd() *cobra.Command {
	return a.waits(command("resolve", "Resolve merge conflicts in pipe.lock",
		`Resolve what a merge, rebase, cherry-pick, revert or stash pop has left of pipe.lock:
conflict markers, and blocks that are cut or doubled. It can be used before or after
the merge is committed. Resolve pipe.yaml and your sources first.

Each stage is taken from the side that was built from the files in the work tree. If
neither was, its block is dropped: the next pipe repro restores the stage from its record,
or runs it. A source is taken from the side that locked it for the git and ref in
pipe.yaml; if both sides moved it, ours is kept.

No command runs and no remote is read. A conflict in git's index is marked as resolved.`,
		"pipe lock resolve\ngit merge main; pipe lock resolve", noArgs, func(c *cobra.Command, _ []string) error {
			return a.with(c.Context(), func(p *pipe.Project) error {
				r, err := p.LockResolve(c.Context())
				if err != nil {
					return err
				}
				return a.answer("pipe.lock.resolve/1", r, func(w io.Writer) { printResolved(w, r) })
			})
		}))
}

// lockCheckCmd makes pipe lock check.
func (a *app) lockCheckCmd() *cobra.Command {
	var opt pipe.CheckOptions
	c := command("check", "Check that pipe.lock is intact and complete",
		`Check that pipe.lock is as pipe writes it, and fits pipe.yaml: no conflict markers, no
damaged block, one block for each build stage, input and source, and none for others. It
reads only these two files, so it is quick enough for a hook. Whether the blocks are up
to date is what pipe status tells.

Exit code 7 means that something is wrong; each problem is printed with the command that
corrects it.`,
		"pipe lock check\npipe lock check --staged\npipe lock check --rev origin/main", noArgs, func(c *cobra.Command, _ []string) error {
			return a.with(c.Context(), func(p *pipe.Project) error {
				r, err := p.LockCheck(c.Context(), opt)
				if r == nil || err != nil && !a.json {
					return err
				}
				if werr := a.answer("pipe.lock.check/1", r, func(w io.Writer) {
					view.Print(w, "pipe.lock is intact: %s, %s\n", view.Count(r.Stages, "stage"), view.Count(r.Sources, "source"))
				}); werr != nil {
					return werr
				}
				return err
			})
		})
	c.Flags().StringVar(&opt.Rev, "rev", "", "check pipe.lock of this commit, with its pipe.yaml")
	c.Flags().BoolVar(&opt.Staged, "staged", false, "check pipe.lock in git's index, with the pipe.yaml there")
	return c
}

// printResolved says of each block that was in question whose was taken.
func printResolved(w io.Writer, r *pipe.Resolved) {
	if len(r.Taken) == 0 && !r.Changed && !r.Settled {
		view.Print(w, "nothing to resolve: pipe.lock is intact\n")
		return
	}
	for _, t := range r.Taken {
		name, from := t.Stage, string(t.From)
		if t.Source != "" {
			name = "source " + t.Source
		}
		if t.From == pipe.Both {
			from = "both sides are equal"
		}
		if t.Why != "" {
			from += ": " + t.Why
		}
		view.Print(w, "%s  %s\n", name, from)
	}
	if r.Kept > 0 {
		view.Print(w, "%d unchanged\n", r.Kept)
	}
	if r.Settled {
		view.Print(w, "marked pipe.lock as resolved in git\n")
	}
}
