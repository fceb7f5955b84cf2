package cli

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// evil is what a name or an author may be: it colours, writes over, turns text around and
// begins a line that a CI service obeys.
const evil = "\x1b[31m\r\u202e\u009b1m##[add-mask]x\n::error::pwned"

// obeyed is what a line must not have: a command of GitHub (both forms), Azure or TeamCity.
var obeyed = regexp.MustCompile(`(?m)^\s*::|##[A-Za-z]*\[`)

// annotation is a workflow command of pipe's own: on one line, all in it escaped.
var annotation = regexp.MustCompile(`(?m)^::(?:error|warning) ((?:(?:file|line|col|title)=[^:,\n]*,?)+)::(.*)$`)

// harmless checks all that the last command printed. GitHub's annotations are pipe's own, and what
// a stage's command prints between its lines is meant.
func (p *place) harmless(args []string) {
	p.t.Helper()
	text := strings.NewReplacer("output of fails:\n::error::mine\n", "").Replace(p.out + p.err)
	text = annotation.ReplaceAllString(text, "$1 $2")
	bad := strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) })
	if bad || !utf8.ValidString(text) || obeyed.MatchString(text) {
		p.t.Errorf("pipe %q printed %q", args, text)
	}
}

// git runs git as an author who means harm.
func (p *place) git(args ...string) {
	p.t.Helper()
	c := exec.Command("git", args...)
	c.Dir = p.dir
	c.Env = append(p.environ, "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=A\x1b[31m\u202e##[error]", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=::error::x", "GIT_COMMITTER_EMAIL=a@b")
	if out, err := c.CombinedOutput(); err != nil {
		p.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

// newEvilPlace is a repository whose names, commits, authors and records all mean harm.
func newEvilPlace(t *testing.T) *place {
	p := newPlace(t, "project: shop\nremote: ../remote\nstages:\n"+
		`  build: {cmd: cp -R src dist, deps: [src/], outs: [dist/]}
  one: {cmd: 'cat src/* > "$OUT"', deps: [src/], env: [OUT], outs: [{path: "::error::\u202eone"}]}
  fails: {cmd: 'echo "::error::mine" >&2; exit 3', deps: [src/], outs: [never], frozen: false}
  deploy: {deploy: true, cmd: cp -R dist "$LIVE", deps: [dist/]}
`)
	p.environ = append(p.environ, "OUT=::error::\u202eone", "USER="+evil, "LOGNAME="+evil)
	if err := os.Remove(filepath.Join(p.dir, "src")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(p.dir, "src"), 0o777); err != nil {
		t.Fatal(err)
	}
	p.write("src/"+evil, "1")
	p.write("src/::error::x", "2")
	p.write(".gitignore", "/dist\n*one\n/never\n/.pipe\n")
	p.git("init", "-q", "-b", "b\u202e")
	return p
}

// damage flips the last byte of every file below a directory beside the project.
func (p *place) damage(dir string) {
	p.t.Helper()
	err := filepath.WalkDir(filepath.Join(filepath.Dir(p.dir), dir), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil || len(b) == 0 {
			return err
		}
		b[len(b)-1] ^= 1
		if err := os.Chmod(path, 0o644); err != nil {
			return err
		}
		return os.WriteFile(path, b, 0o644)
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

// everyVerb is every command, with arguments that mean harm where it takes some.
func everyVerb(hash string) [][]string {
	return [][]string{
		{"plan"},
		{"status"},
		{"status", "--exit-code"},
		{"why", "build"},
		{"why", "one"},
		{"why", evil},
		{"repro", evil},
		{"repro", "-k"},
		{"diff"},
		{"diff", evil},
		{"dag"},
		{"dag", "--format", "mermaid"},
		{"dag", "--format", evil},
		{"hash", "src/" + evil, "src/::error::x"},
		{"hash", evil},
		{"find", "src/" + evil},
		{"find", hash, "-o", evil},
		{"push"},
		{"push", evil},
		{"pull"},
		{"checkout"},
		{"verify"},
		{"verify", "--remote"},
		{"verify", "--remote=" + evil},
		{"gc"},
		{"gc", "--yes"},
		{"lock", "commit", "-m", evil},
		{"remote", "list"},
		{"remote", "add", "evil", evil},
		{"remote", "add", evil, "../x"},
		{"remote", "add", "e", "s3://" + evil},
		{"remote", "probe"},
		{"remote", "probe", "-r", "./" + evil},
		{"doctor"},
		{"init"},
		{evil},
		{"repro", "--" + evil},
		{"status", "--env", evil},
		{"repro", "--env", "nowhere"},
		{"env"},
		{"version"},
		{"help", evil},
	}
}

func TestNoVerbLetsANameActOnTheTerminal(t *testing.T) {
	p := newEvilPlace(t)
	any := func(args ...string) {
		t.Helper()
		for _, more := range [][]string{nil, {"--json"}, {"-q"}} {
			p.try(append(args, more...)...)
			p.harmless(args)
		}
	}
	p.run(1, "repro", "-k", "--push")
	p.harmless([]string{"repro"})
	if !strings.Contains(p.err, `::error::\u202eone`) {
		t.Errorf("the name is not shown: %q", p.err)
	}
	p.git("add", "-A")
	p.git("commit", "-qm", "S\x1b[31m\u202e##[error]\u009b")
	p.git("tag", "v\u202e##")
	p.run(0, "hash", "dist")
	hash, _, _ := strings.Cut(p.out, " ")
	p.run(0, "find", hash)
	if p.harmless([]string{"find"}); !strings.Contains(p.out, `S\x1b[31m\u202e\x23#[error]\u009b`) || !strings.Contains(p.out, `A\x1b[31m`) {
		t.Errorf("subject and author are not shown: %q", p.out)
	}
	for round := range 2 {
		for _, args := range everyVerb(hash) {
			any(args...)
		}
		// Then with what differs, is gone or is damaged.
		p.write("src/::error::x", "other")
		p.write("src/new"+evil, "new")
		p.write("dist/"+evil, "edited")
		p.environ = append(p.environ, "GITHUB_ACTIONS=true")
		if round == 0 {
			p.damage("remote/files")
			p.damage("remote/runs")
			p.damage("remote/projects")
		}
	}
}

func TestTheAuthorOfARecordIsShownHarmlessly(t *testing.T) {
	const yaml = "remote: ../remote\nstages:\n  a: {cmd: head -c 9 /dev/urandom > out, deps: [src], outs: [out]}\n"
	first := newPlace(t, yaml)
	first.environ = append(first.environ, "USER="+evil)
	first.run(0, "repro", "--push")
	second := newPlace(t, strings.ReplaceAll(yaml, "../remote", filepath.Join(filepath.Dir(first.dir), "remote")))
	second.run(0, "repro", "--no-pull")
	second.run(0, "push")
	second.harmless([]string{"push"})
	if !strings.Contains(second.err, `\x1b[31m\r\u202e\u009b1m\x23#[add-mask]x\n::error::pwned@`) {
		t.Errorf("the author is not shown: %q", second.err)
	}
}

func TestFaultsOfPipeYamlAreShownHarmlessly(t *testing.T) {
	for _, yaml := range []string{
		"stages:\n  \"a\\e[31m\\n::error::x\": {cmd: x, outs: [o]}\n",
		"stages:\n  a: {cmd: x, outs: [o], \"k\\e[31m\\n::error::x\": 1}\n",
		"stages:\n  a: {cmd: x, outs: [\"../\\e[31m\\n::error::x\"]}\n",
		"stages:\n  a: {cmd: x, deps: [\"\\e[31m\\n::error::x\"], outs: [o]}\n",
		"stages:\n  a: {cmd: x, outs: [o], needs: [\"##[error]\\e\"]}\n",
		"project: \"\\e[31m\\n::error::x\"\nstages: {}\n",
		"remote: \"foo\\e[31m://x\\n::error::x\"\nstages: {}\n",
		"remote: {m: {url: s3://b, endpoint: \"https://x\\n::error::\\e[3m\", region: \"\\e\", profile: \"\\e\"}}\nstages: {}\n",
		"\"\\e[31m\\n::error::x\": 1\n", "\x1b: [", "stages: {a: *\u202e}\n",
	} {
		p := newPlace(t, yaml)
		for _, args := range [][]string{{"status"}, {"plan", "--json"}, {"repro"}} {
			if p.try(args...) == 0 {
				t.Errorf("%q is no fault", yaml)
			}
			p.harmless(args)
		}
	}
}
