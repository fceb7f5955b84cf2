//go:build !windows

package shell_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/process"
	"github.com/pipe-build/pipe/internal/shell"
)

// A run of the tests is a keeper, or a run of pipe that waits to be killed, when it is told so.
const victimArg = "victim"

func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 1 && os.Args[1] == shell.KeeperArg:
		os.Exit(shell.Keeper(context.Background(), os.Args[2:], os.Stdin, os.Stdout))
	case len(os.Args) > 2 && os.Args[1] == victimArg:
		victim(os.Args[2], os.Args[3])
	}
	os.Exit(m.Run())
}

// victim runs a script below a keeper, with beats as long as it works, and prints its lines.
func victim(silence, script string) {
	d, err := time.ParseDuration(silence)
	if err != nil {
		panic(err)
	}
	err = shell.Run(context.Background(), shell.Command{
		Script: script, Shell: "sh", Line: func(b []byte) { fmt.Println(string(b)) },
		Keep: &shell.Keep{Program: os.Args[0], Silence: d, Beats: time.NewTicker(d / 20).C},
	})
	fmt.Println("ended:", err)
	os.Exit(0)
}

// kept returns a command below a keeper, which gets no beats but those of the test.
func kept(t *testing.T, script string, silence time.Duration) (shell.Command, *[]string, chan time.Time) {
	t.Helper()
	c, lines := command(t, script)
	beats := make(chan time.Time)
	c.Keep = &shell.Keep{Program: os.Args[0], Silence: silence, Beats: beats}
	return c, lines, beats
}

func TestAKeptCommandEndsAsAnother(t *testing.T) {
	for script, want := range map[string]shell.ExitError{
		"echo a; echo b >&2":                {},
		"echo a; echo b >&2; exit 3":        {Code: 3},
		"echo a; echo b >&2; kill -TERM $$": {Code: -1, Signal: "signal 15 (terminated)"},
	} {
		c, lines, _ := kept(t, script, patience)
		var e *shell.ExitError
		err := shell.Run(t.Context(), c)
		if want == (shell.ExitError{}) && err != nil || want != (shell.ExitError{}) && (!errors.As(err, &e) || *e != want) {
			t.Errorf("%s: %v, want %v", script, err, want)
		}
		if !slices.Equal(*lines, []string{"a", "b"}) {
			t.Errorf("%s: %q", script, *lines)
		}
	}
}

func TestAKeptCommandHasItsDirectoryAndVariablesAndNoInput(t *testing.T) {
	c, lines, _ := kept(t, "pwd; echo $A; cat; ls -l /proc/self/fd | wc -l", patience)
	c.Env = append(c.Env, "A=a\xffb")
	plain := c
	plain.Keep = nil
	if err := shell.Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	want := slices.Clone(*lines)
	*lines = nil
	if err := shell.Run(t.Context(), plain); err != nil || !slices.Equal(*lines, want) {
		t.Errorf("%q below a keeper, %q without, %v", want, *lines, err)
	}
}

func TestAKeeperPassesSignalsOn(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		c, lines, _ := kept(t, `trap 'echo INT; exit 0' INT; trap 'echo TERM; exit 0' TERM; echo ready; while :; do sleep 0.05; done`, patience)
		var got shell.SignalError
		if err := shell.Run(stopAt(t, &c, shell.SignalError{Signal: sig}), c); !errors.As(err, &got) || got.Signal != sig {
			t.Errorf("%v: %v", sig, err)
		}
		want := map[syscall.Signal]string{syscall.SIGINT: "INT", syscall.SIGTERM: "TERM"}[sig]
		if !slices.Contains(*lines, want) {
			t.Errorf("%v: %q", sig, *lines)
		}
	}
}

func TestACommandWithoutBeatsIsEnded(t *testing.T) {
	c, lines, _ := kept(t, `trap 'echo asked; exit 0' TERM; while :; do sleep 0.05; done`, 200*time.Millisecond)
	if err := shell.Run(t.Context(), c); !errors.Is(err, shell.ErrFenced) {
		t.Error(err)
	}
	if !slices.Contains(*lines, "asked") {
		t.Errorf("%q", *lines)
	}
}

func TestBeatsKeepACommandAtWork(t *testing.T) {
	c, lines, beats := kept(t, "sleep 3; echo done", 2*time.Second)
	done := make(chan error)
	go func() { done <- shell.Run(t.Context(), c) }()
	for {
		select {
		case beats <- time.Now():
		case err := <-done:
			if err != nil || !slices.Equal(*lines, []string{"done"}) {
				t.Errorf("%q, %v", *lines, err)
			}
			return
		}
	}
}

// A run that was stopped for long finds beats that prove nothing any more.
func TestOldBeatsKeepNothingAtWork(t *testing.T) {
	t.Parallel()
	c, lines, beats := kept(t, "sleep 30; echo done", 2*time.Second)
	done := make(chan error)
	go func() { done <- shell.Run(t.Context(), c) }()
	for {
		select {
		case beats <- time.Now().Add(-3 * time.Second):
		case err := <-done:
			if !errors.Is(err, shell.ErrFenced) || slices.Contains(*lines, "done") {
				t.Errorf("%q, %v", *lines, err)
			}
			return
		}
	}
}

