package cli

import (
	"errors"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// fmtCmd makes pipe fmt.
func (a *app) fmtCmd() *cobra.Command {
	var check, diff bool
	c := command("fmt [FILE]...", "Format pipe.yaml",
		`Format pipe.yaml and the files that it includes, or the named YAML files, in one style,
and print the names of those that changed. - formats stdin to stdout.

Only white space changes: two spaces for each level, also for lists below their key; at
most one empty line; one space between elements; a line break at the end. Comments, the
order of keys, quotes, and what stands on which line stay as they are. Values never
change: a file that cannot be formatted safely is left as it is, and the error says where.

--check and --diff write nothing. --check exits with code 1 if a file is not formatted.`,
		"pipe fmt\npipe fmt --check\npipe fmt --diff pipe.yaml\npipe fmt - < pipe.yaml", cobra.ArbitraryArgs, func(c *cobra.Command, args []string) error {
			if slices.Contains(args, pipe.Stdin) && len(args) > 1 {
				return diag.New(diag.Usage, "- cannot be combined with other files").Hinted("pipe fmt - < FILE")
			}
			files, err := pipe.Format(c.Context(), a.options(), a.In, args)
			if !check && !diff {
				for i := range files {
					if f := &files[i]; f.Changed && f.File != pipe.Stdin {
						err = errors.Join(err, f.Save(a.options()))
					}
				}
			}
			return errors.Join(err, a.printFormatted(files, check, diff), unformatted(files, check))
		})
	c.Flags().BoolVar(&check, "check", false, "write nothing; exit with code 1 if a file is not formatted")
	c.Flags().BoolVar(&diff, "diff", false, "write nothing; print what would change")
	return c
}

// formatted is a file in the JSON of pipe fmt.
type formatted struct {
	pipe.Formatted
	Text string `json:"text,omitempty"` // of stdin
}

// printFormatted prints the names of files, what would change in them, or stdin's text itself.
func (a *app) printFormatted(files []pipe.Formatted, check, diff bool) error {
	var all []formatted
	for _, f := range files {
		shown := formatted{Formatted: f}
		if f.File == pipe.Stdin && !check && !diff {
			shown.Text = f.Text
		}
		all = append(all, shown)
	}
	if len(all) == 0 {
		return nil // the errors say why
	}
	return a.answer("pipe.fmt/1", all, func(w io.Writer) {
		for _, f := range all {
			switch {
			case f.Text != "":
				_, _ = w.Write([]byte(f.Text)) // of stdin, for the next program
			case !f.Changed:
			case diff:
				view.Diff(w, f.File, f.Before, f.Formatted.Text)
			default:
				view.Print(w, "%s\n", f.File)
			}
		}
	})
}

// unformatted is the error of --check.
func unformatted(files []pipe.Formatted, check bool) error {
	n := 0
	for _, f := range files {
		if f.Changed && check {
			n++
		}
	}
	switch n {
	case 0:
		return nil
	case 1:
		return diag.New(diag.Failed, "1 file is not formatted").Hinted("pipe fmt")
	}
	return diag.New(diag.Failed, "%d files are not formatted", n).Hinted("pipe fmt")
}
