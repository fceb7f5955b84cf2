package cli

import (
	"fmt"
	"io"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/pkg/pipe"
)

func (a *app) initCmd() *cobra.Command {
	return command("init", "write a first pipe.yaml and the lines .gitignore needs",
		"Writes a pipe.yaml that explains itself, unless there is one, and adds what\n.gitignore lacks, and project: to a pipe.yaml that deploys to a remote without a\nname. It overwrites nothing.",
		cobra.NoArgs, func(c *cobra.Command, _ []string) error {
			r, err := pipe.Init(c.Context(), a.options())
			if err != nil {
				return err
			}
			return a.answer("pipe.init/1", r, func(w io.Writer) {
				if len(r.Wrote) == 0 {
					_, _ = fmt.Fprintln(w, "nothing to do: pipe.yaml and .gitignore are there")
					return
				}
				_, _ = fmt.Fprintf(w, "wrote %s\nnext: pipe repro\n", strings.Join(r.Wrote, ", "))
			})
		})
}

func (a *app) diffCmd() *cobra.Command {
	return command("diff [REV] [REV]", "compare stages' inputs and outs between commits",
		"Compares pipe.lock: of HEAD with the workspace's, of REV with the workspace's, or\nof the first REV with the second.",
		cobra.MaximumNArgs(2), func(c *cobra.Command, args []string) error {
			revs := append(args, "", "")
			return a.with(c.Context(), false, func(p *pipe.Project) error {
				changes, err := p.Diff(c.Context(), revs[0], revs[1])
				if err != nil {
					return err
				}
				return a.answer("pipe.diff/1", changes, func(w io.Writer) { printDiff(w, changes) })
			})
		})
}

func printDiff(w io.Writer, changes []pipe.Change) {
	stage := ""
	for _, x := range changes {
		if x.Stage != stage {
			stage = x.Stage
			_, _ = fmt.Fprintf(w, "%s\n", stage)
		}
		sign := "~"
		switch {
		case x.Old == "":
			sign = "+"
		case x.New == "":
			sign = "-"
		}
		_, _ = fmt.Fprintf(w, "  %s %s\n", sign, strings.TrimSpace(x.What+" "+x.Path))
		printOldNew(w, x.Old, x.New)
	}
}

func (a *app) dagCmd() *cobra.Command {
	var format string
	c := command("dag", "show the stages and what they need",
		"Prints one line a stage, each after what it needs; or a graph for Mermaid or Graphviz.",
		cobra.NoArgs, func(c *cobra.Command, _ []string) error {
			draw, ok := map[string]func(io.Writer, *pipe.Graph){"text": dagText, "mermaid": dagMermaid, "dot": dagDot}[format]
			if !ok {
				return diag.New(diag.Usage, "--format %s: not text, mermaid or dot", format).Hinted("pipe dag --format mermaid")
			}
			return a.with(c.Context(), false, func(p *pipe.Project) error {
				g := p.Dag()
				return a.answer("pipe.dag/1", g, func(w io.Writer) { draw(w, g) })
			})
		})
	c.Flags().StringVar(&format, "format", "text", "text, mermaid or dot")
	return c
}

func dagText(w io.Writer, g *pipe.Graph) {
	for _, s := range g.Stages {
		line := s.Name
		if s.Deploy {
			line += " (deploy)"
		}
		if len(s.Needs) > 0 {
			line += " <- " + strings.Join(s.Needs, ", ")
		}
		_, _ = fmt.Fprintln(w, line)
	}
}

func dagMermaid(w io.Writer, g *pipe.Graph) {
	_, _ = fmt.Fprintln(w, "flowchart TD")
	id := map[string]int{}
	for i, s := range g.Stages {
		id[s.Name] = i
		form := "  s%d[%q]\n"
		if s.Deploy {
			form = "  s%d([%q])\n"
		}
		_, _ = fmt.Fprintf(w, form, i, s.Name)
	}
	for i, s := range g.Stages {
		for _, n := range s.Needs {
			_, _ = fmt.Fprintf(w, "  s%d --> s%d\n", id[n], i)
		}
	}
}

func dagDot(w io.Writer, g *pipe.Graph) {
	_, _ = fmt.Fprintln(w, "digraph pipe {")
	for _, s := range g.Stages {
		shape := "box"
		if s.Deploy {
			shape = "oval"
		}
		_, _ = fmt.Fprintf(w, "  %q [shape=%s];\n", s.Name, shape)
		for _, n := range s.Needs {
			_, _ = fmt.Fprintf(w, "  %q -> %q;\n", n, s.Name)
		}
	}
	_, _ = fmt.Fprintln(w, "}")
}

func (a *app) versionCmd() *cobra.Command {
	return command("version", "print the version", "", cobra.NoArgs, func(*cobra.Command, []string) error {
		v := map[string]string{"version": pipe.Version, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH}
		return a.answer("pipe.version/1", v, func(w io.Writer) {
			_, _ = fmt.Fprintf(w, "pipe %s (%s, %s)\n", v["version"], v["go"], v["platform"])
		})
	})
}

func (a *app) completionCmd() *cobra.Command {
	return command("completion bash|zsh|fish|powershell", "print a completion script for a shell",
		"Prints a script that completes commands and flags, for example:\n\n  source <(pipe completion bash)",
		cobra.ExactArgs(1), func(c *cobra.Command, args []string) error {
			root := c.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(a.Out, true)
			case "zsh":
				return root.GenZshCompletion(a.Out)
			case "fish":
				return root.GenFishCompletion(a.Out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(a.Out)
			}
			return diag.New(diag.Usage, "no completion for %q", args[0]).Hinted("pipe completion bash")
		})
}
