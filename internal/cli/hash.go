package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/pkg/pipe"
)

func (a *app) hashCmd() *cobra.Command {
	return command("hash PATH...", "print the hash of files and directories",
		`Prints BLAKE3-256 as b3sum does: of a file its bytes'; of a directory that of its
canonical manifest. A deploy command sees the same in PIPE_HASH_ variables.`,
		cobra.MinimumNArgs(1), func(c *cobra.Command, args []string) error {
			return a.with(c.Context(), false, func(p *pipe.Project) error {
				list, err := p.Hash(c.Context(), args)
				if err != nil {
					return err
				}
				return a.answer("pipe.hash/1", list, func(w io.Writer) {
					for i, h := range list {
						_, _ = fmt.Fprintf(w, "%s  %s\n", h.Hash.Hex(), args[i])
					}
				})
			})
		})
}
