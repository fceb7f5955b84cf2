package spec

import (
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/pkg/repopath"
)

func parseGood(t testing.TB, data string) *Project {
	t.Helper()
	p, err := Parse(FileName, []byte(data))
	if err != nil {
		t.Fatalf("%v\nin\n%s", err, data)
	}
	return p
}

// good is what testdata/good.yaml says.
func good() *Project {
	return &Project{
		Loose: true,
		Remotes: []Remote{
			{
				Name: "main", URL: "s3://acme/shop", Region: "eu-central-1", Endpoint: "https://minio:9000", Profile: "ci",
				PathStyle: true, SSE: "aws:kms", SSEKey: "key", Place: "pipe.yaml:3:3",
			},
			{Name: "nas", URL: "/mnt/store", Place: "pipe.yaml:11:3"},
		},
		Stages: []Stage{
			{
				Name: "deploy", Place: "pipe.yaml:34:3", Cmd: []string{"./deploy.sh"}, Shell: "sh", Wdir: ".",
				Deps: []Dep{
					{Path: ".env", Push: PushNo, Place: "pipe.yaml:36:33"}, {Path: "ca.pem", Push: PushYes, Place: "pipe.yaml:36:60"}, {Path: "dist/app.zip", Place: "pipe.yaml:36:12"},
				},
				Needs:  []Need{{Stage: "lint", Place: "pipe.yaml:38:18"}, {Stage: "zip", Place: "pipe.yaml:38:13"}},
				Frozen: true, Deploy: true, InRepo: true, Timeout: 90 * time.Second, Meta: `{"a":null,"b":[!"1","x"]}`,
			},
			{
				Name: "lint", Place: "pipe.yaml:43:3", Cmd: []string{"golint"}, Shell: "sh", Wdir: ".",
				Deps: []Dep{{Path: "app", Place: "pipe.yaml:46:12"}}, Needs: []Need{{Stage: "zip", Place: "pipe.yaml:47:13"}}, Check: true,
			},
			{Name: "report", Place: "pipe.yaml:48:3", Cmd: []string{"cat app/out/b/x"}, Shell: "sh", Wdir: ".", Deps: []Dep{{Path: "app/out/b/x", Place: "pipe.yaml:50:12"}}, Deploy: true, Inferred: true},
			{
				Name: "zip", Place: "pipe.yaml:14:3", Cmd: []string{"make ${TARGET}", "true"}, Shell: "bash", Wdir: "app",
				Deps: []Dep{
					{Path: "app/[id]/page.tsx", Place: "pipe.yaml:20:96"},
					{Path: "app/build.sh", Place: "pipe.yaml:20:18"},
					{Path: "app/src", Dir: true, Place: "pipe.yaml:20:12"},
					{Path: "assets", Place: "pipe.yaml:20:78"},
					{Glob: "lib/*.go", Place: "pipe.yaml:20:28"},
				},
				Tools:    []Asked{{Name: "cc --version | head -1", Place: "pipe.yaml:20:139"}, {Name: "go version", Place: "pipe.yaml:20:120"}},
				Excludes: []repopath.Pattern{"app/src/**/*.md", "lib/x_test.go"},
				Params: []Params{
					{File: "app/all.json", Place: "pipe.yaml:21:70"},
					{File: "app/params.yaml", Keys: []string{"version"}, Place: "pipe.yaml:21:14", Places: map[string]string{"version": "pipe.yaml:21:14"}},
					{File: "config/app.toml", Keys: []string{"1.5", "features.search"}, Place: "pipe.yaml:21:24", Places: map[string]string{"1.5": "pipe.yaml:21:62", "features.search": "pipe.yaml:21:45"}},
				},
				Env: []Env{
					{Name: "CGO_ENABLED", Value: "0", Literal: true, Place: "pipe.yaml:22:21"},
					{Name: "DEBUG", Value: "1.50", Literal: true, Place: "pipe.yaml:22:39"},
					{Name: "EMPTY", Literal: true, Place: "pipe.yaml:22:54"},
					{Name: "GOFLAGS", Place: "pipe.yaml:22:11"},
					{Name: "NPM_TOKEN", Secret: IsSecret, Place: "pipe.yaml:22:67"},
					{Name: "SORT_KEY", Secret: NotSecret, Place: "pipe.yaml:22:96"},
				},
				Outs: []Out{
					{Path: "app/a", Persist: true, NoPush: true, Place: "pipe.yaml:26:9"},
					{Path: "app/c", Place: "pipe.yaml:27:9"},
					{Path: "app/out/b", Dir: true, Place: "pipe.yaml:24:9"},
					{Path: "dist/app.zip", NoCache: true, SHA256: true, Place: "pipe.yaml:25:16"},
				},
				Platform: "auto", AlwaysChanged: true, Timeout: 90 * time.Minute, Mutex: "gpu", Desc: "builds", Meta: `{"a":null,"b":[!"1","x"]}`,
			},
		},
	}
}

