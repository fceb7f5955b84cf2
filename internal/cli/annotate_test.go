package cli

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/pkg/pipe"
)

// newNested is a project in a directory of a git repository, on GitHub.
func newNested(t *testing.T, yaml string) *place {
	t.Helper()
	p := newPlace(t, yaml)
	top := filepath.Dir(p.dir)
	if out, err := exec.CommandContext(t.Context(), "git", "-C", top, "init", "-q").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p.environ = append(p.environ, "CI=true", "GITHUB_ACTIONS=true")
	return p
}

// annotations are the lines that are workflow commands.
func (p *place) annotations() (all []string) {
	for line := range strings.Lines(p.err) {
		if strings.HasPrefix(line, "::error") || strings.HasPrefix(line, "::warning") {
			all = append(all, strings.TrimSuffix(line, "\n"))
		}
	}
	return all
}

func (p *place) annotated(want ...string) {
	p.t.Helper()
	if got := p.annotations(); !slices.Equal(got, want) {
		p.t.Errorf("got\n%s\nwant\n%s\nof\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"), p.err)
	}
}

func TestOnGitHubAStageThatFailsIsShownAtItsPlace(t *testing.T) {
	p := newNested(t, "stages:\n  build:\n    cmd: 'i=0; while [ $i -lt 12 ]; do i=$((i+1)); echo \"$i%\"; done; echo ::error::mine; exit 3'\n    deps: [src]\n    outs: [dist]\n")
	const hint = "hint: fix the command, then run pipe again; the failed run was not recorded"
	const lines = "4%25%0A5%25%0A6%25%0A7%25%0A8%25%0A9%25%0A10%25%0A11%25%0A12%25%0A::error::mine%0A"
	const want = "::error file=p/pipe.yaml,line=2,col=3,title=build%3A the command failed%3A exit code 3::" + lines + hint
	p.run(1, "repro")
	p.annotated("::error::mine", want) // its own command is meant
	p.run(1, "repro", "-q")
	p.annotated(want)
	p.write("deep/x", "")
	dir := p.dir
	p.dir = filepath.Join(dir, "deep")
	p.run(1, "repro", "-q")
	p.annotated(want)
	p.run(1, "--json", "repro")
	p.annotated()
	if p.err != "" {
		t.Errorf("with --json: %q", p.err)
	}
	p.environ = append(p.environ, "GITHUB_ACTIONS=false")
	p.run(1, "repro", "-q")
	p.annotated()
}

func TestOnGitHubTheFaultsOfPipeYamlAreShownAtTheirPlaces(t *testing.T) {
	p := newNested(t, "stages:\n  a: {cmd: x, out: [a]}\n  'b c': {cmd: x}\n")
	p.run(2, "plan")
	got := p.annotations()
	if len(got) < 2 || !strings.HasPrefix(got[0], "::error file=p/pipe.yaml,line=2,col=") || !strings.Contains(got[len(got)-1], "file=p/pipe.yaml,line=3,col=3,") {
		t.Errorf("%q", got)
	}
	many := "stages:\n"
	for i := range 200 {
		many += fmt.Sprintf("  s%d: {cmd: x, out: [a]}\n", i)
	}
	p.write("pipe.yaml", many)
	p.run(2, "plan")
	got = p.annotations()
	if len(got) != 10 || !strings.Contains(got[8], "line=10,") || !strings.HasPrefix(got[9], "::error title=191 more errors::") {
		t.Errorf("%d: %q", len(got), got)
	}
	p.write("pipe.yaml", strings.Join(strings.SplitAfter(many, "\n")[:11], ""))
	p.run(2, "plan")
	if got = p.annotations(); len(got) != 10 || !strings.Contains(got[9], "line=11,") {
		t.Errorf("%d: %q", len(got), got)
	}
}

func TestAnAnnotationSaysOnlyWhatGitHubDoesNot(t *testing.T) {
	for want, problem := range map[string]pipe.Problem{
		"":                             {Kind: "interrupted", Message: "interrupted"},
		"::error title=a::a\n":         {Kind: "failed", Message: "a"},
		"::error title=a::b%0Ac%0Ad\n": {Kind: "failed", Message: "a\nb", Output: []string{"c", "d"}},
		"::error title=https%3A//x%3A80%3A a::https://x:80: a\n":                                       {Kind: "network", Place: "https://x:80", Message: "a"},
		"::error title=" + strings.Repeat("é", 200) + "::" + strings.Repeat("é", 250) + "%0Ahint: h\n": {Kind: "usage", Message: strings.Repeat("é", 250), Hint: "h"},
	} {
		var b bytes.Buffer
		a := &app{World: World{Environ: []string{"GITHUB_ACTIONS=true"}, Err: &b}}
		a.annotate([]pipe.Problem{problem, {Kind: "terminated", Message: "terminated"}})
		if b.String() != want {
			t.Errorf("%q, want %q", b.String(), want)
		}
	}
}

func TestOnGitHubOtherErrorsAreShownWithoutAPlace(t *testing.T) {
	p := newNested(t, shop)
	p.run(2, "repro", "-j", "-1")
	if got := p.annotations(); len(got) != 1 || !strings.HasPrefix(got[0], "::error title=-j must be 1 or more%2C not -1::hint") {
		t.Errorf("%q", got)
	}
	if err := os.Remove(filepath.Join(p.dir, "pipe.yaml")); err != nil {
		t.Fatal(err)
	}
	p.run(2, "plan")
	if got := p.annotations(); len(got) != 1 || !strings.HasPrefix(got[0], "::error title="+p.dir+"%3A no pipe.yaml") {
		t.Errorf("%q", got)
	}
}
