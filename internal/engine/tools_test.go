package engine_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/engine"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/event"
)

const tools = `
stages:
  a: {cmd: make, deps: [{cmd: go version}], outs: [a.out]}
  b: {cmd: make, deps: [a.out], outs: [b.out]}
`

func TestAStageRunsWhenItsToolSaysSomethingElse(t *testing.T) {
	p := open(t, tools)
	p.says = map[string]string{"go version": "go1.25\n"}
	p.repro("a:run b:run", all)
	p.repro("a:skip b:skip", all)
	if got := p.locked("a").Tools; len(got) != 1 || got[0].Cmd != "go version" || got[0].Digest != digest.Of([]byte("go1.25\n")) || got[0].Size != 7 || got[0].Line != "go1.25" {
		t.Errorf("%+v", got)
	}
	p.says["go version"] = "go1.26\n"
	p.repro("a:run b:skip", all)
	if why := p.outcome("a").Verdict.Because; len(why) != 1 || why[0].Code != event.ToolChanged || why[0].Note != `"go1.25" -> "go1.26"` {
		t.Errorf("%+v", why)
	}
	p.says["go version"] = "go1.25\n"
	p.repro("a:restore b:skip", all)
}

func TestADeployStageRunsWhenItsToolSaysSomethingElse(t *testing.T) {
	p := open(t, "stages:\n  d: {cmd: kubectl apply, deploy: true, deps: [{cmd: kubectl version}]}\n")
	p.says = map[string]string{"kubectl version": "1\n"}
	p.repro("d:run", all)
	p.repro("d:skip", all)
	p.says["kubectl version"] = "2\n"
	p.repro("d:run", all)
	if got := p.reasons("d"); got != "live-is-other tool-changed" {
		t.Error(got)
	}
	// Who only looks takes what was deployed.
	p.says = nil
	p.repro("d:skip", engine.Options{Dry: true})
	if env := p.asked[0].Env; !slices.Contains(env, "CREDENTIAL=from outside") || !slices.Contains(env, "PIPE_ENV=default") {
		t.Errorf("%q", env)
	}
}

func TestACommandThatIsNotRunCountsAsUnchanged(t *testing.T) {
	p := open(t, tools)
	p.repro("a:depends b:depends", engine.Options{Dry: true})
	if why := p.outcome("a").Verdict.Because; why[0].String() != "go version must run first (pipe repro runs it)" {
		t.Errorf("%+v", why)
	}
	p.says = map[string]string{"go version": "go1.25\n"}
	p.repro("a:run b:run", all)
	p.says = nil
	p.repro("a:skip b:skip", engine.Options{Dry: true})
	if got := p.outcome("a").Assumed; !slices.Equal(got, []string{"go version"}) || p.told(event.Note) != "did not run go version: its output counts as unchanged" {
		t.Errorf("%q, %q", got, p.told(event.Note))
	}
}

func TestACommandRunsOnceForAllStagesThatRunItAlike(t *testing.T) {
	p := open(t, `
stages:
  a: {cmd: make, deps: [{cmd: v}], outs: [a]}
  b: {cmd: make, deps: [{cmd: v}], outs: [b]}
  c: {cmd: make, deps: [{cmd: v}], outs: [c], env: [{X: y}]}
  d: {cmd: make, deps: [{cmd: v}], outs: [d], shell: bash}
  e: {cmd: make, deps: [{cmd: v}, {cmd: w}], outs: [e]}
`)
	p.says = map[string]string{"v": "1", "w": "1"}
	if _, _, err := p.run(engine.Options{Jobs: 4}); err != nil || len(p.asked) != 4 {
		t.Errorf("%d times, %v: %+v", len(p.asked), err, p.asked)
	}
	for _, q := range p.asked {
		if slices.Contains(q.Env, "CREDENTIAL=from outside") || q.Wdir != "." || !slices.Contains(q.Env, "PATH=/bin") {
			t.Errorf("%+v", q)
		}
	}
}

func TestTheLockShowsNothingFromOutside(t *testing.T) {
	for _, c := range []struct{ stage, out, line string }{
		{"", " \n  go1.26 linux\r\nmore", "go1.26 linux"},
		{"", "a\xffb\n", "a\ufffdb"},
		{"", strings.Repeat("é", 101), strings.Repeat("é", 100) + "..."},
		{"", strings.Repeat("é", 100), strings.Repeat("é", 100)},
		{"", "", ""},
		{", env: [{LIT: shown}]", "shown", "shown"},
		{", env: [OUT]", "hello\nfrom outside", ""},
		{", env: [{SEC: {secret: true}}]", "xline 2x", ""},
		{", env: [UNSET]", "x", "x"},
	} {
		p := open(t, "stages:\n  a: {cmd: make, deps: [{cmd: v}], outs: [a.out]"+c.stage+"}\n")
		p.engine.Environ = append(p.engine.Environ, "OUT=from outside", "SEC=line 1\nline 2\n")
		p.says = map[string]string{"v": c.out}
		p.repro("a:run", all)
		if got := p.locked("a").Tools[0]; got.Line != c.line || got.Digest != digest.Of([]byte(c.out)) {
			t.Errorf("%q%s: %+v, want the line %q", c.out, c.stage, got, c.line)
		}
	}
	p := open(t, "env_mode: loose\n"+tools)
	p.says = map[string]string{"go version": "go1.26"}
	p.repro("a:run b:run", all)
	if got := p.locked("a").Tools[0].Line; got != "" {
		t.Errorf("a command that sees everything shows %q", got)
	}
}

func TestAToolThatFailsIsAnErrorThatNamesIt(t *testing.T) {
	for err, want := range map[error]string{
		&shell.ExitError{Code: 127}: "exit code 127\n    go: not found ***",
		action.ErrTimeout:           "it did not finish within 10s",
		action.ErrTooMuch:           "it printed more than 64 KiB",
		errors.New("no shell"):      "no shell",
	} {
		p := open(t, strings.Replace(tools, "outs: [a.out]", "outs: [a.out], env: [{T: {secret: true}}]", 1))
		p.engine.Environ = append(p.engine.Environ, "T=hunter2")
		p.engine.Ask = func(_ context.Context, q action.Question) ([]byte, error) {
			q.Line([]byte("go: not found hunter2"))
			return nil, err
		}
		_, counts, got := p.run(all)
		if !diag.Is(got, diag.Stage) || !strings.HasSuffix(got.Error(), "a: dependency {cmd: go version}: "+want) || counts.Failed != 1 || counts.Not != 1 || p.jobs() != "" {
			t.Errorf("%v, %+v", got, counts)
		}
	}
}

func TestWhoPrintsToStandardErrorAloneIsTold(t *testing.T) {
	p := open(t, tools)
	p.engine.Ask = func(_ context.Context, q action.Question) ([]byte, error) {
		q.Line([]byte("openjdk 21"))
		return nil, nil
	}
	p.repro("a:run b:run", all)
	if got := p.told(event.Note); !strings.Contains(got, "add 2>&1") {
		t.Error(got)
	}
}
