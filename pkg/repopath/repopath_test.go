package repopath

import (
	"errors"
	"path"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// badPaths is every sort of path that must never get in, in shortest form.
var badPaths = []string{
	"", "/", "/etc/passwd", "..", "../x", ".git", ".git/hooks/x", "a/.git/config", ".GIT", ".Git/x", ".git.", ".git .. ", ".git ",
	"git~1", "GIT~1/x", ".git:x", ".git::$INDEX_ALLOCATION/x", ".g\u200cit", "\ufeff.git", ".gi\u206ft/x", `a\b`, `..\x`,
	"a\x00b", "a\nb", "a\x7f", "a\xff", strings.Repeat("a/", MaxLen/2) + "b",
}

func TestParseRefusesWhatIsNotAPathInside(t *testing.T) {
	for _, s := range append(badPaths, ".", "a/", "a//b", "./a", "a/./b", "a/../b") {
		if p, err := Parse(s); !errors.Is(err, ErrBad) || p != "" {
			t.Errorf("%q: got %q, %v", s, p, err)
		}
	}
}

func TestParseKeepsWhatIsClean(t *testing.T) {
	for _, s := range []string{"a", "a/b.c", ".gitignore", ".github/x", "git", "a..b", "...", "ü/日本", ".pipe/cache", "a b", "git~2", ".gitx"} {
		if p, err := Parse(s); err != nil || string(p) != s {
			t.Errorf("%q: got %q, %v", s, p, err)
		}
	}
}

// A listing names what a disk holds, but never a way out.
func TestParseEntryTakesWhatADiskMayHoldAndNoWayOut(t *testing.T) {
	for _, s := range []string{"a\tb", "\n", `a\b`, `\`, "x/\x1b[2J", `"`, "a\x7f"} {
		if p, err := ParseEntry(s); err != nil || string(p) != s {
			t.Errorf("%q: got %q, %v", s, p, err)
		}
		if p, err := Parse(s); err == nil && s != `"` {
			t.Errorf("Parse takes %q as %q", s, p)
		}
	}
	for _, s := range []string{
		"", ".", "..", "../x", "a/../b", "/a", "a/", "a//b", "a\x00b", "a\xffb", `..\x`, `a\..\x`, `a/..\..\x`, `.git\config`, `a\.GIT`, ".git/x", "a/git~1",
		strings.Repeat("a", MaxLen+1),
	} {
		if p, err := ParseEntry(s); !errors.Is(err, ErrBad) {
			t.Errorf("%q: got %q, %v", s, p, err)
		}
	}
}

func TestJoinCleansAndStaysInside(t *testing.T) {
	for _, c := range []struct {
		dir  Path
		s    string
		want Path
	}{
		{Root, "./a//b/", "a/b"},
		{Root, ".", "."},
		{"a", "..", "."},
		{"a", ".", "a"},
		{"a/b", "../c", "a/c"},
		{"a/b", "../../c", "c"},
		{"a", "b/../c", "a/c"},
	} {
		if got, err := Join(c.dir, c.s); err != nil || got != c.want {
			t.Errorf("%s + %q: got %q, %v", c.dir, c.s, got, err)
		}
	}
	for _, s := range append(badPaths, "../..", "a/../../..", "../.git/x") {
		if got, err := Join("d", s); !errors.Is(err, ErrBad) && s != ".." && s != "../x" {
			t.Errorf("%q: got %q, %v", s, got, err)
		}
	}
}

func TestErrorsSayThePathAsWritten(t *testing.T) {
	_, err := Join("d/e", "x/.GIT/y")
	if want := `invalid path: "x/.GIT/y" is inside .git`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := Join(Root, strings.Repeat("ä", 5000)); len(err.Error()) > 250 {
		t.Errorf("a long path gives a long error: %d bytes", len(err.Error()))
	}
}

func TestPathsKnowTheirParts(t *testing.T) {
	p := Path("a/b/c")
	if p.Base() != "c" || p.Dir() != "a/b" || Path("a").Dir() != Root || p.Child("d") != "a/b/c/d" || Root.Child("d") != "d" {
		t.Error("Base, Dir or Child")
	}
	for _, c := range []struct {
		p, q  Path
		holds bool
	}{{"a", "a", true}, {"a", "a/b", true}, {"a", "ab", false}, {"a/b", "a", false}, {Root, "x", true}, {Root, Root, true}, {"a", Root, false}} {
		if c.p.Holds(c.q) != c.holds {
			t.Errorf("%s holds %s: %v", c.p, c.q, !c.holds)
		}
	}
}

func TestIsGitLooksAtTheLastElement(t *testing.T) {
	for p, want := range map[Path]bool{".git": true, "a/.GIT": true, "a.git": false, ".git/x": false, ".gitx": false, "git": false, Root: false} {
		if p.IsGit() != want {
			t.Errorf("%s: %v", p, !want)
		}
	}
}

func TestRelUndoesJoin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		elem := rapid.StringMatching(`[a-c.]{1,3}`)
		dir, err := Join(Root, strings.Join(rapid.SliceOfN(elem, 0, 3).Draw(t, "dir"), "/")+"/.")
		if err != nil || dir == "" {
			return
		}
		p, err := Join(dir, strings.Join(rapid.SliceOfN(elem, 1, 3).Draw(t, "path"), "/"))
		if err != nil || !dir.Holds(p) {
			return
		}
		if back, err := Join(dir, string(dir.Rel(p))); err != nil || back != p {
			t.Fatalf("%s in %s: got %s, %v", p, dir, back, err)
		}
	})
}

