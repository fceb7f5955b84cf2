package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// defaultRemote is what verify --remote means without a name.
const defaultRemote = "the default remote"

func (a *app) verifyCmd() *cobra.Command {
	var remote string
	c := command("verify", "hash every object of the cache again",
		"Reads and hashes every object. Damaged objects of the cache are put out of the\nway, so that good copies are fetched; those of the remote are named. Exit 7.",
		cobra.NoArgs, func(c *cobra.Command, _ []string) error {
			inRemote := remote != ""
			if inRemote && remote != defaultRemote {
				a.remote = remote
			}
			return a.with(c.Context(), false, func(p *pipe.Project) error {
				v, err := p.Verify(c.Context(), inRemote)
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
	c.Flags().StringVar(&remote, "remote", "", "the remote's objects instead; --remote=NAME: that remote's")
	c.Flags().Lookup("remote").NoOptDefVal = defaultRemote
	return c
}
