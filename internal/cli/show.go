package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// showCmd makes pipe show.
func (a *app) showCmd() *cobra.Command {
	return command("show HASH|STAGE|OUT", "Show the record of a run",
		`Show what a run read and created, who ran it, where, when, and for how long, and which
commits have it in pipe.lock. Name a stage or an output for the run in pipe.lock, or
give the hash of a key, an output or a log (a prefix is enough).

With --json, the member "record" is the record as it is stored.`,
		"pipe show build\npipe show k1:1e9ff5572e47\npipe show 75f9fca333a6 --json", arguments(1, 1, "name a stage or give a hash"), func(c *cobra.Command, args []string) error {
			return a.with(c.Context(), func(p *pipe.Project) error {
				s, err := p.Show(c.Context(), args[0])
				if err != nil {
					return err
				}
				return a.answer("pipe.show/1", s, func(w io.Writer) { printShown(w, s) })
			})
		})
}

// printShown prints a record in words.
func printShown(w io.Writer, s *pipe.Shown) {
	view.Print(w, "%s\n  key %s\n", stageText(&s.Run), keyText(&s.Run))
	switch {
	case s.Source == "lock":
		view.Print(w, "  from pipe.lock; the record was not found\n")
	case s.FromLock:
		view.Print(w, "  the record was made from pipe.lock, so it does not say who ran the command\n")
	}
	printWho(w, &s.Run)
	if s.Platform != "" {
		view.Print(w, "  for %s\n", s.Platform)
	}
	printList(w, "outputs", len(s.Outs), func(i int) string {
		o := s.Outs[i]
		line := fmt.Sprintf("%s  %s, %s", o.Path, o.Digest, view.Bytes(o.Size))
		if o.Dir {
			line += ", " + view.Count(int(o.Files), "file")
		}
		if o.SHA256 != "" {
			line += ", sha256:" + o.SHA256
		}
		return line
	})
	printList(w, "inputs", len(s.Inputs), func(i int) string {
		in := s.Inputs[i]
		line := fmt.Sprintf("%s  %s, %s", in.Name(), in.Digest, view.Bytes(in.Size))
		if in.Kind != "" {
			line += ", " + view.Count(int(in.Files), "file")
		}
		return line
	})
	values := func(list []pipe.ShownValue) func(i int) string {
		return func(i int) string {
			v := list[i]
			if v.Hash == "" {
				return v.Name + " = " + v.Value
			}
			return v.Name + "  " + hashWord(v.Hash)
		}
	}
	printList(w, "params", len(s.Params), values(s.Params))
	printList(w, "env", len(s.Variable), values(s.Variable))
	if !s.Log.IsZero() {
		view.Print(w, "  log %s (pipe log --hash %s)\n", s.Log, s.Log.Short())
	}
	printCommits(w, s.Now, s.First, s.Last)
	if len(s.Others) > 0 {
		view.Print(w, "  the same hash is in %s: %s\n", view.Count(len(s.Others), "other run"), strings.Join(s.Others, ", "))
	}
}

// hashWord tells the hash of a value from the words that stand in its place.
func hashWord(h string) string {
	if h == "set" || h == "unset" {
		return h
	}
	return "hash " + h
}

// printList prints a word and one line for each item.
func printList(w io.Writer, word string, n int, item func(i int) string) {
	for i := range n {
		if i == 0 {
			view.Print(w, "  %s\n", word)
		}
		view.Print(w, "    %s\n", item(i))
	}
}
