//go:build linux

package drill

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fault is what happens to a run in its middle, and what ends that.
type fault struct {
	name   string
	strike func(p *process) error
	after  func(p *process) error // once another run has deployed; nil: it is dead
}

func faults() []fault {
	return []fault{
		{"kill", func(p *process) error { return p.Process.Kill() }, nil},
		{"kill the group", func(p *process) error { return syscall.Kill(-p.Process.Pid, syscall.SIGKILL) }, nil},
		{
			"stop",
			func(p *process) error { return p.Process.Signal(syscall.SIGSTOP) },
			func(p *process) error { return p.Process.Signal(syscall.SIGCONT) },
		},
	}
}

// However a run ends in its middle, its command ends before another one begins, the environment is taken over
// in time, and the next run deploys.
func TestARunThatIsStruckLeavesNothingAtWork(t *testing.T) {
	t.Parallel()
	remotes(t, func(t *testing.T, make func(t *testing.T) *world) {
		whole := undisturbed(make(t))
		for _, f := range faults() {
			for i := range count(5, 100) {
				t.Run(fmt.Sprintf("%s %d", f.name, i), func(t *testing.T) {
					t.Parallel()
					struck(t, make(t), f, time.Duration(random(t).Float64()*float64(whole)))
				})
			}
		}
	})
}

// undisturbed returns how long a deployment takes.
func undisturbed(w *world) time.Duration {
	began := time.Now()
	w.clone("a").pipe("deploy", "prod")
	w.settled("prod", "one")
	return time.Since(began)
}

// struck strikes a deployment of "one" after a while, and deploys "two" from elsewhere.
func struck(t *testing.T, w *world, f fault, after time.Duration) {
	a, b := w.clone("a"), w.clone("b")
	b.write("src", "two\n")
	one := a.start("deploy", "prod")
	want, app := 0, "two"
	if one.after(after) {
		must(t, f.strike(one))
		want = -1
	}
	at := time.Now()
	b.pipe("deploy", "prod")
	w.settled("prod", "two")
	lines := w.lines()
	if took := lines[len(lines)-2].at.Sub(at); took > ttl+takeover {
		t.Errorf("taken over after %s", took)
	}
	if f.after != nil && want < 0 {
		must(t, f.after(one))
		want, app = w.fenced(one)
	}
	if code := one.end(); code != want {
		t.Errorf("exit code %d, not %d: %s", code, want, one)
	}
	t.Logf("struck after %s: exit code %d, %d commands, taken over after %s", after, want, len(lines), lines[len(lines)-2].at.Sub(at))
	w.orderly()
	w.settled("prod", app)
	// Nobody has to do anything: one more run finds it live.
	n := len(w.lines())
	if app != "two" {
		b = a
	}
	b.pipe("deploy", "prod")
	if len(w.lines()) != n {
		t.Errorf("one more run ran a command:\n%s", w.read("log"))
	}
}

// fenced waits for a run that goes on after another one has deployed, and returns with which code it
// must end, and what must be live then.
func (w *world) fenced(one *process) (code int, app string) {
	w.t.Helper()
	w.orderly()
	var first struct{ Status string }
	b, err := os.ReadFile(filepath.Join(w.store, "projects", "shop", "env", "prod", "log", "1"))
	must(w.t, err)
	must(w.t, json.Unmarshal(b, &first))
	switch one.end(); {
	case first.Status == "unknown": // it was taken for dead
		return 6, "two"
	case w.state("prod").N > 1 && w.lines()[len(w.lines())-1].app == "one":
		return 0, "one" // it had not begun, and nobody is in its way now
	}
	return 0, "two"
}

// deaf is a command that takes no notice of signals.
const deaf = `exec 9>> DIR/busy.$PIPE_ENV
flock -n 9 || echo $PIPE_DEPLOYMENT >> DIR/overlap
trap '' INT TERM HUP
echo half > DIR/live.$PIPE_ENV
touch DIR/ready
while test -e DIR/hangs; do sleep 0.02; done
echo $PIPE_DEPLOYMENT $(cat app) > DIR/live.$PIPE_ENV
`

// A CI system that cancels a job sends SIGINT, SIGTERM 7.5 seconds later, and SIGKILL 2.5 after that. The
// state says by then how it ended: ENVIRONMENTS 4.7.
func TestACancelledJobTellsTheEnvironment(t *testing.T) {
	t.Parallel()
	remotes(t, func(t *testing.T, make func(t *testing.T) *world) {
		for _, ci := range []string{"true", ""} {
			t.Run("CI="+ci, func(t *testing.T) {
				t.Parallel()
				w := make(t)
				w.env = append(w.env, "PIPE_LEASE_TTL=2m")
				c := w.clone("c", "CI="+ci)
				c.write("deploy.sh", strings.ReplaceAll(deaf, "DIR", w.dir))
				must(t, os.WriteFile(w.beside("hangs"), nil, 0o666))
				p := c.start("deploy", "prod")
				w.until("the command", func() bool { return w.read("live.prod") != "" })
				must(t, p.Process.Signal(syscall.SIGINT))
				if p.after(7500 * time.Millisecond) {
					must(t, p.Process.Signal(syscall.SIGTERM))
				}
				if p.after(2500 * time.Millisecond) {
					must(t, p.Process.Kill())
					t.Errorf("it does not end: %s", p)
				}
				if code := p.end(); code != 130 {
					t.Errorf("exit code %d: %s", code, p)
				}
				if s := w.state("prod"); s.Lease != nil || s.Stages["ship"].Status != "failed" {
					t.Errorf("%+v", s)
				}
				must(t, os.Remove(w.beside("hangs")))
				c.pipe("deploy", "prod", "--no-wait")
				w.settled("prod", "one")
				w.orderly()
			})
		}
	})
}