func TestJoinPatternRefusesWhatCouldLeave(t *testing.T) {
	for _, s := range []string{
		"", "/", "/*", "..", "../*", "*/../../x", "{a,..}/*", "{a,../b}", ".git/*", "**/.git", "{.git,a}/x", ".GIT/**", `a\*`, "a\x00*", "*\xff",
		"[a", "[]a]", "[^]a]", "[]", "{a", "a}", "{a}{a}{a}{a}{a}", "{" + strings.Repeat("a,", 40) + "}", ".", strings.Repeat("*", 5000),
	} {
		if g, err := JoinPattern(Root, s); !errors.Is(err, ErrBad) {
			t.Errorf("%q: got %q, %v", s, g, err)
		}
	}
}

func TestPatternsMatchWholePaths(t *testing.T) {
	for _, c := range []struct {
		dir      Path
		glob     string
		path     Path
		is, over bool // Match, MatchAbove
	}{
		{Root, "*.go", "a.go", true, true},
		{Root, "*.go", "a/b.go", false, false},
		{Root, "**/*.go", "b.go", true, true},
		{Root, "**/*.go", "a/b/c.go", true, true},
		{"src", "*.{go,mod}", "src/go.mod", true, true},
		{"src", "../lib/?", "lib/x", true, true},
		{Root, "build/", "build", true, true},
		{Root, "build/", "build/x/y", true, true},
		{Root, "build", "build/x/y", false, true},
		{Root, "b*", "build/x/y", false, true},
		{"a[1]{x}*", "*.go", "a[1]{x}*/m.go", true, true},
		{"a[1]", "*.go", "a1/m.go", false, false},
		{Root, "*", ".hidden", true, true},
		{Root, "?", "é", true, true},
		{Root, "a?b", "a/b", false, false},
		{Root, "a[^x]b", "a/b", true, true},
		{Root, "[!a-c]x", "dx", true, true},
		{Root, "[^a-c]x", "bx", false, false},
		{Root, "a**/c", "ab/c", true, true},
		{Root, "a**/c", "ab/b/c", false, false},
		{Root, "a/**", "a", true, true},
		{Root, "{a,b/*}/c", "b/x/c", true, true},
		{Root, "[*]", "*", true, true},
		{Root, "[*]", "a", false, false},
		{Root, "A", "a", false, false},
		{Root, "[z-a]", "z", true, true},
		{Root, "[z-a]", "m", false, false},
		{Root, "[a]]", "a]", true, true},
		{Root, "[a-]", "-", true, true},
		{Root, "{**,a}/b", "a/c/b", true, true},
		{Root, "{*,x}*/b", "a/c/b", true, true},
		{Root, "{*,a}{*,b}", "a/c", false, true},
		{Root, "{*,a}{*,b}", "ac", true, true},
	} {
		g, err := JoinPattern(c.dir, c.glob)
		if err != nil {
			t.Errorf("%s + %q: %v", c.dir, c.glob, err)
			continue
		}
		if g.Match(c.path) != c.is || g.MatchAbove(c.path) != c.over {
			t.Errorf("%s on %s: got %v, %v", g, c.path, g.Match(c.path), g.MatchAbove(c.path))
		}
	}
}

