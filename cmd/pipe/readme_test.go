//go:build !windows

package main

import (
	"bufio"
	"cmp"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/tool"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// block is a fenced block of a Markdown file.
type block struct {
	line     int // of its first line of text
	language string
	text     string
}

// blocks returns the fenced blocks of a file.
func blocks(t *testing.T, file string) (all []block) {
	t.Helper()
	open := false
	n := 0
	for line := range strings.Lines(readFile(t, file)) {
		n++
		language, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && !open:
			all = append(all, block{line: n + 1, language: strings.TrimSpace(language)})
			open = true
		case fence:
			open = false
		case open:
			all[len(all)-1].text += line
		}
	}
	if open || len(all) == 0 {
		t.Fatalf("%s: %d blocks, and the last one is open: %v", file, len(all), open)
	}
	return all
}

// isSession reports whether a block shows commands with what they print.
func (b block) isSession() bool { return b.language == "" && strings.HasPrefix(b.text, "$ ") }

// step is a command of a page, with the lines that it prints; those of a script are not shown.
type step struct {
	line    int
	command string
	prints  []string
	shown   bool
}

// steps returns the commands of a page in their order.
func steps(t *testing.T, file string) (all []step) {
	t.Helper()
	for _, b := range blocks(t, file) {
		if b.language == "sh" {
			all = append(all, step{line: b.line, command: b.text})
		}
		if !b.isSession() {
			continue
		}
		n := b.line
		for line := range strings.Lines(b.text) {
			line = strings.TrimSuffix(line, "\n")
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				all = append(all, step{line: n, command: command + "\n", shown: true})
			} else {
				all[len(all)-1].prints = append(all[len(all)-1].prints, line)
			}
			n++
		}
	}
	return all
}

// follow runs the commands of a page in one shell, in a directory, and compares what they print;
// with -update it writes into the page what differs. Where the page names a hash that it showed
// before, the command gets the one that was printed.
func follow(t *testing.T, file, dir string) {
	t.Helper()
	in, printed := session(t, dir)
	host, err := os.Hostname()
	must(t, err)
	real := map[string]string{}
	now := page{lines: strings.Split(readFile(t, file), "\n")}
	for _, s := range steps(t, file) {
		command := hash.ReplaceAllStringFunc(s.command, func(h string) string { return cmp.Or(real[h], h) })
		_, err := io.WriteString(in, command+"printf '"+mark+"'\n")
		must(t, err)
		text, err := printed.ReadString(mark[0])
		if err != nil {
			t.Fatalf("%s:%d: $ %sended the shell:\n%s", file, s.line, command, text)
		}
		if !s.shown {
			continue
		}
		text = strings.ReplaceAll(text, "you@"+host, "you@laptop")
		var got []string
		if text = strings.TrimRight(text, "\n"+mark); text != "" {
			got = strings.Split(text, "\n")
		}
		switch {
		case match(got, s.prints, real):
		case *update:
			now.replace(s, got)
		default:
			t.Errorf("%s:%d: $ %sprints\n%s\nand the page says\n%s", file, s.line, command, text, strings.Join(s.prints, "\n"))
		}
	}
	if *update {
		must(t, os.WriteFile(file, []byte(strings.Join(now.lines, "\n")), 0o666))
	}
}

// match compares what was printed with what the page says, in any order: stages may run at the
// same time. It notes which hash of the page stands for which one.
func match(got, want []string, real map[string]string) bool {
	rest := slices.Clone(got)
	for _, line := range want {
		k := slices.IndexFunc(rest, func(g string) bool { return alike(g) == alike(line) })
		if k < 0 {
			return false
		}
		actual := hash.FindAllString(rest[k], -1)
		for n, h := range hash.FindAllString(line, -1) {
			real[h] = actual[n]
		}
		rest = slices.Delete(rest, k, k+1)
	}
	return len(rest) == 0
}

// page is a file whose lines may be replaced.
type page struct {
	lines []string
	moved int // how far later lines are from where they were
}

// replace puts what was printed under a command.
func (p *page) replace(s step, got []string) {
	at := s.line + p.moved // of the line behind the command: lines count from 1
	p.lines = slices.Replace(p.lines, at, at+len(s.prints), got...)
	p.moved += len(got) - len(s.prints)
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	must(t, err)
	return string(b)
}

