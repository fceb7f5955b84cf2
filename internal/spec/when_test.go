package spec

import (
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/expr"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// parseWhen reads a pipe.yaml beside a params.yaml.
func parseWhen(params, text string) (*Project, error) {
	read := func(file repopath.Path) ([]byte, error) {
		if file != DefaultVars || params == "" {
			return nil, fs.ErrNotExist
		}
		return []byte(params), nil
	}
	return ParseIn(FileName, []byte(text), Options{Read: read})
}

func TestAConditionReadsTheParamsFile(t *testing.T) {
	text := "stages: {s: {cmd: c, outs: [o], when: params.train.lr > 0.1 and 'x' in params.tags}}\n"
	p, err := parseWhen("train: {lr: 0.5}\ntags: [x]\n", text)
	if err != nil {
		t.Fatal(err)
	}
	if is, err := p.Stage("s").Eval(expr.World{}); err != nil || !is {
		t.Errorf("got %v, %v", is, err)
	}
	for params, want := range map[string]string{
		"":                         `pipe.yaml:1:39: s: when: column 1: params.yaml does not exist`,
		"train: {lr: }\ntags: [x]": `cannot compare params.train.lr (null) with 0.1`,
		"train: {l: 1}":            `params.train has no key "lr"`,
		"a: &a [*a]":               `contains itself`,
	} {
		if _, err := parseWhen(params, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", params, err, want)
		}
	}
}

func TestAConditionThatAsksAboutAStageComesAfterIt(t *testing.T) {
	p := parseGood(t, "stages: {a: {cmd: c, outs: [o], when: changed(b)}, b: {cmd: c, outs: [p]}}\n")
	if up := p.Edges().Up(0); !slices.Equal(up, []int{1}) {
		t.Errorf("got %v", up)
	}
}

func TestGroups(t *testing.T) {
	p := &Project{Stages: []Stage{{Name: "a"}, {Name: "t", Group: ""}, {Name: "t@1", Group: "t"}, {Name: "u@1", Group: "u"}, {Name: "u@2", Group: "u"}}}
	if got := p.Groups(); !slices.Equal(got, []string{"t", "u"}) {
		t.Errorf("got %v", got)
	}
	for name, want := range map[string][]int{"a": {0}, "t": {1}, "u": {3, 4}, "u@2": {4}, "": nil, "v": nil} {
		if got := p.Members(name); !slices.Equal(got, want) {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func TestABooleanIsACondition(t *testing.T) {
	p := parseGood(t, "stages: {a: {cmd: c, outs: [o], when: false}, b: {cmd: c, outs: [p], when: TRUE}, c: {cmd: c, outs: [q]}}\n")
	for name, want := range map[string]bool{"a": false, "b": true} {
		if is, err := p.Stage(name).Eval(expr.World{}); err != nil || is != want {
			t.Errorf("%s: got %v, %v", name, is, err)
		}
	}
	if p.Stage("c").When != nil {
		t.Error("a stage has a condition that it was not given")
	}
}

func TestAFaultOfAConditionInARunHasItsPlace(t *testing.T) {
	p := parseGood(t, "stages: {a: {cmd: c, outs: [o], when: env.X > 'a'}}\n")
	_, err := p.Stage("a").Eval(expr.World{Env: func(string) (string, bool) { return "", false }})
	if want := "pipe.yaml:1:39: a: when: column 7: cannot compare env.X (null) with 'a' (a string) by >"; err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}
