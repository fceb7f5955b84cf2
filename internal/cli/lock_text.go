package cli

import (
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

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
			return a.printText(name)
		})
	c.Hidden = true
	return c
}

// printText prints a file of any kind and size: what fails here fails a git diff.
func (a *app) printText(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read from
	data, err := io.ReadAll(io.LimitReader(f, lockfile.MaxSize+1))
	if err == nil {
		_, err = a.Out.Write(lockfile.Text(data))
	}
	if err == nil {
		_, err = io.Copy(a.Out, f) // the rest of what is too large for a lock
	}
	return err
}
