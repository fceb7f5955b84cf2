package engine_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/engine"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/event"
)

// log returns what a stage's command printed, by its record in the cache.
func (p *project) log(stage string) string {
	p.t.Helper()
	rec := p.record(p.cache, p.id(stage))
	r, err := p.cache.Open(p.t.Context(), object.Ref{Shelf: object.Logs, Digest: rec.Log})
	must(p.t, err)
	b, err := io.ReadAll(r)
	must(p.t, err)
	must(p.t, r.Close())
	return string(b)
}

// value returns a variable of the stage's last job, and whether it is set.
func (p *project) value(stage, name string) (string, bool) {
	p.t.Helper()
	var found []string
	for _, kv := range p.job(stage).Env {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			found = append(found, v)
		}
	}
	if len(found) == 0 {
		return "", false
	}
	return found[len(found)-1], true
}

const build = "stages:\n  a:\n    cmd: a\n    deps: [src]\n    outs: [out/a]\n    env: [ASKED, UNSET, {SAID: literal}]\n"

func TestABuildSeesLittleButWhatItDeclares(t *testing.T) {
	p := open(t, build, "src")
	p.engine.Environ = []string{"PATH=/bin", "HOME=/root", "LC_ALL=C", "Path=/windows", "ASKED=old", "ASKED=yes", "OTHER=no", "PIPE_HASH_SRC=forged", "PIPE_SHA256_SRC=forged"}
	p.repro("a:run", all)
	want := []string{"PATH=/bin", "HOME=/root", "LC_ALL=C", "Path=/windows", "ASKED=yes", "SAID=literal", "PIPE_HASH_SRC=" + p.locked("a").Deps[0].Digest.Hex()}
	if got := p.job("a").Env; !slices.Equal(got, want) {
		t.Errorf("%q, want\n%q", got, want)
	}
}

func TestALooseBuildSeesEverything(t *testing.T) {
	p := open(t, "env_mode: loose\n"+strings.TrimSpace(build)+"\n", "src")
	p.engine.Environ = []string{"PATH=/bin", "OTHER=yes", "PIPE_HASH_OTHER=forged"}
	p.repro("a:run", all)
	if v, _ := p.value("a", "OTHER"); v != "yes" {
		t.Error("it does not see OTHER")
	}
	if v, ok := p.value("a", "PIPE_HASH_OTHER"); ok {
		t.Errorf("it sees another pipe's hash %s", v)
	}
	p.declare(build)
	p.repro("a:run", all)
}

func TestADeploymentSeesEverythingButForeignHashes(t *testing.T) {
	p := open(t, "stages:\n  a: {cmd: a, deps: [src], outs: [{path: out/a, sha256: true}]}\n  live: {cmd: x, deps: [out/a, src]}\n", "src")
	p.engine.Environ = []string{"PATH=/bin", "AWS_SECRET=x", "PIPE_HASH_SRC=forged", "PIPE_HASH_OTHER=forged", "PIPE_SHA256_OTHER=forged", "PIPE_STAGE=forged"}
	p.repro("a:run live:run", all)
	for name, want := range map[string]string{
		"AWS_SECRET": "x", "PIPE_STAGE": "live", "PIPE_ENV": "default",
		"PIPE_HASH_SRC": p.locked("a").Deps[0].Digest.Hex(), "PIPE_HASH_OUT_A": p.out("a").Digest.Hex(),
	} {
		if got, _ := p.value("live", name); got != want {
			t.Errorf("%s=%s, want %s", name, got, want)
		}
	}
	for _, kv := range p.job("live").Env {
		if strings.HasSuffix(kv, "_OTHER=forged") || kv == "PIPE_HASH_SRC=forged" {
			t.Errorf("it sees %s", kv)
		}
	}
	if token, ok := p.value("live", "PIPE_DEPLOYMENT"); !ok || token == "" {
		t.Error("it does not know its deployment")
	}
	for _, name := range []string{"PIPE_STAGE", "PIPE_ENV", "PIPE_DEPLOYMENT"} {
		if v, ok := p.value("a", name); ok {
			t.Errorf("the build sees %s=%s", name, v)
		}
	}
}

