package cli

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// envCmd makes pipe env, which lists unless it is told something else.
func (a *app) envCmd() *cobra.Command {
	const short = "List the environments and what is live there"
	const long = `List every environment that something was deployed to: each deploy stage with the
artifacts that it got, the commit, when and by whom, and how it ended. The last column
says what else matters: that the environment is held, that a deployment is in progress,
that HEAD has newer changes than what is live (behind), that the inputs were not as in
the commit (edited) or that other sources or values were asked for (override).
Environments in which nothing is live come last, in one line.

Only the remote is asked; without one, the environments of this workspace are listed.`
	run := func(c *cobra.Command, _ []string) error {
		return a.with(c.Context(), func(p *pipe.Project) error {
			list, unread := p.Environments(c.Context())
			if list == nil {
				return unread
			}
			if len(list.Environments) == 0 && unread == nil && !a.json {
				view.Print(a.Err, "nothing was deployed yet\n")
			}
			if err := a.answer("pipe.env/1", list, func(w io.Writer) { printEnvironments(w, list) }); err != nil {
				return err
			}
			return unread
		})
	}
	c := command("env", short, long, "pipe env\npipe env --json", group, run)
	c.AddCommand(
		command("list", short, long, "pipe env list", noArgs, run),
		a.envShowCmd(), a.envHistoryCmd(), a.envDriftCmd(), a.envUnlockCmd(), a.envDestroyCmd(), a.envForgetCmd(),
	)
	return c
}

// printEnvironments prints a row for each stage, and one more for each further artifact.
func printEnvironments(w io.Writer, list *pipe.Environments) {
	if len(list.Environments) == 0 {
		return
	}
	rows := [][]string{{"ENV", "STAGE", "ARTIFACT", "COMMIT", "WHEN", "BY", "STATUS", "NOTES"}}
	var empty []string // previews that are gone would soon fill the table
	for i := range list.Environments {
		e := &list.Environments[i]
		notes := badges(e)
		for _, s := range e.Stages {
			got := artifacts(&s)
			rows = append(rows, []string{
				e.Name, s.Stage, got[0], cmp.Or(fmt.Sprintf("%.12s", s.Commit), "-"), moment(s.At), cmp.Or(s.By, "-"), stateText(s.Status),
				strings.Join(append(notes, stageBadges(&s)...), "; "),
			})
			notes = nil // once is enough
			for _, more := range got[1:] {
				rows = append(rows, []string{"", "", more})
			}
		}
		switch {
		case len(e.Stages) > 0:
		case e.Held != nil || e.Deploying != nil:
			rows = append(rows, []string{e.Name, "-", "", "", "", "", "empty", strings.Join(notes, "; ")})
		default:
			empty = append(empty, e.Name)
		}
	}
	if len(rows) > 1 {
		view.Table(w, rows)
	}
	if len(empty) > 0 {
		view.Print(w, "empty: %s\n", strings.Join(view.Few(empty, 5), ", "))
	}
}

// moment is a time as tables have it.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

// stateText is the word for the status of a stage in an environment.
func stateText(status string) string {
	if status == "ok" {
		return "live"
	}
	return status
}

// badges are what matters of an environment beside its stages.
func badges(e *pipe.Environment) (words []string) {
	if h := e.Held; h != nil && h.Until == "resume" {
		words = append(words, "held"+holdText(h))
	} else if h != nil {
		words = append(words, vetoText(h))
	}
	if d := e.Deploying; d != nil {
		words = append(words, doingText(d))
	}
	if e.Behind {
		words = append(words, "behind")
	}
	return words
}

// vetoText names what was rolled away from.
func vetoText(h *pipe.EnvHold) string {
	var short []string
	for _, id := range h.Veto {
		short = append(short, shortRelease(id))
	}
	return "rolled back from " + strings.Join(view.Few(short, 2), ", ") + holdText(h)
}

// doingText says which deployment is in progress, or was when its run died.
func doingText(d *pipe.Holder) string {
	word := map[string]string{"destroy": "being destroyed", "rollback": "being rolled back"}[d.Kind]
	text := fmt.Sprintf("%s (#%d)%s", cmp.Or(word, "being deployed"), d.N, holderText(d))
	if d.Dead {
		text = fmt.Sprintf("the run of #%d died%s", d.N, holderText(d))
	}
	return text
}

// holderText says who deploys, since when.
func holderText(d *pipe.Holder) string {
	text := byText(d.By)
	if !d.Since.IsZero() {
		text += " since " + moment(d.Since)
	}
	return text
}

// stageBadges are what matters of a stage in an environment beside its status.
func stageBadges(s *pipe.DeployedStage) (words []string) {
	if s.Dirty {
		words = append(words, "edited")
	}
	if s.Override {
		words = append(words, "override")
	}
	if s.Gone > 0 {
		words = append(words, fmt.Sprintf("no longer in pipe.yaml since #%d", s.Gone))
	}
	return words
}

// artifacts are the first outputs that a deployment got; of one that got sources alone it is
// the tree of them all.
func artifacts(s *pipe.DeployedStage) (lines []string) {
	if len(s.Artifacts) == 0 {
		return []string{s.Closure.Short() + "  (sources)"}
	}
	for _, o := range s.Artifacts {
		lines = append(lines, o.Digest.Short()+"  "+string(o.Path))
	}
	return view.Few(lines, 3)
}
