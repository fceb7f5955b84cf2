//go:build !windows

package local_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/local"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/pkg/digest"
)

// After each way in which a run can fail the newest report lies there, beside the old outputs.
func TestAfterAFailureTheNewReportStays(t *testing.T) {
	for _, c := range []struct{ name, cmd, more, want string }{
		{"failure", "printf red > r/x; exit 3", "", "red"},
		{"no report", "exit 3", "", "-"},
		{"timeout", "printf red > r/x; exec sleep 60", "timeout: 1s, ", "red"},
		{"cancel", "printf red > r/x; echo now; exec sleep 60", "", "red"},
		{"an input that changes", "printf red > r/x; printf changed > src", "", "red"},
		{"an out that is not created", "printf red > r/x; rm -f out", "", "red"},
	} {
		p := open(t, "  a: {cmd: 'test ! -e r/x; printf half > out; "+c.cmd+"', "+c.more+"deps: [src], outs: [out, {path: r/x, report: true}]}\n", "src", "out", "r/x")
		ctx, cancel := context.WithCancelCause(t.Context())
		j := p.job("a")
		j.Line = func([]byte) { cancel(os.ErrClosed) }
		if _, err := p.Run(ctx, j); err == nil {
			t.Errorf("%s: the run succeeded", c.name)
		}
		if p.read("r/x") != c.want || p.read("out") != "out" {
			t.Errorf("%s: report %q, out %q", c.name, p.read("r/x"), p.read("out"))
		}
		for _, n := range p.notes {
			if strings.Contains(n, "r/x") {
				t.Errorf("%s: %s", c.name, n)
			}
		}
		if !p.has(object.Ref{Digest: digest.Of([]byte("r/x"))}) {
			t.Errorf("%s: the cache does not have the old report", c.name)
		}
	}
}

// The directory of a report is there for the command, as it is for other outputs.
func TestTheDirectoryOfAReportIsMade(t *testing.T) {
	p := open(t, "  a: {cmd: 'printf new > r/x', outs: [{path: r/x, report: true}]}\n")
	p.runs(p.job("a"))
	if p.read("r/x") != "new" {
		t.Errorf("report %q", p.read("r/x"))
	}
}

// What cannot be an output would stop every later run: it is moved away.
func TestAReportThatIsNoOutputIsMovedAway(t *testing.T) {
	p := open(t, "  a: {cmd: 'ln -s /etc/hosts r; exit 1', outs: [{path: r, report: true}]}\n")
	for range 2 {
		if _, err := p.Run(t.Context(), p.job("a")); err == nil || p.read("r") != "-" {
			t.Fatalf("%v; report %q", err, p.read("r"))
		}
	}
	if !strings.Contains(strings.Join(p.notes, "\n"), ".pipe/partial/a/r") {
		t.Errorf("notes %q", p.notes)
	}
}

// A kill may come at any time after the command began: the next run does not bring back the report
// of the run before.
func TestRecoverBringsBackNoOldReport(t *testing.T) {
	p := open(t, "  a: {cmd: 'printf red > r; printf half > out', outs: [out, {path: r, report: true}]}\n", "out", "r")
	if _, err := p.Run(t.Context(), p.job("a")); err != nil {
		t.Fatal(err)
	}
	// Nobody settles: pipe was killed.
	h, err := local.Acquire(t.Context(), p.Work, local.Wanted{Verb: "repro", Say: func(string) {}})
	must(t, err)
	defer func() { must(t, h.Release()) }()
	if p.read("r") != "red" || p.read("out") != "out" {
		t.Errorf("report %q, out %q", p.read("r"), p.read("out"))
	}
}
