//go:build !windows

package shell_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/shell"
)

// patience ends a test that would else hang: what it waits for never comes.
const patience = time.Minute

func command(t *testing.T, script string) (shell.Command, *[]string) {
	t.Helper()
	var lines []string
	return shell.Command{
		Script: script, Shell: "sh", Dir: t.TempDir(), Env: []string{"PATH=" + os.Getenv("PATH"), "HOME=/"}, Tmp: t.TempDir(),
		Line: func(b []byte) { lines = append(lines, string(b)) },
	}, &lines
}

func TestTheExitCodeIsTheScripts(t *testing.T) {
	for script, want := range map[string]int{"true": 0, "exit 3": 3, "false": 1, "sh -c 'exit 42'": 42, "exit 255": 255, "no-such-command-anywhere": 127} {
		c, _ := command(t, script)
		err := shell.Run(t.Context(), c)
		var e *shell.ExitError
		switch {
		case want == 0 && err != nil:
			t.Errorf("%s: %v", script, err)
		case want != 0 && (!errors.As(err, &e) || e.Code != want || e.Signal != ""):
			t.Errorf("%s: %v, want exit code %d", script, err, want)
		}
	}
}

func TestACommandThatASignalEndsSaysWhich(t *testing.T) {
	c, _ := command(t, "kill -KILL $$")
	var e *shell.ExitError
	if err := shell.Run(t.Context(), c); !errors.As(err, &e) || e.Code != -1 || e.Error() != "ended by signal 9 (killed)" {
		t.Errorf("%v", err)
	}
}

