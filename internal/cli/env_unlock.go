package cli

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// envUnlockCmd makes pipe env unlock.
func (a *app) envUnlockCmd() *cobra.Command {
	return asks(command("unlock ENV", "Take an environment away from the run that deploys to it",
		`Take away the lease of a deployment, so that the next one does not wait for it. This is
rarely needed: the lease of a run that has died expires. The stages that the run was
deploying are unknown afterwards, and the next deployment runs them again.

The commands of a run that is still alive are stopped when it next reports. Until then
they may overlap with the next deployment.`,
		"pipe env unlock production\npipe env unlock production -y", arguments(1, 1, "name an environment"), func(c *cobra.Command, args []string) error {
			if err := a.named(c); err != nil {
				return err
			}
			return a.with(c.Context(), func(p *pipe.Project) error {
				u, err := p.UnlockEnvironment(c.Context(), args[0], func(h *pipe.Holder) error {
					return a.sure(c.Context(), c, func(w io.Writer) {
						view.Print(w, "Unlock %s? %s\n", args[0], leaseText(h))
						if !h.Dead {
							view.Print(w, "  that run may be alive: its commands could overlap with those of the next deployment\n")
						}
					})
				})
				if err != nil {
					return err
				}
				return a.answer("pipe.env.unlock/1", u, func(w io.Writer) {
					switch {
					case u.Holder == nil:
						view.Print(w, "%s was not locked\n", u.Env)
						return
					case !u.Unlocked:
						view.Print(w, "%s is not locked: #%d has ended\n", u.Env, u.Holder.N)
						return
					}
					view.Print(w, "unlocked %s; it was held by deployment #%d%s\n", u.Env, u.Holder.N, holderText(u.Holder))
					if len(u.Unknown) > 0 {
						view.Print(w, "unknown now: %s; the next deployment runs them again\n", strings.Join(u.Unknown, ", "))
					}
				})
			})
		}))
}

// envForgetCmd makes pipe env forget.
func (a *app) envForgetCmd() *cobra.Command {
	return asks(command("forget ENV STAGE", "Drop a stage from the state of an environment",
		`Drop a stage from the state of an environment, as if it had never been deployed there.
What runs keeps running. Use it for a stage that pipe.yaml no longer has and that was
taken down by other means. If pipe.yaml has the stage, the next deployment runs it.`,
		"pipe env forget production legacy-api", arguments(2, 2, "name an environment and a stage"), func(c *cobra.Command, args []string) error {
			if err := a.named(c); err != nil {
				return err
			}
			return a.with(c.Context(), func(p *pipe.Project) error {
				f, err := p.ForgetStage(c.Context(), args[0], args[1], func(s *pipe.DeployedStage) error {
					return a.sure(c.Context(), c, func(w io.Writer) {
						view.Print(w, "Forget %s in %s? It is %s (#%d%s, %s), and keeps running.\n", s.Stage, args[0], stateText(s.Status), s.N, byText(s.By), moment(s.At))
					})
				})
				if err != nil {
					return err
				}
				return a.answer("pipe.env.forget/1", f, func(w io.Writer) {
					view.Print(w, "the state of %s no longer has %s; what runs keeps running\n", f.Env, f.Stage.Stage)
				})
			})
		}))
}
