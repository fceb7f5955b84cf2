package cli

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// findCmd makes pipe find.
func (a *app) findCmd() *cobra.Command {
	var opt pipe.FindOptions
	c := command("find HASH|FILE", "Find an artifact by its hash or a prefix of it",
		`Show which stage created an artifact, which commits have it in pipe.lock, where it
is live, and whether the cache and the remote have it. Instead of a hash, name a
file to find it by its content, or give the key of a stage. With -o, fetch it.`,
		"pipe find 1e9ff5572e47\npipe find 1e9ff5572e47 -o old.zip\npipe find dist/app.zip", arguments(1, 1, "give a hash or a file"), func(c *cobra.Command, args []string) error {
			return a.with(c.Context(), false, func(p *pipe.Project) error {
				f, err := p.Find(c.Context(), args[0], opt)
				if err != nil {
					return err
				}
				return a.answer("pipe.find/1", f, func(w io.Writer) { printFound(w, f) })
			})
		})
	c.Flags().StringVarP(&opt.Output, "output", "o", "", "write the artifact to this file or directory")
	return c
}

// printFound prints each artifact with what it is, its commits, where it is live and where its
// bytes are.
func printFound(w io.Writer, f *pipe.Found) {
	for _, x := range f.Artifacts {
		view.Print(w, "%s\n", x.Hash)
		kind := map[string]string{"out": "output", "inside": "file in an output", "dep": "dependency", "key": "output, found by its key", "object": "object that no pipe.lock names"}[x.What]
		if x.Path != "" {
			view.Print(w, "  %s  %s of stage %s, %s\n", x.Path, kind, x.Stage, view.Bytes(x.Size))
		} else {
			view.Print(w, "  %s, %s\n", kind, view.Bytes(x.Size))
		}
		printCommits(w, &x)
		for _, l := range x.Live {
			word := "live in"
			if l.Status != "ok" {
				word = "deployment " + l.Status + " in"
			}
			view.Print(w, "  %s %s (%s), since %s\n", word, l.Env, l.Stage, l.At.Format("2006-01-02 15:04:05 MST"))
		}
		view.Print(w, "  bytes: %s\n", whereText(&x))
	}
	if f.Incomplete {
		view.Print(w, "the clone is shallow: older commits were not searched (run git fetch --unshallow)\n")
	}
	if f.Wrote != "" {
		view.Print(w, "wrote %s\n", f.Wrote)
	}
}

// printCommits prints the first and the last commit that name an artifact, as one line when
// they are the same.
func printCommits(w io.Writer, x *pipe.Artifact) {
	if x.Now {
		view.Print(w, "  in the workspace's pipe.lock\n")
	}
	line := func(word string, c *pipe.Commit) {
		view.Print(w, "  %s %.12s  %s  %s  %s\n", word, c.Hash, c.When.Format("2006-01-02 15:04"), c.Author, c.Subject)
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
		view.Print(w, "  on %s\n", strings.Join(x.Refs, ", "))
	}
}

// whereText says where the bytes are. "nowhere" is said only when somebody looked: beyond the
// first artifacts nobody does.
func whereText(x *pipe.Artifact) string {
	var places []string
	if x.Cache == nil {
		return "not asked"
	}
	if *x.Cache {
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