func TestAShellThatIsNotThereIsAnError(t *testing.T) {
	c, _ := command(t, "true")
	c.Dir = filepath.Join(c.Dir, "none")
	if err := shell.Run(t.Context(), c); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// LESSONS 11: one script is one shell, and stops at the first failure.
func TestOneScriptIsOneShell(t *testing.T) {
	c, lines := command(t, "x=1\ncd /\necho $x $PWD\nif true\nthen echo yes\nfi\nfalse\necho never")
	var e *shell.ExitError
	if err := shell.Run(t.Context(), c); !errors.As(err, &e) || e.Code != 1 {
		t.Errorf("%v", err)
	}
	if want := []string{"1 /", "yes"}; !slices.Equal(*lines, want) {
		t.Errorf("%q, want %q", *lines, want)
	}
}

// LESSONS 11: a failure inside a pipe is one.
func TestBashFailsWithItsPipes(t *testing.T) {
	c, lines := command(t, "[[ -o pipefail ]] && [[ $- == *e* ]] && echo flags\nset +e\nfalse | true\necho $?\nset -e\nfalse | true\necho never")
	c.Shell = "bash"
	c.Env = append(c.Env, "BASH_ENV=/dev/null")
	var e *shell.ExitError
	if err := shell.Run(t.Context(), c); !errors.As(err, &e) || e.Code != 1 {
		t.Errorf("%v", err)
	}
	if want := []string{"flags", "1"}; !slices.Equal(*lines, want) {
		t.Errorf("%q, want %q", *lines, want)
	}
}

func TestACommandHasNoInputAndItsOwnEnvironment(t *testing.T) {
	c, lines := command(t, "cat; echo $GREETING; env | grep -c SECRET || true")
	t.Setenv("SECRET", "x")
	c.Env = append(c.Env, "GREETING=hello")
	if err := shell.Run(t.Context(), c); err != nil {
		t.Error(err)
	}
	if want := []string{"hello", "0"}; !slices.Equal(*lines, want) {
		t.Errorf("%q, want %q", *lines, want)
	}
}

func TestEveryLineIsPassedOn(t *testing.T) {
	const most = 64 << 10
	long := func(n int) string { return strings.Repeat("x", n) }
	for name, c := range map[string]struct {
		content string
		want    []string
	}{
		"nothing":                   {"", nil},
		"one":                       {"a\n", []string{"a"}},
		"no final newline":          {"a\nb", []string{"a", "b"}},
		"empty lines":               {"\n\na\n\n", []string{"", "", "a", ""}},
		"carriage return":           {"a\r\nb\r\n", []string{"a", "b"}},
		"long":                      {long(most-1) + "\nb\n", []string{long(most - 1), "b"}},
		"as long as it gets":        {long(most) + "\nb\n", []string{long(most), "", "b"}},
		"a return where it is cut":  {long(most-1) + "\r\nb\n", []string{long(most-1) + "\r", "", "b"}},
		"longer":                    {long(most+5) + "\nb\n", []string{long(most), "xxxxx", "b"}},
		"long without end":          {long(2 * most), []string{long(most), long(most), ""}},
		"long, then empty":          {long(most) + "\n\nb\n", []string{long(most), "", "", "b"}},
		"no UTF-8":                  {"\xff\x00\n", []string{"\xff\x00"}},
		"progress":                  {"a\n1%\r50%\r100%\nb\n", []string{"a", "100%", "b"}},
		"progress, return":          {"1%\r100%\r\r\nb\n", []string{"100%", "b"}},
		"progress without end":      {"1%\r100%\r", []string{"100%"}},
		"progress for ever":         {strings.Repeat("12345678 %\r", most) + "done\nb\n", []string{"done", "b"}},
		"returns for ever":          {strings.Repeat("\r", 3*most) + "done\n", []string{"done"}},
		"a return where it is full": {"a\r" + long(most-3) + "\rxyz\nb\n", []string{"xyz", "b"}},
		"long, then progress":       {long(most) + "1\r2\n", []string{long(most), "2"}},
	} {
		t.Run(name, func(t *testing.T) {
			cmd, lines := command(t, "cat file")
			if err := os.WriteFile(filepath.Join(cmd.Dir, "file"), []byte(c.content), 0o666); err != nil {
				t.Fatal(err)
			}
			if err := shell.Run(t.Context(), cmd); err != nil {
				t.Error(err)
			}
			if !slices.Equal(*lines, c.want) {
				var sizes []int
				for _, l := range *lines {
					sizes = append(sizes, len(l))
				}
				t.Errorf("%d lines of %d bytes, want %d", len(*lines), sizes, len(c.want))
			}
		})
	}
}

func TestOutputAndErrorsComeInTheirOrder(t *testing.T) {
	c, lines := command(t, "echo 1; echo 2 >&2; echo 3; echo 4 >&2")
	if err := shell.Run(t.Context(), c); err != nil {
		t.Error(err)
	}
	if want := []string{"1", "2", "3", "4"}; !slices.Equal(*lines, want) {
		t.Errorf("%q", *lines)
	}
}

func TestAScriptLongerThanAnArgumentRuns(t *testing.T) {
	for _, sh := range []string{"sh", "bash"} {
		c, lines := command(t, "#"+strings.Repeat("x", 200<<10)+"\necho end\nfalse\necho never")
		c.Shell = sh
		var e *shell.ExitError
		if err := shell.Run(t.Context(), c); !errors.As(err, &e) || e.Code != 1 || !slices.Equal(*lines, []string{"end"}) {
			t.Errorf("%s: %q, %v", sh, *lines, err)
		}
		if left, err := os.ReadDir(c.Tmp); err != nil || len(left) != 0 {
			t.Errorf("%s: left behind: %v, %v", sh, left, err)
		}
	}
}

// stopAt returns a context and makes c end it with cause once the command prints "ready".
func stopAt(t *testing.T, c *shell.Command, cause error) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	t.Cleanup(func() { cancel(nil) })
	line := c.Line
	c.Line = func(b []byte) {
		line(b)
		if string(b) == "ready" {
			cancel(cause)
		}
	}
	return ctx
}

// LESSONS 12: the signal reaches the whole group, the grandchildren too.
func TestASignalReachesTheWholeGroup(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		// The outer shell has no trap and ends at once; the inner one gets the time to clean up.
		c, lines := command(t, `bash -c 'trap "sleep 0.1; echo child INT; exit 0" INT; trap "sleep 0.1; echo child TERM; exit 0" TERM; echo ready; while :; do sleep 0.05; done'; echo parent goes on`)
		c.Grace = patience
		ctx := stopAt(t, &c, shell.SignalError{Signal: sig})
		var got shell.SignalError
		if err := shell.Run(ctx, c); !errors.As(err, &got) || got.Signal != sig {
			t.Errorf("%v: %v", sig, err)
		}
		want := map[syscall.Signal]string{syscall.SIGINT: "child INT", syscall.SIGTERM: "child TERM"}[sig]
		if !slices.Contains(*lines, want) {
			t.Errorf("%v: %q, want %q among them", sig, *lines, want)
		}
	}
}