func TestAWholeFileIsRead(t *testing.T) {
	data, err := os.ReadFile("testdata/good.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p := parseGood(t, string(data))
	if !reflect.DeepEqual(p, good()) {
		t.Errorf("got\n%+v\nwant\n%+v", p, good())
	}
	if p.Stage("zip") != &p.Stages[3] || p.Stage("nope") != nil {
		t.Error("Stage finds the wrong one")
	}
}

func TestAPlainRemoteIsTheDefault(t *testing.T) {
	p := parseGood(t, "remote: ../store\nstages: {}\n")
	if want := []Remote{{Name: "default", URL: "../store", Place: "pipe.yaml:1:9"}}; !reflect.DeepEqual(p.Remotes, want) || p.Loose {
		t.Errorf("got %+v", p)
	}
}

// upNames says who needs whom, in words.
func upNames(p *Project) map[string]string {
	g, all := p.Edges(), map[string]string{}
	for i := range p.Stages {
		var up []string
		for _, u := range g.Up(i) {
			up = append(up, p.Stages[u].Name)
		}
		slices.Sort(up)
		all[p.Stages[i].Name] = strings.Join(up, " ")
	}
	return all
}

func TestStagesNeedThoseWhoseOutsTheyRead(t *testing.T) {
	p := parseGood(t, `
stages:
  file: {cmd: x, outs: [gen/f.txt]}
  dir: {cmd: x, outs: [dist/]}
  conf: {cmd: x, outs: [conf/p.yaml]}
  near: {cmd: x, outs: [dist.txt]}
  equal: {cmd: x, deps: [gen/f.txt]}
  inside: {cmd: x, deps: [dist/a/b]}
  holding: {cmd: x, deps: [gen/]}
  glob: {cmd: x, deps: ["gen/*.txt"]}
  globdeep: {cmd: x, deps: ["**/*.txt", "!dist/"]}
  globinside: {cmd: x, deps: ["dist/a/*.js"]}
  globmiss: {cmd: x, deps: ["gen/*.md"]}
  excluded: {cmd: x, deps: [gen, dist, "!dist/", "!**/f.txt"]} # what is named itself stays
  named: {cmd: x, deps: [gen/f.txt, "!*.txt", "!gen", "!**/f.txt"]}
  part: {cmd: x, deps: [dist/a, "!dist"]}
  noglob: {cmd: x, deps: ["gen/**", "!gen"]}
  params: {cmd: x, params: [{conf/p.yaml: [k]}]}
  whole: {cmd: x, deps: [.], outs: [w]}
  twice: {cmd: x, deps: [dist/a, dist/b, "dist/*"]}
`)
	want := map[string]string{
		"file": "", "dir": "", "conf": "", "near": "", "equal": "file", "inside": "dir", "holding": "file", "glob": "file",
		"globdeep": "file near", "globinside": "dir", "globmiss": "", "excluded": "dir", "params": "conf", "whole": "conf dir file near", "twice": "dir",
		"named": "file", "part": "dir", "noglob": "",
	}
	for name, got := range upNames(p) {
		if got != want[name] {
			t.Errorf("%s needs %q, want %q", name, got, want[name])
		}
	}
}

// drawStages makes a project whose stages read from and write to a small tree.
func drawStages(t *rapid.T) *Project {
	path := rapid.Custom(func(t *rapid.T) repopath.Path {
		return repopath.Path(strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "a.b", "a-"}), 1, 3).Draw(t, "path"), "/"))
	})
	glob := rapid.SampledFrom([]repopath.Pattern{"*", "**", "a/*", "a/**", "**/b", "a*", "b/{a,b}", "a.?/*"})
	p := &Project{}
	for i := range rapid.IntRange(1, 6).Draw(t, "stages") {
		s := Stage{Name: fmt.Sprint(i)}
		for _, d := range rapid.SliceOfN(path, 0, 2).Draw(t, "deps") {
			s.Deps = append(s.Deps, Dep{Path: d})
		}
		for _, g := range rapid.SliceOfN(glob, 0, 1).Draw(t, "globs") {
			s.Deps = append(s.Deps, Dep{Glob: g})
		}
		s.Excludes = rapid.SliceOfN(glob, 0, 1).Draw(t, "excludes")
		for _, o := range rapid.SliceOfN(path, 0, 2).Draw(t, "outs") {
			if !slices.ContainsFunc(p.Stages, func(s Stage) bool {
				return slices.ContainsFunc(s.Outs, func(x Out) bool { return x.Path == o })
			}) && !slices.ContainsFunc(s.Outs, func(x Out) bool { return x.Path == o }) {
				s.Outs = append(s.Outs, Out{Path: o, Dir: rapid.Bool().Draw(t, "dir")})
			}
		}
		s.Check = rapid.IntRange(0, 3).Draw(t, "check") == 0
		if n := rapid.IntRange(0, 9).Draw(t, "need"); n < 6 && n != i {
			s.Needs = []Need{{Stage: fmt.Sprint(n)}}
		}
		p.Stages = append(p.Stages, s)
	}
	return p
}

