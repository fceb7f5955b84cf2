package cli

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// exportCmd makes pipe export, which has a command for each tool that people go to.
func (a *app) exportCmd() *cobra.Command {
	c := command("export", "Turn this project into another tool's", "Turn this project into another tool's.", "pipe export dvc", group, nil)
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	c.AddCommand(a.exportDVCCmd())
	return c
}

// exportDVCCmd makes pipe export dvc.
func (a *app) exportDVCCmd() *cobra.Command {
	var how pipe.ExportOptions
	c := command("dvc", "Turn this project into a DVC project",
		`Write dvc.yaml and dvc.lock for the stages that are up to date, a .dvc file for each
input, a .dvcignore for each .pipeignore, and .dvc if there is none. The bytes of all
outputs go into DVC's cache; what this machine lacks is fetched first. dvc status then
has nothing to report. What DVC has no words for is listed with what to do.

vars, foreach, matrix and comments stay. A stage that DVC would read otherwise, for
example one with a pattern in deps, is written out. Deploy stages are frozen: DVC cannot
know what is live.

pipe's own files stay as they are, and nothing of DVC's is replaced without --force.`,
		"pipe export dvc --dry-run\npipe export dvc\npipe export dvc --force", noArgs, func(c *cobra.Command, _ []string) error {
			return a.with(c.Context(), func(p *pipe.Project) error {
				r, err := p.ExportDVC(c.Context(), how)
				if err != nil {
					return err
				}
				return a.answer("pipe.export.dvc/1", r, func(w io.Writer) { printExport(w, r, how.DryRun) })
			})
		})
	c.Flags().BoolVar(&how.Force, "force", false, "replace DVC's files that are there and differ")
	c.Flags().BoolVar(&how.DryRun, "dry-run", false, "print what would be done and write nothing")
	return a.waits(c)
}

// printExport prints what was made of the project.
func printExport(w io.Writer, r *pipe.ExportedDVC, dryRun bool) {
	carried := printCarried(w, r.Stages, r.Notes)
	view.Print(w, "%d of %s up to date\n", carried, view.Count(len(r.Stages), "stage"))
	wrote := strings.Join(r.Wrote, ", ")
	switch {
	case dryRun && wrote != "":
		view.Print(w, "would write %s\n", wrote)
		return
	case wrote != "":
		view.Print(w, "wrote %s, and %s (%s) into DVC's cache\n", wrote, view.Count(r.Objects, "file"), view.Bytes(r.Bytes))
	default:
		view.Print(w, "nothing to write: DVC's files say all this already\n")
	}
	if !dryRun {
		view.Print(w, "next: %s\n", r.Next)
	}
}