func TestAnotherCauseAsksWithSIGTERM(t *testing.T) {
	c, lines := command(t, `trap 'echo asked; exit 0' TERM; echo ready; while :; do sleep 0.05; done`)
	c.Grace = patience
	gone := errors.New("timed out")
	if err := shell.Run(stopAt(t, &c, gone), c); !errors.Is(err, gone) {
		t.Errorf("%v", err)
	}
	if !slices.Contains(*lines, "asked") {
		t.Errorf("%q", *lines)
	}
}

func TestACommandThatIgnoresSIGTERMIsKilledAfterTheGrace(t *testing.T) {
	c, lines := command(t, `trap '' TERM; echo ready; while :; do sleep 0.05; done`)
	c.Grace = 50 * time.Millisecond
	gone := errors.New("timed out")
	if err := shell.Run(stopAt(t, &c, gone), c); !errors.Is(err, gone) {
		t.Errorf("%v", err)
	}
	if !slices.Equal(*lines, []string{"ready"}) {
		t.Errorf("%q", *lines)
	}
}

func TestACommandIsNotStartedWhenItIsTooLate(t *testing.T) {
	c, _ := command(t, "true")
	c.Started = func(int) { t.Error("it was started") }
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := shell.Run(ctx, c); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// held gives c a locked file and returns a function that waits until nobody holds it.
func held(t *testing.T, c *shell.Command) (wait func()) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "lock")
	lock, err := (atomicfile.Files{}).TryAcquire(path, atomicfile.Exclusive)
	if err != nil || lock == nil {
		t.Fatal(lock, err)
	}
	c.Hold = lock.File()
	return func() {
		t.Helper()
		// Closed, not released: who inherited it still has it, as after kill -9.
		if err := lock.File().Close(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		l, err := atomicfile.Acquire(ctx, path, atomicfile.Exclusive, nil)
		if err != nil {
			t.Fatalf("somebody still holds the lock: %v", err)
		}
		if err := l.Release(); err != nil {
			t.Error(err)
		}
	}
}

// LESSONS 12: nothing that a command left behind goes on working.
func TestGrandchildrenAreGoneAfterRun(t *testing.T) {
	for name, script := range map[string]string{
		"with our output":   `(trap '' TERM INT HUP; while :; do sleep 0.05; done) & echo done`,
		"with none":         `(trap '' TERM INT HUP; while :; do sleep 0.05; done) >/dev/null 2>&1 & echo done`,
		"when it fails":     `(trap '' TERM INT HUP; while :; do sleep 0.05; done) >/dev/null 2>&1 & echo done; exit 1`,
		"of a grandchild's": `sh -c '(trap "" TERM; while :; do sleep 0.05; done) & ' & wait; echo done`,
	} {
		t.Run(name, func(t *testing.T) {
			c, lines := command(t, script)
			wait := held(t, &c)
			pgid := 0
			c.Started = func(n int) { pgid = n }
			err := shell.Run(t.Context(), c)
			var e *shell.ExitError
			if err != nil && !(name == "when it fails" && errors.As(err, &e)) || !slices.Equal(*lines, []string{"done"}) || pgid <= 0 {
				t.Errorf("%q, %v, group %d", *lines, err, pgid)
			}
			wait()
		})
	}
}

func TestAHeldLockLastsAsLongAsTheCommand(t *testing.T) {
	c, _ := command(t, "echo ready; read x < fifo; echo $x")
	held(t, &c)
	if err := syscall.Mkfifo(filepath.Join(c.Dir, "fifo"), 0o666); err != nil {
		t.Fatal(err)
	}
	line, hold, path := c.Line, c.Hold, c.Hold.Name()
	// While the command waits for its input, the lock is taken.
	c.Line = func(b []byte) {
		line(b)
		if string(b) != "ready" {
			return
		}
		if err := hold.Close(); err != nil {
			t.Error(err)
		}
		if l, err := (atomicfile.Files{}).TryAcquire(path, atomicfile.Exclusive); l != nil || err != nil {
			t.Errorf("the lock is free while the command works: %v", err)
		}
		if err := os.WriteFile(filepath.Join(c.Dir, "fifo"), []byte("go\n"), 0); err != nil {
			t.Error(err)
		}
	}
	if err := shell.Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	l, err := atomicfile.Acquire(ctx, path, atomicfile.Exclusive, nil)
	if err != nil {
		t.Fatalf("the lock is held after the command: %v", err)
	}
	if err := l.Release(); err != nil {
		t.Error(err)
	}
}
