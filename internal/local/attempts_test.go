//go:build !windows

package local_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/internal/spec"
)

// again has a job say which attempts it makes, and why.
func again(j *action.Job) (said *[]string) {
	said = new([]string)
	j.Again = func(attempt int, failed error) { *said = append(*said, fmt.Sprintf("%d: %v", attempt, failed)) }
	return said
}

// Each attempt begins as the first: nothing of the last one lies there, the persistent output is that of the last
// good run, and the working directory in an output is there.
func TestEachAttemptBeginsAsTheFirst(t *testing.T) {
	p := open(t, `
  a:
    cmd: |
      cd ../..
      echo "$(cat kept) $(ls -A out rep new dir 2>/dev/null | tr '\n' ' ')"
      echo >> tries; printf more >> kept; printf x > out; printf x > rep; printf x > new; printf x > dir/sub/x
      test $(wc -l < tries) -ge 3
      printf done > rep
    wdir: dir/sub
    retries: 4
    outs: [../../out, ../../new, ../../dir/, {path: ../../kept, persist: true}, {path: ../../rep, report: true}]
`, "out", "kept", "rep", "dir/old")
	var now time.Time
	p.Now = func() time.Time { now = now.Add(3 * time.Second); return now }
	j := p.job("a")
	said := again(j)
	made := p.runs(j)
	if want := []string{"2: exit code 1", "3: exit code 1"}; !slices.Equal(*said, want) || made.Seconds != 9 {
		t.Errorf("said %q after %v seconds", *said, made.Seconds)
	}
	if want := "kept dir:|kept dir:|kept dir:"; strings.ReplaceAll(strings.Join(p.printed, "|"), "dir: sub ", "dir:") != want {
		t.Errorf("printed %q", p.printed)
	}
	if p.read("kept") != "keptmore" || p.read("rep") != "done" || p.left() != "" {
		t.Errorf("kept %q, rep %q, left %s", p.read("kept"), p.read("rep"), p.left())
	}
}

func TestACommandThatNeverSucceedsIsTriedSoOften(t *testing.T) {
	for _, c := range []struct {
		name, cmd, more string
		tries           int
		want            func(error) bool
	}{
		{"it fails", "'echo try; printf half > out; exit 3'", "retries: 2, ", 3, func(err error) bool { return err.Error() == "exit code 3" }},
		{"no retries", "'echo try; exit 3'", "retries: 0, ", 1, func(err error) bool { return err.Error() == "exit code 3" }},
		{"a signal", "'echo try; kill -9 $$'", "retries: 1, ", 2, func(err error) bool { return strings.Contains(err.Error(), "signal 9") }},
		{"the second command", "['true', 'echo try; exit 4']", "retries: 1, ", 2, func(err error) bool { return err.Error() == "exit code 4" }},
		{"too slow", "'echo try; exec sleep 60'", "retries: 1, timeout: 2s, ", 2, func(err error) bool { return errors.Is(err, action.ErrTimeout) }},
		// What is wrong with these no further attempt changes.
		{"no output", "'echo try; rm -f out'", "retries: 3, ", 1, func(err error) bool { return strings.Contains(err.Error(), "did not create out") }},
		{"an input that changes", "'echo try; echo x >> src; printf x > out'", "retries: 3, ", 1, func(err error) bool { return strings.Contains(err.Error(), "src changed") }},
		{"an input that an attempt changed", "'echo try; echo x >> src; printf x > out; test $(wc -l < src) -ge 2'", "retries: 3, ", 2, func(err error) bool { return strings.Contains(err.Error(), "src changed") }},
	} {
		p := open(t, "  a: {cmd: "+c.cmd+", "+c.more+"deps: [src], outs: [out]}\n", "src", "out")
		_, err := p.Run(t.Context(), p.job("a"))
		if err == nil || !c.want(err) || len(p.printed) != c.tries {
			t.Errorf("%s: %v; printed %q", c.name, err, p.printed)
		}
		if p.read("out") != "out" {
			t.Errorf("%s: out holds %q", c.name, p.read("out"))
		}
	}
}

