//go:build linux

package drill

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/s3server"
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
		{"kill the group", (*process).killGroup, nil},
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
		whole := min(undisturbed(make(t)), undisturbed(make(t)), undisturbed(make(t)))
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
	alive := one.after(after)
	stuck := w.beside("stuck.one")
	must(t, os.WriteFile(stuck, nil, 0o666))                // its command works until somebody ends it
	dead := alive && f.strike(one) == nil && f.after == nil // else it may be done by now
	at := time.Now()
	b.pipe("deploy", "prod")
	must(t, os.Remove(stuck))
	w.settled("prod", "two")
	lines := w.lines()
	took, app := lines[len(lines)-2].at.Sub(at), "two"
	if took > ttl+takeover {
		t.Errorf("taken over after %s", took)
	}
	if dead {
		one.end()
	} else {
		app = w.goesOn(f, one, took)
	}
	one.gone()
	t.Logf("struck after %s: exit code %d, %d commands, taken over after %s", after, one.ProcessState.ExitCode(), len(lines)/2, took)
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

// goesOn lets a run go on after another one has deployed, and returns what must be live then. Where that
// one had to wait for so long, it has taken this one for dead.
func (w *world) goesOn(f fault, one *process, waited time.Duration) (app string) {
	w.t.Helper()
	w.orderly()
	if f.after != nil {
		_ = f.after(one) // it may be done
	}
	before := w.state("prod")
	code := one.end()
	again := w.state("prod").N > before.N // it had not begun, or did not know; nobody is in its way any more
	if want := map[bool]int{true: 6}[waited > ttl && !again]; code != want {
		w.t.Errorf("exit code %d, not %d: %s", code, want, one)
	}
	if again {
		return "one"
	}
	return "two"
}

// What a dead run has sent may reach the server when another one has deployed.
func TestALateWriteOfADeadRunIsRefused(t *testing.T) {
	t.Parallel()
	w, proxy := proxied(t, s3server.Unruly{})
	a, b := w.clone("a"), w.clone("b")
	b.write("src", "two\n")
	one := a.start("deploy", "prod")
	w.until("the command", func() bool { return w.read("log") != "" })
	before := proxy.Count("PUT", "/prod/state")
	proxy.Late("/prod/state", ttl+takeover)
	w.until("a write", func() bool { return proxy.Count("PUT", "/prod/state") > before })
	must(t, one.Process.Kill())
	b.pipe("deploy", "prod")
	w.settled("prod", "two")
	proxy.Close() // when the write has been answered
	w.settled("prod", "two")
	w.orderly()
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