func TestHashesOfOutsThatAskForItComeAsSHA256Too(t *testing.T) {
	p := open(t, "stages:\n  a: {cmd: a, deps: [src], outs: [{path: out/a, sha256: true}, out/b]}\n  b: {cmd: b, deps: [out], outs: [b]}\n", "src")
	lock := func(sha string) {
		p.locked("a").Outs[0].SHA256 = sha
	}
	p.repro("a:run b:run", all)
	lock(strings.Repeat("0f", 32))
	p.repro("b:run", engine.Options{Targets: []string{"b"}, Single: true, Force: true})
	if got, _ := p.value("b", "PIPE_SHA256_OUT_A"); got != strings.Repeat("0f", 32) {
		t.Errorf("PIPE_SHA256_OUT_A=%s", got)
	}
	if _, ok := p.value("b", "PIPE_SHA256_OUT_B"); ok {
		t.Error("out/b has one, too")
	}
	if got, _ := p.value("b", "PIPE_HASH_OUT_B"); got != p.locked("a").Outs[1].Digest.Hex() {
		t.Errorf("PIPE_HASH_OUT_B=%s", got)
	}
}

func TestTwoPathsOfOneVariableSetNeither(t *testing.T) {
	p := open(t, "stages:\n  a: {cmd: a, deps: [a.b, a-b, c], outs: [out/a]}\n", "a.b", "a-b", "c")
	p.repro("a:run", all)
	if v, ok := p.value("a", "PIPE_HASH_A_B"); ok {
		t.Errorf("PIPE_HASH_A_B=%s", v)
	}
	if _, ok := p.value("a", "PIPE_HASH_C"); !ok {
		t.Error("PIPE_HASH_C is not set")
	}
}

const secret = "stages:\n  a:\n    cmd: a\n    deps: [src]\n    outs: [out/a]\n    env: [{TOKEN: {secret: true}}]\n"

func TestASecretsValueStandsNowhere(t *testing.T) {
	p := open(t, secret, "src")
	p.engine.Environ = []string{"PATH=/bin", "TOKEN=s3cr3t"}
	p.runner.command = func(_ context.Context, job *action.Job) error {
		job.Line([]byte("login with s3cr3t, s3cr3t"))
		return nil
	}
	p.repro("a:run", engine.Options{Push: true})
	if v, _ := p.value("a", "TOKEN"); v != "s3cr3t" {
		t.Errorf("the command got TOKEN=%s", v)
	}
	if p.log("a") != "login with ***, ***\n" || p.told(event.Output) != "login with ***, ***" {
		t.Errorf("log %q, shown %q", p.log("a"), p.told(event.Output))
	}
	record, err := p.remote.Store.Lookup(t.Context(), p.id("a"))
	must(t, err)
	if strings.Contains(string(record)+p.saved[0], "s3cr3t") {
		t.Errorf("the record or the lock has it:\n%s%s", record, p.saved[0])
	}
	must(t, p.remote.List(t.Context(), func(e store.Entry) error {
		b, err := store.ReadAll(t.Context(), p.remote, e.Ref, 1<<20)
		if strings.Contains(string(b), "s3cr3t") {
			t.Errorf("%s has it: %s", e.Ref, b)
		}
		return err
	}))
	p.engine.Environ = []string{"PATH=/bin", "TOKEN=another"}
	p.repro("a:skip", all)
	p.engine.Environ = []string{"PATH=/bin"}
	p.repro("a:run", all)
}

func TestWhatIsNoSecretIsShown(t *testing.T) {
	p := open(t, build, "src")
	p.engine.Environ = []string{"ASKED=value"}
	p.runner.command = func(_ context.Context, job *action.Job) error {
		job.Line([]byte("a literal value"))
		return nil
	}
	p.repro("a:run", all)
	if p.told(event.Output) != "a literal value" {
		t.Errorf("shown: %s", p.told(event.Output))
	}
}

func TestAFailureShowsNoSecret(t *testing.T) {
	p := open(t, secret, "src")
	p.engine.Environ = []string{"TOKEN=printed"}
	p.fails("a")
	_, _, err := p.run(all)
	var e *diag.Error
	if !errors.As(err, &e) || strings.Contains(err.Error(), "printed") || !slices.Equal(e.Output, []string{"*** by a"}) {
		t.Errorf("%v", err)
	}
}