func TestAnInterruptedCommandIsNotTriedAgain(t *testing.T) {
	for name, end := range map[string]string{"it is ended": "exec sleep 60", "it fails by itself": "trap 'exit 5' TERM; sleep 60 & wait; exit 5"} {
		p := open(t, "  a: {cmd: 'echo try; printf half > out; test -e first || { touch first; exit 1; }; echo second; "+strings.ReplaceAll(end, "'", "''")+"', retries: 100, outs: [out]}\n", "out")
		ctx, cancel := context.WithCancelCause(t.Context())
		j := p.job("a")
		var lines []string
		j.Line = func(line []byte) {
			if lines = append(lines, string(line)); string(line) == "second" {
				cancel(os.ErrClosed)
			}
		}
		said := again(j)
		if _, err := p.Run(ctx, j); !errors.Is(err, os.ErrClosed) || len(*said) != 1 || strings.Join(lines, " ") != "try try second" || p.read("out") != "out" {
			t.Errorf("%s: %v; %q; %q; out holds %q", name, err, *said, lines, p.read("out"))
		}
	}
}

// The command had failed before the interrupt: there is no further attempt to tell of.
func TestARunThatEndsBetweenAttemptsMakesNone(t *testing.T) {
	p := open(t, "  a: {cmd: 'echo try; exit 3', retries: 3, outs: [out]}\n", "out")
	ctx, cancel := context.WithCancelCause(t.Context())
	calls := 0
	p.Now = func() time.Time {
		if calls++; calls == 2 { // when the first attempt has ended
			cancel(os.ErrClosed)
		}
		return time.Time{}
	}
	j := p.job("a")
	said := again(j)
	if _, err := p.Run(ctx, j); err == nil || len(*said) > 0 || len(p.printed) != 1 || p.read("out") != "out" {
		t.Errorf("%v; said %q; printed %q", err, *said, p.printed)
	}
}

func TestEachAttemptOfADeploymentHasADirectoryOfItsOwn(t *testing.T) {
	p := open(t, "  live: {cmd: 'ls -A; cat conf; echo; echo >> conf; echo x > x; echo >> \"$COUNT\"; test $(wc -l < \"$COUNT\") -ge 2', retries: 3, deploy: true}\n", "conf")
	j := p.deployed(spec.Verify{})
	j.Env = append(j.Env, "COUNT="+p.path("count"))
	said := again(j)
	p.runs(j)
	if want := "conf conf conf conf"; strings.Join(p.printed, " ") != want || len(*said) != 1 || p.left() != "" {
		t.Errorf("printed %q, said %q, left %s", p.printed, *said, p.left())
	}
}

// A deployment that verify turned down is not made again, nor one whose run may not deploy any more.
func TestADeploymentIsNotTriedAgainForAnotherReason(t *testing.T) {
	p := open(t, "  live: {cmd: 'echo try', retries: 3, deploy: true}\n", "conf")
	if _, err := p.Run(t.Context(), p.deployed(spec.Verify{Cmd: "false"})); !errors.Is(err, action.ErrVerify) || len(p.printed) != 1 {
		t.Errorf("verify: %v, %q", err, p.printed)
	}
	p = open(t, "  live: {cmd: 'echo try; sleep 30', retries: 3, deploy: true}\n", "conf")
	p.Program = os.Args[0]
	j := p.deployed(spec.Verify{})
	beats := make(chan time.Time, 1)
	beats <- time.Now()
	j.Beats, j.Silence = beats, 1300*time.Millisecond
	if _, err := p.Run(t.Context(), j); !errors.Is(err, shell.ErrFenced) || len(p.printed) != 1 {
		t.Errorf("fenced: %v, %q", err, p.printed)
	}
	// A further attempt proves nothing.
	p = open(t, "  live: {cmd: 'echo try; sleep 0.5; exit 1', retries: 9, deploy: true}\n", "conf")
	p.Program = os.Args[0]
	j = p.deployed(spec.Verify{})
	beats <- time.Now()
	j.Beats, j.Silence = beats, 1300*time.Millisecond
	if _, err := p.Run(t.Context(), j); !errors.Is(err, shell.ErrFenced) || len(p.printed) > 4 {
		t.Errorf("fenced between attempts: %v, %q", err, p.printed)
	}
}
