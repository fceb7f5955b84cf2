package gitlog_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/gitlog"
	"github.com/pipe-build/pipe/pkg/repopath"
)

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

// compareIgnores compares IsIgnored with git; a slash at the end makes a directory.
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
	r := s.open(s.dir)
	want := s.gitIgnores(paths)
	for _, p := range paths {
		got, err := r.IsIgnored(repopath.Path(p), isDir)
		if err != nil {
			t.Fatal(err)
		}
		if got != want[p] {
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
	top := gitlog.NoRepoRules().Enter("", [][]byte{[]byte("*.o\n/out\n"), []byte("!keep.o\n")})
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
	rules, err := s.open(filepath.Join(s.dir, "proj")).Rules("proj")
	if err != nil {
		t.Fatal(err)
	}
	if !rules.Match("gen", true) || !rules.Match("x.o", false) || rules.Match("never read here", false) {
		t.Error("the rules above the project do not hold")
	}
}

func TestTrackedSeesFilesAndDirectories(t *testing.T) {
	for _, setup := range [][]string{
		{"update-index", "--index-version", "2"},
		{"update-index", "--index-version", "4"},
		{"update-index", "--split-index"},
		{"sparse-checkout", "set", "--cone", "--sparse-index", "a"},
	} {
		s := newSandbox(t)
		s.commit(1, "a/b.txt", "x")
		s.commit(2, "a-b/c.txt", "x")
		s.commit(3, "z/y/x.txt", "x")
		s.git(setup...)
		got, err := s.open(s.dir).Tracked(t.Context(), []repopath.Path{"a", "a/b.txt", "a/b", "a-b", "b", "z/y", "z/y/x.txt", "z/q", "."})
		if err != nil {
			t.Fatal(setup, err)
		}
		if want := "map[.:true a:true a-b:true a/b.txt:true z/y:true z/y/x.txt:true]"; fmt.Sprint(got) != want {
			t.Errorf("%v: %v", setup, got)
		}
	}
	empty := newSandbox(t)
	if got, err := empty.open(empty.dir).Tracked(t.Context(), []repopath.Path{".", "a"}); err != nil || len(got) != 0 && got["."] {
		t.Error(got, err)
	}
}
