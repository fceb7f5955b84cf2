package cli

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// dagCmd makes pipe dag. The formats draw one graph; with --json it is printed as it is,
// whatever the format.
func (a *app) dagCmd() *cobra.Command {
	var format string
	c := command("dag", "Show the stages and their dependencies",
		"Print one line per stage, in the order in which they run, or a graph for Mermaid\nor Graphviz.",
		"pipe dag\npipe dag --format dot | dot -Tsvg > dag.svg", noArgs, func(c *cobra.Command, _ []string) error {
			draw, ok := map[string]func(io.Writer, *pipe.Graph){"text": dagText, "mermaid": dagMermaid, "dot": dagDot}[format]
			if !ok {
				return diag.New(diag.Usage, "--format must be text, mermaid or dot, not %s", format).Hinted("pipe dag --format mermaid")
			}
			return a.with(c.Context(), func(p *pipe.Project) error {
				g := p.Dag()
				return a.answer("pipe.dag/1", g, func(w io.Writer) { draw(w, g) })
			})
		})
	c.Flags().StringVar(&format, "format", "text", "output format: text, mermaid or dot")
	oneOf(c, "format", "text", "mermaid", "dot")
	return c
}

// dagText prints a line per stage, after those that it needs.
func dagText(w io.Writer, g *pipe.Graph) {
	for _, s := range g.Stages {
		line := s.Name
		if s.Deploy {
			line += " (deploy)"
		}
		if s.Check {
			line += " (check)"
		}
		if len(s.Needs) > 0 {
			line += " <- " + strings.Join(s.Needs, ", ")
		}
		view.Print(w, "%s\n", line)
	}
}

// dagMermaid prints a Mermaid flowchart. Nodes get numbers for ids, because a stage's name may
// hold characters that an id there may not.
func dagMermaid(w io.Writer, g *pipe.Graph) {
	view.Print(w, "flowchart TD\n")
	id := map[string]int{}
	for i, s := range g.Stages {
		id[s.Name] = i
		form := "  s%d[%q]\n"
		if s.Deploy {
			form = "  s%d([%q])\n"
		}
		if s.Check {
			form = "  s%d{{%q}}\n"
		}
		view.Print(w, form, i, s.Name)
	}
	for i, s := range g.Stages {
		for _, n := range s.Needs {
			view.Print(w, "  s%d --> s%d\n", id[n], i)
		}
	}
}

// dagDot prints a Graphviz digraph. Edges point from a stage to those that it gives its
// outputs to.
func dagDot(w io.Writer, g *pipe.Graph) {
	view.Print(w, "digraph pipe {\n")
	for _, s := range g.Stages {
		shape := "box"
		if s.Deploy {
			shape = "oval"
		}
		if s.Check {
			shape = "hexagon"
		}
		view.Print(w, "  %q [shape=%s];\n", s.Name, shape)
		for _, n := range s.Needs {
			view.Print(w, "  %q -> %q;\n", n, s.Name)
		}
	}
	view.Print(w, "}\n")
}
