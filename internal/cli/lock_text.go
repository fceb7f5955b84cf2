package cli

import (
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

// lockTextCmd makes pipe lock textconv, which git diff calls on each version of pipe.lock, anywhere.
// It is hidden: pipe init tells git of it.
func (a *app) lockTextCmd() *cobra.Command {
	c := command("textconv FILE", "Print a pipe.lock in short lines, for git diff",
		`Print pipe.lock in short lines, as git diff shows it after pipe init. What is not a
pipe.lock is printed as it is.`,
		"git config diff.pipe.textconv \"pipe lock textconv\"", arguments(1, 1, "name a file"), func(_ *cobra.Command, args []string) error {
			name := args[0]
			if a.dir != "" && !filepath.IsAbs(name) {
				name = filepath.Join(a.dir, name)
			}
			if name == os.DevNull { // git's name for a file that is not there
				return nil
			}
			data, err := atomicfile.Read(name, lockfile.MaxSize)
			if err == nil {
				view.Lock(a.Out, data)
			}
			return err
		})
	c.Hidden = true
	return c
}
