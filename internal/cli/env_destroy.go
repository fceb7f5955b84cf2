package cli

import (
	"errors"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// envDestroyCmd makes pipe env destroy.
func (a *app) envDestroyCmd() *cobra.Command {
	return a.waits(asks(command("destroy ENV", "Take down all that is live in an environment",
		`Run the undeploy command of each stage that is live, in the opposite order of the
deployment, in a fresh directory and with the variables of the deployment. This
counts as a deployment: it waits for others, and is recorded in the history. If a stage
was deployed without an undeploy command, nothing is destroyed.

A stage whose command fails stays in the state, and so do those that it needs. Run the
command again to go on from there.`,
		"pipe env destroy pr-123\npipe env destroy pr-123 -y", arguments(1, 1, "name an environment"), func(c *cobra.Command, args []string) error {
			if err := a.named(c); err != nil {
				return err
			}
			return a.opened(c.Context(), a.options(), func(p *pipe.Project) error {
				d, err := p.DestroyEnvironment(c.Context(), args[0], func(stages []string) error {
					return a.sure(c.Context(), c, func(w io.Writer) {
						view.Print(w, "Destroy %s? This takes down, in this order: %s\n", args[0], strings.Join(stages, ", "))
					})
				})
				if d == nil {
					return err
				}
				return errors.Join(err, a.answer("pipe.env.destroy/1", d, func(w io.Writer) { printDestroyed(w, d) }))
			})
		})))
}

// printDestroyed says what is left of an environment.
func printDestroyed(w io.Writer, d *pipe.Destroyed) {
	switch {
	case d.N == 0:
		view.Print(w, "nothing is live in %s\n", d.Env)
		return
	case d.Empty:
		view.Print(w, "%s is empty: took down %s\n", d.Env, strings.Join(d.Down, ", "))
		return
	case len(d.Down) > 0:
		view.Print(w, "took down %s\n", strings.Join(d.Down, ", "))
	}
	view.Print(w, "still in %s: %s\n", d.Env, strings.Join(d.Left, ", "))
}
