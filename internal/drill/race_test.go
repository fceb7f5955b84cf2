//go:build linux

package drill

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/s3server"
)

// git runs git in a clone.
func (c *clone) git(args ...string) string {
	c.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = c.at
	cmd.Env = append(cmd.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=Test", "GIT_AUTHOR_EMAIL=test@example.invalid",
		"GIT_COMMITTER_NAME=Test", "GIT_COMMITTER_EMAIL=test@example.invalid")
	out, err := cmd.CombinedOutput()
	if err != nil {
		c.t.Fatalf("git %s: %s", strings.Join(args, " "), out)
	}
	return strings.TrimSpace(string(out))
}

// Two jobs of one commit at the same time: one deploys, the other one finds it live.
func TestTwoRunsForOneCommitDeployItOnce(t *testing.T) {
	t.Parallel()
	remotes(t, func(t *testing.T, make func(t *testing.T) *world) {
		w := make(t)
		a, b := w.clone("a"), w.clone("b")
		for _, c := range []*clone{a, b} {
			c.git("init", "-qb", "main")
			c.write(".gitignore", ".pipe/\napp\n")
		}
		for i := range count(5, 50) {
			app := fmt.Sprintf("v%d", i)
			a.write("src", app+"\n")
			a.git("add", ".")
			a.git("commit", "-qm", app)
			b.git("fetch", "-q", a.at, "main")
			b.git("reset", "-q", "--hard", "FETCH_HEAD")
			for _, p := range []*process{a.start("deploy", "prod"), b.start("deploy", "prod")} {
				if code := p.end(); code != 0 {
					t.Errorf("exit code %d: %s", code, p)
				}
			}
			w.orderly()
			w.settled("prod", app)
			if n := len(w.lines()); n != 2*(i+1) {
				t.Fatalf("%d lines after %d deployments:\n%s", n, i+1, w.read("log"))
			}
		}
	})
}

// Twelve runs at once on a bad line: each has its turn, and none is locked out, not even by itself.
func TestManyRunsOnABadLineComeOneAfterTheOther(t *testing.T) {
	t.Parallel()
	const lanes = 3
	for lane := range lanes {
		t.Run(fmt.Sprint("lane ", lane), func(t *testing.T) {
			t.Parallel()
			for i := lane; i < count(2, 30); i += lanes {
				t.Run(fmt.Sprint(i), onABadLine)
			}
		})
	}
}

func onABadLine(t *testing.T) {
	w, _ := proxied(t, s3server.Unruly{Seed: random(t).Uint64(), Lost: 0.1, Refused: 0.05})
	w.env = append(w.env, "PIPE_LEASE_TTL=1m") // nobody dies, and a busy machine shows something else
	var runs []*process
	for n := range 12 {
		c := w.clone(fmt.Sprintf("c%d", n))
		c.write("src", fmt.Sprintf("v%d\n", n))
		runs = append(runs, c.start("deploy", "prod"))
	}
	for _, p := range runs {
		if code := p.end(); code != 0 {
			t.Errorf("exit code %d: %s", code, p)
		}
	}
	w.orderly()
	lines := w.lines()
	if n := w.state("prod").N; n != 12 || len(lines) != 24 { // one that was locked out, or taken for dead, has another number
		t.Errorf("%d deployments, %d lines", n, len(lines))
	}
	w.settled("prod", lines[len(lines)-1].app)
}

// Each of those who wait writes into the state of the dead run, which looks younger by that. Half of them give up,
// so that nobody has seen the dead run for as long as it is dead.
func TestManyWhoWaitKeepNoDeadRunAlive(t *testing.T) {
	t.Parallel()
	remotes(t, func(t *testing.T, make func(t *testing.T) *world) {
		const long, first, all = 8 * time.Second, 10, 20
		w := make(t)
		w.env = append(w.env, "PIPE_LEASE_TTL="+long.String())
		dead := w.clone("dead").start("deploy", "prod")
		w.until("a command", func() bool { return w.read("log") != "" })
		must(t, dead.Process.Kill())
		at := time.Now()
		var runs []*process
		for n := range all {
			runs = append(runs, w.clone(fmt.Sprintf("c%d", n)).start("deploy", "prod"))
			<-time.After(time.Second)
			if n > 0 && n <= first {
				must(t, runs[n-1].Process.Kill())
			}
		}
		for _, p := range runs[first:] {
			if code := p.end(); code != 0 {
				t.Errorf("exit code %d: %s", code, p)
			}
		}
		w.orderly()
		w.live("prod", "one")
		var took time.Duration
		for _, l := range w.lines() {
			if l.what == "begin" {
				took = l.at.Sub(at)
			}
		}
		if n := strings.Count(w.read("log"), "begin"); n != 2 || took > long+takeover {
			t.Errorf("%d commands, the last one %s after the death", n, took)
		}
		t.Logf("taken over after %s", took)
	})
}
