package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// place is a project in a directory of its own, with git's and pipe's settings out of reach.
type place struct {
	t        *testing.T
	dir      string
	yaml     string
	environ  []string
	in       string // what a terminal would answer; empty: there is no terminal
	out, err string
}

const shop = `project: shop
remote: ../remote
stages:
  build: {cmd: cp src dist, deps: [src], outs: [dist]}
  deploy: {deploy: true, cmd: cp dist "$LIVE", deps: [dist]}
`

func newPlace(t *testing.T, yaml string) *place {
	t.Helper()
	top := t.TempDir()
	p := &place{t: t, dir: filepath.Join(top, "p"), yaml: yaml, environ: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + top, "LIVE=" + filepath.Join(top, "live")}}
	p.write("pipe.yaml", yaml)
	p.write("src", "one")
	return p
}

func (p *place) write(name, content string) {
	p.t.Helper()
	if err := os.MkdirAll(filepath.Dir(filepath.Join(p.dir, name)), 0o777); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(content), 0o666); err != nil {
		p.t.Fatal(err)
	}
}

// try runs one command, keeps what it printed, and returns its exit code.
func (p *place) try(args ...string) int {
	p.t.Helper()
	var out, errs bytes.Buffer
	w := World{Args: append([]string{"-C", p.dir}, args...), Environ: p.environ, In: strings.NewReader(p.in), Out: &out, Err: &errs, Terminal: p.in != ""}
	code := Run(p.t.Context(), w)
	p.out, p.err = out.String(), errs.String()
	return code
}

// run is try, and checks the exit code.
func (p *place) run(code int, args ...string) {
	p.t.Helper()
	if got := p.try(args...); got != code {
		p.t.Fatalf("pipe %s: exit %d, want %d\n%s%s", strings.Join(args, " "), got, code, p.out, p.err)
	}
}

// answer is the one JSON document of the last command.
func (p *place) answer() map[string]any {
	p.t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(p.out), &v); err != nil {
		p.t.Fatalf("%v in %q", err, p.out)
	}
	return v
}

func TestResultsGoToStdoutAndProgressToStderr(t *testing.T) {
	p := newPlace(t, shop)
	p.run(0, "repro")
	if p.out != "" || !strings.Contains(p.err, "build") {
		t.Errorf("repro printed %q to stdout, %q to stderr", p.out, p.err)
	}
	p.run(0, "plan")
	if !strings.Contains(p.out, "build") || p.err != "" {
		t.Errorf("plan printed %q to stdout, %q to stderr", p.out, p.err)
	}
	p.run(0, "repro", "--json")
	if p.err != "" {
		t.Errorf("with --json, stderr has %q", p.err)
	}
	for line := range strings.Lines(p.out) {
		var e struct{ Schema, Type string }
		if json.Unmarshal([]byte(line), &e) != nil || e.Schema != "pipe.event/1" || e.Type == "" {
			t.Errorf("no event: %q", line)
		}
	}
}

func TestEveryAnswerInJSONNamesItsSchema(t *testing.T) {
	p := newPlace(t, shop)
	p.run(0, "repro", "-q")
	for name, args := range map[string][]string{
		"pipe.plan/1": {"plan"}, "pipe.why/1": {"why", "build"}, "pipe.status/1": {"status"}, "pipe.push/1": {"push"}, "pipe.pull/1": {"pull"},
		"pipe.checkout/1": {"checkout"}, "pipe.hash/1": {"hash", "src"}, "pipe.dag/1": {"dag"}, "pipe.verify/1": {"verify"}, "pipe.gc/1": {"gc"},
		"pipe.remotes/1": {"remote", "list"}, "pipe.probe/1": {"remote", "probe"}, "pipe.version/1": {"version"}, "pipe.init/1": {"init"}, "pipe.env/1": {"env"},
	} {
		p.run(0, append(args, "--json")...)
		if got := p.answer()["schema"]; got != name {
			t.Errorf("%v: schema %v, want %s", args, got, name)
		}
	}
	p.run(0, "hash", "dist", "--json")
	hash := p.answer()["items"].([]any)[0].(map[string]any)["hash"].(string)
	p.run(0, "find", hash, "--json")
	if p.answer()["schema"] != "pipe.find/1" {
		t.Errorf("find: %s", p.out)
	}
}

