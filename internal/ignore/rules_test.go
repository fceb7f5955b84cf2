package ignore_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/ignore"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// sandbox is a repository that the git program made, cut off from the machine's configuration.
type sandbox struct {
	tb  testing.TB
	dir string
	env []string
}

func newSandbox(tb testing.TB) *sandbox {
	tb.Helper()
	tmp := tb.TempDir()
	s := &sandbox{tb: tb, dir: filepath.Join(tmp, "repo"), env: []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + tmp, "GIT_CONFIG_SYSTEM=" + filepath.Join(tmp, "system"), "LC_ALL=C",
	}}
	s.write("", "")
	s.git("init", "-q", "-b", "main")
	return s
}

func (s *sandbox) repo() ignore.Repo {
	git := filepath.Join(s.dir, ".git")
	return ignore.Repo{Root: s.dir, GitDir: git, CommonDir: git, Env: s.env}
}

func (s *sandbox) run(in io.Reader, args ...string) string {
	s.tb.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env, cmd.Stdin = s.dir, s.env, in
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		s.tb.Fatalf("git %s: %v\n%s%s", strings.Join(args, " "), err, out, &stderr)
	}
	return strings.TrimRight(string(out), "\n")
}

func (s *sandbox) git(args ...string) { s.tb.Helper(); s.run(nil, args...) }

// write writes a file; no name makes the directory alone.
func (s *sandbox) write(name, text string) {
	s.tb.Helper()
	file := filepath.Join(s.dir, name)
	err := os.MkdirAll(filepath.Dir(filepath.Join(s.dir, name+"x")), 0o777)
	if name != "" && err == nil {
		err = os.WriteFile(file, []byte(text), 0o666)
	}
	if err != nil {
		s.tb.Fatal(err)
	}
}

// gitIgnores asks git which of the paths it ignores. It takes what is not there for a file.
func (s *sandbox) gitIgnores(paths []string) map[string]bool {
	s.tb.Helper()
	in := strings.NewReader(strings.Join(paths, "\x00") + "\x00")
	out := s.run(in, "-c", "alias.ask=!git check-ignore --no-index -z --stdin --verbose --non-matching || test $? = 1", "ask")
	ignored := map[string]bool{}
	fields := strings.Split(strings.TrimSuffix(out, "\x00"), "\x00")
	for i := 0; i+3 < len(fields); i += 4 {
		ignored[fields[i+3]] = fields[i] != "" && !strings.HasPrefix(fields[i+2], "!")
	}
	return ignored
}

// ignores asks our rules, which hold for a path or any directory that holds it.
func (s *sandbox) ignores(p repopath.Path, isDir bool) bool {
	s.tb.Helper()
	if p == repopath.Root {
		return false
	}
	rules, err := s.repo().Rules(p.Dir())
	if err != nil {
		s.tb.Fatal(err)
	}
	own, _ := os.ReadFile(filepath.Join(s.dir, string(p.Dir()), ".gitignore"))
	return s.ignores(p.Dir(), true) || rules.Enter("", [][]byte{own}).Match(p.Base(), isDir)
}

