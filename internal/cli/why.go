package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/pkg/pipe"
)

func (a *app) whyCmd() *cobra.Command {
	var opt pipe.ReproOptions
	c := command("why STAGE", "say why a stage would run or not, with old and new hashes",
		"Decides about one stage as repro would now, and lists every reason: which input,\nits hash in pipe.lock (or in what is live) and its hash now.",
		cobra.ExactArgs(1), func(c *cobra.Command, args []string) error {
			return a.with(c.Context(), false, func(p *pipe.Project) error {
				r, err := p.Why(c.Context(), args[0], opt)
				if err != nil {
					return err
				}
				return a.answer("pipe.why/1", r, func(w io.Writer) { printWhy(w, r) })
			})
		})
	c.Flags().BoolVar(&opt.NoPull, "no-pull", false, "do not ask the remote for records")
	return c
}

func printWhy(w io.Writer, r *pipe.StageResult) {
	_, _ = fmt.Fprintf(w, "%s: %s\n", r.Stage, r.Verb)
	for _, b := range r.Because {
		_, _ = fmt.Fprintf(w, "  %s\n", b)
		printOldNew(w, b.Old, b.New)
	}
	for _, f := range r.Files {
		word := "changed"
		switch {
		case f.Old == "":
			word = "is new"
		case f.New == "":
			word = "is gone"
		}
		_, _ = fmt.Fprintf(w, "  %s %s\n", f.Path, word)
		printOldNew(w, f.Old, f.New)
	}
	if r.Key != "" {
		_, _ = fmt.Fprintf(w, "  key %s\n", r.Key)
	}
}

// printOldNew prints what was and what is, where there is one.
func printOldNew(w io.Writer, was, now string) {
	if was != "" {
		_, _ = fmt.Fprintf(w, "      was  %s\n", was)
	}
	if now != "" {
		_, _ = fmt.Fprintf(w, "      now  %s\n", now)
	}
}
