package cli

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// diffCmd makes pipe diff. Missing revisions stay empty, for which the verb has its defaults.
func (a *app) diffCmd() *cobra.Command {
	return command("diff [REV] [REV]", "Compare inputs and outputs between commits",
		"Compare the pipe.lock of two commits. Without the second REV, compare with the\nworkspace; without any, compare HEAD with the workspace. The files that changed\nin a directory are named if the cache has the lists of both sides.",
		"pipe diff\npipe diff v1.2 v1.3", arguments(0, 2, ""), func(c *cobra.Command, args []string) error {
			revs := append(args, "", "")
			return a.with(c.Context(), func(p *pipe.Project) error {
				changes, err := p.Diff(c.Context(), revs[0], revs[1])
				if err != nil {
					return err
				}
				return a.answer("pipe.diff/1", changes, func(w io.Writer) { printDiff(w, changes) })
			})
		})
}

// printDiff prints the changes grouped by stage: + is new, - is gone, ~ is different. The files of
// a directory stand below it.
func printDiff(w io.Writer, changes []lockfile.Change) {
	stage := ""
	for i, x := range changes {
		if x.Stage != stage {
			stage = x.Stage
			view.Print(w, "%s\n", stage)
		}
		if x.What == "file" {
			if i == 0 || changes[i-1].What != "file" {
				printFiles(w, "    ", filesFrom(changes[i:]))
			}
			continue
		}
		printChange(w, x)
	}
}

// filesFrom returns the files at the beginning of the changes.
func filesFrom(changes []lockfile.Change) []lockfile.Change {
	for i, x := range changes {
		if x.What != "file" || x.Stage != changes[0].Stage {
			return changes[:i]
		}
	}
	return changes
}

// printChange prints what is not a file in a directory.
func printChange(w io.Writer, x lockfile.Change) {
	what := x.What
	if what == "command" { // one hash stands for all three
		what = "command, shell or wdir"
	}
	switch {
	case x.From != "":
		view.Print(w, "  renamed %s %s -> %s\n", what, x.From, x.Path)
		return
	case x.What == "dep" || x.What == "out":
		note := ""
		if x.Note != "" {
			note = "  (" + x.Note + ")"
		}
		view.Print(w, "  %s %s %s%s%s\n", sign(x), what, x.Path, extent(x), note)
	default:
		view.Print(w, "  %s %s\n", sign(x), strings.TrimSpace(what+" "+x.Path))
	}
	printOldNew(w, x.Old, x.New)
}
