package cli

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// approveCmd makes pipe approve.
func (a *app) approveCmd() *cobra.Command {
	return a.voteCmd(false, command("approve ENV", "Approve a waiting deployment",
		`Show what the waiting deployment would change, and sign it with your ssh key, as
ssh-keygen -Y sign does. The file that approve: names lists whose signatures count.
An approval is good for this one deployment: once the environment has changed, another
is needed.

Without --key, the key is that of git's user.signingkey, of the ssh agent or in
~/.ssh, whichever is listed as a signer.`,
		"pipe approve production\npipe approve production --key ~/.ssh/id_ed25519 --reason 'tested on staging'",
		arguments(1, 1, "name an environment"), nil))
}

// rejectCmd makes pipe reject.
func (a *app) rejectCmd() *cobra.Command {
	return a.voteCmd(true, command("reject ENV", "Reject a waiting deployment",
		`Sign a rejection of the waiting deployment. It is blocked, whoever else approves, until
you approve it or another version is to be deployed.`,
		"pipe reject production --reason 'wait until Monday'",
		arguments(1, 1, "name an environment"), nil))
}

// voteCmd adds what both commands do.
func (a *app) voteCmd(reject bool, c *cobra.Command) *cobra.Command {
	opt := pipe.VoteOptions{Reject: reject}
	yes := false
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := a.named(c); err != nil {
			return err
		}
		if !yes && !a.Terminal {
			return diag.New(diag.Usage, "cannot ask without a terminal").Hinted("%s %s -y", c.CommandPath(), args[0])
		}
		if f, ok := a.In.(*os.File); ok && a.Terminal {
			opt.In, opt.Err = f, os.Stderr
		}
		if opt.Key != "" && a.dir != "" && !filepath.IsAbs(opt.Key) {
			opt.Key = filepath.Join(a.dir, opt.Key)
		}
		if !yes {
			opt.Confirm = func(w *pipe.Waiting) error {
				return a.ask(c.Context(), func() error { return a.confirmVote(w, c.Name()) })
			}
		}
		return a.with(c.Context(), func(p *pipe.Project) error {
			w, err := p.Vote(c.Context(), args[0], opt)
			if err != nil {
				return err
			}
			return a.answer("pipe.approval/1", w, func(out io.Writer) {
				if yes {
					printWaiting(out, w)
				}
				view.Print(out, "%s: %s\n", w.Env, w.Approval.Text)
				if len(w.Approval.Rejected) == 0 && len(w.Approval.Approved) >= w.Approval.Need {
					view.Print(out, "Run the command that requested it again, or: pipe deploy %s --release %s\n", w.Env, w.Release)
				}
			})
		})
	}
	f := c.Flags()
	f.StringVar(&opt.Key, "key", "", "file of the ssh key to sign with; a public key if an agent has the private one")
	f.StringVar(&opt.Reason, "reason", "", "why, for those who look at the plan")
	f.StringVar(&opt.Plan, "plan", "", "first digits of the plan, if several wait (default: the newest)")
	f.BoolVarP(&yes, "yes", "y", false, "sign without asking")
	return c
}

// confirmVote asks on the terminal before something is signed.
func (a *app) confirmVote(w *pipe.Waiting, verb string) error {
	if a.yes(func(to io.Writer) {
		printWaiting(to, w)
		view.Print(to, "%s this? ", strings.ToUpper(verb[:1])+verb[1:])
	}) {
		return nil
	}
	return diag.New(diag.Policy, "nothing was signed").Hinted("pipe %s %s -y signs without asking", verb, w.Env)
}

// printWaiting prints what a plan would change.
func printWaiting(to io.Writer, w *pipe.Waiting) {
	view.Print(to, "%s: release %s, requested by %s at %s\n", w.Env, shortRelease(w.Release), w.By, moment(w.At))
	if w.Commit != "" {
		view.Print(to, "commit: %s\n", w.Commit)
	}
	if w.Run != "" {
		view.Print(to, "run:    %s\n", w.Run)
	}
	if w.Reason != "" {
		view.Print(to, "reason: %s\n", w.Reason)
	}
	if w.NewRules {
		view.Print(to, "It also changes who must approve, or where releases must be verified (approve, from).\n")
	}
	rows := [][]string{{"STAGE", "LIVE", "NEW", "VARIABLES"}}
	for _, s := range w.Stages {
		live := cmp.Or(shortKey(s.Live), "-")
		if s.Commit != "" {
			live += fmt.Sprintf(" (%.7s)", s.Commit)
		}
		rows = append(rows, []string{s.Stage, live, shortKey(s.Key), strings.Join(s.Values, ", ")})
	}
	view.Table(to, rows)
}

// shortKey is as much of a key as people need.
func shortKey(key string) string { return fmt.Sprintf("%.15s", key) }
