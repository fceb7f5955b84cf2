package cli

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// updateCmd makes pipe update.
func (a *app) updateCmd() *cobra.Command {
	c := command("update [SOURCE]...", "Move sources to the newest commit of their refs",
		`Lock the newest commit of each source in pipe.lock, or of the named ones, and check
it out. A source is another git repository, under sources: in pipe.yaml. Name it by
its path, its directory or its repository.

All other commands use the commit in pipe.lock. A source that git does not ignore gets
a line in .gitignore. Files that you changed in a source are never overwritten.`,
		"pipe update\npipe update src/api", cobra.ArbitraryArgs, func(c *cobra.Command, args []string) error {
			return a.with(c.Context(), func(p *pipe.Project) error {
				moves, err := p.Update(c.Context(), args)
				if err != nil && len(moves) == 0 {
					return err
				}
				answer := struct {
					Sources []pipe.SourceMove `json:"sources"`
				}{moves}
				if aerr := a.answer("pipe.update/1", answer, func(w io.Writer) { printMoves(w, moves) }); err == nil {
					err = aerr
				}
				return err
			})
		})
	return a.waits(c)
}

// printMoves says what became of sources.
func printMoves(w io.Writer, moves []pipe.SourceMove) {
	if len(moves) == 0 {
		view.Print(w, "pipe.yaml has no sources\n")
	}
	for _, m := range moves {
		switch {
		case m.From == "":
			view.Print(w, "%s: locked at %.12s\n", m.Path, m.Commit)
		case !m.Changed:
			view.Print(w, "%s: %.12s is the newest commit\n", m.Path, m.Commit)
		default:
			view.Print(w, "%s: %.12s -> %.12s\n", m.Path, m.From, m.Commit)
		}
		if m.Ignored != "" {
			view.Print(w, "added %s to .gitignore\n", m.Ignored)
		}
	}
}
