package cli

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// addCmd makes pipe add.
func (a *app) addCmd() *cobra.Command {
	return a.waits(command("add PATH...", "Keep data in the cache and remote instead of git",
		`Make files and directories inputs of the project. pipe.lock, which git keeps, names
their hashes; their bytes are in the cache, and after pipe push in the remote. The
paths are added to inputs in pipe.yaml, whose other lines and comments stay as they
are, and to .gitignore. Stages that depend on them wait for them, and pipe pull
fetches them.

After a change, pipe status names the input. The next pipe repro takes it, and so does
pipe add. When another version is checked out with git, pipe repro replaces a version
that was added before; pipe add PATH keeps it instead.`,
		"pipe add data/raw.csv\npipe add data/images && git add pipe.yaml pipe.lock .gitignore && pipe push", arguments(1, -1, "name a file or directory"), func(c *cobra.Command, args []string) error {
			return a.with(c.Context(), func(p *pipe.Project) error {
				r, err := p.Add(c.Context(), args)
				if err != nil {
					return err
				}
				return a.answer("pipe.add/1", r, func(w io.Writer) {
					for _, in := range r.Inputs {
						news := ""
						if !in.Changed {
							news = "  unchanged"
						}
						view.Print(w, "%s  %s  %s%s\n", in.Path, in.Digest.Short(), view.Bytes(in.Size), news)
					}
					printWrote(w, r.Wrote)
				})
			})
		}))
}

// unaddCmd makes pipe unadd.
func (a *app) unaddCmd() *cobra.Command {
	return a.waits(command("unadd PATH...", "Stop keeping data that was added",
		"Remove paths from inputs in pipe.yaml, from pipe.lock and from .gitignore. The files\nstay in the workspace, and what was pushed stays in the remote.",
		"pipe unadd data/raw.csv", arguments(1, -1, "name an input"), func(c *cobra.Command, args []string) error {
			return a.with(c.Context(), func(p *pipe.Project) error {
				r, err := p.Unadd(c.Context(), args)
				if err != nil {
					return err
				}
				return a.answer("pipe.unadd/1", r, func(w io.Writer) {
					for _, path := range r.Paths {
						view.Print(w, "%s: no longer an input\n", path)
					}
					printWrote(w, r.Wrote)
				})
			})
		}))
}

// printWrote names the files of the project that changed, for the next commit.
func printWrote(w io.Writer, files []string) {
	if len(files) > 0 {
		view.Print(w, "wrote %s\n", strings.Join(files, ", "))
	}
}
