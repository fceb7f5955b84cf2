//go:build !windows

package shell_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/process"
	"github.com/pipe-build/pipe/internal/shell"
)

// lingers is a script that takes its time once it was asked to end, less than patience.
const lingers = `trap 'echo asked; sleep 30; echo survived' TERM; trap '' INT; echo ready; while :; do sleep 0.05; done`

// twice makes c end its context at "ready", by cause, and call kill at "asked".
func twice(t *testing.T, c *shell.Command, cause error) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	t.Cleanup(func() { cancel(nil) })
	ctx, kill := shell.WithKill(ctx)
	t.Cleanup(kill)
	// What is below counts, too: a run that is timed out hears the second signal all the same.
	ctx, below := context.WithCancelCause(ctx)
	t.Cleanup(func() { below(nil) })
	line := c.Line
	c.Line = func(b []byte) {
		line(b)
		switch string(b) {
		case "ready":
			below(cause)
		case "asked":
			kill()
		}
	}
	return ctx
}

func TestKillTakesTheGraceAway(t *testing.T) {
	for _, cause := range []error{shell.SignalError{Signal: syscall.SIGTERM}, errors.New("timed out")} {
		for _, kept := range []bool{false, true} {
			c, lines := command(t, lingers)
			c.Grace = patience
			if kept {
				c.Keep = &shell.Keep{Program: os.Args[0], Silence: patience}
			}
			if err := shell.Run(twice(t, &c, cause), c); !errors.Is(err, cause) {
				t.Errorf("kept %v: %v", kept, err)
			}
			if !slices.Contains(*lines, "asked") || slices.Contains(*lines, "survived") {
				t.Errorf("kept %v, %v: %q", kept, cause, *lines)
			}
		}
	}
}

// A shell ends when it is asked to; what it had started goes on.
func TestKillDoesNotWaitForWhatTheShellStarted(t *testing.T) {
	for _, kept := range []bool{false, true} {
		c, lines := command(t, "sh -c \"$INNER\" & wait")
		c.Env = append(c.Env, "INNER="+lingers)
		c.Grace = patience
		if kept {
			c.Keep = &shell.Keep{Program: os.Args[0], Silence: patience}
		}
		_ = shell.Run(twice(t, &c, shell.SignalError{Signal: syscall.SIGTERM}), c)
		if !slices.Contains(*lines, "asked") || slices.Contains(*lines, "survived") {
			t.Errorf("kept %v: %q", kept, *lines)
		}
	}
}

func TestKillReachesADaemonBelowAKeeper(t *testing.T) {
	c, lines, _ := kept(t, daemon+lingers, patience)
	c.Grace = patience
	_ = shell.Run(twice(t, &c, shell.SignalError{Signal: syscall.SIGTERM}), c)
	if process.Alive(daemonOf(t, c.Dir)) || !slices.Contains(*lines, "asked") || slices.Contains(*lines, "survived") {
		t.Errorf("it works on; %q", *lines)
	}
}

// A command does not feel the second end before the first.
func TestKillAloneEndsNothing(t *testing.T) {
	for _, kept := range []bool{false, true} {
		c, lines := command(t, "echo done")
		if kept {
			c.Keep = &shell.Keep{Program: os.Args[0], Silence: patience}
		}
		ctx, kill := shell.WithKill(t.Context())
		kill()
		if err := shell.Run(ctx, c); err != nil || !slices.Equal(*lines, []string{"done"}) {
			t.Errorf("kept %v: %q, %v", kept, *lines, err)
		}
	}
}

// Another run waits for a command whose run has ended, also when that one had given it more time.
func TestACommandThatWasAskedToEndHasFiveSecondsOnceItsRunIsGone(t *testing.T) {
	t.Parallel()
	for name, told := range map[string]string{"asked": "T", "not asked": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			keeper := exec.CommandContext(ctx, os.Args[0], shell.KeeperArg, "1h", strconv.FormatInt(time.Now().UnixNano(), 10), "1h", "sh", "-c", lingers)
			in, err := keeper.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			said := &speaker{}
			said.heard = func(word string) {
				switch {
				case word == "ready" && told != "":
					_, _ = in.Write([]byte(told))
				case word == "ready", word == "asked":
					_ = in.Close()
				}
			}
			keeper.Stderr = said
			if err := keeper.Run(); err != nil {
				t.Error(err)
			}
			if !slices.Contains(said.words, "asked") || slices.Contains(said.words, "survived") {
				t.Errorf("%q", said.words)
			}
		})
	}
}

// speaker is a writer that hears words.
type speaker struct {
	words []string
	heard func(word string)
}

// Write implements io.Writer.
func (s *speaker) Write(b []byte) (int, error) {
	for _, w := range bytes.Fields(b) {
		s.words = append(s.words, string(w))
		s.heard(string(w))
	}
	return len(b), nil
}

func TestAVariableThatMeansNoIsNotSet(t *testing.T) {
	for v, want := range map[string]bool{"A=1": true, "A=true": true, "A=x": true, "A=": false, "A=0": false, "A=false": false, "B=1": false} {
		if got := shell.IsSet([]string{v}, "A"); got != want {
			t.Errorf("%s: %v", v, got)
		}
	}
}

// The run stood still after it had found that it may start the command.
func TestAKeeperStartsNothingForARunThatIsFenced(t *testing.T) {
	for silence, want := range map[string]string{"1m": "fenced", "2h": "started"} {
		last := strconv.FormatInt(time.Now().Add(-time.Hour).UnixNano(), 10)
		out, err := exec.Command(os.Args[0], shell.KeeperArg, silence, last, "1s", "true").Output()
		if words := strings.Fields(string(out)); err != nil || len(words) == 0 || words[0] != want {
			t.Errorf("%s: %q, %v", silence, out, err)
		}
	}
}
