package cli

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// hashCmd makes pipe hash. Its lines for files are those of b3sum, so that either can check
// the other.
func (a *app) hashCmd() *cobra.Command {
	return command("hash PATH...", "Print the hash of files and directories",
		`Print the BLAKE3 hash of each path. For a file it is the hash that b3sum prints;
for a directory it is the hash of its canonical listing. Commands get the same
hashes in PIPE_HASH_ variables.`,
		"pipe hash dist/app.zip", arguments(1, -1, "name a file or directory"), func(c *cobra.Command, args []string) error {
			return a.with(c.Context(), false, func(p *pipe.Project) error {
				list, err := p.Hash(c.Context(), args)
				if err != nil {
					return err
				}
				return a.answer("pipe.hash/1", list, func(w io.Writer) {
					for i, h := range list {
						// The path as the user wrote it, not as it lies in the project: b3sum
						// would not find that one.
						view.Print(w, "%s  %s\n", h.Hash.Hex(), args[i])
					}
				})
			})
		})
}
