package object

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; got:\n%s", path, got)
	}
}

func sum(s string) digest.Digest { return digest.Of([]byte(s)) }

func file(p, content string) Entry {
	return Entry{Kind: File, Path: repopath.Path(p), Digest: sum(content), Size: int64(len(content))}
}

func link(p, target string) Entry {
	e := Link(target)
	e.Path = repopath.Path(p)
	return e
}

func dir(p string) Entry { return Entry{Kind: Dir, Path: repopath.Path(p)} }

func executable(p, content string) Entry {
	e := file(p, content)
	e.Kind = Executable
	return e
}

func tree(entries ...Entry) *Tree { return &Tree{entries} }

// valid are trees that every reader must take.
func valid() map[string]*Tree {
	return map[string]*Tree{
		"empty":             tree(),
		"one-file":          tree(file("a", "hello\n")),
		"every-kind":        tree(executable("bin/run", "#!/bin/sh\n"), link("bin/sh", "run"), dir("empty"), dir("nested/empty"), file("readme", ""), link("top", "bin/run"), link("up/here", "../bin")),
		"same-bytes-twice":  tree(file("a", "x"), file("b", "x")),
		"bytes-not-locale":  tree(file("B", "1"), file("a", "2"), file("a-b", "3"), file("a.", "4"), file("a0", "5"), file("é", "6")),
		"names":             tree(file(` leading space`, "1"), file(`'quoted': [x] #`, "2"), file("...", "5"), file("..x", "3"), file(".gitignore", "4"), file("日本/😀", "6")),
		"quoted":            tree(file("\x01", "1"), file("\x1b[2J", "2"), file(`"`, "3"), file(`\`, "4"), file("a\tb\bc\fd\re", "6"), file("a\nb", "5"), file("del\x7f/é", "7"), file(`x\y/z`, "8")),
		"quoted-target":     tree(link("a", "x\ty"), link("b", `x\y`), link("c", `./"`)),
		"names-that-fold":   tree(file("A", "1"), file("STRASSE", "2"), file("a", "3"), file("d/x", "4"), file("e\u0301", "5"), file("straße", "6"), file("é", "7")),
		"dirs-that-fold":    tree(file("A/x", "1"), file("B", "1"), file("a/y", "2"), file("b/y", "2"), file("e\u0301/a", "3"), file("é/b", "4")),
		"link-to-root":      tree(link("a/self", ".."), file("b", "1")),
		"link-to-nothing":   tree(link("dangling", "not/there")),
		"link-with-dot":     tree(file("a", "1"), link("b", "./a")),
		"large-size":        tree(Entry{Kind: File, Path: "huge", Digest: sum("huge"), Size: 1 << 62}),
		"one-case-per-path": tree(file("A/x", "1"), file("A/y", "2")),
	}
}

func line(kind, hash, size, path string) string {
	return kind + "\t" + hash + "\t" + size + "\t" + path + "\n"
}

// invalid are bytes that every reader must refuse.
func invalid() map[string]string {
	h := sum("x").Hex()
	f := func(paths ...string) string {
		out := header
		for _, p := range paths {
			out += line("f", h, "1", p)
		}
		return out
	}
	l := func(path, target string) string {
		return header + line("l", sum(target).Hex(), fmt.Sprint(len(target)), path+"\t"+target)
	}
	return map[string]string{
		"nothing":                    "",
		"header-missing":             line("f", h, "1", "a"),
		"header-of-another-version":  "pipe-tree 2\n" + line("f", h, "1", "a"),
		"header-without-newline":     "pipe-tree 1",
		"header-crlf":                "pipe-tree 1\r\n",
		"truncated-line":             strings.TrimSuffix(f("a"), "\n"),
		"truncated-digest":           header + line("f", h[:63], "1", "a"),
		"trailing-garbage":           f("a") + "garbage\n",
		"trailing-empty-line":        f("a") + "\n",
		"trailing-nul":               f("a") + "\x00",
		"crlf":                       header + "f\t" + h + "\t1\ta\r\n",
		"comment":                    header + "# a\n",
		"unsorted":                   f("b", "a"),
		"unsorted-by-locale":         f("a", "B"),
		"duplicate":                  f("a", "a"),
		"file-below-file":            f("a", "a/b"),
		"file-below-file-apart":      f("a", "a-b", "a/b"),
		"file-below-empty-dir":       header + "d\t-\t0\ta\n" + line("f", h, "1", "a/b"),
		"file-below-symlink":         header + line("l", sum("b").Hex(), "1", "a\tb") + line("f", h, "1", "a/x"),
		"path-up":                    f("../x"), // LESSONS 9
		"path-up-twice":              f("../../x"),
		"path-up-inside":             f("a/../../x"),
		"path-dot":                   f("."),
		"path-dot-inside":            f("a/./b"),
		"path-empty":                 f(""),
		"path-empty-element":         f("a//b"),
		"path-trailing-slash":        f("a/"),
		"path-absolute":              f("/etc/passwd"),
		"path-git":                   f(".git/hooks/post-checkout"),
		"path-git-inside":            f("sub/.git/config"),
		"path-git-upper":             f(".GIT/config"),
		"path-git-mixed":             f(".Git"),
		"path-git-dot":               f(".git./config"),
		"path-git-short":             f("GIT~1/config"),
		"path-git-stream":            f(".git::$INDEX_ALLOCATION/config"),
		"path-git-ignorable":         f(".g\u200cit/config"),
		"path-backslash":             f(`a\b`),
		"path-raw-nul":               f("a\x00b"),
		"path-tab":                   f("a\tb"),
		"path-control":               f("a\x1bb"),
		"path-nul":                   f(`"a\u0000b"`),
		"path-quote":                 f(`a"b`),
		"quoted-needlessly":          f(`"a"`),
		"quoted-escape":              f(`"a\u0009b"`),
		"quoted-slash":               f(`"a\/\tb"`),
		"quoted-upper-hex":           f(`"a\u001B"`),
		"quoted-surrogate":           f(`"\ud800\t"`),
		"quoted-twice":               f(`"a\t" "b"`),
		"quoted-open":                f(`"a\t`),
		"quoted-up":                  f(`"..\\x"`),
		"quoted-up-inside":           f(`"a\\..\\..\\x"`),
		"quoted-git":                 f(`".git\\config"`),
		"quoted-up-slash":            f(`"../\t"`),
		"path-not-utf8":              f("a\xffb"),
		"path-too-long":              f(strings.Repeat("a", repopath.MaxLen+1)),
		"symlink-leaves":             l("a", "../x"),
		"symlink-leaves-deep":        l("a/b", "../../x"),
		"symlink-absolute":           l("a", "/etc/passwd"),
		"symlink-git":                l("a", ".git/config"),
		"symlink-up-behind-a-name":   l("a", "b/../c"),
		"symlink-to-nothing":         header + line("l", sum("").Hex(), "0", "a\t"),
		"symlink-control":            l("a", "b\x01/../c"),
		"symlink-backslash":          l("a", `..\x`),
		"symlink-quoted-up":          header + line("l", sum(`..\x`).Hex(), "4", "a\t"+`"..\\x"`),
		"symlink-quoted-needlessly":  header + line("l", sum("b").Hex(), "1", "a\t"+`"b"`),
		"symlink-wrong-digest":       header + line("l", sum("c").Hex(), "1", "a\tb"),
		"symlink-wrong-size":         header + line("l", sum("b").Hex(), "2", "a\tb"),
		"symlink-without-target":     header + line("l", sum("b").Hex(), "1", "a"),
		"file-with-target":           header + line("f", h, "1", "a\tb"),
		"kind-unknown":               header + line("p", h, "1", "a"),
		"kind-long":                  header + line("ff", h, "1", "a"),
		"kind-empty":                 header + line("", h, "1", "a"),
		"kind-nested":                header + line("t", h, "1", "a"),
		"dir-with-digest":            header + line("d", h, "0", "a"),
		"dir-with-size":              header + line("d", "-", "1", "a"),
		"digest-upper":               header + line("f", strings.ToUpper(h), "1", "a"),
		"digest-prefixed":            header + line("f", "blake3:"+h, "1", "a"),
		"digest-empty":               header + line("f", "", "1", "a"),
		"digest-dash":                header + line("f", "-", "1", "a"),
		"size-negative":              header + line("f", h, "-1", "a"),
		"size-plus":                  header + line("f", h, "+1", "a"),
		"size-leading-zero":          header + line("f", h, "01", "a"),
		"size-empty":                 header + line("f", h, "", "a"),
		"size-hex":                   header + line("f", h, "0x1", "a"),
		"size-overflow":              header + line("f", h, "9223372036854775808", "a"),
		"size-space":                 header + line("f", h, " 1", "a"),
		"fields-missing":             header + "f\t" + h + "\t1\n",
		"fields-separated-by-spaces": header + "f " + h + " 1 a\n",
	}
}

// lists are inputs' lists that every reader must take.
func lists() map[string]*Tree {
	nested := Entry{Kind: Nested, Path: "gen/docs", Digest: sum("tree")}
	return map[string]*Tree{
		"nested":          tree(file("gen/api.h", "1"), nested, file("main.c", "2")),
		"names-that-fold": tree(file("A", "1"), file("a", "2")),
		"links":           tree(link("a", "x/../../y"), link("b", ".git/config")),
		"below-a-file":    tree(file("gen", "1"), nested),
	}
}

func invalidLists() map[string]string {
	h := sum("x").Hex()
	return map[string]string{
		"unsorted":         header + line("f", h, "1", "b") + line("f", h, "1", "a"),
		"duplicate":        header + line("f", h, "1", "a") + line("t", h, "0", "a"),
		"nested-with-size": header + line("t", h, "1", "a"),
		"empty-directory":  header + "d\t-\t0\ta\n",
		"path-up":          header + line("f", h, "1", "../a"),
		"quoted-needless":  header + line("f", h, "1", `"a"`),
	}
}

const vectors = "../../testdata/vectors"

// asJSON is a tree for readers in other languages.
func asJSON(t *testing.T, tr *Tree) []byte {
	t.Helper()
	type entry struct {
		Kind   string         `json:"kind"`
		Path   string         `json:"path"`
		Digest *digest.Digest `json:"digest,omitempty"`
		Size   int64          `json:"size"`
		Target string         `json:"target,omitempty"`
	}
	doc := struct {
		Digest  digest.Digest `json:"digest"`
		Entries []entry       `json:"entries"`
	}{tr.Digest(), []entry{}}
	for _, e := range tr.Entries {
		j := entry{Kind: string(rune(e.Kind)), Path: string(e.Path), Digest: &e.Digest, Size: e.Size, Target: e.Target}
		if e.Kind == Dir {
			j.Digest = nil
		}
		doc.Entries = append(doc.Entries, j)
	}
	b, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(b, '\n')
}

// TestVectorsAreTheCases keeps testdata equal to the tables above.
func TestVectorsAreTheCases(t *testing.T) {
	want := map[string]bool{}
	put := func(content []byte, elem ...string) {
		path := filepath.Join(append([]string{vectors}, elem...)...)
		golden(t, path, content)
		want[path] = true
	}
	for shelf, good := range map[string]map[string]*Tree{"tree": valid(), "list": lists()} {
		for name, tr := range good {
			put(tr.Encode(), shelf, "valid", name)
			put(asJSON(t, tr), shelf, "valid", name+".json")
		}
	}
	for shelf, bad := range map[string]map[string]string{"tree": invalid(), "list": invalidLists()} {
		for name, text := range bad {
			put([]byte(text), shelf, "invalid", name)
		}
	}
	for _, shelf := range []string{"tree", "list"} {
		files, err := filepath.Glob(filepath.Join(vectors, shelf, "*", "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if !want[f] {
				t.Errorf("%s belongs to no case", f)
			}
		}
	}
}

func TestParseInputTakesListsAndNoTreeOfAnOutIsOne(t *testing.T) {
	for name, want := range lists() {
		got, err := ParseInput(want.Encode())
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for name, text := range invalidLists() {
		if got, err := ParseInput([]byte(text)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestAManifestBeyondTheBoundIsNotRead(t *testing.T) {
	huge := make([]byte, MaxTree+1)
	for name, read := range map[string]func([]byte) (*Tree, error){"tree": ParseTree, "list": ParseInput} {
		if _, err := read(huge); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), "more than") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseTreeTakesValidTreesAndGivesThemBack(t *testing.T) {
	for name, want := range valid() {
		b := want.Encode()
		got, err := ParseTree(b)
		if err != nil || len(got.Entries) != len(want.Entries) || len(want.Entries) > 0 && !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\ngot  %+v\nwant %+v", name, err, got, want)
			continue
		}
		if !bytes.Equal(got.Encode(), b) || got.Digest() != digest.Of(b) {
			t.Errorf("%s: encoded again:\n%s", name, got.Encode())
		}
		if err := want.Check(); err != nil {
			t.Errorf("%s: Check: %v", name, err)
		}
	}
}

func TestFoldingFindsNamesThatAreOneOnSomeDisks(t *testing.T) {
	for _, c := range []struct {
		paths []string
		want  bool
	}{
		{[]string{"A", "a"}, true},
		{[]string{"STRASSE", "straße"}, true},
		{[]string{"A/x", "a/y"}, true},
		{[]string{"A", "a/y"}, true},
		{[]string{"e\u0301", "é"}, true},
		{[]string{"x/e\u0301/a", "x/é/b"}, true},
		{[]string{"A/x", "A/y", "b/a", "c/A"}, false},
	} {
		tr := tree()
		for _, p := range c.paths {
			tr.Entries = append(tr.Entries, file(p, ""))
		}
		a, b, ok := tr.Folding()
		if ok != c.want || ok && a == b {
			t.Errorf("%q: %q, %q, %v", c.paths, a, b, ok)
		}
	}
}

// LESSONS 9: one strict parser; no manifest names a path outside its tree.
func TestParseTreeRefusesInvalidTrees(t *testing.T) {
	for name, text := range invalid() {
		if got, err := ParseTree([]byte(text)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %+v, %v; want ErrMalformed", name, got, err)
		}
	}
}

func TestCheckRefusesWhatCannotBeStored(t *testing.T) {
	for name, tr := range map[string]*Tree{
		"leaving path":        tree(file("../x", "")),
		"absolute path":       tree(file("/x", "")),
		"git":                 tree(file(".git/config", "")),
		"nested tree":         tree(Entry{Kind: Nested, Path: "a", Digest: sum("a")}),
		"NUL in a link":       tree(link("a", "x\x00y")),
		"link up behind name": tree(link("p/q/r", "../.."), link("z", "p/q/r/../x")),
	} {
		if err := tr.Check(); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTreeDigestIsTheDocumentedOne(t *testing.T) {
	for name, want := range map[string]string{
		"empty":      digest.Of([]byte("pipe-tree 1\n")).Hex(),
		"one-file":   "d86d7509449a3dd32f1e36a270055e7b0656aab011e47571172f551352faed3a",
		"every-kind": "d1f991b88e1457abac358ae4519b4d7fb2d9bbac6bc01f7e0e3e567ae9fe3613",
	} {
		if got := valid()[name].Digest().Hex(); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestFindAndSubLookInsideATree(t *testing.T) {
	tr := valid()["every-kind"]
	if e, ok := tr.Find("bin/run"); !ok || e.Kind != Executable {
		t.Errorf("bin/run: %+v, %v", e, ok)
	}
	if _, ok := tr.Find("bin"); ok {
		t.Error("a directory with entries is no entry")
	}
	sub, ok := tr.Sub("bin")
	if want := tree(executable("run", "#!/bin/sh\n"), link("sh", "run")); !ok || !reflect.DeepEqual(sub, want) {
		t.Errorf("bin: %+v, %v", sub, ok)
	}
	if sub, ok := tr.Sub("empty"); !ok || len(sub.Entries) != 0 {
		t.Errorf("empty: %+v, %v", sub, ok)
	}
	for _, p := range []repopath.Path{"bi", "nothing", "readme"} {
		if sub, ok := tr.Sub(p); ok {
			t.Errorf("%s: %+v", p, sub)
		}
	}
	if o := tr.Output("out"); o.Size != int64(len("#!/bin/sh\n")) || o.Files != 5 || !o.Dir || o.Digest != tr.Digest() {
		t.Errorf("%+v: links and directories have no bytes, empty directories are not counted", o)
	}
	if in := tr.Input("out", artifact.Dir); in.Size != int64(len("#!/bin/sh\n")) || in.Files != 5 || in.Digest != tr.Digest() {
		t.Errorf("%+v: an input counts as an output does", in)
	}
}

// LESSONS 20: a name cannot take over bytes of the next field or line.
func TestDifferentTreesHaveDifferentBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyTree().Draw(t, "a"), anyTree().Draw(t, "b")
		if bytes.Equal(a.Encode(), b.Encode()) != reflect.DeepEqual(a, b) {
			t.Fatalf("bytes and trees disagree:\n%+v\n%+v", a, b)
		}
		if a.Check() != nil {
			return
		}
		got, err := ParseTree(a.Encode())
		if err != nil || !slices.Equal(got.Entries, a.Entries) {
			t.Fatalf("what Check allows ParseTree refuses: %v\n%s", err, a.Encode())
		}
	})
}

func anyTree() *rapid.Generator[*Tree] {
	chars := rapid.RuneFrom([]rune("aAb/.é\u0301 \t\n\\\"ß"))
	return rapid.Custom(func(t *rapid.T) *Tree {
		tr := tree()
		for range rapid.IntRange(0, 3).Draw(t, "entries") {
			p := rapid.StringOfN(chars, 1, 5, -1).Draw(t, "path")
			if _, err := repopath.ParseEntry(p); err != nil {
				continue // a scan makes no such entry
			}
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				tr.Entries = append(tr.Entries, file(p, p))
			case 1:
				tr.Entries = append(tr.Entries, executable(p, "x"))
			case 2:
				tr.Entries = append(tr.Entries, dir(p))
			case 3:
				tr.Entries = append(tr.Entries, link(p, rapid.StringOfN(chars, 0, 6, -1).Draw(t, "target")))
			}
		}
		tr.Sort()
		return tr
	})
}

func FuzzParseTree(f *testing.F) {
	for _, tr := range valid() {
		f.Add(tr.Encode())
	}
	for _, text := range invalid() {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		tr, err := ParseTree(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("%v is not ErrMalformed", err)
			}
			return
		}
		if !bytes.Equal(tr.Encode(), b) {
			t.Fatalf("encoded again:\n%q\nbefore:\n%q", tr.Encode(), b)
		}
		if err := tr.Check(); err != nil {
			t.Fatalf("parsed, but: %v", err)
		}
	})
}
