package spec

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// parseFiles reads pipe.yaml among other files.
func parseFiles(files map[string]string, opt Options) (*Project, error) {
	opt.Read = func(at repopath.Path) ([]byte, error) {
		if text, ok := files[string(at)]; ok {
			return []byte(text), nil
		}
		return nil, fmt.Errorf("%s: %w", at, fs.ErrNotExist)
	}
	return ParseIn(FileName, []byte(files[FileName]), opt)
}

// say returns the stages as lines: name, commands, outputs and more that is asked for.
func say(p *Project) string {
	var b strings.Builder
	for i := range p.Stages {
		s := &p.Stages[i]
		fmt.Fprintf(&b, "%s:", s.Name)
		for _, cmd := range s.Cmd {
			fmt.Fprintf(&b, " %s", cmd)
		}
		if s.Verify.Cmd+s.Drift+s.Undeploy != "" {
			fmt.Fprintf(&b, " | %s | %s | %s |", s.Verify.Cmd, s.Drift, s.Undeploy)
		}
		for _, d := range s.Deps {
			fmt.Fprintf(&b, " <%s", d)
		}
		for _, t := range s.Tools {
			fmt.Fprintf(&b, " <{%s}", t.Name)
		}
		for _, f := range s.Params {
			fmt.Fprintf(&b, " %s%v", f.File, f.Keys)
		}
		for _, o := range s.Outs {
			fmt.Fprintf(&b, " >%s", o.Path)
		}
		for _, n := range s.Needs {
			fmt.Fprintf(&b, " after %s", n.Stage)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// languages are files, and what say says of them.
var languages = []struct {
	name  string
	files map[string]string
	want  string
}{
	{"inline vars", map[string]string{
		FileName: "vars: {app: shop, n: {lr: 1.0, l: [a, b]}}\nstages: {a: {cmd: \"run ${app} --lr ${n.lr} ${n.l[1]} ${n.l.0}\", outs: [\"${app}/x\"]}}",
	}, "a: run shop --lr 1.0 b a >shop/x\n"},
	{"values are quoted", map[string]string{
		FileName: "vars: {x: \"it's; rm\"}\nstages: {a: {cmd: [\"run ${x}\", 'run \"${x}\"', \"run '${x}'\", \"${x | raw}\"], outs: [o]}}",
	}, "a: run 'it'\\''s; rm' run \"it's; rm\" run 'it'\\''s; rm' it's; rm >o\n"},
	{"lists and maps are words", map[string]string{
		FileName: "vars: {m: {lr: 0.1, on: true, off: False, l: [a, b c], deep: {x: 1}}, l: [a, b c, true]}\nstages: {a: {cmd: \"run ${m} ${l}\", outs: [o]}}",
	}, "a: run --lr 0.1 --on --l a 'b c' --deep.x 1 a 'b c' true >o\n"},
	{"the shell's own stays", map[string]string{
		FileName: "stages: {a: {cmd: 'echo $A ${A:-x} ${#A} ${1} ${A%.zip} ${!A} \\${A} ${A[@]} ${A-b}', outs: [o]}}",
	}, "a: echo $A ${A:-x} ${#A} ${1} ${A%.zip} ${!A} ${A} ${A[@]} ${A-b} >o\n"},
	{"whole nodes", map[string]string{
		FileName: "vars: {deps: [a, {cmd: go version}], t: 90, yes: true, o: {path: x, cache: false}}\nstages: {a: {cmd: x, deps: \"${deps}\", timeout: \"${t}\", frozen: \"${yes}\", outs: [\"${o}\"]}}",
	}, "a: x <a <{go version} >x\n"},
	{"params.yaml is read unasked", map[string]string{
		FileName: "stages: {a: {cmd: \"x ${lr}\", outs: [o]}}", "params.yaml": "lr: 1e-3\n",
	}, "a: x 1e-3 >o\n"},
	{"files and keys", map[string]string{
		FileName:  "vars: [a.json, \"b.toml:x,y\", {z: 3}]\nstages: {a: {cmd: \"x ${one.two} ${x} ${y.k} ${z}\", outs: [o]}}",
		"a.json":  `{"one": {"two": 1.50}}`,
		"b.toml":  "x = 0xff\nother = 1\n[y]\nk = 'v'\n",
		"old.txt": "",
	}, "a: x 1.50 0xff v 3 >o\n"},
	{"maps of several sources are one", map[string]string{
		FileName: "vars: [{m: {b: 2}}]\nstages: {a: {cmd: \"x ${m.a}${m.b}\", outs: [o]}}", "params.yaml": "m: {a: 1}\n",
	}, "a: x 12 >o\n"},
	{"of a stage, from its wdir", map[string]string{
		FileName: "vars: {d: sub}\nstages: {a: {wdir: \"${d}\", vars: [v.yaml, {w: 1}], cmd: \"x ${v} ${w}\", outs: [o]}}", "sub/v.yaml": "v: in sub\n",
	}, "a: x 'in sub' 1 >sub/o\n"},
	{"keys", map[string]string{
		FileName: "vars: {o: out, f: f.yaml}\nstages: {a: {cmd: x, params: [{\"${f}\": [k]}], outs: [{\"${o}/m\": {cache: false}}]}}",
	}, "a: x f.yaml[k] >out/m\n"},
	{"scripts beside cmd", map[string]string{
		FileName: "vars: {u: a b}\nstages: {a: {deploy: true, cmd: x, verify: {cmd: \"curl ${u}\"}, drift: \"d ${u}\", undeploy: \"u ${u}\", deps: [{cmd: \"v ${u}\"}]}}",
	}, "a: x | curl 'a b' | d 'a b' | u 'a b' | <{v 'a b'}\n"},
	{"foreach of a list", map[string]string{
		FileName: "stages: {t: {foreach: [us, 2, True, us], do: {cmd: \"x ${item}\", outs: [\"o/${item}\"]}}}",
	}, "t@2: x 2 >o/2\nt@true: x true >o/true\nt@us: x us >o/us\n"},
	{"of items with one name the last counts", map[string]string{
		FileName: "stages: {t: {foreach: [\"true\", true], do: {cmd: x, frozen: \"${item}\", outs: [o]}}}",
	}, "t@true: x >o\n"},
	{"foreach of maps is numbered", map[string]string{
		FileName: "stages: {t: {foreach: [{n: 1}, {n: 2}], do: {cmd: \"x ${item.n}\", outs: [\"o${item.n}\"]}}}",
	}, "t@0: x 1 >o1\nt@1: x 2 >o2\n"},
	{"foreach of a map", map[string]string{
		FileName: "vars: {m: {us: {e: 3}, eu: {e: 5}}}\nstages: {t: {foreach: \"${m}\", do: {cmd: \"x ${key} ${item.e}\", outs: [\"${key}\"]}}}",
	}, "t@eu: x eu 5 >eu\nt@us: x us 3 >us\n"},
	{"matrix", map[string]string{
		FileName: "vars: {c: [{n: 1}, {n: 2}]}\nstages: {t: {matrix: {os: [a, b], c: \"${c}\"}, cmd: \"x ${item.os} ${item.c.n} ${key}\", outs: [\"${key}\"]}}",
	}, "t@a-c0: x a 1 a-c0 >a-c0\nt@a-c1: x a 2 a-c1 >a-c1\nt@b-c0: x b 1 b-c0 >b-c0\nt@b-c1: x b 2 b-c1 >b-c1\n"},
	{"include", map[string]string{
		FileName:                    "vars: {v: root, w: root}\ninclude: [services/api, ci.yaml]\nstages: {build: {cmd: x, outs: [o], needs: [services/api/build]}}",
		"services/api/pipe.yaml":    "vars: {v: api}\ninclude: [sub/more.yml]\ninputs: [data/]\nstages: {build: {cmd: \"x ${v} ${w}\", deps: [src, ../shared, data], params: [k], outs: [bin/]}, test: {check: true, cmd: t, needs: [build, lint], wdir: w, deps: [f]}}",
		"services/api/sub/more.yml": "stages: {deploy: {cmd: \"x ${v}\", deps: [../bin]}}",
		"ci.yaml":                   "stages: {lint: {check: true, cmd: lint}}",
	}, "build: x >o after services/api/build\ninput:services/api/data: >services/api/data\nlint: lint\n" +
		"services/api/build: x api root <services/api/data <services/api/src <services/shared services/api/params.yaml[k] >services/api/bin\n" +
		"services/api/sub/deploy: x api <services/api/bin\nservices/api/test: t <services/api/w/f after lint after services/api/build\n"},
	{"a group is needed", map[string]string{
		FileName: "stages: {t: {foreach: [a, b], do: {cmd: x, outs: [\"${item}\"]}}, s: {cmd: x, check: true, needs: [t]}}",
	}, "s: x after t\nt@a: x >a\nt@b: x >b\n"},
	{"nothing for no items", map[string]string{
		FileName: "stages: {t: {foreach: [], do: {cmd: x}}, m: {matrix: {a: []}, cmd: x}, s: {cmd: x, check: true}}",
	}, "s: x\n"},
}

func TestTemplatesTakeValues(t *testing.T) {
	for _, c := range languages {
		t.Run(c.name, func(t *testing.T) {
			p, err := parseFiles(c.files, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if got := say(p); got != c.want {
				t.Errorf("got\n%swant\n%s", got, c.want)
			}
		})
	}
}

func TestFilesAreReadOnlyWhereATemplateAsks(t *testing.T) {
	read := func(text string) (names []string) {
		_, err := ParseIn(FileName, []byte(text), Options{Read: func(at repopath.Path) ([]byte, error) {
			names = append(names, string(at))
			return []byte("a: 1\n"), nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	if got := read("stages: {a: {cmd: 'x $a ${1} ${b:-c}', outs: [o]}}"); got != nil {
		t.Errorf("read %v for no template", got)
	}
	if got := read("stages: {a: {cmd: 'x ${a}', outs: [o]}, b: {cmd: 'x ${a}', outs: [p]}}"); !slices.Equal(got, []string{"params.yaml"}) {
		t.Errorf("read %v", got)
	}
}

func TestAGroupKnowsItsStages(t *testing.T) {
	p, err := parseFiles(map[string]string{FileName: "vars: {item: 1}\nstages: {t: {foreach: [a], do: {cmd: x, outs: [o]}}, s: {cmd: x, check: true}}"}, Options{})
	if err != nil || p.Stage("t@a").Group != "t" || p.Stage("s").Group != "" {
		t.Errorf("got %+v, %v", p, err)
	}
	if len(p.Notes) != 1 || !strings.Contains(p.Notes[0], "item") {
		t.Errorf("notes: %q", p.Notes)
	}
}

func TestOldScriptsKeepTheShellsNames(t *testing.T) {
	text := []byte("stages: {a: {cmd: 'x ${HOME}', outs: [o]}}")
	if _, err := ParseIn(FileName, text, Options{}); err == nil {
		t.Error("an unknown name is taken")
	}
	p, err := ParseIn(FileName, text, Options{Past: true})
	if err != nil || p.Stages[0].Cmd[0] != "x ${HOME}" {
		t.Errorf("got %v, %v", p, err)
	}
}

func TestFaultsStandInTheirOwnFiles(t *testing.T) {
	const file = "testdata/bad-include.txtar"
	a, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range a.Files {
		files[f.Name] = string(f.Data)
	}
	_, err = parseFiles(files, Options{})
	var got strings.Builder
	for _, e := range diag.All(err) {
		fmt.Fprintln(&got, e)
		if e.Hint != "" {
			fmt.Fprintf(&got, "    hint: %s\n", e.Hint)
		}
		if e.Kind != diag.Usage {
			t.Errorf("%v has kind %s", e, e.Kind)
		}
	}
	golden(t, strings.TrimSuffix(file, ".txtar")+".golden", got.String())
}

func TestNoStageMakesWhatSaysWhichStagesThereAre(t *testing.T) {
	files := map[string]string{
		FileName:        "vars: [gen/v.yaml]\ninclude: [sub]\nstages: {a: {cmd: \"x ${v}\", outs: [gen/]}, b: {cmd: x, outs: [sub/pipe.yaml]}}",
		"gen/v.yaml":    "v: 1",
		"sub/pipe.yaml": "stages: {s: {cmd: x, check: true}}",
	}
	_, err := parseFiles(files, Options{})
	const want = "pipe.yaml:1:8: vars: gen/v.yaml must be a file in git, but is in output gen of stage a (pipe.yaml:3:36)\n" +
		"pipe.yaml:2:11: include: sub/pipe.yaml must be a file in git, but is in output sub/pipe.yaml of stage b (pipe.yaml:3:63)"
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}