func TestADeploymentsSecretsAreMasked(t *testing.T) {
	p := open(t, "stages:\n  live: {cmd: x, deps: [src], env: [{TOKEN: {secret: true}}]}\n", "src")
	p.engine.Environ = []string{"TOKEN=s3cr3t"}
	p.runner.command = func(_ context.Context, job *action.Job) error {
		job.Line([]byte("s3cr3t"))
		return nil
	}
	p.repro("live:run", all)
	if p.told(event.Output) != "***" {
		t.Errorf("shown: %s", p.told(event.Output))
	}
}

// shown returns what is shown of a line that a command prints while it knows these secrets.
func shown(t *testing.T, line string, secrets ...string) string {
	t.Helper()
	yaml := "stages:\n  a:\n    cmd: a\n    deps: [src]\n    outs: [out/a]\n    env:\n"
	var environ []string
	for i, s := range secrets {
		name := "S" + string(rune('A'+i))
		yaml += "      - " + name + ": {secret: true}\n"
		environ = append(environ, name+"="+s)
	}
	p := open(t, yaml, "src")
	p.engine.Environ = environ
	p.runner.command = func(_ context.Context, job *action.Job) error {
		job.Line([]byte(line))
		return nil
	}
	p.repro("a:run", all)
	if p.log("a") != p.told(event.Output)+"\n" {
		t.Errorf("log %q, shown %q", p.log("a"), p.told(event.Output))
	}
	return p.told(event.Output)
}

func TestSecretsAreMaskedHoweverTheyLie(t *testing.T) {
	for _, c := range []struct {
		name, line, want string
		secrets          []string
	}{
		{"an empty one", "hello", "hello", []string{""}},
		{"blanks alone", "a  b", "a  b", []string{"  \n \n"}},
		{"several lines", "BEGIN|one|two|END", "BEGIN|***|***|END", []string{"one\n  two\r\n"}},
		{"one begins another", "x abcdef y", "x *** y", []string{"abc", "abcdef"}},
		{"the longer one first", "x abcdef y", "x *** y", []string{"abcdef", "abc"}},
		{"one ends another", "x abcdef y", "x *** y", []string{"abcdef", "def"}},
		{"they overlap", "x abcdef y", "x *** y", []string{"abcd", "cdef"}},
		{"one overlaps itself", "x ababa y", "x *** y", []string{"aba"}},
		{"side by side", "abab", "***", []string{"ab"}},
	} {
		if got := shown(t, c.line, c.secrets...); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestSecretsAreMaskedInLongLines: a line of more than shell.MaxLine bytes comes in pieces,
// and a secret may lie across their borders.
func TestSecretsAreMaskedInLongLines(t *testing.T) {
	const most = shell.MaxLine
	long := strings.Repeat("s", most+10) + "E"
	for name, c := range map[string]struct{ before, after, secret string }{
		"across one border":     {strings.Repeat(".", most-3), "tail", "s3cr3t"},
		"up to the border":      {strings.Repeat(".", most-6), "tail", "s3cr3t"},
		"behind the border":     {strings.Repeat(".", most), "tail", "s3cr3t"},
		"its beginning is held": {strings.Repeat(".", most-3) + "s3cr3", "tail", "s3cr3t"},
		"at the end":            {strings.Repeat(".", 2*most-3), "", "s3cr3t"},
		"across two borders":    {strings.Repeat(".", most-3), strings.Repeat(".", most), long},
		"overlapping itself":    {strings.Repeat(".", most-4), "xyaxyaxya.", "axyaxya"},
	} {
		var got strings.Builder
		p := open(t, secret, "src")
		p.engine.Environ = []string{"TOKEN=" + c.secret}
		p.runner.command = func(_ context.Context, job *action.Job) error {
			line := c.before + c.secret + c.after
			for ; len(line) >= most; line = line[most:] {
				job.Line([]byte(line[:most]))
			}
			job.Line([]byte(line))
			job.Line([]byte("next"))
			return nil
		}
		p.repro("a:run", all)
		got.WriteString(strings.ReplaceAll(p.log("a"), "\n", ""))
		plain := strings.ReplaceAll(c.before+c.secret+c.after, c.secret, "***")
		if name == "overlapping itself" {
			plain = c.before + "***."
		}
		if s := strings.ReplaceAll(got.String(), "******", "***"); s != plain+"next" {
			t.Errorf("%s: %d bytes, want %d: ...%.80q", name, len(s), len(plain)+4, s[max(0, len(s)-80):])
		}
	}
}
