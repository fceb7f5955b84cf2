package spec

import (
	"slices"
	"testing"

	"github.com/pipe-build/pipe/internal/expr"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// nested is a project whose parts have names in common.
var nested = map[string]string{
	FileName: `
vars: {v: root}
stages:
  build: {cmd: "x ${v} ${p}", outs: [o]}
  lint: {cmd: x, check: true}
  g: {foreach: [a], do: {cmd: x, outs: ["${item}"]}}
include: [sub]
`,
	"params.yaml": "p: of the root\nk: 2\n",
	"sub/pipe.yaml": `
env_file: s.env
include: [deep]
stages:
  build: {cmd: "x ${v} ${p}", outs: [o]}
  g: {foreach: [a], do: {cmd: x, outs: ["${item}"]}}
  use: {cmd: "x ${w}", wdir: w, vars: [v.yaml], check: true, needs: [build, g, lint], env_file: own.env, when: changed(build) and changed(g) or changed(lint) or params.k == 2}
`,
	"sub/params.yaml":    "p: of sub\nk: 1\n",
	"sub/w/v.yaml":       "w: in sub/w\n",
	"sub/deep/pipe.yaml": "stages: {d: {cmd: x, check: true, needs: [build]}}\n",
}

func TestAnIncludedFileStandsInItsOwnDirectory(t *testing.T) {
	p, err := parseFiles(nested, Options{})
	if err != nil {
		t.Fatal(err)
	}
	const want = "build: x root 'of the root' >o\ng@a: x >a\nlint: x\n" +
		"sub/build: x root 'of sub' >sub/o\nsub/deep/d: x after build\nsub/g@a: x >sub/a\nsub/use: x 'in sub/w' after lint after sub/build after sub/g\n"
	if got := say(p); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	use := p.Stage("sub/use")
	if got := use.When.Stages(); !slices.Equal(got, []string{"lint", "sub/build", "sub/g"}) {
		t.Errorf("asks about %q", got)
	}
	unchanged := expr.World{Changed: func(string) (bool, error) { return false, nil }}
	if is, err := use.Eval(unchanged); is || err != nil { // k is 2 beside the root's alone
		t.Errorf("condition is %v, %v", is, err)
	}
	if got := p.Stage("sub/g@a").Group; got != "sub/g" {
		t.Errorf("group %s", got)
	}
	for name, want := range map[string][2]string{
		"build": {"", ""}, "sub/build": {"sub/pipe.yaml", "sub/s.env "}, "sub/use": {"sub/pipe.yaml", "sub/s.env sub/w/own.env "}, "sub/deep/d": {"sub/deep/pipe.yaml", "sub/s.env "},
	} {
		s, files := p.Stage(name), ""
		for _, f := range s.EnvFiles {
			files += string(f.Path) + " "
		}
		if string(s.File) != want[0] || files != want[1] {
			t.Errorf("%s is of %q and reads %q, not %q", name, s.File, files, want)
		}
	}
	if want := []repopath.Path{"params.yaml", "sub/deep/pipe.yaml", "sub/params.yaml", "sub/pipe.yaml", "sub/w/v.yaml"}; !slices.Equal(slices.Sorted(slices.Values(p.Files)), want) {
		t.Errorf("read %q", p.Files)
	}
}

// A value that one run sets is that of one file, wherever the file is named.
func TestASettingIsOfItsFileAlone(t *testing.T) {
	p, err := parseFiles(nested, Options{Set: []Setting{{File: "sub/params.yaml", Key: "p", Value: "set"}}})
	if err != nil {
		t.Fatal(err)
	}
	if a, b := p.Stage("build").Cmd[0], p.Stage("sub/build").Cmd[0]; a != "x root 'of the root'" || b != "x root set" {
		t.Errorf("got %s, %s", a, b)
	}
}
