//go:build !windows

package main

import (
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/creack/pty"
)

// terminal is a pty in which pipe runs.
type terminal struct {
	p    *place
	cmd  *exec.Cmd
	tty  *os.File
	mu   sync.Mutex
	said strings.Builder
	end  chan struct{} // closed when all is read
}

// What pipe writes around its live lines, and a cursor that is hidden.
const (
	live   = "\x1b[?7l"
	hidden = "\x1b[?25l"
)

var sgr = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// terminal starts pipe in a terminal of 80 columns. env goes before what the tests have.
func (p *place) terminal(env []string, args ...string) *terminal {
	p.t.Helper()
	cmd := exec.Command("pipe", args...)
	cmd.Dir = p.dir
	for _, kv := range append(os.Environ(), p.env...) {
		switch name, _, _ := strings.Cut(kv, "="); name {
		case "CI", "NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "TERM", "GITHUB_ACTIONS":
		default:
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(append(cmd.Env, "TERM=xterm", "HOME="+p.dir), env...)
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 80})
	must(p.t, err)
	t := &terminal{p: p, cmd: cmd, tty: tty, end: make(chan struct{})}
	go func() {
		defer close(t.end)
		b := make([]byte, 4096)
		for {
			n, err := tty.Read(b)
			t.mu.Lock()
			t.said.Write(b[:n])
			t.mu.Unlock()
			if err != nil { // EIO when the last process has closed it
				return
			}
		}
	}()
	p.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = tty.Close() })
	return t
}

func (t *terminal) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.said.String()
}

// shows waits until the pattern has appeared.
func (t *terminal) shows(pattern string) {
	t.p.t.Helper()
	re := regexp.MustCompile(pattern)
	t.p.until(pattern, func() bool { return re.MatchString(t.String()) })
}

func (t *terminal) types(keys string) {
	t.p.t.Helper()
	_, err := t.tty.WriteString(keys)
	must(t.p.t, err)
}

// ends waits for the end, checks the exit code, and that no live line is left.
func (t *terminal) ends(code int) string {
	t.p.t.Helper()
	err := t.cmd.Wait()
	<-t.end
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	}
	said := t.String()
	if got != code {
		t.p.t.Errorf("exit code %d, not %d\n%q", got, code, said)
	}
	_, rest, _ := cutLast(said, live)
	if strings.Contains(said, live) && !strings.Contains(rest, "\x1b[J") {
		t.p.t.Errorf("live lines are left: %q", rest)
	}
	if strings.Contains(said, hidden) {
		t.p.t.Error("the cursor was hidden")
	}
	return said
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// waits is a project whose stage prints a line and waits for the file go.
func waits(t *testing.T) *place {
	p := newPlace(t)
	p.write("pipe.yaml", "stages:\n  slow: {cmd: 'echo "+strings.Repeat("word ", 10)+"; while ! test -e go; do sleep 0.02; done; echo 1 > out', deps: [src], outs: [out]}\n  quick: {cmd: cat src > two, deps: [src], outs: [two]}\n")
	p.write("src", "x")
	return p
}

func TestATerminalHasALiveLineForWhatRuns(t *testing.T) {
	t.Parallel()
	p := waits(t)
	run := p.terminal(nil, "repro")
	run.shows(regexp.QuoteMeta(live) + `(\x1b\[36m)?slow   1 s .*word word word`)
	must(t, pty.Setsize(run.tty, &pty.Winsize{Rows: 24, Cols: 30}))
	run.shows(regexp.QuoteMeta(live) + `[^\n]*slow   [0-9]+ s [^\n]*word wor…`)
	p.write("go", "")
	said := run.ends(0)
	plain := sgr.ReplaceAllString(said, "")
	for _, want := range []string{"slow   run  ", "slow  | word word", "quick  done ", "slow   done     out ", "2 ran in "} {
		if !strings.Contains(plain, want) {
			t.Errorf("no %q in %q", want, said)
		}
	}
	if !strings.Contains(said, "\x1b[32mdone") {
		t.Errorf("no colour in %q", said)
	}
}

func TestWhatATerminalShowsDependsOnTheEnvironment(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		env            []string
		args           string
		lively, colour bool
	}{
		"no colour": {[]string{"NO_COLOR=1"}, "repro", true, false},
		"forced":    {[]string{"NO_COLOR=1", "FORCE_COLOR=1"}, "repro", true, false},
		"CLICOLOR":  {[]string{"CLICOLOR=0"}, "repro", true, false},
		"no CI":     {[]string{"CI=false"}, "repro", true, true},
		"CI":        {[]string{"CI=true"}, "repro", false, true},
		"dumb":      {[]string{"TERM=dumb"}, "repro", false, false},
		"quiet":     {nil, "repro -q", false, false},
		"JSON":      {nil, "repro --json", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := waits(t)
			run := p.terminal(c.env, strings.Fields(c.args)...)
			switch {
			case c.lively:
				run.shows(`slow   [0-9]+ s .*word`)
			case c.args == "repro":
				run.shows(`slow \| .*word`)
			}
			p.write("go", "")
			said := run.ends(0)
			if strings.Contains(said, live) != c.lively || sgr.MatchString(said) != c.colour {
				t.Errorf("%q", said)
			}
		})
	}
}

func TestCtrlCLeavesTheTerminalClean(t *testing.T) {
	t.Parallel()
	p := waits(t)
	run := p.terminal(nil, "repro")
	run.shows(`slow   [0-9]+ s .*word`)
	run.types("\x03")
	if said := run.ends(130); !strings.Contains(said, "interrupted") {
		t.Errorf("%q", said)
	}
}

func TestAQuestionStandsAlone(t *testing.T) {
	t.Parallel()
	p := waits(t)
	p.write("pipe.yaml", p.read("pipe.yaml")+"  ship: {deploy: true, cmd: cp two ../live-$$ && rm ../live-$$, deps: [two]}\n")
	run := p.terminal(nil, "repro", "-j2")
	p.write("go", "")
	run.shows(`\[y/N\] $`) // when all that needs no deployment is built
	if _, err := os.Stat(p.path("out")); err != nil {
		t.Error(err)
	}
	run.types("y\r")
	said := run.ends(0)
	if !strings.Contains(said, "[y/N] y\r\n") || !strings.Contains(said, "3 ran in") {
		t.Errorf("%q", said)
	}

	p.write("src", "y")
	run = p.terminal(nil, "repro")
	run.shows(`\[y/N\] $`)
	run.types("\x03")
	run.ends(130)
}
