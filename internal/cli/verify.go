package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// defaultRemote is what verify --remote means without a name. No remote can have this name,
// since it has spaces.
const defaultRemote = "the default remote"

// verifyCmd makes pipe verify. What is damaged is printed before the error that counts it.
func (a *app) verifyCmd() *cobra.Command {
	var remote string
	c := command("verify", "Check every object and record in the cache or a remote",
		`Read every object and check its hash, and read every record. Damaged ones in the cache
are moved aside, so that good copies can be fetched; those in a remote are listed.
A directory in a remote is incomplete if one of its files is damaged or missing.

To repair a remote, delete what is listed, then run pipe push on a machine that has
good copies.

Exit code 7 means that something is damaged or incomplete.`,
		"pipe verify\npipe verify --remote=main", noArgs, func(c *cobra.Command, _ []string) error {
			// --remote=NAME also chooses the remote, as -r does.
			inRemote := remote != ""
			if inRemote && remote != defaultRemote {
				a.remote = remote
			}
			return a.with(c.Context(), false, func(p *pipe.Project) error {
				v, err := p.Verify(c.Context(), inRemote)
				// Without an answer nothing was checked.
				if v == nil {
					return err
				}
				aerr := a.answer("pipe.verify/1", v, func(w io.Writer) { printVerified(w, v) })
				if err != nil {
					return err
				}
				return aerr
			})
		})
	c.Flags().StringVar(&remote, "remote", "", "check the default remote, or --remote=NAME, instead of the cache")
	c.Flags().Lookup("remote").NoOptDefVal = defaultRemote
	return a.waits(c)
}

func printVerified(w io.Writer, v *pipe.Verified) {
	for _, name := range v.Damaged {
		_, _ = fmt.Fprintf(w, "damaged     %s\n", v.At(name))
	}
	for _, name := range v.Incomplete {
		_, _ = fmt.Fprintf(w, "incomplete  %s\n", v.At(name))
	}
	_, _ = fmt.Fprintf(w, "%s: %s and %s read, %s, %d damaged", v.Store, view.Count(v.Objects, "object"), view.Count(v.Records, "record"),
		view.Bytes(v.Bytes), len(v.Damaged))
	if n := len(v.Incomplete); n > 0 {
		_, _ = fmt.Fprintf(w, ", %d incomplete", n)
	}
	_, _ = fmt.Fprintln(w)
}
