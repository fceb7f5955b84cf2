package cli

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// importCmd makes pipe import, which has a command for each tool that people come from.
func (a *app) importCmd() *cobra.Command {
	c := command("import", "Turn another tool's project into a pipe project", "Turn another tool's project into a pipe project.", "pipe import dvc", group, nil)
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	c.AddCommand(a.importDVCCmd())
	return c
}

// importDVCCmd makes pipe import dvc.
func (a *app) importDVCCmd() *cobra.Command {
	var how pipe.ImportOptions
	c := command("dvc", "Turn a DVC project into a pipe project",
		`Write pipe.yaml for the stages in dvc.yaml and the data in .dvc files, and pipe.lock for
what dvc.lock says is up to date. Objects come from the workspace, DVC's cache and its
remote; their md5 is checked. pipe repro then has nothing to build. What is not up to
date in DVC, or cannot be carried over, is listed with what to do.

A stage without outs becomes a check, unless its name has the word deploy, release or
publish: then it deploys. pipe's remote is the directory pipe/ in DVC's remote.

DVC's own files and stores are only read. If the import is interrupted, run it again.`,
		"pipe import dvc --dry-run\npipe import dvc\npipe import dvc --remote s3store --to s3://my-bucket/pipe", noArgs, func(c *cobra.Command, _ []string) error {
			r, err := pipe.ImportDVC(c.Context(), a.options(), how)
			if r == nil || err != nil && a.json {
				return err
			}
			if aerr := a.answer("pipe.import.dvc/1", r, func(w io.Writer) { a.printImport(w, r, how.DryRun) }); err == nil {
				err = aerr
			}
			return err
		})
	c.Flags().StringVar(&how.From, "remote", "", "the DVC remote to read from (default DVC's default remote)")
	c.Flags().StringVar(&how.To, "to", "", "pipe's remote: a URL or a directory (default pipe/ in DVC's remote)")
	c.Flags().BoolVar(&how.Deployed, "deployed", false, "record that what dvc.lock says of deploy stages is live")
	c.Flags().BoolVar(&how.DryRun, "dry-run", false, "print what would be done and write nothing")
	return a.waits(c)
}

// printImport prints what was made of the project: stages, decisions, what is not carried over, and what to
// do next.
func (a *app) printImport(w io.Writer, r *pipe.Imported, dryRun bool) {
	carried := printCarried(w, r.Stages, r.Notes)
	for _, f := range r.Files {
		view.Print(w, "--- %s\n", f.Name)
		for line := range strings.Lines(f.Text) {
			view.Print(w, "%s\n", strings.TrimSuffix(line, "\n"))
		}
	}
	wrote := "wrote"
	if dryRun {
		wrote = "would write"
	}
	view.Print(w, "%d of %s up to date\n", carried, view.Count(len(r.Stages), "stage"))
	if !dryRun {
		view.Print(w, "copied %s (%s) from DVC; pipe find answers for %s\n", view.Count(r.Objects, "file"), view.Bytes(r.Bytes), view.Count(r.Names, "md5 name"))
	}
	if len(r.Deployed) > 0 {
		view.Print(w, "live: %s\n", strings.Join(r.Deployed, ", "))
	}
	view.Print(w, "%s %s\n", wrote, strings.Join(r.Wrote, ", "))
	if !dryRun {
		view.Print(w, "next: %s\n", r.Next)
	}
}

// printCarried prints what was not carried over between pipe and another tool, and returns how many stages were.
func printCarried(w io.Writer, stages []pipe.ImportStage, notes []pipe.ImportNote) (carried int) {
	do := ""
	for _, s := range stages {
		if s.Carried {
			carried++
			continue
		}
		if s.Do != do { // one hint for stages in a row that have the same
			printDo(w, do)
		}
		do = s.Do
		view.Print(w, "not up to date  %s: %s\n", s.Stage, s.Why)
	}
	printDo(w, do)
	for _, lost := range []bool{false, true} {
		for _, n := range notes {
			if n.Lost != lost {
				continue
			}
			word := "note"
			if lost {
				word = "not carried over"
			}
			view.Print(w, "%s  %s: %s\n", word, n.At, n.What)
			printDo(w, n.Do)
		}
	}
	return carried
}

// printDo prints what to do about something.
func printDo(w io.Writer, do string) {
	if do != "" {
		view.Print(w, "  hint: %s\n", do)
	}
}