func TestEdgesAreThoseOfTheNaiveRule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawStages(t)
		g := p.Edges()
		for i, s := range p.Stages {
			for j, other := range p.Stages {
				want := slices.Contains(s.Needs, Need{Stage: other.Name})
				for _, d := range s.Deps {
					for _, o := range other.Outs {
						var reads bool
						if d.Glob != "" {
							reads = d.Glob.Match(o.Path) && !o.Dir && !other.Check || o.Path.Holds(d.Glob.Base())
						} else {
							reads = d.Path.Holds(o.Path) && !other.Check || o.Path.Holds(d.Path)
						}
						at := d.Path // no exclude takes away what a dep is, or lies in
						if d.Glob != "" {
							at = d.Glob.Base()
						}
						want = want || reads && (o.Path.Holds(at) || !s.LeavesOut(d, o.Path))
					}
				}
				if got := slices.Contains(g.Up(i), j); got != (want && i != j) {
					t.Fatalf("%s needs %s: %v\n%+v", s.Name, other.Name, got, p.Stages)
				}
			}
		}
	})
}

func TestTheOrderOfListsMeansNothing(t *testing.T) {
	data, err := os.ReadFile("testdata/good.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := parseGood(t, string(data))
	const deps = `src/, build.sh, ../lib/*.go, "!src/**/*.md", "!../lib/x_test.go", ../assets, {path: "[id]/page.tsx"}`
	const env = `GOFLAGS, {CGO_ENABLED: "0", DEBUG: 1.50}, {EMPTY: ""}, {NPM_TOKEN: {secret: true}}`
	rapid.Check(t, func(t *rapid.T) {
		mixed := strings.Replace(string(data), deps, strings.Join(rapid.Permutation(strings.Split(deps, ", ")).Draw(t, "deps"), ", "), 1)
		mixed = strings.Replace(mixed, env, strings.Join(rapid.Permutation([]string{"GOFLAGS", `{DEBUG: 1.50, CGO_ENABLED: "0"}`, `{EMPTY: ""}`, `{NPM_TOKEN: {secret: true}}`}).Draw(t, "env"), ", "), 1)
		got, err := Parse(FileName, []byte(mixed))
		if err != nil {
			t.Fatal(err)
		}
		if a, b := unplaced(got), unplaced(want); a != b {
			t.Fatalf("got\n%s\nwant\n%s", a, b)
		}
	})
}

func TestAnExcludeHasOneFormWithAndWithoutItsSlash(t *testing.T) {
	read := func(deps string) []repopath.Pattern {
		p, err := Parse(FileName, []byte("stages: {a: {cmd: x, wdir: w, deps: ["+deps+"]}}\n"))
		if err != nil {
			t.Fatal(err)
		}
		return p.Stages[0].Excludes
	}
	if got := read(`src, "!src/d/", "!x/*//"`); !slices.Equal(got, read(`src, "!src/d", "!x/*"`)) || !slices.Equal(got, []repopath.Pattern{"w/src/d", "w/x/*"}) {
		t.Errorf("%q", got)
	}
}

// unplaced writes a project without its places.
func unplaced(p *Project) string {
	var b strings.Builder
	for _, s := range p.Stages {
		fmt.Fprintln(&b, s.Name, s.Cmd, s.Shell, s.Wdir, s.Excludes, s.Frozen, s.AlwaysChanged, s.Deploy, s.InRepo, s.Platform, s.Timeout, s.Mutex, s.Desc, s.Meta)
		for _, d := range s.Deps {
			fmt.Fprintln(&b, " dep", d.Path, d.Glob, d.Dir)
		}
		for _, f := range s.Params {
			fmt.Fprintln(&b, " params", f.File, f.Keys)
		}
		for _, e := range s.Env {
			fmt.Fprintln(&b, " env", e.Name, e.Value, e.Literal, e.Secret)
		}
		for _, o := range s.Outs {
			fmt.Fprintln(&b, " out", o.Path, o.Dir, o.NoCache, o.Persist, o.NoPush, o.SHA256)
		}
	}
	return b.String()
}

func FuzzParse(f *testing.F) {
	good, err := os.ReadFile("testdata/good.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	for _, name := range []string{"top", "remotes", "names", "fields", "items", "graph", "alias", "stagekeys", "sources", "environments", "extends", "extended"} {
		data, err := os.ReadFile("testdata/bad-" + name + ".yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse(FileName, data)
		if (p == nil) == (err == nil) {
			t.Fatalf("got %v and %v", p, err)
		}
		if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				if line == "" {
					t.Fatalf("an empty fault in %q", err)
				}
			}
			return
		}
		if order, _ := p.Edges().Sort(); len(order) != len(p.Stages) {
			t.Fatal("a cycle got in")
		}
		for _, s := range p.Stages {
			if len(s.Cmd) == 0 || s.Shell == "" || s.Wdir == "" || s.Deploy != (len(s.Outs) == 0 && !s.Check) {
				t.Fatalf("half a stage: %+v", s)
			}
		}
	})
}

