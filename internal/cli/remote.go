package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/pkg/pipe"
)

// remoteCmd makes pipe remote with its commands.
func (a *app) remoteCmd() *cobra.Command {
	c := command("remote", "Manage remotes", "", "pipe remote add main s3://bucket/prefix", cobra.NoArgs, func(c *cobra.Command, _ []string) error { return c.Help() })
	var add pipe.RemoteInfo
	adder := command("add NAME URL", "Add a remote to pipe.yaml",
		"Add a remote to pipe.yaml, and the name of the project if it has none. The first\nremote is the default.",
		"pipe remote add main s3://bucket/prefix\npipe remote add nas /mnt/store", arguments(2, 2, "give a name and a URL"), func(c *cobra.Command, args []string) error {
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
	list := command("list", "List the remotes, the default one first", "", "pipe remote list", noArgs, func(c *cobra.Command, _ []string) error {
		return a.with(c.Context(), false, func(p *pipe.Project) error {
			remotes := p.Remotes()
			return a.answer("pipe.remotes/1", remotes, func(w io.Writer) {
				for _, r := range remotes {
					_, _ = fmt.Fprintf(w, "%s  %s\n", r.Name, r.URL)
				}
			})
		})
	})
	probe := command("probe", "Test reads, writes and conditional writes of the remote", "", "pipe remote probe -r main", noArgs, func(c *cobra.Command, _ []string) error {
		return a.with(c.Context(), false, func(p *pipe.Project) error {
			url, err := p.Probe(c.Context())
			if err != nil {
				return err
			}
			return a.answer("pipe.probe/1", map[string]any{"url": url, "ok": true}, func(w io.Writer) {
				_, _ = fmt.Fprintf(w, "%s: reads, writes and conditional writes work\n", url)
			})
		})
	})
	c.AddCommand(adder, list, probe, a.forgetCmd())
	return c
}

// forgetCmd makes pipe remote forget.
func (a *app) forgetCmd() *cobra.Command {
	return command("forget NAME", "Forget that this clone has used a remote",
		`Forget that this clone has used a remote. If the marker pipe-store of a remote that
this clone has used is gone, the remote counts as unreachable, because a directory
that is not mounted looks empty. If you emptied it on purpose, forget it.`,
		"pipe remote forget main", arguments(1, 1, "name a remote"), func(c *cobra.Command, args []string) error {
			a.remote = args[0]
			return a.with(c.Context(), false, func(p *pipe.Project) error {
				url, forgotten, err := p.Forget(c.Context())
				if err != nil {
					return err
				}
				return a.answer("pipe.forgotten/1", map[string]any{"url": url, "forgotten": forgotten}, func(w io.Writer) {
					text := "forgotten"
					if !forgotten {
						text = "nothing to forget"
					}
					_, _ = fmt.Fprintf(w, "%s: %s\n", url, text)
				})
			})
		})
}