// mark stands behind the output of a command.
const mark = "\x1e"

// session starts a shell that ends at the first error, and returns its input and its output.
func session(t *testing.T, dir string) (io.Writer, *bufio.Reader) {
	t.Helper()
	stand, err := filepath.Abs("testdata/stand-in")
	must(t, err)
	c := exec.Command("sh", "-e")
	c.Dir = dir
	c.Env = append(os.Environ(), "PATH="+stand+":"+os.Getenv("PATH")+":"+stand+"/absent", "PWD="+dir, "NO_COLOR=1", "CI=",
		"USER=you", "GITHUB_ACTOR=", "GITHUB_TRIGGERING_ACTOR=", "GITLAB_USER_LOGIN=", "CIRCLE_USERNAME=", "BUILDKITE_BUILD_CREATOR=",
		"GITHUB_RUN_ID=", "CI_JOB_URL=", "CIRCLE_BUILD_URL=", "BUILDKITE_BUILD_URL=",
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=You", "GIT_AUTHOR_EMAIL=you@example.com", "GIT_COMMITTER_NAME=You", "GIT_COMMITTER_EMAIL=you@example.com")
	in, err := c.StdinPipe()
	must(t, err)
	out, w, err := os.Pipe()
	must(t, err)
	c.Stdout, c.Stderr = w, w
	must(t, c.Start())
	must(t, w.Close())
	t.Cleanup(func() {
		_ = in.Close()
		_ = c.Wait() // a command that failed has been reported
		_ = out.Close()
	})
	return in, bufio.NewReader(out)
}

// hash matches a hash, or the beginning of one.
var hash = regexp.MustCompile(`\b[0-9a-f]{7,64}\b`)

// differing matches what else is another one at each run: times, dates, sizes, columns.
var differing = regexp.MustCompile(`\b[0-9]+(?:\.[0-9]+)? ?s\b|\(cached\)|\b[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}\b|\b[0-9.]+ (?:B|KiB)|  +`)

// saved ends the summary of a run that spared at least a second.
var saved = regexp.MustCompile(`, saved (?:at least )?[0-9].* s$`)

// alike makes two lines the same that differ only in what they may.
func alike(s string) string {
	s = saved.ReplaceAllString(s, "")
	return differing.ReplaceAllString(hash.ReplaceAllString(s, "#"), "#")
}

// TestTheTourIsTrue runs the commands of README.md as they stand there:
// go test ./cmd/pipe -run 'Tour|EachExample' -update
func TestTheTourIsTrue(t *testing.T) {
	const page = "../../README.md"
	if n := len(steps(t, page)); n < 15 {
		t.Fatalf("%s has %d commands", page, n)
	}
	follow(t, page, quickDir(t))
}

// TestEachExampleDoesWhatItsPageSays runs the commands of an example's README.md in a copy.
func TestEachExampleDoesWhatItsPageSays(t *testing.T) {
	names, err := filepath.Glob("../../examples/*/pipe.yaml")
	must(t, err)
	if len(names) < 12 {
		t.Fatal(names)
	}
	for _, name := range names {
		from := filepath.Dir(name)
		t.Run(filepath.Base(from), func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(quickDir(t), "copy")
			must(t, os.CopyFS(dir, os.DirFS(from)))
			// What somebody has built there does not belong to the example.
			must(t, os.RemoveAll(filepath.Join(dir, ".pipe")))
			follow(t, filepath.Join(from, "README.md"), dir)
		})
	}
}

