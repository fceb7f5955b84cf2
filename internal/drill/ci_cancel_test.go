//go:build linux

package drill

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/forge"
)

// stubborn is what a command does that does not want to end: it ignores signals, as does its child, which has left
// its group.
const stubborn = `trap '' TERM HUP INT
setsid sh -c "trap '' TERM HUP INT; until test -e DIR/go; do sleep 0.05; done" &
echo begin >> DIR/began
until test -e DIR/go; do sleep 0.05; done
wait
`

// cancelled ends a step as the runner ends the steps of a job that is cancelled. All must be gone ten seconds
// later, before the runner kills what is left.
func cancelled(t *testing.T, p *process) {
	t.Helper()
	const term, kill = 7500 * time.Millisecond, 10 * time.Second
	at := time.Now()
	must(t, p.Process.Signal(syscall.SIGINT))
	if p.after(term) {
		must(t, p.Process.Signal(syscall.SIGTERM))
	}
	must(t, p.rest.SetReadDeadline(at.Add(kill)))
	if _, err := p.rest.Read(make([]byte, 1)); os.IsTimeout(err) {
		t.Errorf("processes are left after ten seconds: %s", p)
	}
	_ = p.killGroup() // an error says that it has ended
	if p.end() == 0 {
		t.Errorf("it succeeded: %s", p)
	}
	t.Logf("ended after %s", time.Since(at).Round(100*time.Millisecond))
}

// ENVIRONMENTS 4.7.
func TestACancelledJobLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, file, script string
		start              func(j *ciJob, script string, env ...string) *process
		state              string // of the environment's stage; "": none yet
	}{
		{"deploying", "ship.sh", stubborn + ciShip, (*ciJob).start, "failed"},
		{"deploying in a terminal", "ship.sh", stubborn + ciShip, (*ciJob).startInTerminal, "failed"},
		{"building", "build.sh", stubborn + ciBuild, (*ciJob).start, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newCI(t, map[string]string{c.file: c.script})
			p := c.start(w.job(forge.Trigger{Token: writes}), "exec pipe ci")
			w.until("a command", func() bool { return w.read("began") != "" })
			cancelled(t, p)
			if got := w.state("prod").Stages["ship"].Status; got != c.state || w.state("prod").Lease != nil {
				t.Errorf("the state says %q: %+v\n%s", got, w.state("prod"), p)
			}
			w.logged("shipped")

			w.write("go")
			w.job(forge.Trigger{Token: writes}).ci(0)
			w.logged("shipped", "one")
			w.logged("built", "build one")
			w.quiet(forge.Trigger{Token: writes})
			w.sound()
		})
	}
}

// A job that is cancelled while the forge does not answer leaves nothing, too.
func TestAJobCancelledWhileItPushesLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, part := range []string{"service=git-receive-pack", "/git-receive-pack"} {
		w := newCI(t, nil)
		first := w.repo.Tip("main")
		j := w.job(forge.Trigger{Token: writes})
		before := len(w.forge.Log())
		w.forge.Before(forge.Only(part, forge.Never))
		p := j.start("exec pipe ci")
		w.until("a push", func() bool { return strings.Contains(strings.Join(w.forge.Log()[before:], "\n"), part) })
		cancelled(t, p)
		w.logged("shipped")
		if s, err := j.Git(t.Context(), "rev-parse", "HEAD"); err != nil || s != first || w.repo.Tip("main") != first {
			t.Errorf("HEAD is %s: %v", s, err)
		}
		w.forge.Before(nil)
		j.ci(0) // in the same place
		w.logged("built", "build one")
		w.logged("shipped", "one")
		w.quiet(forge.Trigger{Token: writes})
		w.sound()
	}
}
