package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// sync makes push, pull and checkout, which differ in the verb alone.
func (a *app) sync(name, short, long string, verb func(*pipe.Project, context.Context, pipe.SyncOptions) (*pipe.SyncResult, error), past string) *cobra.Command {
	return command(name+" [STAGE|OUT]...", short, long, cobra.ArbitraryArgs, func(c *cobra.Command, args []string) error {
		return a.with(c.Context(), false, func(p *pipe.Project) error {
			r, err := verb(p, c.Context(), pipe.SyncOptions{Targets: args})
			if err != nil {
				return err
			}
			return a.answer("pipe."+name+"/1", r, func(w io.Writer) { printSync(w, r, past) })
		})
	})
}

func printSync(w io.Writer, r *pipe.SyncResult, past string) {
	changed := 0
	for _, o := range r.Outs {
		if o.Changed {
			changed++
			_, _ = fmt.Fprintf(w, "%s  %s  %s\n", o.Path, o.Digest.Short(), view.Bytes(o.Size))
		}
	}
	if len(r.Adopted) > 0 {
		_, _ = fmt.Fprintf(w, "adopted: %s (built first by another machine)\n", strings.Join(r.Adopted, ", "))
	}
	if len(r.Unpushed) > 0 {
		_, _ = fmt.Fprintf(w, "not recorded (push: false): %s\n", strings.Join(r.Unpushed, ", "))
	}
	if r.Objects == 0 && r.Records == 0 && changed == 0 {
		_, _ = fmt.Fprintln(w, "everything is up to date")
		return
	}
	records := ""
	if r.Records > 0 {
		records = ", " + view.Count(r.Records, "record")
	}
	_, _ = fmt.Fprintf(w, "%s: %s, %s%s\n", past, view.Count(r.Objects, "object"), view.Bytes(r.Bytes), records)
}

func (a *app) pushCmd() *cobra.Command {
	return a.sync("push", "put outs and records into the remote",
		`Puts what pipe.lock names into the remote: objects, then the records that name
them. When another machine recorded the same inputs first, its outs are taken:
pipe.lock and the workspace change, and the next repro deploys them.`,
		(*pipe.Project).Push, "pushed")
}

func (a *app) pullCmd() *cobra.Command {
	return a.sync("pull", "bring outs from the remote into the workspace",
		"Fetches what pipe.lock names and the cache lacks, verifies it, and writes the outs.",
		(*pipe.Project).Pull, "pulled")
}

func (a *app) checkoutCmd() *cobra.Command {
	return a.sync("checkout", "write outs from the cache into the workspace",
		"Writes what pipe.lock names from the cache, without the network.",
		(*pipe.Project).Checkout, "fetched")
}

func (a *app) findCmd() *cobra.Command {
	var opt pipe.FindOptions
	c := command("find HASH|FILE", "find an artifact by (the beginning of) its hash, and fetch it with -o",
		`Tells which artifact of which stage a hash is, the commits whose pipe.lock names
it, where it is live, and whether cache and remote have its bytes. A file is found by its own
hash, and so is a stage's key.`,
		cobra.ExactArgs(1), func(c *cobra.Command, args []string) error {
			return a.with(c.Context(), false, func(p *pipe.Project) error {
				f, err := p.Find(c.Context(), args[0], opt)
				if err != nil {
					return err
				}
				return a.answer("pipe.find/1", f, func(w io.Writer) { printFound(w, f) })
			})
		})
	c.Flags().StringVarP(&opt.Output, "output", "o", "", "write the bytes to this file (a directory's tree to this directory)")
	return c
}

func printFound(w io.Writer, f *pipe.Found) {
	for _, x := range f.Artifacts {
		_, _ = fmt.Fprintf(w, "%s\n", x.Hash)
		kind := map[string]string{"out": "out", "inside": "inside an out", "dep": "dep", "key": "out, by its key", "object": "object that no lock names"}[x.What]
		if x.Path != "" {
			_, _ = fmt.Fprintf(w, "  %s  %s of stage %s, %s\n", x.Path, kind, x.Stage, view.Bytes(x.Size))
		} else {
			_, _ = fmt.Fprintf(w, "  %s, %s\n", kind, view.Bytes(x.Size))
		}
		printCommits(w, &x)
		for _, l := range x.Live {
			word := "live in"
			if l.Status != "ok" {
				word = "deployment " + l.Status + " in"
			}
			_, _ = fmt.Fprintf(w, "  %s %s (%s), since %s\n", word, l.Env, l.Stage, l.At.Format("2006-01-02 15:04:05 MST"))
		}
		_, _ = fmt.Fprintf(w, "  bytes: %s\n", whereText(&x))
	}
	if f.Incomplete {
		_, _ = fmt.Fprintln(w, "the clone is shallow: older commits were not looked at (git fetch --unshallow)")
	}
	if f.Wrote != "" {
		_, _ = fmt.Fprintf(w, "wrote %s\n", f.Wrote)
	}
}

