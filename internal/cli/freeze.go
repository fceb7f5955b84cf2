package cli

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// freezeCmd makes pipe freeze.
func (a *app) freezeCmd() *cobra.Command {
	return a.freezing("freeze", "Keep stages from running",
		"Write frozen: true into stages in pipe.yaml. Comments and all other lines stay as\nthey are. A frozen stage never runs; its recorded outputs are used.",
		"pipe freeze train\npipe freeze model.bin", (*pipe.Project).Freeze)
}

// unfreezeCmd makes pipe unfreeze.
func (a *app) unfreezeCmd() *cobra.Command {
	return a.freezing("unfreeze", "Let frozen stages run again",
		"Remove frozen: true from stages in pipe.yaml. Comments and all other lines stay as\nthey are.",
		"pipe unfreeze train", (*pipe.Project).Unfreeze)
}

// freezing makes the two commands, which differ in the verb alone.
func (a *app) freezing(name, short, long, example string, verb func(*pipe.Project, context.Context, []string) ([]pipe.FrozenStage, error)) *cobra.Command {
	return a.waits(command(name+" STAGE|OUT...", short, long, example, arguments(1, -1, "name a stage"), func(c *cobra.Command, args []string) error {
		return a.with(c.Context(), func(p *pipe.Project) error {
			stages, err := verb(p, c.Context(), args)
			if err != nil {
				return err
			}
			return a.answer("pipe.freeze/1", stages, func(w io.Writer) {
				for _, s := range stages {
					view.Print(w, "%s: %s\n", s.Stage, frozenText(s))
				}
			})
		})
	}))
}

// frozenText says how a stage is now, and whether that is news.
func frozenText(s pipe.FrozenStage) string {
	switch {
	case s.Changed && s.Frozen:
		return "frozen"
	case s.Changed:
		return "no longer frozen"
	case s.Frozen:
		return "already frozen"
	}
	return "not frozen"
}