func TestErrorsInJSONHaveKindPlaceHintAndExitCode(t *testing.T) {
	p := newPlace(t, "stages:\n  a: {cmd: x, dep: [src]}\n")
	p.run(2, "repro", "--json")
	v := p.answer()
	first := v["errors"].([]any)[0].(map[string]any)
	if v["schema"] != "pipe.error/1" || v["exit"] != 2.0 || first["kind"] != "usage" || first["place"] != "pipe.yaml:2:15" || first["hint"] == nil {
		t.Errorf("%s", p.out)
	}
	p.run(2, "repro")
	if p.out != "" || !strings.Contains(p.err, "pipe.yaml:2:15") || !strings.Contains(p.err, "hint: ") {
		t.Errorf("%q, %q", p.out, p.err)
	}
}

func TestWrongArgumentsAreUsageErrors(t *testing.T) {
	p := newPlace(t, shop)
	commands := 0
	var walk func(c *cobra.Command, path []string)
	walk = func(c *cobra.Command, path []string) {
		for _, sub := range c.Commands() {
			if sub.Name() == "help" {
				continue
			}
			commands++
			at := append(slices.Clone(path), sub.Name())
			p.run(2, append(at, "--no-such-flag")...)
			if !strings.Contains(p.err, "--help") {
				t.Errorf("%v: no way to the help in %q", at, p.err)
			}
			walk(sub, at)
		}
	}
	walk((&app{}).root(), nil)
	if commands < 20 {
		t.Errorf("only %d commands were tried", commands)
	}
	for _, args := range [][]string{{"why"}, {"find"}, {"find", "a", "b"}, {"hash"}, {"diff", "a", "b", "c"}, {"nosuch"}, {"remote", "add", "x"}, {"repro", "nosuch"}, {"push", "nosuch"}, {"pull", "nosuch"}, {"checkout", "nosuch"}, {"why", "nosuch"}, {"status", "nosuch"}} {
		p.run(2, args...)
	}
	for want, args := range map[string][]string{
		"name a stage: pipe why STAGE\n":                    {"why"},
		"give a name and a URL: pipe remote add NAME URL\n": {"remote", "add", "x"},
		"too many arguments: pipe find HASH|FILE\n":         {"find", "a", "b"},
		"pipe gc takes no arguments\n":                      {"gc", "all"},
		"--env needs a value\n":                             {"repro", "--env", ""},
		"--remote needs a value\n":                          {"push", "-r", ""},
		"--dir needs a value\n":                             {"plan", "-C", ""},
		"--rev needs a value\n":                             {"get", "dist", "--rev", ""},
		"--hash needs a value\n":                            {"log", "--hash", ""},
		"--only needs a value\n":                            {"deploy", "staging", "--only", ""},
		"an argument is empty: pipe find HASH|FILE\n":       {"find", ""},
		"an argument is empty: pipe hash PATH...\n":         {"hash", "src", ""},
		"an argument is empty: pipe repro [STAGE|OUT]...\n": {"repro", ""},
	} {
		if p.run(2, args...); !strings.HasPrefix(p.err, "pipe: "+want) {
			t.Errorf("%v: %q, want %q", args, p.err, want)
		}
	}
	p.run(2, "repro", "biuld")
	if !strings.Contains(p.err, "build") {
		t.Errorf("the nearest name is not in %q", p.err)
	}
}

func TestPendingWorkIsExitCode3AndNoError(t *testing.T) {
	p := newPlace(t, shop)
	p.run(3, "plan")
	if p.err != "" || !strings.Contains(p.out, "build") {
		t.Errorf("%q, %q", p.out, p.err)
	}
	p.run(3, "status", "--exit-code")
	p.run(0, "status")
	p.run(0, "repro", "--dry-run")
}

func TestQuietHidesStagesThatAreUpToDate(t *testing.T) {
	p := newPlace(t, shop)
	p.run(0, "repro")
	p.run(0, "repro", "-q")
	if strings.Contains(p.err, "build") {
		t.Errorf("%q", p.err)
	}
	p.run(0, "plan", "-q")
	if p.out != "" {
		t.Errorf("%q", p.out)
	}
}