// TestTheOtherBlocksOfTheReadme looks at what cannot be run as it stands.
func TestTheOtherBlocksOfTheReadme(t *testing.T) {
	makefile := "\n" + readFile(t, "../../Makefile")
	besides := map[repopath.Path]string{ // what its pipe.yaml name
		"params/prod.yaml":       "lr: 0.1\n",
		"services/api/pipe.yaml": "stages: {build: {cmd: make, outs: [api]}}\n",
	}
	for _, b := range blocks(t, "../../README.md") {
		switch {
		case b.language == "sh" || b.isSession(): // see TestTheTourIsTrue
		case b.language == "yaml" && strings.Contains(b.text, "\njobs:"):
			lintWorkflow(t, b)
		case b.language == "yaml":
			named := spec.Options{Read: func(at repopath.Path) ([]byte, error) {
				if text, ok := besides[at]; ok {
					return []byte(text), nil
				}
				return nil, fs.ErrNotExist
			}}
			if _, err := spec.ParseIn("README.md", []byte(b.text), named); err != nil {
				t.Error(err)
			}
		default:
			if strings.HasPrefix(b.text, "cd my-project\n") || strings.HasPrefix(b.text, fromDVC) { // see TestSixCommandsToANoOp, TestTheWayFromDVC
				continue
			}
			for line := range strings.Lines(b.text) {
				target, ok := strings.CutPrefix(strings.TrimSpace(strings.SplitN(line, "#", 2)[0]), "make ")
				known := strings.HasPrefix(line, "go install github.com/pipe-build/pipe/cmd/pipe@") || // TestGoInstallTakesEveryName
					strings.HasPrefix(line, "pipe init ci github ") || // init_ci.txtar
					strings.HasPrefix(line, "pipe doctor --ci ") || // doctor_ci.txtar
					strings.HasPrefix(line, "curl ") && strings.HasSuffix(line, "/install.sh | sh\n") // TestTheInstallScript...
				if !known && (!ok || !strings.Contains(makefile, "\n"+target+":")) {
					t.Errorf("README.md:%d: %s is run by no test", b.line, line)
				}
			}
		}
	}
}

// lintWorkflow holds a workflow to actionlint.
func lintWorkflow(t *testing.T, b block) {
	t.Helper()
	program, err := tool.Build(t.Context(), ".", "github.com/rhysd/actionlint/cmd/actionlint")
	must(t, err)
	file := filepath.Join(t.TempDir(), "README.yml")
	must(t, os.WriteFile(file, []byte(b.text), 0o666))
	if out, err := exec.Command(program, file).CombinedOutput(); err != nil {
		t.Errorf("README.md:%d: %v\n%s", b.line, err, out)
	}
}

// firstCommands are those of the first screen for a project that is there.
func firstCommands(t *testing.T) []string {
	t.Helper()
	for _, b := range blocks(t, "../../README.md") {
		if strings.HasPrefix(b.text, "cd my-project\n") {
			return strings.Split(strings.TrimSpace(b.text), "\n")
		}
	}
	t.Fatal("README.md has no block that begins with cd my-project")
	return nil
}

// TestSixCommandsToANoOp takes projects that know nothing of pipe from the first screen of
// README.md to a run in which nothing is left to do, with at most six commands.
func TestSixCommandsToANoOp(t *testing.T) {
	commands := firstCommands(t)
	if len(commands) > 5 { // one more installs pipe
		t.Fatalf("%d commands", len(commands))
	}
	projects, err := filepath.Glob("testdata/projects/*.txtar")
	must(t, err)
	if len(projects) < 5 {
		t.Fatal(projects)
	}
	for _, name := range projects {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			t.Parallel()
			dir := quickDir(t)
			a, err := txtar.ParseFile(name)
			must(t, err)
			must(t, txtar.Write(a, filepath.Join(dir, "my-project")))
			in, printed := session(t, dir)
			last := ""
			run := func(command string) {
				_, err := io.WriteString(in, command+"\nprintf '"+mark+"'\n")
				must(t, err)
				text, err := printed.ReadString(mark[0])
				if err != nil {
					t.Fatalf("%s ended the shell:\n%s", command, text)
				}
				last = strings.TrimRight(text, "\n"+mark)
			}
			run("cd my-project && git init -q -b main && git add . && git commit -qm Before && cd ..")
			for _, c := range commands {
				run(c)
			}
			lines := strings.Split(last, "\n")
			if ok, _ := regexp.MatchString(`^[1-9] unchanged in `, lines[len(lines)-1]); !ok {
				t.Errorf("the last command printed\n%s", last)
			}
			for _, l := range lines[:len(lines)-1] {
				if !strings.HasSuffix(l, "nothing changed") {
					t.Errorf("the last command printed\n%s", last)
				}
			}
			// Nothing is left that git would take, but what pipe says to commit.
			run("git status --porcelain --untracked-files=all | cut -c4- | sort")
			if got := strings.Fields(last); !slices.Equal(got, []string{".gitattributes", ".gitignore", "pipe.lock", "pipe.yaml"}) {
				t.Errorf("git sees %q", got)
			}
		})
	}
}
