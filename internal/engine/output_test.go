package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/shell"
)

// prints makes every command print n numbered lines of a hundred bytes.
func (p *project) prints(n int) (lines []string) {
	for i := range n {
		lines = append(lines, fmt.Sprintf("%06d%s", i, strings.Repeat(".", 93)))
	}
	p.runner.command = func(_ context.Context, job *action.Job) error {
		for _, l := range lines {
			job.Line([]byte(l))
		}
		return nil
	}
	return lines
}

func TestALogWithinTheBoundIsWhole(t *testing.T) {
	p := open(t, one, "src")
	lines := p.prints(3 << 20 / 100)
	p.repro("a:run", all)
	if p.log("a") != strings.Join(lines, "\n")+"\n" {
		t.Error("it is not what was printed")
	}
}

func TestALongLogKeepsItsFirstAndItsLastHalf(t *testing.T) {
	const half = 2 << 20
	for _, bytes := range []int{5 << 20, 6 << 20, 9 << 20} {
		p := open(t, one, "src")
		lines := p.prints(bytes / 100)
		p.repro("a:run", all)
		log := p.log("a")
		printed := strings.Join(lines, "\n") + "\n"
		head, last, cut := strings.Cut(log, "[...]\n")
		if !cut || !strings.HasPrefix(printed, head) || !strings.HasSuffix(printed, last) {
			t.Fatalf("%d bytes: the log is not the beginning and the end of what was printed", bytes)
		}
		if len(head) > half || len(last) > half || len(head) < half-100 || len(last) < half-100 {
			t.Errorf("%d bytes: kept the first %d and the last %d", bytes, len(head), len(last))
		}
	}
}

func TestAFailureHasTheLastTwentyLines(t *testing.T) {
	for _, n := range []int{0, 1, 20, 21, 60_000} {
		p := open(t, one, "src")
		lines := p.prints(n)
		printing := p.runner.command
		p.runner.command = func(ctx context.Context, job *action.Job) error {
			return errors.Join(printing(ctx, job), &shell.ExitError{Code: 1})
		}
		_, _, err := p.run(all)
		if err == nil {
			t.Fatal("no error")
		}
		want := lines[max(0, n-20):]
		var e *diag.Error
		if !errors.As(err, &e) || !strings.HasSuffix(err.Error(), "a: the command failed: exit code 1") || !slices.Equal(e.Output, want) {
			t.Errorf("%d lines: %q and\n%q\nwant\n%q", n, err, e.Output, want)
		}
	}
}
