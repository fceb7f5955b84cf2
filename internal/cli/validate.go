package cli

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// validateCmd makes pipe validate.
func (a *app) validateCmd() *cobra.Command {
	return command("validate [FILE]", "Check pipe.yaml",
		`Read pipe.yaml and the files that it names, report all errors at once, and print what it
declares. FILE may be another file, or a directory that has a pipe.yaml; - is stdin, such
as the buffer of an editor, and is read as if it were the project's pipe.yaml.

Nothing is run, hashed or written, and neither git nor the network is asked. If there are
errors, the exit code is 2.`,
		"pipe validate\npipe validate services/api/pipe.yaml\npipe validate --json - < pipe.yaml", arguments(0, 1, ""), func(c *cobra.Command, args []string) error {
			v, err := pipe.Validate(c.Context(), a.options(), a.In, strings.Join(args, ""))
			if err != nil {
				return err
			}
			return a.answer("pipe.validate/1", v, func(w io.Writer) {
				view.Print(w, "%s: %s\n", v.File, declared(v))
				if len(v.Read) > 0 && !a.quiet {
					view.Print(w, "with %s\n", strings.Join(v.Read, ", "))
				}
			})
		})
}

// declared says what a pipe.yaml declares.
func declared(v *pipe.Validated) string {
	parts := []string{view.Count(v.Builds+v.Checks+v.Deploys, "stage")}
	var kinds []string
	for _, k := range []struct {
		n    int
		word string
	}{{v.Builds, "build"}, {v.Checks, "check"}, {v.Deploys, "deploy"}} {
		if k.n > 0 {
			kinds = append(kinds, view.Count(k.n, k.word))
		}
	}
	if len(kinds) > 1 {
		parts[0] += " (" + strings.Join(kinds, ", ") + ")"
	}
	for _, k := range []struct {
		n    int
		word string
	}{{v.Inputs, "input"}, {v.Sources, "source"}, {v.Environments, "environment"}} {
		if k.n > 0 {
			parts = append(parts, view.Count(k.n, k.word))
		}
	}
	return strings.Join(parts, ", ")
}
