package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// envShowCmd makes pipe env show.
func (a *app) envShowCmd() *cobra.Command {
	return command("show ENV", "Show all that is known of an environment",
		`Show what is live in an environment, who deploys to it and who waits, whether it is
held, which plans wait for an approval, which releases were verified there, and of each
stage the version, the commit, who deployed it and with which values.`,
		"pipe env show production\npipe env show production --json", arguments(1, 1, "name an environment"), func(c *cobra.Command, args []string) error {
			if err := a.named(c); err != nil {
				return err
			}
			return a.with(c.Context(), func(p *pipe.Project) error {
				e, err := p.Environment(c.Context(), args[0])
				if err != nil {
					return err
				}
				return a.answer("pipe.env.show/1", e, func(w io.Writer) { printEnvironment(w, e) })
			})
		})
}

// printEnvironment prints an environment, then its stages.
func printEnvironment(w io.Writer, e *pipe.EnvironmentState) {
	view.Print(w, "%s\n", e.Name)
	row := func(word, format string, args ...any) {
		view.Print(w, "  %-9s %s\n", word, fmt.Sprintf(format, args...))
	}
	switch {
	case e.Live != "":
		row("live", "release %s", e.Live)
	case len(e.Stages) > 0:
		row("live", "no complete release")
	case e.N > 0:
		row("live", "nothing")
	default:
		row("live", "nothing was deployed yet")
	}
	if h := e.Held; h != nil && h.Until == "resume" {
		row("held", "%s; pipe resume %s ends it", strings.TrimSpace(holdText(h)), e.Name)
	} else if h != nil {
		row("held", "%s; pipe resume %s lets it come again", vetoText(h), e.Name)
	}
	if d := e.Deploying; d != nil {
		row("lease", "%s", leaseText(d))
	}
	for _, n := range e.Next {
		row("next", "%s", waitingText(&n))
	}
	for _, plan := range e.Asked {
		row("asked", "plan %s waits for an approval", plan)
	}
	if e.Guard != "" {
		row("guard", "%s", e.Guard)
	}
	if e.Behind {
		row("behind", "HEAD has newer changes")
	}
	for _, id := range e.Verified {
		row("verified", "%s", id)
	}
	for i := range e.Stages {
		printEnvStage(w, &e.Stages[i])
	}
}

// leaseText says who has the lease, and whether that run is alive.
func leaseText(d *pipe.Holder) string {
	text := doingText(d)
	if d.Run != "" {
		text += ", " + d.Run
	}
	switch {
	case d.Dead:
		return text + "; the next deployment takes over"
	case d.Silent != nil:
		text += fmt.Sprintf("; last heartbeat %s ago", view.Seconds(*d.Silent))
	}
	return text + fmt.Sprintf("; free when it ends, or %d s after its last heartbeat", d.TTL+grace)
}

// grace is how much longer than its lease a run is waited for, in seconds.
const grace = 10

// waitingText says who waits for an environment.
func waitingText(n *pipe.WaitingRun) string {
	text := strings.TrimPrefix(byText(n.By), " ")
	if !n.Since.IsZero() {
		text += " since " + moment(n.Since)
	}
	if n.Commit != "" {
		text += fmt.Sprintf(", with commit %.12s", n.Commit)
	}
	if n.Run != "" {
		text += ", " + n.Run
	}
	return strings.TrimSpace(text)
}

// printEnvStage prints one stage of an environment.
func printEnvStage(w io.Writer, s *pipe.DeployedStage) {
	view.Print(w, "%s: %s\n", s.Stage, strings.Join(append([]string{stateText(s.Status)}, stageBadges(s)...), "; "))
	view.Print(w, "  deployment #%d%s, %s\n", s.N, byText(s.By), moment(s.At))
	if s.Commit != "" {
		view.Print(w, "  commit %s\n", s.Commit)
	}
	view.Print(w, "  key %s\n", s.Key)
	if s.Was != "" && s.Was != s.Key {
		view.Print(w, "  before %s\n", s.Was)
	}
	if s.Release != "" {
		view.Print(w, "  release %s\n", s.Release)
	}
	for _, line := range artifacts(s) {
		view.Print(w, "  got %s\n", line)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Values)) {
		view.Print(w, "  %s=%s\n", name, s.Values[name])
	}
}
