package cli

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// remoteCmd makes pipe remote with its commands.
func (a *app) remoteCmd() *cobra.Command {
	c := command("remote", "Manage remotes", "", "pipe remote add main s3://bucket/prefix", group, func(c *cobra.Command, _ []string) error { return c.Help() })
	var add pipe.RemoteInfo
	adder := command("add NAME URL", "Add a remote to pipe.yaml",
		"Add a remote to pipe.yaml, and the name of the project if it has none. The first\nremote is the default.",
		"pipe remote add main s3://bucket/prefix\npipe remote add nas /mnt/store", arguments(2, 2, "give a name and a URL"), func(c *cobra.Command, args []string) error {
			add.Name, add.URL = args[0], args[1]
			return a.with(c.Context(), func(p *pipe.Project) error {
				if err := p.AddRemote(c.Context(), add); err != nil {
					return err
				}
				return a.answer("pipe.remote/1", add, func(w io.Writer) { view.Print(w, "%s  %s\n", add.Name, add.URL) })
			})
		})
	adder.Flags().StringVar(&add.Endpoint, "endpoint", "", "URL of an S3-compatible server")
	adder.Flags().StringVar(&add.Region, "region", "", "region of the bucket")
	list := command("list", "List the remotes, the default one first", "", "pipe remote list", noArgs, func(c *cobra.Command, _ []string) error {
		return a.with(c.Context(), func(p *pipe.Project) error {
			remotes, err := p.Remotes()
			if err != nil {
				return err
			}
			return a.listed(remotes)
		})
	})
	probe := command("probe", "Test reads, writes and conditional writes of the remote", "", "pipe remote probe -r main", noArgs, func(c *cobra.Command, _ []string) error {
		return a.with(c.Context(), func(p *pipe.Project) error {
			url, err := p.Probe(c.Context())
			if err != nil {
				return err
			}
			return a.answer("pipe.probe/1", map[string]any{"url": url, "ok": true}, func(w io.Writer) {
				view.Print(w, "%s: reads, writes and conditional writes work\n", url)
			})
		})
	})
	c.AddCommand(a.waits(adder), list, a.trustCmd(), probe, a.forgetCmd())
	c.AddCommand(a.remoteEdits()...)
	return c
}

// listed prints remotes, the default one first.
func (a *app) listed(remotes []pipe.RemoteInfo) error {
	return a.answer("pipe.remotes/1", remotes, func(w io.Writer) {
		for _, r := range remotes {
			view.Print(w, "%s  %s%s\n", r.Name, r.URL, serverText(r))
		}
	})
}

// remoteEdits makes the commands that change a remote in pipe.yaml. Each prints those that are left.
func (a *app) remoteEdits() []*cobra.Command {
	edit := func(use, short, long, example string, args cobra.PositionalArgs, change func(c *cobra.Command, p *pipe.Project, args []string) ([]pipe.RemoteInfo, error)) *cobra.Command {
		return a.waits(command(use, short, long, example, args, func(c *cobra.Command, args []string) error {
			return a.with(c.Context(), func(p *pipe.Project) error {
				left, err := change(c, p, args)
				if err != nil {
					return err
				}
				return a.listed(left)
			})
		}))
	}
	return []*cobra.Command{
		edit("remove NAME", "Remove a remote from pipe.yaml",
			"Remove a remote from pipe.yaml. What is stored in it stays. If it was the default, the\nnext one becomes the default.",
			"pipe remote remove nas", arguments(1, 1, "name a remote"), func(c *cobra.Command, p *pipe.Project, args []string) ([]pipe.RemoteInfo, error) {
				return p.RemoveRemote(c.Context(), args[0])
			}),
		edit("rename NAME NEW", "Rename a remote in pipe.yaml",
			"Rename a remote in pipe.yaml. A server that needs trust must be trusted again under the\nnew name.",
			"pipe remote rename nas disk", arguments(2, 2, "give a name and a new name"), func(c *cobra.Command, p *pipe.Project, args []string) ([]pipe.RemoteInfo, error) {
				return p.RenameRemote(c.Context(), args[0], args[1])
			}),
		edit("default NAME", "Make a remote the default",
			"Make a remote the default: it moves to the first place in pipe.yaml. Environments live\nin the default remote, so those of the old one are no longer seen.",
			"pipe remote default nas", arguments(1, 1, "name a remote"), func(c *cobra.Command, p *pipe.Project, args []string) ([]pipe.RemoteInfo, error) {
				return p.DefaultRemote(c.Context(), args[0])
			}),
	}
}

// trustCmd makes pipe remote trust. It asks nothing: to run it is the answer.
func (a *app) trustCmd() *cobra.Command {
	var remove bool
	c := command("trust NAME", "Trust the server of a remote with your credentials",
		`Trust the S3-compatible server that pipe.yaml names as the endpoint of a remote.

Whoever changes pipe.yaml can name a server, so pipe sends credentials only to servers
that you trust on this machine. Another endpoint or profile under the same name must be
trusted again. AWS itself and servers on this machine need no trust. In CI, set
PIPE_TRUST_ENDPOINT to the endpoint instead.`,
		"pipe remote trust main\npipe remote trust main --remove", arguments(1, 1, "name a remote"), func(c *cobra.Command, args []string) error {
			return a.with(c.Context(), func(p *pipe.Project) error {
				change := p.TrustRemote
				if remove {
					change = p.DistrustRemote
				}
				r, err := change(c.Context(), args[0])
				if err != nil {
					return err
				}
				return a.answer("pipe.remote.trust/1", r, func(w io.Writer) {
					if r.Trust == "" {
						view.Print(w, "%s  %s  needs no trust\n", r.Name, r.URL)
						return
					}
					view.Print(w, "%s  %s%s\n", r.Name, r.URL, serverText(r))
				})
			})
		})
	c.Flags().BoolVar(&remove, "remove", false, "no longer trust the server")
	return c
}

// serverText says which server a remote is on, where that is not AWS's.
func serverText(r pipe.RemoteInfo) string {
	if r.Endpoint == "" {
		return ""
	}
	text := "  on " + r.Endpoint
	if r.Profile != "" {
		text += " with profile " + r.Profile
	}
	if r.Trust != "" {
		text += ", " + r.Trust
	}
	return text
}

// forgetCmd makes pipe remote forget.
func (a *app) forgetCmd() *cobra.Command {
	return command("forget NAME", "Forget that this clone has used a remote",
		`Forget that this clone has used a remote. If the marker pipe-store of a remote that
this clone has used is gone, the remote counts as unreachable, because a directory
that is not mounted looks empty. If you emptied it on purpose, forget it.`,
		"pipe remote forget main", arguments(1, 1, "name a remote"), func(c *cobra.Command, args []string) error {
			a.remote = args[0]
			return a.with(c.Context(), func(p *pipe.Project) error {
				url, forgotten, err := p.Forget(c.Context())
				if err != nil {
					return err
				}
				return a.answer("pipe.forgotten/1", map[string]any{"url": url, "forgotten": forgotten}, func(w io.Writer) {
					text := "forgotten"
					if !forgotten {
						text = "nothing to forget"
					}
					view.Print(w, "%s: %s\n", url, text)
				})
			})
		})
}
