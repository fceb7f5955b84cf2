package object

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pipe-build/pipe/internal/diag"
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
	for name, text := range newerTrees() {
		put([]byte(text), "tree", "newer", name)
		put([]byte(text), "list", "newer", name)
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

func TestATreeOfALaterVersionIsNotMalformed(t *testing.T) {
	for name, text := range newerTrees() {
		for _, parse := range []func([]byte) (*Tree, error){ParseTree, ParseInput} {
			if got, err := parse([]byte(text)); !diag.Is(err, diag.Policy) || errors.Is(err, ErrMalformed) {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
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
			if !errors.Is(err, ErrMalformed) && !diag.Is(err, diag.Policy) {
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

func TestWithTakesOnePartOfAnotherTree(t *testing.T) {
	file := func(p, content string) Entry {
		return Entry{Kind: File, Path: repopath.Path(p), Digest: digest.Of([]byte(content)), Size: int64(len(content))}
	}
	other := &Tree{Entries: []Entry{file("a", "1"), file("sub/x", "2"), file("sub/y", "3")}}
	for name, c := range map[string]struct {
		here []Entry
		part repopath.Path
		want []Entry
		gone bool
	}{
		"nothing is here":         {nil, "sub/x", []Entry{file("sub/x", "2")}, false},
		"what is beside it stays": {[]Entry{file("sub/y", "mine")}, "sub/x", []Entry{file("sub/x", "2"), file("sub/y", "mine")}, false},
		"a directory":             {[]Entry{file("sub/more", "?"), file("sub/x", "2")}, "sub", []Entry{file("sub/x", "2"), file("sub/y", "3")}, true},
		"an edit":                 {[]Entry{file("sub/x", "mine")}, "sub/x", []Entry{file("sub/x", "2")}, true},
		"a file in the way":       {[]Entry{file("sub", "mine")}, "sub/x", []Entry{file("sub/x", "2")}, true},
		"a directory in the way":  {[]Entry{file("sub/x/z", "mine")}, "sub/x", []Entry{file("sub/x", "2")}, true},
		"an empty directory":      {[]Entry{{Kind: Dir, Path: "sub"}}, "sub/x", []Entry{file("sub/x", "2")}, false},
	} {
		next, gone := (&Tree{Entries: c.here}).With(other, c.part)
		if !slices.Equal(next.Entries, c.want) || gone != c.gone {
			t.Errorf("%s: %v, gone %v", name, next.Entries, gone)
		}
	}
}
