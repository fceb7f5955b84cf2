package cli

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// doctorCmd makes pipe doctor. The answer comes first and in full; that a check failed is told
// by the exit code after it.
func (a *app) doctorCmd() *cobra.Command {
	ci := false
	c := command("doctor", "Check everything that pipe needs",
		`Check git, the shells, that .pipe and the cache can be written, pipe.yaml, pipe.lock,
.gitignore and the remote. The check of the remote writes and reads a small object.

With --ci, also check what pipe ci needs: the branch, the clone, whether git may push,
what protects the branch, whose credentials the remote gets, the clock, and the
workflow. It changes nothing there. What a token may not see is no failure.`,
		"pipe doctor\npipe doctor --ci", noArgs, func(c *cobra.Command, _ []string) error {
			// It opens the project itself, because one that cannot be opened is a finding.
			checks := pipe.Doctor(c.Context(), a.options())
			if ci {
				checks = append(checks, pipe.DoctorCI(c.Context(), a.options())...)
			}
			failed := 0
			for _, x := range checks {
				if !x.OK {
					failed++
				}
			}
			err := a.answer("pipe.doctor/1", checks, func(w io.Writer) {
				for _, x := range checks {
					mark := "ok  "
					if !x.OK {
						mark = "FAIL"
					}
					view.Print(w, "%s  %s: %s\n", mark, x.Name, x.Text)
					if x.Hint != "" {
						view.Print(w, "      hint: %s\n", x.Hint)
					}
				}
			})
			if err == nil && failed > 0 {
				err = diag.New(diag.Failed, "%s failed", view.Count(failed, "check")).Hinted("follow the hints, then run pipe doctor again")
			}
			return err
		})
	c.Flags().BoolVar(&ci, "ci", false, "also check what pipe ci needs")
	return c
}
