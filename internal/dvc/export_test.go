package dvc

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

func TestATextIsKeptIfDVCMakesTheSameOfIt(t *testing.T) {
	for _, c := range []struct {
		text, expanded string
		same           bool
	}{
		{"plain", "plain", true},
		{"a ${x} b", "a word b", true},
		{"a ${x.y[0]}/${z}", "a one/two", true},
		{"a ${x}", "a 'two words'", false},             // pipe quotes
		{"a ${x | raw}", "a 'two words'", true},        // DVC never does
		{"a ${x}", "a --lr 0.1 --name n", true},        // a map
		{"a ${x}", "a 0.50", false},                    // Python: 0.5
		{"a ${x}", "a 1e-3", false},                    // 0.001
		{"a ${x}", "a 1_000", false},                   // 1000
		{"a ${x}", "a 007", false},                     // 7
		{"a ${x}", "a True", false},                    // true
		{"a ${x}", "a null", false},                    // None
		{"a ${x}", "a 123456789012345678901234", true}, // of any size
		{"a ${x}", "a 0.00001", false},                 // 1e-05
		{"a ${x}", "a v1.0", true},
		{"a ${HOME:-x} ${#a}", "a ${HOME:-x} ${#a}", true}, // the shell's
		{`a \${x}`, "a ${x}", true},
		{`a \${x}`, "a word", false},
		{"a.b ${x}", "aXb word", false},
	} {
		if got := reads(c.text, c.expanded); got != c.same {
			t.Errorf("%s as %s: %v", c.text, c.expanded, got)
		}
	}
}

func TestWhatIsTheShellsIsMarkedForDVC(t *testing.T) {
	const text = `echo ${x | raw} ${ y.z } ${HOME:-x} \${w} ${#a} $HOME`
	if got := forDVC(text); got != `echo ${x} ${y.z} \${HOME:-x} \${w} \${#a} $HOME` {
		t.Error(got)
	}
}

func TestAScriptOfSeveralLinesStopsAtTheFirstError(t *testing.T) {
	for script, want := range map[string]string{"one\n": "one", "a; b": "a; b", "a\nb\n": "set -e\na\nb"} {
		if got := Script(script, false); got != want {
			t.Errorf("%q: %q", script, got)
		}
	}
	if got := Script("a\nb", true); got != "set -eo pipefail\na\nb" {
		t.Error(got)
	}
}

// exported is the dvc.yaml of a pipe.yaml, with what is said of it.
func exported(t *testing.T, text string, included bool, stages ...Stage) (string, string) {
	t.Helper()
	for i := range stages {
		if stages[i].Wdir == "" {
			stages[i].Wdir = "."
		}
	}
	e, err := Export("pipe.yaml", []byte(text), stages, included)
	if err != nil {
		t.Fatal(err)
	}
	var notes strings.Builder
	for _, n := range e.Notes {
		notes.WriteString(n.At + ": " + n.What + "\n")
	}
	return e.Text, notes.String()
}

// wholeProject has each form that DVC has, too, and some that it has not.
const wholeProject = `# The project.
project: p
remote: s3://b/p
vars: {x: 1}
metrics: [m.json]
stages:
  # First.
  a:
    cmd: echo ${x} > out/a # why
    wdir: ./w/
    deps: [./in/, {path: "[x]"}, {cmd: go version}]
    params: [k, {./p.json: [l]}]
    env: [{A: "1"}]
    outs: [./out/a, {path: b, cache: false, sha256: true}, {c/: {persist: true, remote: r}}]
    metrics: [{m: {cache: false}}]
    plots: [{p.csv: [{x: a}, {y: b}]}, {q.csv: {x: a}}]
    mutex: m
  g:
    foreach: [1, 2]
    do: {cmd: "echo ${item}", outs: ["${item}"], check: true, vars: {z: 1}}
  ship: {deploy: true, cmd: ./ship}
`

