package object

import (
	"bytes"
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
	return Entry{Kind: Symlink, Path: repopath.Path(p), Digest: sum(target), Size: int64(len(target)), Target: target}
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
		"names":             tree(file(` leading space`, "1"), file(`"quoted": [x] #`, "2"), file("...", "5"), file("..x", "3"), file(".gitignore", "4"), file("日本/😀", "6")),
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
		"case-fold":                  f("A", "a"),
		"case-fold-unicode":          f("STRASSE", "straße"),
		"case-fold-directories":      f("A/x", "a/y"),
		"case-fold-file-directory":   f("A", "a/y"),
		"nfc":                        f("e\u0301", "é"),
		"nfc-directories":            f("e\u0301/a", "é/b"),
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
		"path-newline-escape":        f("a\x00b"),
		"path-tab":                   f("a\tb"),
		"path-control":               f("a\x1bb"),
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

// TestVectorsAreTheCases keeps testdata equal to the tables above.
func TestVectorsAreTheCases(t *testing.T) {
	want := map[string]bool{}
	for name, tr := range valid() {
		path := filepath.Join("testdata", "tree", "valid", name)
		golden(t, path, tr.Encode())
		want[path] = true
	}
	for name, text := range invalid() {
		path := filepath.Join("testdata", "tree", "invalid", name)
		golden(t, path, []byte(text))
		want[path] = true
	}
	files, err := filepath.Glob(filepath.Join("testdata", "tree", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !want[f] {
			t.Errorf("%s belongs to no case", f)
		}
	}
}

func TestParseTreeTakesValidTreesAndGivesThemBack(t *testing.T) {
	for name, want := range valid() {
		b, err := os.ReadFile(filepath.Join("testdata", "tree", "valid", name))
		if err != nil {
			t.Fatal(err)
		}
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

// LESSONS 9: one strict parser; no manifest names a path outside its tree.
func TestParseTreeRefusesInvalidTrees(t *testing.T) {
	for name := range invalid() {
		b, err := os.ReadFile(filepath.Join("testdata", "tree", "invalid", name))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ParseTree(b); !errors.Is(err, ErrMalformed) {
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
		"newline in a link":   tree(link("a", "x\n/../b")),
		"tab in a link":       tree(link("a", "x\t/../b")),
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
	if got := tr.Size(); got != int64(len("#!/bin/sh\n")) {
		t.Errorf("size %d: links and directories have no bytes", got)
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
	chars := rapid.RuneFrom([]rune("aAb/.é\u0301 \t\n\\ß"))
	return rapid.Custom(func(t *rapid.T) *Tree {
		tr := tree()
		for range rapid.IntRange(0, 3).Draw(t, "entries") {
			p := rapid.StringOfN(chars, 1, 5, -1).Draw(t, "path")
			if _, err := repopath.Parse(p); err != nil {
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
