package spec

import (
	"strings"
	"testing"

	"github.com/pipe-build/pipe/pkg/repopath"
)

func TestAnInputIsAStageWithoutACommand(t *testing.T) {
	p, err := Parse(FileName, []byte("inputs: [data.csv, raw/, {path: '[x].csv'}]\nstages:\n  a: {cmd: x, deps: [raw/sub], outs: [o]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	s := p.Stage("input:raw")
	if s == nil || !s.Input || s.Deploy || len(s.Cmd) > 0 || len(s.Outs) != 1 || !s.Outs[0].Dir || s.Outs[0].Path != "raw" {
		t.Fatalf("%+v", s)
	}
	if p.Stage("input:=5Bx=5D.csv") == nil || len(p.Inputs()) != 3 {
		t.Errorf("%d inputs", len(p.Inputs()))
	}
	if up := p.Edges().Up(p.at("a")); len(up) != 1 || up[0] != p.at("input:raw") {
		t.Errorf("a needs %v", up)
	}
	if only, err := Parse(FileName, []byte("inputs: [data.csv]\n")); err != nil || len(only.Stages) != 1 {
		t.Errorf("a project of data alone: %v", err)
	}
}

func TestNamesOfInputsNeverMeet(t *testing.T) {
	long := strings.Repeat("ä", 100)
	seen := map[string]repopath.Path{}
	for _, p := range []repopath.Path{
		"a", "a b", "a=20b", "a=b", "a=3Db", "a/b", "ä", "=", "==", "a:b", repopath.Path(long), repopath.Path(long + "x"),
		repopath.Path(strings.Repeat("a", 249)), repopath.Path(strings.Repeat("a", 250)), `a"b`,
	} {
		n := InputName(p)
		if q, dup := seen[n]; dup || len(n) > 255 || strings.Trim(n, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.@:/=,+-") != "" || stageName.MatchString(n) {
			t.Errorf("%q: %q, as %q", p, n, q)
		}
		seen[n] = p
	}
	if got := InputName("dir/a b=ä.csv"); got != "input:dir/a=20b=3D=C3=A4.csv" {
		t.Error(got)
	}
}

func TestAddInputIsTakenBackByRemoveInput(t *testing.T) {
	const stages = "stages:\n  a: {cmd: x, outs: [y]}\n"
	for _, c := range []struct{ before, after string }{
		{stages, "inputs:\n  - data.csv\n\n" + stages},
		{"# head\n\nproject: shop\n\n# build\n" + stages, "# head\n\nproject: shop\n\ninputs:\n  - data.csv\n\n# build\n" + stages},
		{"# head\n" + stages, "inputs:\n  - data.csv\n\n# head\n" + stages},
		{strings.ReplaceAll(stages, "\n", "\r\n"), "inputs:\r\n  - data.csv\r\n\r\n" + strings.ReplaceAll(stages, "\n", "\r\n")},
		{"inputs:\n  - raw/ # why\n\n" + stages, "inputs:\n  - raw/ # why\n  - data.csv\n\n" + stages},
		{"inputs:\n- raw/\n" + stages, "inputs:\n- raw/\n- data.csv\n" + stages},
		{stages + "inputs:\n  # all of it\n  - raw/", stages + "inputs:\n  # all of it\n  - raw/\n  - data.csv"},
		{"inputs:\n  - path: raw/\n  # last\n" + stages, "inputs:\n  - path: raw/\n  - data.csv\n  # last\n" + stages},
		{"inputs: [raw/, 'a b'] # c\n" + stages, "inputs: [raw/, 'a b', data.csv] # c\n" + stages},
		{"inputs: [{path: raw/}]\n" + stages, "inputs: [{path: raw/}, data.csv]\n" + stages},
		{"inputs: []\n" + stages, "inputs: [data.csv]\n" + stages},
		{"inputs: # none\n" + stages, "inputs: # none\n  - data.csv\n" + stages},
		{`{"stages": {"a": {"cmd": "x", "outs": ["y"]}}}`, `{"inputs": ["data.csv"], "stages": {"a": {"cmd": "x", "outs": ["y"]}}}`},
	} {
		got, err := AddInput(c.before, "data.csv", false, Options{})
		if err != nil || got != c.after {
			t.Errorf("add to %q:\n%q, %v, want\n%q", c.before, got, err, c.after)
			continue
		}
		back, err := RemoveInput(got, "data.csv", Options{})
		if strings.HasSuffix(c.before, "- raw/") { // the line break at the end of the file stays
			back = strings.TrimSuffix(back, "\n")
		}
		if err != nil || back != c.before {
			t.Errorf("remove from %q:\n%q, %v, want\n%q", got, back, err, c.before)
		}
	}
}

func TestInputsWithOddNamesAreQuoted(t *testing.T) {
	for _, p := range []repopath.Path{"a b", "yes", "no", "data", "1.5", "[x].csv", "a*", "a#b", "ä", "- x", "a: b", `q"q`, "it's"} {
		for _, text := range []string{"stages:\n  a: {cmd: x, outs: [y]}\n", "inputs: [raw/]\nstages:\n  a: {cmd: x, outs: [y]}\n", "{inputs: [raw/], stages: {a: {cmd: x, outs: [y]}}}"} {
			got, err := AddInput(text, p, true, Options{})
			if err != nil {
				t.Errorf("%q: %v", p, err)
				continue
			}
			parsed, err := Parse(FileName, []byte(got))
			if err != nil || parsed.Stage(InputName(p)) == nil || !parsed.Stage(InputName(p)).Outs[0].Dir {
				t.Errorf("%q: %q, %v", p, got, err)
			}
			if back, err := RemoveInput(got, p, Options{}); err != nil || back != text {
				t.Errorf("%q: %q, %v", p, back, err)
			}
		}
	}
}