func TestTheTextOfPipeYAMLStays(t *testing.T) {
	text, notes := exported(t, wholeProject, false,
		Stage{Name: "a", Original: "a", Written: "a", Wdir: "w", Cmd: []string{"echo 1 > out/a"}, Deps: []Item{{Path: "in"}, {Path: "[x]"}}, Params: []ParamsOf{{File: "params.yaml", Keys: []string{"k"}}, {File: "p.json", Keys: []string{"l"}}}, Outs: []StageOut{{Item: Item{Path: "b"}, List: "outs"}, {Item: Item{Path: "c"}, List: "outs"}, {Item: Item{Path: "out/a"}, List: "outs"}, {Item: Item{Path: "m"}, List: "metrics"}, {Item: Item{Path: "p.csv"}, List: "plots"}, {Item: Item{Path: "q.csv"}, List: "plots"}}},
		Stage{Name: "g@1", Original: "g@1", Written: "g", Cmd: []string{"echo 1"}, Outs: []StageOut{{Item: Item{Path: "1"}, List: "outs"}}},
		Stage{Name: "g@2", Original: "g@2", Written: "g", Cmd: []string{"echo 2"}, Outs: []StageOut{{Item: Item{Path: "2"}, List: "outs"}}},
		Stage{Name: "ship", Original: "ship", Written: "ship", Cmd: []string{"./ship"}, Frozen: true},
	)
	if want := `# The project.

vars:
  - {x: 1}
metrics: [m.json]
stages:
  # First.
  a:
    cmd: echo ${x} > out/a # why
    wdir: w
    deps:
      - in
      - "[x]"
    params: [k, {p.json: [l]}]
    outs:
      - out/a
      - b:
          cache: false
      - c:
          persist: true
    metrics: [{m: {cache: false}}]
    plots: [{p.csv: [{x: a}, {y: b}]}, {q.csv: {x: a}}]
  g:
    foreach: [1, 2]
    do: {cmd: "echo ${item}", outs: ["${item}"], vars: [{z: 1}]}
  ship: {cmd: ./ship, frozen: true}
`; text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
	if want := `pipe.yaml: remote: is not carried over
pipe.yaml: a: its env is not carried over
pipe.yaml: a: its dependency on the output of go version is not carried over
pipe.yaml: a: its output b has no sha256 in DVC
pipe.yaml: a: its output c/ has no remote in DVC
pipe.yaml: ship: its deploy is not carried over
`; notes != want {
		t.Errorf("got\n%s\nwant\n%s", notes, want)
	}
}

func TestWhatDVCWouldReadOtherwiseIsWrittenOut(t *testing.T) {
	text, notes := exported(t, `stages:
  a.b: {cmd: x, outs: [o]}
  a-b: {cmd: y, outs: [p]}
  g: {foreach: {k: a b}, do: {cmd: "echo ${item}", outs: ["${key}"]}}
`, false,
		Stage{Name: "a-b", Original: "a-b", Written: "a-b", Cmd: []string{"y"}, Outs: []StageOut{{Item: Item{Path: "p"}, List: "outs"}}},
		Stage{Name: "a.b", Original: "a.b", Written: "a.b", Cmd: []string{"x"}, Outs: []StageOut{{Item: Item{Path: "o"}, List: "outs"}}, Meta: `{"n":!"010","t":[1,true,"a\"b",{},[]]}`},
		Stage{Name: "g@k", Original: "g@k", Written: "g", Cmd: []string{"echo 'a b' ${X}"}, Outs: []StageOut{{Item: Item{Path: "k"}, List: "outs", NoCache: true}}},
	)
	if want := `stages:
  a-b-2:
    cmd: x
    outs:
      - o
    meta:
      n: 010
      t:
        - 1
        - true
        - a"b
        - {}
        - []
  a-b: {cmd: y, outs: [p]}
  g-k:
    cmd: echo 'a b' \${X}
    outs:
      - k:
          cache: false
`; text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
	if want := "pipe.yaml: a.b: is a-b-2 in DVC, which allows fewer characters in names\npipe.yaml: g: each stage is written out, as g-k: DVC would read the foreach or matrix otherwise\n"; notes != want {
		t.Errorf("got %s", notes)
	}
	// An included file sees the vars of the one above it; DVC knows of none.
	inner := Stage{Name: "a", Original: "s/a", Written: "a", Cmd: []string{"echo 1"}, Outs: []StageOut{{Item: Item{Path: "o"}, List: "outs"}}}
	if text, _ := exported(t, "stages: {a: {cmd: \"echo ${x}\", outs: [o]}}\n", true, inner); !strings.Contains(text, "echo 1") {
		t.Errorf("got %s", text)
	}
}

