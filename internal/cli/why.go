package cli

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// whyCmd makes pipe why.
func (a *app) whyCmd() *cobra.Command {
	var opt pipe.ReproOptions
	c := command("why STAGE", "Show why a stage would run or not",
		"Show what pipe repro would do with a stage, and every reason: each changed input\nwith its old hash (in pipe.lock, or live) and its new one, and the files that\nchanged in a directory. The list of what a directory contained is looked up in\nthe cache, then in the remote.",
		"pipe why build", arguments(1, 1, "name a stage"), func(c *cobra.Command, args []string) error {
			return a.with(c.Context(), func(p *pipe.Project) error {
				r, err := p.Why(c.Context(), args[0], opt)
				if err != nil {
					return err
				}
				return a.answer("pipe.why/1", r, func(w io.Writer) { printWhy(w, r) })
			})
		})
	c.Flags().BoolVar(&opt.NoPull, "no-pull", false, "do not look for records in the remote")
	return c
}

// printWhy prints every reason in full, the changed files, and the key that they led to.
func printWhy(w io.Writer, r *pipe.StageResult) {
	view.Print(w, "%s: %s\n", r.Stage, r.Verb)
	for _, b := range r.Because {
		view.Print(w, "  %s\n", b)
		if b.Code != event.DefChanged && b.Code != event.OutsChanged { // their words have both
			printOldNew(w, b.Old, b.New)
		}
	}
	for _, f := range few(r.Files) {
		switch {
		case f.From != "":
			view.Print(w, "  renamed %s -> %s\n", f.From, f.Path)
			continue
		case f.Old == "":
			view.Print(w, "  %s is new\n", f.Path)
		case f.New == "":
			view.Print(w, "  %s is gone\n", f.Path)
		case f.Note != "":
			view.Print(w, "  %s changed (%s)\n", f.Path, f.Note)
		default:
			view.Print(w, "  %s changed\n", f.Path)
		}
		printOldNew(w, f.Old, f.New)
	}
	printMore(w, "  ", r.Files)
	if r.Key != "" {
		view.Print(w, "  key %s\n", r.Key)
	}
}

// printOldNew prints what was and what is, where there is one.
func printOldNew(w io.Writer, was, now string) {
	if was != "" {
		view.Print(w, "      was  %s\n", view.Value(was))
	}
	if now != "" {
		view.Print(w, "      now  %s\n", view.Value(now))
	}
}