func TestOnATerminalADeploymentIsAskedFor(t *testing.T) {
	p := newPlace(t, shop)
	live := func() bool {
		_, err := os.Stat(filepath.Join(filepath.Dir(p.dir), "live"))
		return err == nil
	}
	p.in = "n\n"
	p.run(9, "repro")
	if live() {
		t.Fatal("deployed, though the answer was no")
	}
	p.in = "\n"
	p.run(9, "repro")
	p.in = "y\n"
	p.run(0, "repro")
	if !live() {
		t.Fatal("not deployed, though the answer was yes")
	}
	if !strings.Contains(p.err, "Deploy deploy to default?\n  live: nothing\n  new:  k1:") {
		t.Errorf("%q", p.err)
	}
	p.write("src", "two")
	p.in = "n\n"
	p.run(9, "repro")
	if !regexp.MustCompile(`  live: k1:[0-9a-f]{12}\n  new:  k1:[0-9a-f]{12} \(another version`).MatchString(p.err) {
		t.Errorf("%q", p.err)
	}
	p.run(0, "repro", "--no-deploy")
	p.run(2, "repro", "--no-deploy", "--yes")
	p.run(0, "repro", "--yes")
}

func TestAFlagGoesBeforeCIAndThatBeforeTheSettings(t *testing.T) {
	p := newPlace(t, shop)
	live := func() bool { return os.Remove(filepath.Join(filepath.Dir(p.dir), "live")) == nil }
	home := t.TempDir()
	set := func(text string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Join(home, "pipe"), 0o700), os.WriteFile(filepath.Join(home, "pipe", "config.yaml"), []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	quiet := append(slices.Clone(p.environ), "XDG_CONFIG_HOME="+home)
	for i, c := range []struct {
		set, ci, in string
		args        []string
		code        int
		deployed    bool
	}{
		{"deploy: never", "", "", nil, 0, false},
		{"deploy: never", "", "y\n", nil, 0, false},
		{"deploy: never", "true", "", nil, 0, true},
		{"deploy: never", "true", "", []string{"--no-deploy"}, 0, false},
		{"deploy: never", "", "", []string{"--yes"}, 0, true},
		{"deploy: always", "", "n\n", nil, 0, true},
		{"deploy: always", "", "", []string{"--no-deploy"}, 0, false},
		{"deploy: ask", "", "n\n", nil, 9, false},
		{"deploy: ask", "", "", nil, 0, true},
		{"", "true", "n\n", nil, 0, true},
		{"", "false", "n\n", nil, 9, false},
		{"deploy: nevr", "", "", nil, 2, false},
		{"deploy: nevr", "true", "", nil, 0, true},
	} {
		set(c.set)
		p.environ, p.in = append(slices.Clone(quiet), "CI="+c.ci), c.in
		p.write("src", fmt.Sprint("version ", i))
		p.run(c.code, append([]string{"repro"}, c.args...)...)
		if got := live(); got != c.deployed {
			t.Errorf("%+v: deployed %t\n%s", c, got, p.err)
		}
	}
}

func TestOnGitHubAStagesOutputIsAGroup(t *testing.T) {
	p := newPlace(t, "stages:\n  build: {cmd: 'echo talk; cp src dist', deps: [src], outs: [dist]}\n")
	p.environ = append(p.environ, "GITHUB_ACTIONS=true")
	p.run(0, "repro")
	if !strings.Contains(p.err, "::group::") || !strings.Contains(p.err, "\ntalk\n::endgroup::") {
		t.Errorf("%q", p.err)
	}
}

func TestEveryCommandSaysWhatItDoesAndHasAnExample(t *testing.T) {
	verb := regexp.MustCompile(`^[A-Z][a-z]+ `)
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if !verb.MatchString(c.Short) || c.Long != "" && !verb.MatchString(c.Long) || !strings.HasPrefix(c.Example, "  ") {
			t.Errorf("%s: short %q, long %q, example %q", c.CommandPath(), c.Short, c.Long, c.Example)
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk((&app{}).root())
}