// manyStages is a project of n stages: chains, a shared directory and globs.
func manyStages(n int) []byte {
	var b strings.Builder
	b.WriteString("stages:\n")
	for i := range n {
		fmt.Fprintf(&b, "  s%d:\n    cmd: make s%d\n    deps: [src/%d/, common.txt, \"lib/%d/*.go\"", i, i, i, i)
		if i > 0 {
			fmt.Fprintf(&b, ", out/%d/bin", rand.New(rand.NewPCG(1, uint64(i))).IntN(i))
		}
		fmt.Fprintf(&b, "]\n    params: [k%d]\n    outs: [out/%d]\n", i, i)
	}
	b.WriteString("  all: {cmd: x, deps: [out/, \"**/9*\"]}\n")
	return []byte(b.String())
}

func TestTenThousandStagesAreNoTrouble(t *testing.T) {
	p := parseGood(t, string(manyStages(10_000)))
	g := p.Edges()
	if all := slices.IndexFunc(p.Stages, func(s Stage) bool { return s.Name == "all" }); len(g.Up(all)) != 10_000 {
		t.Errorf("all needs %d", len(g.Up(all)))
	}
}

func BenchmarkParse(b *testing.B) {
	for _, n := range []int{100, 1000, 10_000} {
		data := manyStages(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				parseGood(b, string(data))
			}
		})
	}
}

func BenchmarkEdges(b *testing.B) {
	p := parseGood(b, string(manyStages(10_000)))
	for b.Loop() {
		p.Edges()
	}
}

func TestANameThatLooksLikeASecretIsOneUnlessSaid(t *testing.T) {
	for name, want := range map[string]bool{
		"NPM_TOKEN": true, "token": true, "DB_PASSWORD": true, "KEY": true, "A_PIN_B": true, "AWS_SECRET_ACCESS_KEY": true, "CREDENTIAL": true, "PASSWD": true,
		"TOKENS": false, "MONKEY": false, "KEYBOARD_LAYOUT": false, "SPIN": false, "GOFLAGS": false,
	} {
		if got := (Env{Name: name}).LooksSecret(); got != want {
			t.Errorf("%s: %v", name, got)
		}
		if (Env{Name: name, Secret: NotSecret}).LooksSecret() || (Env{Name: name, Secret: IsSecret}).LooksSecret() || (Env{Name: name, Literal: true}).LooksSecret() {
			t.Errorf("%s: noted though it is settled", name)
		}
	}
}

func TestAWordForTheLockIsHintedAsAMap(t *testing.T) {
	for text, want := range map[string]string{"off": "lock: {commit: off}", "pr": "lock: {commit: pr}", "yes": "lock: {commit: push}"} {
		_, err := Parse(FileName, []byte("lock: "+text+"\nstages:\n  a: {cmd: x, outs: [y]}\n"))
		if all := diag.All(err); len(all) != 1 || all[0].Hint != want {
			t.Errorf("%s: %v", text, all)
		}
	}
}

func TestWhatBecomesOfTheLockNeedsNoQuotes(t *testing.T) {
	for _, word := range LockCommits() {
		for _, text := range []string{word, `"` + word + `"`} {
			p := parseGood(t, "lock: {commit: "+text+"}\nstages:\n  a: {cmd: x, outs: [y]}\n")
			if p.LockCommit != word {
				t.Errorf("%s is %q", text, p.LockCommit)
			}
		}
	}
}
