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
	c := command("verify", "Check every object in the cache or a remote",
		`Read every object and check its hash. Damaged cache objects are moved aside, so that
good copies can be fetched; damaged objects of a remote are listed.

Exit code 7 means that at least one object is damaged.`,
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
				aerr := a.answer("pipe.verify/1", v, func(w io.Writer) {
					for _, d := range v.Damaged {
						_, _ = fmt.Fprintf(w, "damaged  %s\n", d)
					}
					_, _ = fmt.Fprintf(w, "%s: %s, %s read, %d damaged\n", v.Store, view.Count(v.Objects, "object"), view.Bytes(v.Bytes), len(v.Damaged))
				})
				if err != nil {
					return err
				}
				return aerr
			})
		})
	c.Flags().StringVar(&remote, "remote", "", "check the default remote, or --remote=NAME, instead of the cache")
	c.Flags().Lookup("remote").NoOptDefVal = defaultRemote
	return c
}
