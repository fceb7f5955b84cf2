package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// holdCmd makes pipe hold.
func (a *app) holdCmd() *cobra.Command {
	var reason string
	c := command("hold ENV", "Keep automatic deployments away from an environment",
		`Keep automatic deployments away from an environment until pipe resume. A run in CI
that would deploy there ends with exit code 0 and says who holds it. Deploying by hand
fails with exit code 9. Rollbacks and deployments with --hold still go through.

A deployment in progress is not stopped.`,
		"pipe hold production\npipe hold production --reason \"checkout returns 500s\"", arguments(1, 1, "name an environment"), func(c *cobra.Command, args []string) error {
			if err := a.named(c); err != nil {
				return err
			}
			return a.with(c.Context(), func(p *pipe.Project) error {
				h, err := p.HoldEnvironment(c.Context(), args[0], reason)
				if err != nil {
					return err
				}
				return a.answer("pipe.hold/1", h, func(w io.Writer) {
					view.Print(w, "%s is held; pipe resume %s ends the hold\n", h.Env, h.Env)
					if h.Was != nil {
						view.Print(w, "it was held before%s\n", holdText(h.Was))
					}
					if d := h.Deploying; d != nil && !d.Dead {
						view.Print(w, "deployment #%d%s is in progress and is not stopped\n", d.N, holderText(d))
					}
				})
			})
		})
	c.Flags().StringVar(&reason, "reason", "", "why, for those who find the environment held")
	return c
}

// resumeCmd makes pipe resume.
func (a *app) resumeCmd() *cobra.Command {
	return command("resume ENV", "End the hold on an environment",
		`End the hold on an environment: automatic deployments go through again, also of a
release that was rolled back. Nothing is deployed now. The output says what the next
automatic deployment will bring, as far as it is known here.`,
		"pipe resume production", arguments(1, 1, "name an environment"), func(c *cobra.Command, args []string) error {
			if err := a.named(c); err != nil {
				return err
			}
			return a.with(c.Context(), func(p *pipe.Project) error {
				h, err := p.ResumeEnvironment(c.Context(), args[0])
				if err != nil {
					return err
				}
				return a.answer("pipe.resume/1", h, func(w io.Writer) {
					if h.Was == nil {
						view.Print(w, "%s was not held\n", h.Env)
					} else {
						view.Print(w, "%s is no longer held; it was held%s\n", h.Env, holdText(h.Was))
					}
					if h.Next != nil {
						view.Print(w, "%s\n", nextText(h.Env, h.Next))
					}
				})
			})
		})
}

// holdText says who holds an environment, since when, and why.
func holdText(h *pipe.EnvHold) string {
	text := byText(h.By) + " since " + moment(h.At)
	if h.Reason != "" {
		text += ": " + h.Reason
	}
	return text
}

// byText names who did something, where that is known.
func byText(who string) string {
	if who == "" {
		return ""
	}
	return " by " + who
}

// nextText says what comes to an environment on its own.
func nextText(env string, n *pipe.NextDeployment) string {
	live := ""
	if n.Live {
		live = ", which is live"
	}
	switch {
	case n.Pin != "" && n.Release == "":
		return fmt.Sprintf("next: what %s names; it names no release yet", n.Pin)
	case n.Pin != "":
		return fmt.Sprintf("next: release %s, from %s%s", shortRelease(n.Release), n.Pin, live)
	case n.From != "" && n.Release == "":
		return fmt.Sprintf("next: what is verified in %s", n.From)
	case n.From != "":
		return fmt.Sprintf("next: release %s, verified in %s%s", shortRelease(n.Release), n.From, live)
	case n.Commit != "":
		return fmt.Sprintf("next: the next run of branch %s; as far as this clone knows, commit %.12s%s", n.Branch, n.Commit, live)
	case n.Branch != "":
		return fmt.Sprintf("next: the next run of branch %s", n.Branch)
	}
	return fmt.Sprintf("nothing is deployed to %s automatically; run pipe deploy %s", env, env)
}
