package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/pkg/pipe"
)

func (a *app) remoteCmd() *cobra.Command {
	c := command("remote", "name, list and test remotes", "", cobra.NoArgs, func(c *cobra.Command, _ []string) error { return c.Help() })
	var add pipe.RemoteInfo
	adder := command("add NAME URL", "add a remote to pipe.yaml", "Adds the remote to pipe.yaml, and the name of the project if it has none.\nThe first remote is the default.",
		cobra.ExactArgs(2), func(c *cobra.Command, args []string) error {
			add.Name, add.URL = args[0], args[1]
			return a.with(c.Context(), false, func(p *pipe.Project) error {
				if err := p.AddRemote(c.Context(), add); err != nil {
					return err
				}
				return a.answer("pipe.remote/1", add, func(w io.Writer) { _, _ = fmt.Fprintf(w, "%s  %s\n", add.Name, add.URL) })
			})
		})
	adder.Flags().StringVar(&add.Endpoint, "endpoint", "", "URL of an S3-compatible server")
	adder.Flags().StringVar(&add.Region, "region", "", "region of the bucket")
	list := command("list", "list the remotes, the default first", "", cobra.NoArgs, func(c *cobra.Command, _ []string) error {
		return a.with(c.Context(), false, func(p *pipe.Project) error {
			remotes := p.Remotes()
			return a.answer("pipe.remotes/1", remotes, func(w io.Writer) {
				for _, r := range remotes {
					_, _ = fmt.Fprintf(w, "%s  %s\n", r.Name, r.URL)
				}
			})
		})
	})
	probe := command("probe", "put, get and test conditional writes, for real", "", cobra.NoArgs, func(c *cobra.Command, _ []string) error {
		return a.with(c.Context(), false, func(p *pipe.Project) error {
			url, err := p.Probe(c.Context())
			if err != nil {
				return err
			}
			return a.answer("pipe.probe/1", map[string]any{"url": url, "ok": true}, func(w io.Writer) {
				_, _ = fmt.Fprintf(w, "%s: put, get and conditional writes work\n", url)
			})
		})
	})
	c.AddCommand(adder, list, probe)
	return c
}