func TestStagesOfAnotherFileAreWrittenOutBehind(t *testing.T) {
	stage := func(name string) Stage {
		return Stage{Name: name, Original: "s/" + name, Written: name, Cmd: []string{"x"}}
	}
	for text, want := range map[string]string{
		"":                         "stages:\n  a:\n    cmd: x\n  b-c:\n    cmd: x\n",
		"inputs: [i]\n":            "stages:\n  a:\n    cmd: x\n  b-c:\n    cmd: x\n",
		"stages:\n  a: {cmd: x}\n": "stages:\n  a: {cmd: x}\n  b-c:\n    cmd: x\n",
	} {
		if got, _ := exported(t, text, true, stage("a"), stage("b.c")); got != want {
			t.Errorf("%q: got %q", text, got)
		}
	}
}

func TestBytesThatEndInAnErrorGetNoName(t *testing.T) {
	cache := t.TempDir()
	bad := errors.New("wrong bytes")
	if _, _, err := Keep(t.Context(), cache, io.MultiReader(strings.NewReader("one\n"), iotest.ErrReader(bad))); !errors.Is(err, bad) {
		t.Errorf("got %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(cache, "files", "md5", "*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	for i := range 2 {
		sum, fresh, err := Keep(t.Context(), cache, strings.NewReader("one\n"))
		if err != nil || fresh != (i == 0) || sum != "5bbf5a52328e7439ae6e719dfe712200" {
			t.Errorf("got %s, %v, %v", sum, fresh, err)
		}
	}
	name := filepath.Join(cache, "files", "md5", "5b", "bf5a52328e7439ae6e719dfe712200")
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o444 {
		t.Errorf("got %v, %v", info, err)
	}
	// DVC would believe a file of that mode.
	if err := errors.Join(os.Chmod(name, 0o644), os.WriteFile(name, []byte("two\n"), 0o644), os.Chmod(name, 0o444)); err != nil {
		t.Fatal(err)
	}
	if _, fresh, err := Keep(context.Background(), cache, strings.NewReader("one\n")); !fresh || err != nil {
		t.Errorf("got %v, %v", fresh, err)
	}
	if b, err := os.ReadFile(name); string(b) != "one\n" || err != nil {
		t.Errorf("got %s, %v", b, err)
	}
	if err := KeepList(t.Context(), cache, []Entry{{MD5: "5bbf5a52328e7439ae6e719dfe712200", Path: "é/b"}}); err != nil {
		t.Fatal(err)
	}
	lists, err := filepath.Glob(filepath.Join(cache, "files", "md5", "*", "*.dir"))
	if err != nil || len(lists) != 1 {
		t.Fatalf("got %v, %v", lists, err)
	}
	if b, err := os.ReadFile(lists[0]); !bytes.Equal(b, []byte(`[{"md5": "5bbf5a52328e7439ae6e719dfe712200", "relpath": "\u00e9/b"}]`)) || err != nil {
		t.Errorf("got %s, %v", b, err)
	}
}

func TestWhatDVCDoesNotSeeIsInNoList(t *testing.T) {
	root := t.TempDir()
	f := NewFiles(root)
	f.Ignore(".", []byte("*.bak\n/dist/tmp/\n"))
	f.Ignore("dist/sub", []byte("x\n"))
	var seen []string
	for _, e := range f.Seen("dist", []Entry{{Path: "a"}, {Path: "a.bak"}, {Path: "tmp/b"}, {Path: "sub/x"}, {Path: "sub/y"}, {Path: "x"}, {Path: "sub/tmp/z"}}) {
		seen = append(seen, e.Path)
	}
	if got := strings.Join(seen, " "); got != "a sub/y x sub/tmp/z" {
		t.Errorf("got %s", got)
	}
}