// compareIgnores compares our rules with git; a slash at the end makes a directory.
func (s *sandbox) compareIgnores(t *testing.T, what string, paths []string) {
	t.Helper()
	var files, dirs []string
	for _, p := range paths {
		if p, isDir := strings.CutSuffix(p, "/"); isDir {
			dirs = append(dirs, p)
		} else {
			files = append(files, p)
		}
	}
	s.compareKind(t, what, files, false)
	for _, p := range dirs {
		if err := os.MkdirAll(filepath.Join(s.dir, p), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if len(dirs) > 0 {
		s.compareKind(t, what+" dir", dirs, true)
	}
}

func (s *sandbox) compareKind(t *testing.T, what string, paths []string, isDir bool) {
	t.Helper()
	want := s.gitIgnores(paths)
	for _, p := range paths {
		if got := s.ignores(repopath.Path(p), isDir); got != want[p] {
			t.Errorf("%s: %q ignored: %v, git says %v", what, p, got, want[p])
		}
	}
}

func TestIgnoreAgreesWithGit(t *testing.T) {
	paths := []string{
		"foo", "foo/", "bar", "a/foo", "a/foo/", "a/b/foo", "a/b/c/foo/x", "foo/x", "foo/bar", "foo/a/bar", "foo/a/b/bar", "foobar",
		"a/", "a/b/", "#x", "!x", "x ", "x", "x\\", "[a]", "a]", "A", "b", "-", "a-c", "\\", "*", "**", "a.o", "a.O", "dir/a.o", ".a", "..a",
		"FOO", "ab", "a b", "abc/", "abc/x", "é", "aé", "doc/x/y.txt", "doc/y.txt", "z/doc/y.txt", "]", "a1", "1", "_",
	}
	for _, text := range []string{
		"foo", "foo/", "/foo", "/foo/", "a/foo", "/a/foo/", "*.o", "!*.o", "*.o\n!a.o", "*.o\n!a.o\n*.o", "foo/*\n!foo/bar", "foo\n!foo/bar",
		"foo/\n!foo/bar", "**/foo", "foo/**", "foo/**/bar", "**/foo/**", "**", "/**", "**/", "*/", "/*\n!/a/", "\\#x", "#x", "\\!x", "!x", "x\\ ",
		"x ", "x  ", "x\\  ", "x\\", "\\", "\\\\", "[ab]", "[a-c]", "[!a]", "[^a]", "[]]", "[!]]", "[]a]", "[a-]", "[-a]", "[--a]", "[a", "[", "a[",
		"[\\]]", "[[:alpha:]]", "[[:digit:]_]", "[[:nope:]]", "[[:alpha:]", "[[:]", "[[::]]", "[[:alpha:]-z]", "[a-c-e]", "[\\a-c]", "[a-\\c]", "a[1-9]",
		"?", "??", "a?b", "*", "a*", "*a", "a*b*", "a\\*", "\\*", "\\*\\*", "a/*/foo", "a/*", "a/**", "*/foo", "doc/*.txt", "doc/**/*.txt", "**/doc/*.txt",
		"foo\r\nbar\r\n", "\ufefffoo", "foo\t", " foo", "/", "//", "!", "foo//", "//foo", "", "a/b/**/x", "a/**/b/**/foo/x", "**/**/foo", "***", "a/***/foo",
		"é", "?é", "[é]", "*/\n!a/\n!a/b/", "a\\/foo", "**\\/foo", "foo\\/",
	} {
		t.Run(fmt.Sprintf("%q", text), func(t *testing.T) {
			t.Parallel()
			s := newSandbox(t)
			s.write(".gitignore", text)
			s.compareIgnores(t, text, paths)
		})
	}
}

func TestIgnoreAgreesWithGitOnEverySourceAndDepth(t *testing.T) {
	s := newSandbox(t)
	s.write("../excludes", "*.log\n!keep.log\nglobal\n")
	s.write(".git/info/exclude", "!very.log\ninfo\n/top\n")
	s.write(".gitignore", "sub/*\n!sub/keep\nbuild/\n*.tmp\n")
	s.write("sub/keep/.gitignore", "!x.tmp\n/only\ndeep/*.c\n!info\n")
	s.write("build/.gitignore", "!*\n")
	s.git("config", "core.excludesFile", "~/excludes")
	paths := []string{
		"a.log", "keep.log", "very.log", "sub/a", "sub/keep/", "sub/keep/a", "sub/keep/x.tmp", "sub/keep/y.tmp", "sub/keep/only", "sub/keep/z/only",
		"sub/keep/deep/a.c", "sub/keep/deep/b/a.c", "sub/keep/info", "info", "top", "sub/keep/top", "build/x", "build/", "a/build/y", "global", "sub/keep/global",
	}
	s.compareIgnores(t, "sources", paths)
	s.git("config", "core.ignoreCase", "true")
	s.compareIgnores(t, "folded", append(paths, "A.LOG", "BUILD/", "Sub/Keep/ONLY", "sub/keep/ONLY", "sub/keep/DEEP/A.C"))
}

// TestIgnoreAgreesWithGitAtRandom makes patterns from the letters that matter. A
// literal right before ** is left out: git took such a ** for a whole element
// until 2.52, against its own manual.
func TestIgnoreAgreesWithGitAtRandom(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	word := func(letters []string, n int) string {
		var b strings.Builder
		for range 1 + rnd.IntN(n) {
			b.WriteString(letters[rnd.IntN(len(letters))])
		}
		return b.String()
	}
	odd := regexp.MustCompile(`[^/*]\*\*`)
	for range 60 {
		s := newSandbox(t)
		var lines []string
		for len(lines) < 3 {
			if l := word([]string{"a", "b", "A", "/", "/", "*", "**", "?", "[ab]", "[!a]", "[a-b]", "\\", "!", " ", "**/", "/**", "[", "]", "-", "\\a"}, 7); !odd.MatchString(l) {
				lines = append(lines, l)
			}
		}
		s.write(".gitignore", strings.Join(lines, "\n"))
		seen := map[string]bool{}
		var paths []string
		for range 150 {
			p := word([]string{"a", "b", "/", "/", "A", "ab", "-", " ", "]"}, 7)
			p = regexp.MustCompile(`/+`).ReplaceAllString(strings.Trim(p, "/"), "/")
			if p != "" && !seen[p] {
				seen[p] = true
				paths = append(paths, p)
			}
		}
		s.compareIgnores(t, fmt.Sprintf("%q", lines), paths)
		if t.Failed() {
			return
		}
	}
}

func TestRulesGoDownWithAWalker(t *testing.T) {
	top := ignore.NoRepoRules().Enter("", [][]byte{[]byte("*.o\n/out\n"), []byte("!keep.o\n")})
	if !top.Match("a.o", false) || top.Match("keep.o", false) || !top.Match("out", true) || top.Match("src", true) {
		t.Error("the rules of the top are wrong")
	}
	src := top.Enter("src", nil)
	if !src.Match("a.o", false) || src.Match("out", true) {
		t.Error("the rules below are wrong")
	}
	if src.Digest() == top.Digest() || src.Digest() != top.Enter("src", nil).Digest() {
		t.Error("the digest does not name the rules")
	}
	if changed := top.Enter("src", [][]byte{[]byte("x")}); changed.Digest() == src.Digest() || !changed.Match("x", false) {
		t.Error("another ignore file keeps the digest")
	}
}

func TestRulesOfAProjectBelowTheRootHonourWhatIsAbove(t *testing.T) {
	s := newSandbox(t)
	s.write(".gitignore", "*.o\n/proj/gen\n")
	s.write("proj/.gitignore", "never read here\n")
	rules, err := s.repo().Rules("proj")
	if err != nil {
		t.Fatal(err)
	}
	if !rules.Match("gen", true) || !rules.Match("x.o", false) || rules.Match("never read here", false) {
		t.Error("the rules above the project do not hold")
	}
}

// TestConfigurationIsReadAsGitReadsIt asks for each file of rules that a form of
// the configuration names whether it holds, and git for the same.
func TestConfigurationIsReadAsGitReadsIt(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"system":       {"../system": "[core]\nexcludesFile = ~/a\n"},
		"user":         {"../.gitconfig": "[core]\n\texcludesFile = ~/a\n"},
		"xdg":          {"../.config/git/config": "[core]\nexcludesfile=~/a"},
		"xdg default":  {"../.config/git/ignore": "a-file"},
		"last wins":    {"../.gitconfig": "[core]\nexcludesFile = ~/b\n[CORE]EXCLUDESFILE = ~/a\n"},
		"home wins":    {"../.config/git/config": "[core]\nexcludesfile=~/b", "../.gitconfig": "[core]\n\texcludesFile = ~/a\n"},
		"quoted":       {"../.gitconfig": "\ufeff[core] # c\r\n ; d\r\n excludesFile = \"~/a\"   # comment\r\n"},
		"comment":      {"../.gitconfig": "[core]\nexcludesFile = ~/a;b\n"},
		"continued":    {"../.gitconfig": "[core]\nexcludesFile = ~/\\\na\n"},
		"escaped":      {"../.gitconfig": "[core]\nexcludesFile = \"~/q\\\"x\"\n", "../q\"x": "a-file"},
		"subsection":   {"../.gitconfig": "[core]\nexcludesFile = ~/a\n[core \"a\\\"]b\"]\nexcludesFile = ~/b\n[remote \"x\"] url\n"},
		"included":     {"../.gitconfig": "[include]\npath = inc/one\n", "../inc/one": "[include]\npath=two", "../inc/two": "[core]\nexcludesFile = ~/a"},
		"after it":     {"../.gitconfig": "[include]\npath = inc\n[core]\nexcludesFile = ~/a\n", "../inc": "[core]\nexcludesFile = ~/b"},
		"before it":    {"../.gitconfig": "[core]\nexcludesFile = ~/b\n[include]\npath = inc\n", "../inc": "[core]\nexcludesFile = ~/a"},
		"work tree's":  {".git/config.worktree": "[core]\nexcludesFile = ~/a", "../.gitconfig": "[extensions]\nworktreeConfig = on\n"},
		"no such file": {"../.gitconfig": "[core]\nexcludesFile = ~/none\n[include]\npath = none\n"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSandbox(t)
			s.write("../a", "a-file\n")
			s.write("../b", "b-file\n")
			for file, text := range files {
				s.write(file, text)
			}
			if name == "work tree's" {
				s.git("config", "extensions.worktreeConfig", "true")
			}
			s.compareIgnores(t, name, []string{"a-file", "b-file"})
			if want := name != "no such file"; s.ignores("a-file", false) != want {
				t.Errorf("a-file ignored: %v", !want)
			}
		})
	}
}

