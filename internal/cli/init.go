package cli

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// initCmd makes pipe init, which makes a project where there is none.
func (a *app) initCmd() *cobra.Command {
	var how pipe.InitOptions
	c := command("init", "Create pipe.yaml and add pipe's files to .gitignore",
		`Create a pipe.yaml with comments, unless there is one, and add the missing lines
to .gitignore and .gitattributes. If pipe.yaml deploys through a remote but has no
project name, add one. Nothing is overwritten.

With these lines, pipe.lock merges without conflicts (see pipe lock resolve), and git diff
shows a summary of it. For that, diff.pipe.textconv is set in this clone's git config, so
each clone needs pipe init once.

The new pipe.yaml fits what is in the directory: go.mod, package.json, pyproject.toml,
Dockerfile or Makefile. It has a check, a build, and a deploy stage in comments, so
nothing is deployed yet. --dry-run prints it. For a DVC project, run pipe import dvc.`,
		"pipe init\npipe init --dry-run", group, func(c *cobra.Command, _ []string) error {
			r, err := pipe.Init(c.Context(), a.options(), how)
			if err != nil {
				return err
			}
			return a.answer("pipe.init/1", r, func(w io.Writer) { a.printInit(w, r, how.DryRun) })
		})
	c.Flags().BoolVar(&how.DryRun, "dry-run", false, "print pipe.yaml and write nothing")
	c.AddCommand(a.initHooksCmd(), a.initCICmd())
	return c
}

// initHooksCmd makes pipe init hooks.
func (a *app) initHooksCmd() *cobra.Command {
	var opt pipe.HookOptions
	c := command("hooks", "Run pipe push and pipe checkout from git's hooks",
		`Add one line each to two of git's hooks:

pre-push       pipe push --rev: what the pushed commits name is in the remote first.
               If that fails, git push stops; git push --no-verify skips it.
post-checkout  pipe checkout, when git switches to a commit with another pipe.lock:
               the outputs in the workspace are those of the commit. It never stops git.

Other lines of a hook stay, and core.hooksPath is honoured. The lines do nothing where pipe
is not installed. --remove takes them out again.`,
		"pipe init hooks\npipe init hooks --remove", noArgs, func(c *cobra.Command, _ []string) error {
			return a.with(c.Context(), func(p *pipe.Project) error {
				r, err := p.Hooks(c.Context(), opt)
				if err != nil {
					return err
				}
				return a.answer("pipe.init.hooks/1", r, func(w io.Writer) {
					if len(r.Wrote) == 0 {
						view.Print(w, "nothing to do\n")
						return
					}
					view.Print(w, "changed %s in %s\n", strings.Join(r.Wrote, ", "), r.Dir)
				})
			})
		})
	c.Flags().BoolVar(&opt.Remove, "remove", false, "take pipe's lines out of the hooks")
	return c
}

// printInit prints what was found and written. With --dry-run, only the new pipe.yaml goes to
// stdout.
func (a *app) printInit(w io.Writer, r *pipe.Initialized, dryRun bool) {
	talk, wrote, set := w, "wrote", "set"
	if dryRun {
		talk, wrote, set = a.Err, "would write", "would set"
	}
	for _, f := range r.Found {
		if f.Why != "" {
			view.Print(talk, "found %s: %s\n", f.File, f.Why)
			continue
		}
		noun := "stages"
		if len(f.Stages) == 1 {
			noun = "stage"
		}
		view.Print(talk, "found %s: %s %s\n", f.File, noun, strings.Join(f.Stages, ", "))
	}
	if len(r.Wrote)+len(r.Config) == 0 {
		view.Print(talk, "nothing to do: pipe.yaml, .gitignore and .gitattributes are up to date\n")
		return
	}
	if len(r.Wrote) > 0 {
		view.Print(talk, "%s %s\n", wrote, strings.Join(r.Wrote, ", "))
	}
	for _, name := range r.Config {
		view.Print(talk, "%s %s in this clone's git config: git diff shows a summary of pipe.lock\n", set, name)
	}
	for line := range strings.Lines(r.Text) {
		view.Print(w, "%s\n", strings.TrimSuffix(line, "\n"))
	}
	if !dryRun {
		view.Print(w, "next: %s\n", r.Next)
	}
}
