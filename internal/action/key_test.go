package action

import (
	"flag"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pipe-build/pipe/internal/dotenv"
	"github.com/pipe-build/pipe/internal/params"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

var update = flag.Bool("update", false, "write the golden files anew")

func sum(s string) digest.Digest { return digest.Of([]byte(s)) }

// example is a stage with all that a key covers, and the inputs that go with it.
func example() (*spec.Stage, Inputs) {
	s := &spec.Stage{
		Name: "build", Place: "pipe.yaml:3:3", Cmd: []string{"./build.sh", "echo done"}, Shell: "bash", Wdir: "app",
		Deps:     []spec.Dep{{Glob: "app/*.go"}, {Path: "app/build.sh"}, {Path: "lib", Dir: true}},
		Tools:    []spec.Asked{{Name: "go version"}},
		Images:   []spec.Asked{{Name: "alpine"}},
		URLs:     []spec.Asked{{Name: "https://h/x"}},
		Excludes: []repopath.Pattern{"lib/**/*.md"},
		Params:   []spec.Params{{File: "params.yaml", Keys: []string{"lr", "size"}}},
		Env:      []spec.Env{{Name: "CGO_ENABLED", Value: "0", Literal: true}, {Name: "GOFLAGS", File: &dotenv.Var{Name: "GOFLAGS", Value: "-v"}}},
		EnvFiles: []spec.EnvFile{{Path: ".env"}},
		PassEnv:  []string{"CI"},
		Passed:   []dotenv.Var{{Name: "CI", Value: "1"}},
		Outs:     []spec.Out{{Path: "app/bin", Dir: true}, {Path: "app/report.txt", NoCache: true}},
		Needs:    []spec.Need{{Stage: "lint"}},
	}
	in := Inputs{
		Deps: []artifact.Input{
			{Path: "app/*.go", Kind: artifact.Glob, Digest: sum("glob"), Size: 10, Files: 2},
			{Path: "app/build.sh", Exec: true, Digest: sum("script"), Size: 5},
			{Path: "lib", Kind: artifact.Dir, Digest: sum("lib"), Size: 99, Files: 3, In: sum("tree")},
		},
		Asked: artifact.Asked{
			Tools:  []artifact.Tool{{Cmd: "go version", Digest: sum("go1.26"), Size: 7, Line: "go1.26"}},
			Images: []artifact.Named{{Name: "alpine", Answer: "sha256:aa"}},
			URLs:   []artifact.Named{{Name: "https://h/x", Answer: `etag:"1"`}},
		},
		Platform: "linux/amd64", Hidden: []repopath.Path{"secret.yaml"},
		Params: []params.Value{{File: "params.yaml", Key: "lr", Value: "0.1"}, {File: "params.yaml", Key: "size", Value: "[1,2]"}},
		Env:    []EnvValue{{Name: "CGO_ENABLED", Value: "0", Set: true, Literal: true}, {Name: "GOFLAGS", Value: "-trimpath", Set: true}},
	}
	return s, in
}

// LESSONS 7: no field of a definition or of its inputs is forgotten.
func TestEveryFieldIsInTheKeyOrOnTheListWithAReason(t *testing.T) {
	fields := 0
	each := func(name string, field func(s *spec.Stage, in *Inputs) reflect.Value) {
		s, in := example()
		before := KeyOf(s, resolve(s, in))
		s, in = example()
		change(t, name, field(s, &in))
		after := KeyOf(s, resolve(s, in))
		reason, out := notInKey[name]
		switch {
		case out && before != after:
			t.Errorf("%s is in the key, though the list says %q", name, reason)
		case !out && before == after:
			t.Errorf("%s is not in the key, and no reason is given", name)
		}
		fields++
	}
	walk := func(sample any, at func(s *spec.Stage, in *Inputs) reflect.Value) {
		typ := reflect.TypeOf(sample)
		for i := range typ.NumField() {
			f := typ.Field(i)
			if f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct || slices.Contains([]reflect.Type{reflect.TypeFor[spec.Verify](), reflect.TypeFor[artifact.Asked]()}, f.Type) {
				continue // walked by itself
			}
			each(typ.Name()+"."+f.Name, func(s *spec.Stage, in *Inputs) reflect.Value { return at(s, in).Field(i) })
		}
	}
	walk(spec.Stage{}, func(s *spec.Stage, _ *Inputs) reflect.Value { return reflect.ValueOf(s).Elem() })
	walk(spec.Dep{}, func(s *spec.Stage, _ *Inputs) reflect.Value { return reflect.ValueOf(&s.Deps[1]).Elem() })
	for _, list := range []func(s *spec.Stage) []spec.Asked{
		func(s *spec.Stage) []spec.Asked { return s.Tools }, func(s *spec.Stage) []spec.Asked { return s.Images }, func(s *spec.Stage) []spec.Asked { return s.URLs },
	} {
		walk(spec.Asked{}, func(s *spec.Stage, _ *Inputs) reflect.Value { return reflect.ValueOf(&list(s)[0]).Elem() })
	}
	walk(artifact.Tool{}, func(_ *spec.Stage, in *Inputs) reflect.Value { return reflect.ValueOf(&in.Tools[0]).Elem() })
	walk(artifact.Named{}, func(_ *spec.Stage, in *Inputs) reflect.Value { return reflect.ValueOf(&in.Images[0]).Elem() })
	walk(artifact.Named{}, func(_ *spec.Stage, in *Inputs) reflect.Value { return reflect.ValueOf(&in.URLs[0]).Elem() })
	walk(spec.Need{}, func(s *spec.Stage, _ *Inputs) reflect.Value { return reflect.ValueOf(&s.Needs[0]).Elem() })
	walk(spec.Params{}, func(s *spec.Stage, _ *Inputs) reflect.Value { return reflect.ValueOf(&s.Params[0]).Elem() })
	walk(spec.Env{}, func(s *spec.Stage, _ *Inputs) reflect.Value { return reflect.ValueOf(&s.Env[0]).Elem() })
	walk(spec.EnvFile{}, func(s *spec.Stage, _ *Inputs) reflect.Value { return reflect.ValueOf(&s.EnvFiles[0]).Elem() })
	walk(dotenv.Var{}, func(s *spec.Stage, _ *Inputs) reflect.Value { return reflect.ValueOf(&s.Passed[0]).Elem() })
	walk(spec.Verify{}, func(s *spec.Stage, _ *Inputs) reflect.Value { return reflect.ValueOf(&s.Verify).Elem() })
	walk(spec.Out{}, func(s *spec.Stage, _ *Inputs) reflect.Value { return reflect.ValueOf(&s.Outs[0]).Elem() })
	walk(Inputs{}, func(_ *spec.Stage, in *Inputs) reflect.Value { return reflect.ValueOf(in).Elem() })
	walk(artifact.Input{}, func(_ *spec.Stage, in *Inputs) reflect.Value { return reflect.ValueOf(&in.Deps[0]).Elem() })
	walk(params.Value{}, func(_ *spec.Stage, in *Inputs) reflect.Value { return reflect.ValueOf(&in.Params[0]).Elem() })
	walk(EnvValue{}, func(_ *spec.Stage, in *Inputs) reflect.Value { return reflect.ValueOf(&in.Env[0]).Elem() })
	if fields < 40 {
		t.Errorf("only %d fields were looked at", fields)
	}
}

// resolve gives inputs the declared names and literal values, as whoever reads them does.
func resolve(s *spec.Stage, in Inputs) Inputs {
	was, _ := example()
	for i, d := range s.Deps {
		if d.String() != was.Deps[i].String() {
			in.Deps[i].Path = repopath.Path(d.String())
		}
		if d.Top != was.Deps[i].Top {
			in.Deps[i].Kind = in.Deps[i].Kind.Top()
		}
	}
	if t := s.Tools[0]; t != was.Tools[0] {
		in.Tools[0].Cmd = t.Name
	}
	if n := s.Images[0]; n != was.Images[0] {
		in.Images[0].Name = n.Name
	}
	if n := s.URLs[0]; n != was.URLs[0] {
		in.URLs[0].Name = n.Name
	}
	for i, e := range s.Env {
		if e.Name != was.Env[i].Name {
			in.Env[i].Name = e.Name
		}
		if e.Literal && e.Value != was.Env[i].Value {
			in.Env[i].Value = e.Value
		}
	}
	for _, p := range s.Params {
		if p.File != was.Params[0].File {
			in.Params[0].File = p.File
		}
		if !slices.Equal(p.Keys, was.Params[0].Keys) {
			in.Params[0].Key = p.Keys[0]
		}
	}
	return in
}

// change makes a field another value, whatever its type.
func change(t *testing.T, name string, v reflect.Value) {
	t.Helper()
	switch {
	case v.Type() == reflect.TypeFor[time.Duration]():
		v.SetInt(v.Int() + int64(time.Second))
	case v.Type() == reflect.TypeFor[digest.Digest]():
		v.Set(reflect.ValueOf(sum("something else")))
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case v.Kind() == reflect.String:
		v.SetString(v.String() + "x")
	case v.Kind() == reflect.Bool:
		v.SetBool(!v.Bool())
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case v.Kind() == reflect.Uint8:
		v.SetUint(v.Uint() + 1)
	case v.Kind() == reflect.Int || v.Kind() == reflect.Int64:
		v.SetInt(v.Int() + 1)
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.String:
		v.Index(0).SetString(v.Index(0).String() + "x")
	case v.Kind() == reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
	default:
		t.Fatalf("%s: the test cannot change a %s; teach it", name, v.Type())
	}
}

// LESSONS 7: what is no longer declared changes the key, too.
func TestLessDeclaredIsAnotherKey(t *testing.T) {
	for name, drop := range map[string]func(*spec.Stage, *Inputs){
		"dep":     func(_ *spec.Stage, in *Inputs) { in.Deps = in.Deps[1:] },
		"tool":    func(_ *spec.Stage, in *Inputs) { in.Tools = nil },
		"image":   func(_ *spec.Stage, in *Inputs) { in.Images = nil },
		"url":     func(_ *spec.Stage, in *Inputs) { in.URLs = nil },
		"param":   func(_ *spec.Stage, in *Inputs) { in.Params = in.Params[1:] },
		"env":     func(_ *spec.Stage, in *Inputs) { in.Env = in.Env[1:] },
		"exclude": func(s *spec.Stage, _ *Inputs) { s.Excludes = nil },
		"out":     func(s *spec.Stage, _ *Inputs) { s.Outs = s.Outs[1:] },
		"command": func(s *spec.Stage, _ *Inputs) { s.Cmd = s.Cmd[1:] },
	} {
		s, in := example()
		before := KeyOf(s, in)
		if drop(s, &in); KeyOf(s, in) == before {
			t.Errorf("%s dropped: the same key", name)
		}
	}
}

func TestAnUnsetVariableIsNotAnEmptyOne(t *testing.T) {
	s := &spec.Stage{}
	if KeyOf(s, Inputs{Env: []EnvValue{{Name: "A", Set: true}}}) == KeyOf(s, Inputs{Env: []EnvValue{{Name: "A"}}}) {
		t.Error("the same key")
	}
}

// LESSONS 20: files 1 and 2 are not the file 12; no byte moves over a border of fields.
func TestBytesMovedAcrossFieldsGiveOtherKeys(t *testing.T) {
	dep := func(p, content string) artifact.Input {
		return artifact.Input{Path: repopath.Path(p), Digest: sum(content)}
	}
	pairs := map[string][2]digest.Key{
		"deps 1 2 and 12": {
			KeyOf(&spec.Stage{}, Inputs{Deps: []artifact.Input{dep("1", ""), dep("2", "")}}),
			KeyOf(&spec.Stage{}, Inputs{Deps: []artifact.Input{dep("12", "")}}),
		},
		"scripts": {KeyOf(&spec.Stage{Cmd: []string{"a", "b"}}, Inputs{}), KeyOf(&spec.Stage{Cmd: []string{"ab"}}, Inputs{})},
		"scripts joined by a newline": {
			KeyOf(&spec.Stage{Cmd: []string{"a", "b"}}, Inputs{}), KeyOf(&spec.Stage{Cmd: []string{"a\nb"}}, Inputs{}),
		},
		"shell and wdir": {KeyOf(&spec.Stage{Shell: "sh", Wdir: "a"}, Inputs{}), KeyOf(&spec.Stage{Shell: "s", Wdir: "ha"}, Inputs{})},
		"name and value": {
			KeyOf(&spec.Stage{}, Inputs{Env: []EnvValue{{Name: "A", Value: "BC"}}}),
			KeyOf(&spec.Stage{}, Inputs{Env: []EnvValue{{Name: "AB", Value: "C"}}}),
		},
		"param key and value": {
			KeyOf(&spec.Stage{}, Inputs{Params: []params.Value{{File: "p", Key: "a", Value: "1"}}}),
			KeyOf(&spec.Stage{}, Inputs{Params: []params.Value{{File: "pa", Value: "1"}}}),
		},
		"exclude and out": {
			KeyOf(&spec.Stage{Excludes: []repopath.Pattern{"a"}}, Inputs{}), KeyOf(&spec.Stage{Outs: []spec.Out{{Path: "a"}}}, Inputs{}),
		},
		"images and URLs": {
			KeyOf(&spec.Stage{}, Inputs{Asked: artifact.Asked{Images: []artifact.Named{{Name: "a", Answer: "b"}}}}),
			KeyOf(&spec.Stage{}, Inputs{Asked: artifact.Asked{URLs: []artifact.Named{{Name: "a", Answer: "b"}}}}),
		},
		"name and answer": {
			KeyOf(&spec.Stage{}, Inputs{Asked: artifact.Asked{URLs: []artifact.Named{{Name: "a", Answer: "bc"}}}}),
			KeyOf(&spec.Stage{}, Inputs{Asked: artifact.Asked{URLs: []artifact.Named{{Name: "ab", Answer: "c"}}}}),
		},
		"env and params": {
			KeyOf(&spec.Stage{}, Inputs{Env: []EnvValue{{Name: "a", Value: "b"}}}),
			KeyOf(&spec.Stage{}, Inputs{Params: []params.Value{{File: "a", Value: "b"}}}),
		},
	}
	for name, p := range pairs {
		if p[0] == p[1] {
			t.Errorf("%s: the same key", name)
		}
	}
}

// LESSONS 20, for any two definitions.
func TestTwoDefinitionsHaveOneKeyOnlyIfTheyAreOne(t *testing.T) {
	word := rapid.SampledFrom([]string{"", "a", "b", "ab", "a\x00b", "\x01a"})
	definition := rapid.Custom(func(t *rapid.T) Inputs {
		var in Inputs
		for range rapid.IntRange(0, 2).Draw(t, "deps") {
			in.Deps = append(in.Deps, artifact.Input{Path: repopath.Path(word.Draw(t, "path")), Kind: artifact.Kind(word.Draw(t, "kind")), Exec: rapid.Bool().Draw(t, "exec")})
		}
		for range rapid.IntRange(0, 2).Draw(t, "params") {
			in.Params = append(in.Params, params.Value{File: repopath.Path(word.Draw(t, "file")), Key: word.Draw(t, "key"), Value: word.Draw(t, "value")})
		}
		for range rapid.IntRange(0, 2).Draw(t, "env") {
			in.Env = append(in.Env, EnvValue{Name: word.Draw(t, "name"), Value: word.Draw(t, "value"), Set: rapid.Bool().Draw(t, "set")})
		}
		return in
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := definition.Draw(t, "a"), definition.Draw(t, "b")
		cmdA, cmdB := rapid.SliceOfN(word, 0, 3).Draw(t, "cmdA"), rapid.SliceOfN(word, 0, 3).Draw(t, "cmdB")
		same := reflect.DeepEqual(a, b) && slices.Equal(cmdA, cmdB)
		if got := KeyOf(&spec.Stage{Cmd: cmdA}, a) == KeyOf(&spec.Stage{Cmd: cmdB}, b); got != same {
			t.Fatalf("same key: %v, same definition: %v", got, same)
		}
	})
}

func TestOrderOfListsInTheFileDoesNotMatter(t *testing.T) {
	const head = "stages:\n  s:\n    cmd: [one, two]\n"
	a := head + "    deps: [a, b, '!x', '!y']\n    params: [p, q]\n    env: [A, {B: '1'}]\n    outs: [o, {path: n, cache: false}]\n"
	b := head + "    outs: [{path: n, cache: false}, o]\n    env: [{B: '1'}, A]\n    params: [q, p]\n    deps: ['!y', b, '!x', a]\n"
	c := strings.Replace(a, "[one, two]", "[two, one]", 1)
	key := func(text string) digest.Key {
		p, err := spec.Parse("pipe.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		s := p.Stage("s")
		var in Inputs
		for _, d := range s.Deps {
			in.Deps = append(in.Deps, artifact.Input{Path: d.Path, Digest: sum(d.String())})
		}
		for _, f := range s.Params {
			for _, k := range f.Keys {
				in.Params = append(in.Params, params.Value{File: f.File, Key: k, Value: "1"})
			}
		}
		for _, e := range s.Env {
			in.Env = append(in.Env, EnvValue{Name: e.Name, Value: e.Value, Set: e.Literal, Literal: e.Literal})
		}
		return KeyOf(s, in)
	}
	if key(a) != key(b) {
		t.Error("another order of deps, params, env and outs is another key")
	}
	if key(a) == key(c) {
		t.Error("another order of commands is the same key")
	}
}

// LESSONS 14: the lock keeps no value that comes from outside.
func TestTheLockKeepsOnlyAHashOfValuesFromOutside(t *testing.T) {
	for _, c := range []struct {
		in   EnvValue
		want lockfile.Env
	}{
		{EnvValue{Name: "A", Value: "1", Set: true, Literal: true}, lockfile.Env{Name: "A", Value: "1"}},
		{EnvValue{Name: "A"}, lockfile.Env{Name: "A", Hash: "unset"}},
		{EnvValue{Name: "A", Value: "1", Set: true, Secret: true}, lockfile.Env{Name: "A", Hash: "set"}},
		{EnvValue{Name: "A", Value: "1", Set: true, Secret: true, Literal: true}, lockfile.Env{Name: "A", Hash: "set"}},
		{EnvValue{Name: "A", Secret: true}, lockfile.Env{Name: "A", Hash: "unset"}},
	} {
		if got := LockEnv(c.in); got != c.want {
			t.Errorf("%+v: %+v, want %+v", c.in, got, c.want)
		}
	}
	secret := LockEnv(EnvValue{Name: "TOKEN", Value: "hunter2", Set: true})
	if secret.Value != "" || secret.Hash == "" || strings.Contains(secret.Hash, "hunter2") {
		t.Errorf("%+v", secret)
	}
	if secret.Hash == LockEnv(EnvValue{Name: "TOKEN", Value: "hunter3", Set: true}).Hash {
		t.Error("two values, one hash")
	}
	if secret.Hash == LockEnv(EnvValue{Name: "TOKEN2", Value: "hunter2", Set: true}).Hash {
		t.Error("equal values of two variables can be told from their hashes")
	}
	if LockEnv(EnvValue{Name: "A", Set: true}).Hash == "unset" {
		t.Error("an empty variable is unset")
	}
}

func TestHashVariablesFollowThePath(t *testing.T) {
	for path, want := range map[repopath.Path]string{
		"artifacts/my-app.zip": "PIPE_HASH_ARTIFACTS_MY_APP_ZIP",
		"a":                    "PIPE_HASH_A",
		"azAZ09":               "PIPE_HASH_AZAZ09",
		"`{@[/:":               "PIPE_HASH_______",
		"1/ü":                  "PIPE_HASH_1__",
	} {
		if got := Variable(HashPrefix, path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

func TestPathsThatShareAVariableSetItOnlyIfTheirHashesAgree(t *testing.T) {
	n := func(p, content string) Named { return Named{repopath.Path(p), sum(content).Hex()} }
	for _, c := range []struct {
		in   []Named
		want []string
	}{
		{nil, nil},
		{[]Named{n("a", "1"), n("b", "2")}, []string{"PIPE_HASH_A=" + sum("1").Hex(), "PIPE_HASH_B=" + sum("2").Hex()}},
		{[]Named{n("a.b", "1"), n("a/b", "2"), n("c", "3")}, []string{"PIPE_HASH_C=" + sum("3").Hex()}},
		{[]Named{n("a.b", "1"), n("a/b", "1")}, []string{"PIPE_HASH_A_B=" + sum("1").Hex()}},
		{[]Named{n("a.b", "1"), n("a/b", "2"), n("a-b", "1")}, nil},
		{[]Named{n("a.b", "1"), n("a/b", "2"), n("a-b", "2")}, nil},
		{[]Named{n("a.b", "1"), n("a/b", "1"), n("A_B", "2")}, nil},
	} {
		if got := Variables(HashPrefix, c.in); !slices.Equal(got, c.want) {
			t.Errorf("%v: %q, want %q", c.in, got, c.want)
		}
	}
}

// FORMAT.md: values of files that git ignores, and long ones, stand in the lock by their hash.
func TestTheLockKeepsNoHiddenOrLongParam(t *testing.T) {
	in := Inputs{Hidden: []repopath.Path{"secret.yaml"}}
	long := `"` + strings.Repeat("x", 255) + `"`
	for _, c := range []struct {
		v      params.Value
		hashed bool
	}{
		{params.Value{File: "params.yaml", Key: "a", Value: `"v"`}, false},
		{params.Value{File: "params.yaml", Key: "a", Value: long[:255] + `"`}, false},
		{params.Value{File: "params.yaml", Key: "a", Value: long}, true},
		{params.Value{File: "secret.yaml", Key: "a", Value: `"v"`}, true},
	} {
		p := in.LockParam(c.v)
		if hashed := p.Value == "" && p.Hash == digest.Of([]byte(c.v.Value)); hashed != c.hashed || !hashed && p.Value != c.v.Value {
			t.Errorf("%s:%s of %d bytes: %+v", c.v.File, c.v.Key, len(c.v.Value), p)
		}
	}
}
