package cli

import (
	"cmp"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// envCmd makes pipe env, which lists unless it is told something else.
func (a *app) envCmd() *cobra.Command {
	const short = "List the environments and what is live there"
	const long = `List every environment that something was deployed to: each deploy stage with the
artifacts that it got, the commit, when and by whom, and how it ended. Only the
remote is asked; without one, the environments of this workspace are listed.`
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
	c := command("env", short, long, "pipe env\npipe env --json", noArgs, run)
	c.AddCommand(command("list", short, long, "pipe env list", noArgs, run))
	return c
}

// printEnvironments prints a row for each stage, and one more for each further artifact.
func printEnvironments(w io.Writer, list *pipe.Environments) {
	if len(list.Environments) == 0 {
		return
	}
	rows := [][]string{{"ENV", "STAGE", "ARTIFACT", "COMMIT", "WHEN", "BY", "STATUS"}}
	for _, e := range list.Environments {
		for _, s := range e.Stages {
			status := s.Status
			if status == "ok" {
				status = "live"
			}
			got := artifacts(&s)
			rows = append(rows, []string{
				e.Name, s.Stage, got[0], cmp.Or(fmt.Sprintf("%.12s", s.Commit), "-"), s.At.Format("2006-01-02 15:04 MST"), cmp.Or(s.By, "-"), status,
			})
			for _, more := range got[1:] {
				rows = append(rows, []string{"", "", more})
			}
		}
		if len(e.Stages) == 0 {
			rows = append(rows, []string{e.Name, "-"})
		}
	}
	view.Table(w, rows)
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
