package cli

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// stageCmd makes pipe stage with its commands.
func (a *app) stageCmd() *cobra.Command {
	c := command("stage", "List and add stages", "", "pipe stage list\npipe stage add -n build -d src -o app make", group, func(c *cobra.Command, _ []string) error { return c.Help() })
	c.AddCommand(a.stageListCmd(), a.stageAddCmd())
	return c
}

// stageListCmd makes pipe stage list.
func (a *app) stageListCmd() *cobra.Command {
	var names bool
	c := command("list [STAGE|OUT]...", "List the stages",
		`List all stages, or the named ones: the name, whether it is a build, a check or a deploy
stage, what it makes and its description. Each stage of a foreach or matrix has a line of
its own. --names prints only the names, one in each line.`,
		"pipe stage list\npipe stage list --names | grep ^train\npipe stage list -R", cobra.ArbitraryArgs, func(c *cobra.Command, args []string) error {
			return a.with(c.Context(), func(p *pipe.Project) error {
				stages, err := p.StageList(args)
				if err != nil {
					return err
				}
				return a.answer("pipe.stages/1", stages, func(w io.Writer) {
					if names {
						for _, s := range stages {
							view.Print(w, "%s\n", s.Name)
						}
						return
					}
					var rows [][]string
					for _, s := range stages {
						rows = append(rows, []string{s.Name, s.Kind, someOuts(s.Outs), s.Desc})
					}
					view.Table(w, rows)
				})
			})
		})
	c.Flags().BoolVar(&names, "names", false, "print only the names")
	return c
}

// someOuts names the first outputs of a stage: a line has an end.
func someOuts(outs []string) string {
	const most = 3
	if len(outs) > most {
		return strings.Join(outs[:most], ", ") + ", ..."
	}
	return strings.Join(outs, ", ")
}

// outFlags are the flags that name outputs, with their letters in DVC.
var outFlags = []struct {
	name, letter, list string
	noCache, persist   bool
	usage              string
}{
	{"outs", "o", "outs", false, false, "output: a file or directory"},
	{"outs-no-cache", "O", "outs", true, false, "output that is not cached: git or something else keeps it"},
	{"outs-persist", "", "outs", false, true, "output that stays in place while the command runs"},
	{"outs-persist-no-cache", "", "outs", true, true, "output that stays in place, and is not cached"},
	{"metrics", "m", "metrics", false, false, "output with metrics"},
	{"metrics-no-cache", "M", "metrics", true, false, "output with metrics that is not cached"},
	{"plots", "", "plots", false, false, "output with plots"},
	{"plots-no-cache", "", "plots", true, false, "output with plots that is not cached"},
}

// stageAddCmd makes pipe stage add.
func (a *app) stageAddCmd() *cobra.Command {
	var s pipe.NewStage
	outs := make([][]string, len(outFlags))
	c := command("add -n NAME [flags] COMMAND...", "Add a stage to pipe.yaml",
		`Add a stage to pipe.yaml, and its outputs to .gitignore. Other lines, comments and the
order of stages stay as they are. If the stage has an error, nothing is written.

The command is one argument for the shell, or several words, which are quoted where the
shell needs it. It runs in the current directory, or in the one that -w names, and all
paths are relative to that directory. Flags after the first word of the command belong to
the command. The flags are those of dvc stage add.

-f replaces a stage. What the old and the new one have in common stays as it is written.`,
		"pipe stage add -n train -d train.py -d data -p lr,epochs -o model.bin python train.py\npipe stage add -n test --check -d src 'go test ./... | tee log'\npipe stage add -n ship --deploy -d model.bin --needs test -e TOKEN ./deploy.sh", arguments(1, -1, "give the command of the stage"), func(c *cobra.Command, args []string) error {
			if s.Name == "" {
				return diag.New(diag.Usage, "name the stage: pipe stage add -n NAME COMMAND").Hinted("%s --help", c.CommandPath())
			}
			s.Cmd = args
			for i, o := range outFlags {
				for _, path := range outs[i] {
					s.Outs = append(s.Outs, pipe.NewOut{Path: path, List: o.list, NoCache: o.noCache, Persist: o.persist})
				}
			}
			r, err := pipe.AddStage(c.Context(), a.options(), s)
			if err != nil {
				return err
			}
			return a.answer("pipe.stage.add/1", r, func(w io.Writer) {
				word := "added"
				if r.Replaced {
					word = "replaced"
				}
				view.Print(w, "%s: %s\n", r.Stage, word)
				printWrote(w, r.Wrote)
			})
		})
	f := c.Flags()
	f.SetInterspersed(false)
	f.StringVarP(&s.Name, "name", "n", "", "name of the stage (required)")
	f.StringArrayVarP(&s.Deps, "deps", "d", nil, "dependency: a file, a directory, a pattern, or !PATTERN")
	f.StringArrayVarP(&s.Params, "params", "p", nil, "parameters: KEY,KEY of params.yaml, FILE:KEY,KEY, or FILE: for the whole file")
	f.StringArrayVarP(&s.Env, "variable", "e", nil, "environment variable: NAME, or NAME=VALUE")
	for i, o := range outFlags {
		f.StringArrayVarP(&outs[i], o.name, o.letter, nil, o.usage)
	}
	f.StringVarP(&s.Wdir, "wdir", "w", "", "directory in which the command runs")
	f.StringArrayVar(&s.Needs, "needs", nil, "stage that must succeed first")
	f.BoolVar(&s.Check, "check", false, "the stage is a test or the like: its result is that it succeeds")
	f.BoolVar(&s.Deploy, "deploy", false, "the stage deploys")
	f.BoolVar(&s.AlwaysChanged, "always-changed", false, "run the stage every time")
	f.StringVar(&s.Desc, "desc", "", "description, for people")
	f.BoolVarP(&s.Replace, "force", "f", false, "replace the stage if there is one")
	return a.waits(c)
}