func TestBaseHoldsAllThatMatches(t *testing.T) {
	for glob, want := range map[string]Path{"a/b/*.go": "a/b", "**": ".", "a/b": "a", "x": ".", "a/{b/c,d}/e": "a", "a/b*/c": "a"} {
		g, err := JoinPattern(Root, glob)
		if err != nil || g.Base() != want {
			t.Errorf("%s: got %s, %v", glob, g.Base(), err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		g, err := JoinPattern(Root, rapid.StringMatching(`[ab*?/]{1,8}`).Draw(t, "glob"))
		p, perr := Join(Root, rapid.StringMatching(`[ab/]{1,8}`).Draw(t, "path"))
		if err == nil && perr == nil && g.Match(p) && !g.Base().Holds(p) {
			t.Fatalf("%s names %s, not in %s", g, p, g.Base())
		}
	})
}

// A matcher that tries every way would not end.
func TestAPatternCannotTakeForEver(t *testing.T) {
	for _, glob := range []string{
		strings.Repeat("{a,a,a,a,a,a,a,a}", 4) + "b", strings.Repeat("**/a/", 30) + "b", strings.Repeat("*a", 60) + "b", strings.Repeat("**/*a/", 30) + "b",
	} {
		g, err := JoinPattern(Root, glob)
		if err != nil {
			t.Fatal(err)
		}
		g.Match(Path(strings.Repeat("a/", 60) + strings.Repeat("a", 60)))
	}
}

func TestFromOSReadsWhatJoinReads(t *testing.T) {
	if p, err := FromOS("a/./b"); err != nil || p != "a/b" {
		t.Errorf("got %q, %v", p, err)
	}
	if _, err := FromOS("../x"); err == nil {
		t.Error("a path outside got in")
	}
}

// inside holds for what a Path may be.
func inside(p Path) bool {
	if p == Root {
		return true
	}
	for e := range strings.SplitSeq(string(p), "/") {
		if e == "" || e == "." || e == ".." || strings.EqualFold(strings.TrimRight(e, ". "), ".git") {
			return false
		}
	}
	return path.Clean(string(p)) == string(p) && !strings.ContainsAny(string(p), "\x00\n\\")
}

func FuzzJoin(f *testing.F) {
	for _, s := range append(badPaths, "a/../b", "./x//", "a/b") {
		f.Add("d/e", s)
	}
	f.Fuzz(func(t *testing.T, dir, s string) {
		d, err := Parse(dir)
		if err != nil {
			d = Root
		}
		if p, err := Join(d, s); err == nil {
			if !inside(p) {
				t.Fatalf("%q + %q: got %q", d, s, p)
			}
			if again, err := Join(Root, string(p)); err != nil || again != p {
				t.Fatalf("%q is read as %q, %v", p, again, err)
			}
		}
		if g, err := JoinPattern(d, s); err == nil {
			if !g.Base().Holds(d) && !strings.Contains(s, "..") && !d.Holds(g.Base()) {
				t.Fatalf("%q + %q: got %q at %q", d, s, g, g.Base())
			}
			if d.Holds(g.Base()) && g.Match(d) && !g.MatchAbove(d.Child("x")) {
				t.Fatalf("%q names %q and not what is in it", g, d)
			}
		}
	})
}

func FuzzParseEntry(f *testing.F) {
	for _, s := range append(badPaths, "a/b", "a\tb", `a\..\b`) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParseEntry(s)
		if err != nil {
			return
		}
		to := path.Clean("/x/" + strings.ReplaceAll(s, `\`, "/"))
		if to != "/x" && !strings.HasPrefix(to, "/x/") || strings.Contains(s, "\x00") || p == Root {
			t.Fatalf("got %q", p)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range append(badPaths, "a/b", "a b") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := Parse(s)
		if err != nil {
			return
		}
		if !inside(p) || p == Root {
			t.Fatalf("got %q", p)
		}
		if j, err := Join(Root, s); err != nil || j != p {
			t.Fatalf("Join reads %q as %q, %v", s, j, err)
		}
	})
}

func TestAPatternMayReachIntoADirectory(t *testing.T) {
	for _, c := range []struct {
		pattern Pattern
		dir     Path
		want    bool
	}{
		{"*.txt", "web", false},
		{"*", "web", false},
		{"*/x", "web", true},
		{"w*/x", "web", true},
		{"l*/x", "web", false},
		{"**", "web", true},
		{"**/*.go", "a/web", true},
		{"a/*.txt", "a/web", false},
		{"a/w?b/x", "a/web", true},
		{"b/*/x", "a/web", false},
		{"a/lib/**", "a/web", false},
		{"a", "a/web", false},
		{"{a/web,b}/x", "a/web", true},
		{"{lib,api}/x", "web", false},
		{"{web,api}/x", "web", true},
		{"a[!b]web/x", "a/web", true},
		{"a[+-9]web/x", "a/web", true},
		{"w[a-f]b/x", "web", true},
		{"w[a-d]b/x", "web", false},
		{"a/web", "a/web", false},
	} {
		if got := c.pattern.Reaches(c.dir); got != c.want {
			t.Errorf("%s reaches into %s: %t", c.pattern, c.dir, got)
		}
	}
}

func TestAPatternIsRelativeToADirectoryThatHoldsItsBase(t *testing.T) {
	in, err := JoinPattern("a[b]", "c/*.go")
	if err != nil {
		t.Fatal(err)
	}
	if rel, ok := in.Rel("a[b]"); !ok || rel != "c/*.go" {
		t.Errorf("%s, %t", rel, ok)
	}
	if rel, ok := in.Rel("a"); ok {
		t.Errorf("%s", rel)
	}
}