func printCommits(w io.Writer, x *pipe.Artifact) {
	if x.Now {
		_, _ = fmt.Fprintln(w, "  in the workspace's pipe.lock")
	}
	line := func(word string, c *pipe.Commit) {
		_, _ = fmt.Fprintf(w, "  %s %.12s  %s  %s  %s\n", word, c.Hash, c.When.Format("2006-01-02 15:04"), c.Author, c.Subject)
	}
	switch {
	case x.First == nil:
	case x.First.Hash == x.Last.Hash:
		line("commit", x.Last)
	default:
		line("first", x.First)
		line("last ", x.Last)
	}
	if len(x.Refs) > 0 {
		_, _ = fmt.Fprintf(w, "  on %s\n", strings.Join(x.Refs, ", "))
	}
}

func whereText(x *pipe.Artifact) string {
	var places []string
	if x.Cache {
		places = append(places, "cache")
	}
	if x.Remote != nil && *x.Remote {
		places = append(places, "remote")
	}
	if len(places) == 0 {
		return "nowhere"
	}
	return strings.Join(places, ", ")
}

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

func (a *app) gcCmd() *cobra.Command {
	var yes bool
	c := command("gc", "free cached objects that no commit names",
		`Frees what no pipe.lock of any branch, tag or worktree, nor the workspace's own,
names, in the cache alone. It shows what would go; --yes lets it go. What is
younger than an hour stays.`,
		cobra.NoArgs, func(c *cobra.Command, _ []string) error {
			return a.with(c.Context(), false, func(p *pipe.Project) error {
				g, err := p.GC(c.Context(), yes)
				if err != nil {
					return err
				}
				return a.answer("pipe.gc/1", g, func(w io.Writer) {
					word, next := "would free", " (pipe gc --yes)"
					if g.Done {
						word, next = "freed", ""
					}
					if g.Objects == 0 {
						next = ""
					}
					_, _ = fmt.Fprintf(w, "%s %s, %s%s; %d stay\n", word, view.Count(g.Objects, "object"), view.Bytes(g.Bytes), next, g.Kept)
				})
			})
		})
	c.Flags().BoolVarP(&yes, "yes", "y", false, "free them")
	return c
}

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

func (a *app) lockCmd() *cobra.Command {
	c := command("lock", "what concerns pipe.lock", "", cobra.NoArgs, func(c *cobra.Command, _ []string) error { return c.Help() })
	var message string
	commit := command("commit", "commit pipe.lock alone",
		"Commits pipe.lock to the current branch, and leaves the index and other changes\nas they are. It does not push.",
		cobra.NoArgs, func(c *cobra.Command, _ []string) error {
			return a.with(c.Context(), false, func(p *pipe.Project) error {
				r, err := p.LockCommit(c.Context(), message)
				if err != nil {
					return err
				}
				return a.answer("pipe.lock.commit/1", r, func(w io.Writer) {
					if r.Changed {
						_, _ = fmt.Fprintf(w, "committed %.12s\n", r.Commit)
						return
					}
					_, _ = fmt.Fprintln(w, "pipe.lock is committed already")
				})
			})
		})
	commit.Flags().StringVarP(&message, "message", "m", "", "the commit's message")
	c.AddCommand(commit)
	return c
}

func (a *app) doctorCmd() *cobra.Command {
	return command("doctor", "check everything that pipe needs", "Looks at git, the shells, pipe.yaml, pipe.lock and .gitignore, and really writes to the remote.",
		cobra.NoArgs, func(c *cobra.Command, _ []string) error {
			checks := pipe.Doctor(c.Context(), a.options())
			failed := 0
			for _, x := range checks {
				if !x.OK {
					failed++
				}
			}
			err := a.answer("pipe.doctor/1", checks, func(w io.Writer) {
				for _, x := range checks {
					mark := "ok  "
					if !x.OK {
						mark = "FAIL"
					}
					_, _ = fmt.Fprintf(w, "%s  %s: %s\n", mark, x.Name, x.Text)
					if x.Hint != "" {
						_, _ = fmt.Fprintf(w, "      hint: %s\n", x.Hint)
					}
				}
			})
			if err == nil && failed > 0 {
				err = diag.New(diag.Failed, "%s failed", view.Count(failed, "check")).Hinted("pipe doctor lists them, each with its next step")
			}
			return err
		})
}