// Several commands live by the same beats, and the time between them counts.
func TestTheSilenceBeforeACommandCounts(t *testing.T) {
	c, lines, _ := kept(t, "echo ran", 40*time.Second)
	beats := make(chan time.Time, 1)
	c.Keep.Beats = beats
	ago := func(d time.Duration) time.Time { return time.Now().Add(-d) }
	run := func(want error, ran bool) {
		t.Helper()
		*lines = nil
		if err := shell.Run(t.Context(), c); !errors.Is(err, want) || slices.Contains(*lines, "ran") != ran {
			t.Errorf("%q, %v", *lines, err)
		}
	}
	run(nil, true)
	c.Keep.Last = ago(41 * time.Second)
	run(shell.ErrFenced, false)
	beats <- ago(5 * time.Second) // while none ran
	run(nil, true)
	c.Keep.Last = ago(10 * time.Second)
	run(nil, true)
	// Nearly all of it has gone by: the command has what is left.
	c.Script, c.Keep.Last = "sleep 35; echo ran", ago(39*time.Second)
	run(shell.ErrFenced, false)
}

// daemon is a script that leaves a process in a session of its own, whose number it prints.
const daemon = `setsid sh -c 'trap "" TERM INT HUP; echo $$ >pid; while :; do sleep 0.05; done' >/dev/null 2>&1 & while ! [ -s pid ]; do sleep 0.01; done; `

func daemonOf(t *testing.T, dir string) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscan(string(b), &pid); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(-pid, syscall.SIGKILL) })
	return pid
}

func TestADaemonOutlivesASuccessAlone(t *testing.T) {
	const another = "setsid sh -c 'while :; do sleep 0.05; test -e pid || exit; done' >/dev/null 2>&1 & "
	for end, want := range map[string]bool{"exit 0": true, "exit 1": false, "echo ready; sleep 30": false} {
		c, _, _ := kept(t, another+daemon+end, patience)
		var left []string
		c.Keep.Left = func(name string) { left = append(left, name) }
		_ = shell.Run(stopAt(t, &c, errors.New("timed out")), c)
		alive := process.Alive(daemonOf(t, c.Dir))
		if alive != want || slices.Contains(left, "sh") != want || len(slices.Compact(slices.Sorted(slices.Values(left)))) != len(left) {
			t.Errorf("%s: alive %v, told %q", end, alive, left)
		}
	}
}

// works is the rest of a script that has the lock of hurt, in a process of its group, too.
const works = `(trap '' TERM; while :; do sleep 0.05; done) & echo ready; wait`

// hurt starts a run of pipe that works below a keeper, hurts it once the script prints
// "ready", and returns the script's directory when all that it started is gone.
func hurt(t *testing.T, script string, hurt func(pipe int) error) (dir string) {
	t.Helper()
	dir = t.TempDir()
	c := exec.Command(os.Args[0], victimArg, "2s", "exec 9>lock; flock 9; "+script)
	c.Dir, c.SysProcAttr = dir, &syscall.SysProcAttr{Setpgid: true}
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for line := ""; strings.TrimSpace(line) != "ready"; {
		if line, err = lines.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	if err := hurt(c.Process.Pid); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	// All that the script started has the lock, a daemon as well.
	if out, err := exec.CommandContext(ctx, "flock", filepath.Join(dir, "lock"), "true").CombinedOutput(); err != nil {
		t.Errorf("the command still works: %v %s", err, out)
	}
	_ = syscall.Kill(-c.Process.Pid, syscall.SIGCONT)
	rest, _ := io.ReadAll(lines)
	_ = c.Wait()
	if strings.Contains(string(rest), "ended: <nil>") {
		t.Errorf("%s", rest)
	}
	return dir
}

func kill(pid int) error { return syscall.Kill(pid, syscall.SIGKILL) }

// keeperOf is the one process that a run has started by itself.
func keeperOf(pipe int) int { return process.Descendants(pipe)[0].PID }

func TestNoCommandOutlivesItsRun(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script string
		hurt   func(pipe int) error
	}{
		"killed":           {daemon + works, kill},
		"its group killed": {daemon + works, func(pipe int) error { return kill(-pipe) }},
		"stopped":          {daemon + works, func(pipe int) error { return syscall.Kill(-pipe, syscall.SIGSTOP) }},
		// Nobody is left then who could find what is out of the group,
		"its keeper killed": {works, func(pipe int) error { return kill(keeperOf(pipe)) }},
		// nor then who could find the group.
		"both killed": {"echo ready; while :; do sleep 0.05; done", func(pipe int) error {
			keeper := keeperOf(pipe)
			return errors.Join(kill(pipe), kill(keeper))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hurt(t, c.script, c.hurt)
		})
	}
}

// Without a reader of its output it would be killed by the next line, before it is asked to end.
func TestACommandOfAKilledRunCanCleanUp(t *testing.T) {
	dir := hurt(t, `trap 'echo bye; echo cleaned >state; exit' TERM; echo ready; while :; do echo more; sleep 0.01; done`, kill)
	if b, err := os.ReadFile(filepath.Join(dir, "state")); err != nil || string(b) != "cleaned\n" {
		t.Errorf("%q, %v", b, err)
	}
}
