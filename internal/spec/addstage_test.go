package spec

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/yamldoc"
)

// oneStage is the value of a stage.
func oneStage(t *testing.T, text string) *yamldoc.Node {
	t.Helper()
	n, err := yamldoc.Parse(FileName, []byte(text), yamldoc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAddStageKeepsAllOtherLines(t *testing.T) {
	stage := oneStage(t, "{cmd: make it, outs: [o]}")
	const added = "  new:\n    cmd: make it\n    outs:\n      - o\n"
	for name, c := range map[string]struct{ in, out string }{
		"behind the last":           {"stages:\n  a: {cmd: x}\n\n# end\n", "stages:\n  a: {cmd: x}\n" + added + "\n# end\n"},
		"with empty lines between":  {"stages:\n  a: {cmd: x}\n\n  b:\n    cmd: |\n      y\n\n      z\n\nlimits:\n", "stages:\n  a: {cmd: x}\n\n  b:\n    cmd: |\n      y\n\n      z\n\n" + added + "\nlimits:\n"},
		"behind a comment in it":    {"stages:\n  a:\n    cmd: x\n    # last\n# end\n", "stages:\n  a:\n    cmd: x\n    # last\n" + added + "# end\n"},
		"behind a long list":        {"stages:\n  a: {cmd: x,\n    outs: [b,\n      c]}\n", "stages:\n  a: {cmd: x,\n    outs: [b,\n      c]}\n" + added},
		"before other keys":         {"stages:\n  a: {cmd: x}\ninputs: [b]\n", "stages:\n  a: {cmd: x}\n" + added + "inputs: [b]\n"},
		"byte order mark":           {"\uFEFFstages:\n  a: {cmd: x}\n", "\uFEFFstages:\n  a: {cmd: x}\n" + added},
		"a comment behind the key":  {"stages: # all\n# more\n", "stages: # all\n" + added + "# more\n"},
		"comments alone":            {"# c\n", "# c\nstages:\n" + added},
		"null in braces":            {"{project: p, stages: null}\n", "{project: p, stages: {\"new\": {\"cmd\": \"make it\", \"outs\": [\"o\"]}}}\n"},
		"a comment behind a comma":  {"stages: {\n  a: {cmd: x}, # a's\n}\n", "stages: {\n  a: {cmd: x}, # a's\n  new: {cmd: make it, outs: [o]}\n}\n"},
		"a comment without a comma": {"stages: {\r\n  a: {cmd: x}   # a's\r\n  # last\r\n}\r\n", "stages: {\r\n  a: {cmd: x}, # a's\r\n  new: {cmd: make it, outs: [o]}\r\n  # last\r\n}\r\n"},
		"brackets in several lines": {"stages: {\n  a: {cmd: x},\n  b: {cmd: y}\n}\n", "stages: {\n  a: {cmd: x},\n  b: {cmd: y},\n  new: {cmd: make it, outs: [o]}\n}\n"},
	} {
		got, err := AddStage(c.in, "new", stage, false)
		if err != nil || got != c.out {
			t.Errorf("%s: %v\n%s\nwant\n%s", name, err, got, c.out)
		}
	}
}

func TestAStageThatIsReplacedKeepsWhatIsTheSame(t *testing.T) {
	stage := oneStage(t, "{cmd: new, deps: [a, b], outs: [o], desc: x}")
	for name, c := range map[string]struct{ in, out string }{
		"a block":   {"stages:\n  # above\n  a: # here\n    # list\n    deps: # both\n      - a\n      # second\n      - b\n    # command\n    cmd: old # gone\n    # gone\n    env: [A]\n    outs: [o]   # out\n  # below\n  z: {cmd: x}\n", "stages:\n  # above\n  a: # here\n    # list\n    deps: # both\n      - a\n      # second\n      - b\n    # command\n    cmd: new\n    outs: [o]   # out\n    desc: x\n  # below\n  z: {cmd: x}\n"},
		"brackets":  {"stages:\n  a: {cmd: old} # here\n  z: {cmd: x}\n", "stages:\n  a: {cmd: new, deps: [a, b], outs: [o], desc: x} # here\n  z: {cmd: x}\n"},
		"the last":  {"stages:\n    a:\n        cmd: old", "stages:\n    a:\n        cmd: new\n        deps:\n          - a\n          - b\n        outs:\n          - o\n        desc: x\n"},
		"in a JSON": {"{\"stages\": {\"a\": {\"cmd\": \"old\"}, \"z\": {}}}", "{\"stages\": {\"a\": {\"cmd\": \"new\", \"deps\": [\"a\", \"b\"], \"outs\": [\"o\"], \"desc\": \"x\"}, \"z\": {}}}"},
	} {
		got, err := AddStage(c.in, "a", stage, true)
		if err != nil || got != c.out {
			t.Errorf("%s: %v\n%s\nwant\n%s", name, err, got, c.out)
		}
	}
}

func TestAddStageNamesTheLineToWriteWhereItCannot(t *testing.T) {
	stage := oneStage(t, "{cmd: x}")
	for in, want := range map[string]string{
		"? stages\n: {a: {cmd: x}, }\n": "",
		"stages:\n  ? a\n  : cmd: y\n":  "pipe.yaml: cannot add stage new in the present form of pipe.yaml",
		"- a\n":                         "pipe.yaml: cannot add stage new in the present form of pipe.yaml",
		"stages: [a]\n":                 "pipe.yaml: cannot add stage new in the present form of pipe.yaml",
		"stages: {new: {cmd: y}}\n":     "pipe.yaml:1:10: stage new already exists",
	} {
		got, err := AddStage(in, "new", stage, false)
		if want == "" && err == nil {
			continue
		}
		if err == nil || err.Error() != want || got != "" {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}

// TestAStageFitsIntoEveryExample: nothing but lines is added, and pipe reads the result.
func TestAStageFitsIntoEveryExample(t *testing.T) {
	stage := oneStage(t, "{check: true, cmd: \"a: b\"}")
	files, err := filepath.Glob("../../examples/*/pipe.yaml")
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		next, err := AddStage(string(text), "new-one", stage, false)
		if err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		was := strings.Split(string(text), "\n")
		for _, l := range strings.Split(next, "\n") {
			if len(was) > 0 && l == was[0] {
				was = was[1:]
			}
		}
		if len(was) > 0 {
			t.Errorf("%s: lost %q in\n%s", f, was[0], next)
		}
		if formatted, err := yamldoc.Format(f, []byte(next)); err != nil || string(formatted) != next {
			t.Errorf("%s: not in the style of pipe fmt: %v\n%s", f, err, formatted)
		}
	}
}
