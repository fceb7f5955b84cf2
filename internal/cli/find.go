package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// findCmd makes pipe find. What this machine knows is printed before the remote is asked.
func (a *app) findCmd() *cobra.Command {
	var opt pipe.FindOptions
	c := command("find HASH|FILE", "Find an artifact by its hash or a prefix of it",
		`Show which stage created an artifact, which commits have it in pipe.lock, where it
is or was live, and whether the cache and the remote have it. Instead of a hash, name a
file, in the project or anywhere else, to find it by its content, or give the key
of a stage. With -o, fetch it.

What this machine knows is printed first, then the remote is asked. If it cannot be
reached, the answer says so.`,
		"pipe find 1e9ff5572e47\npipe find 1e9ff5572e47 -o old.zip\npipe find ~/Downloads/app.zip", arguments(1, 1, "give a hash or a file"), func(c *cobra.Command, args []string) error {
			return a.with(c.Context(), func(p *pipe.Project) error {
				said := 0
				if !a.json {
					opt.Local = func(f pipe.Found) {
						printFound(a.Out, f.Artifacts)
						said = len(f.Artifacts)
					}
				}
				f, err := p.Find(c.Context(), args[0], opt)
				if f == nil || err != nil && a.json {
					return err
				}
				return errors.Join(a.answer("pipe.find/1", f, func(w io.Writer) {
					printFound(w, f.Artifacts[said:])
					printPlaces(w, f)
				}), err)
			})
		})
	c.Flags().StringVarP(&opt.Output, "output", "o", "", "write the artifact to this file or directory")
	c.Flags().BoolVar(&opt.Offline, "offline", false, "ask neither the remote nor, in a partial clone, git's")
	return c
}

// printFound prints of each artifact what this machine knows: what it is, its commits, and
// whether the cache has its bytes.
func printFound(w io.Writer, artifacts []pipe.Artifact) {
	for _, x := range artifacts {
		view.Print(w, "%s\n", foundName(x))
		if x.MD5 != "" {
			printDVC(w, x)
			continue
		}
		kind := map[string]string{"out": "output", "inside": "file in an output", "dep": "dependency", "key": "output, found by its key", "object": "neither output nor dependency in any pipe.lock"}[x.What]
		if x.Path != "" {
			view.Print(w, "  %s  %s of stage %s, %s\n", x.Path, kind, x.Stage, view.Bytes(x.Size))
		} else {
			view.Print(w, "  %s, %s\n", kind, view.Bytes(x.Size))
		}
		printCommits(w, x.Now, x.First, x.Last)
		if len(x.Refs) > 0 {
			view.Print(w, "  on %s\n", strings.Join(x.Refs, ", "))
		}
		switch {
		case x.Cache == nil:
			view.Print(w, "  not looked for in the cache and the remote, as beyond the first 20\n")
		case *x.Cache:
			view.Print(w, "  in the cache\n")
		default:
			view.Print(w, "  not in the cache\n")
		}
	}
}

// foundName is the hash that an artifact is printed under: DVC's, when that was asked for.
func foundName(x pipe.Artifact) string {
	if x.MD5 != "" {
		return "md5:" + x.MD5
	}
	return x.Hash.String()
}

// printDVC prints of an artifact what DVC's files say, and its hash in pipe, where that is known.
func printDVC(w io.Writer, x pipe.Artifact) {
	kind := map[string]string{"dvc-out": "output", "dvc-inside": "file in an output", "dvc-dep": "dependency"}[x.What]
	switch {
	case x.File == "":
		view.Print(w, "  in no dvc.lock and no .dvc file\n")
	case x.Stage == "":
		view.Print(w, "  %s  by %s\n", x.Path, x.File)
	default:
		view.Print(w, "  %s  %s of stage %s, by %s\n", x.Path, kind, x.Stage, x.File)
	}
	if x.Now {
		view.Print(w, "  in the workspace's %s\n", x.File)
	}
	printCommits(w, false, x.First, x.Last)
	if len(x.Refs) > 0 {
		view.Print(w, "  on %s\n", strings.Join(x.Refs, ", "))
	}
	if x.Hash.IsZero() {
		view.Print(w, "  not known to pipe; -o fetches it from DVC's cache or remote\n")
		return
	}
	view.Print(w, "  %s, %s\n", x.Hash, view.Bytes(x.Size))
	if x.Cache != nil && *x.Cache {
		view.Print(w, "  in the cache\n")
	} else {
		view.Print(w, "  not in the cache; -o fetches it, also from DVC's cache or remote\n")
	}
}

// printPlaces prints where artifacts are live, and whether the remote has them; each hash once, and
// named if there are several artifacts above. Then come the limits of the answer.
func printPlaces(w io.Writer, f *pipe.Found) {
	printed := map[string]bool{}
	for _, x := range f.Artifacts {
		var lines []string
		for _, l := range x.Live {
			lines = append(lines, placeText(l))
		}
		switch {
		case x.Remote == nil:
		case *x.Remote:
			lines = append(lines, "in the remote")
		default:
			lines = append(lines, "not in the remote")
		}
		id := fmt.Sprintf("%s %q", foundName(x), lines)
		if len(lines) == 0 || printed[id] {
			continue
		}
		printed[id] = true
		if len(f.Artifacts) > 1 {
			view.Print(w, "%s\n", foundName(x))
		}
		for _, line := range lines {
			view.Print(w, "  %s\n", line)
		}
	}
	for _, u := range f.Unasked {
		view.Print(w, "could not ask %s: %s\n", u.Where, u.Why)
		if u.Hint != "" {
			view.Print(w, "  hint: %s\n", u.Hint)
		}
	}
	if f.Offline {
		view.Print(w, "offline: nobody but this machine was asked\n")
	}
	if f.Incomplete {
		view.Print(w, "the history is incomplete here: older commits were not searched (in a shallow clone, run git fetch --unshallow)\n")
	}
	if f.Wrote != "" {
		view.Print(w, "wrote %s\n", f.Wrote)
	}
}

// placeText says what an artifact has to do with an environment.
func placeText(l pipe.Live) string {
	switch {
	case l.Gone > 0:
		return fmt.Sprintf("was live in %s (%s), which no release has since #%d", l.Env, l.Stage, l.Gone)
	case l.Was:
		return fmt.Sprintf("was live in %s (%s), with release %s", l.Env, l.Stage, shortRelease(l.Release))
	}
	word := "live in"
	if l.Status != "ok" {
		word = "deployment " + l.Status + " in"
	}
	return fmt.Sprintf("%s %s (%s), since %s", word, l.Env, l.Stage, l.At.Format("2006-01-02 15:04:05 MST"))
}

// printCommits prints whether the workspace's pipe.lock names something, and the first and the
// last commit that does, as one line when they are the same; nil: none does.
func printCommits(w io.Writer, now bool, first, last *pipe.Commit) {
	if now {
		view.Print(w, "  in the workspace's pipe.lock\n")
	}
	line := func(word string, c *pipe.Commit) {
		view.Print(w, "  %s %.12s  %s  %s  %s\n", word, c.Hash, c.When.Format("2006-01-02 15:04"), c.Author, c.Subject)
	}
	switch {
	case first == nil:
	case first.Hash == last.Hash:
		line("commit", last)
	default:
		line("first", first)
		line("last ", last)
	}
}
