//go:build !windows

package local_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/internal/spec"
)

// TestMain makes a run of the tests a keeper when it is told so.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == shell.KeeperArg {
		os.Exit(shell.Keeper(context.Background(), os.Args[2:], os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}

// deployed is a job in a fresh directory, with one file and a verify command.
func (p *place) deployed(v spec.Verify) *action.Job {
	j := p.job("live")
	j.Stage.Verify, j.Fresh, j.Inputs = v, true, p.tree("conf")
	return j
}

func TestADeploymentIsVerifiedWhereItsCommandRan(t *testing.T) {
	p := open(t, "  live: {cmd: 'pwd; echo made > x', wdir: sub, shell: bash, deploy: true}\n", "sub/conf")
	j := p.deployed(spec.Verify{Cmd: "[[ $A = 1 ]]; pwd; cat conf x"})
	j.Env = append(j.Env, "A=1")
	p.runs(j)
	if len(p.printed) != 3 || p.printed[0] != p.printed[1] || p.printed[2] != "confmade" {
		t.Errorf("printed %q", p.printed)
	}
}

func TestVerifyIsTriedAgain(t *testing.T) {
	for _, c := range []struct {
		name, cmd, verify, timeout string
		retries                    int
		tries                      int
		want                       string
	}{
		{"first", "true", "echo try", "", 5, 1, ""},
		{"third", "true", "echo try; echo >> n; test $(wc -l < n) -ge 3", "", 2, 3, ""},
		{"never", "true", "echo try; exit 3", "", 2, 3, "verify failed after 3 tries: exit code 3"},
		{"no retries", "true", "echo try; exit 3", "", 0, 1, "verify failed: exit code 3"},
		{"too slow", "true", "echo try; exec sleep 60", "timeout: 2s, ", 1, 2, "verify failed after 2 tries: timeout"},
		{"a command that failed", "exit 4", "echo try", "", 2, 0, "exit code 4"},
	} {
		p := open(t, "  live: {cmd: '"+c.cmd+"', "+c.timeout+"deploy: true}\n", "conf")
		_, err := p.Run(t.Context(), p.deployed(spec.Verify{Cmd: c.verify, Retries: c.retries, Every: time.Millisecond}))
		if c.want == "" && err != nil || c.want != "" && (err == nil || err.Error() != c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
		if got := strings.Contains(c.want, "verify"); got != errors.Is(err, action.ErrVerify) {
			t.Errorf("%s: is ErrVerify: %v", c.name, !got)
		}
		if n := len(p.printed); n != c.tries || p.left() != "" {
			t.Errorf("%s: %d tries, left %s", c.name, n, p.left())
		}
	}
}

// What ends the run says nothing about what was deployed.
func TestAnEndOfTheRunIsNoFailureOfVerify(t *testing.T) {
	for name, verify := range map[string]string{"while it runs": "echo try; exec sleep 60", "between tries": "echo try; false"} {
		p := open(t, "  live: {cmd: 'true', deploy: true}\n", "conf")
		ctx, cancel := context.WithCancelCause(t.Context())
		j := p.deployed(spec.Verify{Cmd: verify, Retries: 1000, Every: time.Hour})
		j.Line = func([]byte) { cancel(os.ErrClosed) }
		if _, err := p.Run(ctx, j); !errors.Is(err, os.ErrClosed) || errors.Is(err, action.ErrVerify) {
			t.Errorf("%s: %v", name, err)
		}
	}
	p := open(t, "  live: {cmd: 'true', shell: bash, deploy: true}\n", "conf")
	t.Setenv("PATH", t.TempDir())
	if _, err := p.Run(t.Context(), p.deployed(spec.Verify{Cmd: "true"})); err == nil || errors.Is(err, action.ErrVerify) {
		t.Errorf("without a shell: %v", err)
	}
}

// All commands of a job and its verify live by the same beats.
func TestADeploymentEndsWithItsBeats(t *testing.T) {
	for name, c := range map[string]struct {
		cmds, verify string
		printed      string
		want         error
	}{
		"a command":              {"'echo 1; sleep 30; echo 2'", "", "1", shell.ErrFenced},
		"the second":             {"'echo 1', 'echo 2; sleep 30; echo 3'", "", "1 2", shell.ErrFenced},
		"verify":                 {"'echo 1'", "echo 2; sleep 30; echo 3", "1 2", shell.ErrFenced},
		"a long time, proved so": {"'echo 1; sleep 1; echo 2', 'sleep 1; echo 3'", "sleep 1; echo 4", "1 2 3 4", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := open(t, "  live: {cmd: ["+c.cmds+"], deploy: true}\n", "conf")
			p.Program = os.Args[0]
			j := p.deployed(spec.Verify{Cmd: c.verify, Retries: 3})
			beats := make(chan time.Time, 1)
			beats <- time.Now()
			j.Beats, j.Silence = beats, 1300*time.Millisecond
			if c.want == nil {
				ticks := time.NewTicker(100 * time.Millisecond)
				defer ticks.Stop()
				j.Beats = ticks.C
			}
			if _, err := p.Run(t.Context(), j); !errors.Is(err, c.want) || errors.Is(err, action.ErrVerify) || strings.Join(p.printed, " ") != c.printed {
				t.Errorf("%q, %v", p.printed, err)
			}
		})
	}
}
