package cli

import (
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// hashCmd makes pipe hash. Which of several possible hashes a directory got is said beside the
// answer: programs read the hashes alone.
func (a *app) hashCmd() *cobra.Command {
	return command("hash PATH...", "Print the hash of files and directories",
		`Print the BLAKE3 hash of each path, inside a project or anywhere else; - is stdin.
For a file it is the hash that b3sum prints; for a directory it is the hash of its
canonical listing: of all files in an output or outside the project, otherwise of
those that git does not ignore. Commands get the same hashes in PIPE_HASH_ variables.`,
		"pipe hash dist/app.zip\npipe hash ~/Downloads/app.zip\ncurl -s https://example.com/app.zip | pipe hash -", arguments(1, -1, "name a file or directory"), func(c *cobra.Command, args []string) error {
			list, err := pipe.Hash(c.Context(), a.asking(), a.In, args)
			if len(list) == 0 {
				return err
			}
			return errors.Join(a.answer("pipe.hash/1", list, func(w io.Writer) {
				for _, h := range list {
					// The path as the user wrote it, not as it lies in the project: b3sum
					// would not find that one.
					view.Print(w, "%s  %s\n", h.Hash.Hex(), h.Arg)
					if text := hashOf[h.Of]; text != "" && !a.quiet {
						view.Print(a.Err, "note: %s: %s\n", h.Arg, text)
					}
				}
			}), err)
		})
}

// hashOf says which hash was printed where there is more than one.
var hashOf = map[string]string{
	pipe.OfTree:   "the hash of all its files, as an output has it",
	pipe.OfInput:  "the hash of its files that git does not ignore, as a dependency has it",
	pipe.OfRecord: "not in the workspace; this is its hash in pipe.lock",
}