func TestConfigurationOfTheEnvironmentWins(t *testing.T) {
	s := newSandbox(t)
	s.write("../a", "a-file\n")
	s.write("../b", "b-file\n")
	s.git("config", "core.excludesFile", "~/b")
	s.write("../system", "[core]\nignoreCase = true\n")
	s.env = append(s.env, "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=Core.excludesFile", "GIT_CONFIG_VALUE_0=~/a")
	s.compareIgnores(t, "count", []string{"a-file", "A-FILE", "b-file"})
	s.env = append(s.env, "GIT_CONFIG_NOSYSTEM=1")
	s.compareIgnores(t, "no system", []string{"a-file", "A-FILE", "b-file"})
	s.env = append(s.env, "GIT_CONFIG_COUNT=0", "GIT_CONFIG_GLOBAL="+filepath.Join(s.dir, "../global"))
	s.write("../global", "[core]\nignoreCase = true\n")
	s.git("config", "--unset", "core.excludesFile")
	s.write("../.config/git/ignore", "global-file")
	s.compareIgnores(t, "global", []string{"a-file", "b-file", "global-file", "GLOBAL-FILE"})
}

func TestADamagedConfigurationIsAnError(t *testing.T) {
	for _, text := range []string{"key = 1\n", "[core\nx = 1\n", "[core]\n= 1\n", "[core]\n1x = 1\n"} {
		s := newSandbox(t)
		s.write("../.gitconfig", text)
		if _, err := s.repo().Rules(repopath.Root); err == nil || !strings.Contains(err.Error(), ".gitconfig") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// BenchmarkMatch asks 10 rules of each kind for one name.
func BenchmarkMatch(b *testing.B) {
	var text bytes.Buffer
	for i := range 10 {
		fmt.Fprintf(&text, "*.o%d\nname%d\n/top%d/x\nd/**/x%d\n", i, i, i, i)
	}
	rules := ignore.NoRepoRules().Enter("", [][]byte{text.Bytes()}).Enter("some", nil)
	for b.Loop() {
		if rules.Match("file.go", false) {
			b.Fatal("ignored")
		}
	}
}
