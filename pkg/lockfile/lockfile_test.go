package lockfile

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
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

func copyOf(f *File) *File {
	return &File{Stages: slices.Clone(f.Stages), Sources: slices.Clone(f.Sources)}
}

func keyOf(s string) digest.Key { return digest.Key(sum(s)) }

// example has every field, and every scalar that needs quotes.
func example() *File {
	return &File{Stages: []Stage{
		{
			Name: "build", Key: keyOf("build"), Generation: 2, Cmd: sum("./build.sh"),
			Deps: []artifact.Input{
				{Path: ".", Kind: artifact.Dir, Digest: sum("root"), Size: 10, Files: 2},
				{Path: "build.sh", Exec: true, Digest: sum("script"), Size: 120},
				{Path: "gen/api/v1.json", Digest: sum("api"), Size: 7, In: sum("tree of gen")},
				{Path: "lib/**/*.go", Kind: artifact.Glob, Digest: sum("glob"), Size: 4096, Files: 3},
				{Path: "src", Kind: artifact.Dir, Digest: sum("src"), Size: 99, Files: 9},
			},
			Asked: artifact.Asked{Tools: []artifact.Tool{
				{Cmd: "go version", Digest: sum("go version go1.26\n"), Size: 18, Line: "go version go1.26"},
				{Cmd: "true", Digest: sum("")},
				{Cmd: "uname", Digest: sum("Linux\n"), Size: 6},
			}},
			Params: []Param{
				{File: "config/app.yaml", Key: "features.search", Value: "true"},
				{File: "params.yaml", Value: `{"a":[1,"x"]}`},
				{File: "secret.yaml", Key: "pin", Hash: sum("0000")},
			},
			Env: []Env{
				{Name: "CGO_ENABLED", Value: "0"}, {Name: "EMPTY"}, {Name: "GOFLAGS", Hash: "0123456789ab"}, {Name: "TOKEN", Hash: "set"}, {Name: "no", Hash: "unset"},
			},
			Outs: []artifact.Output{
				{Path: "dist/app", Exec: true, Digest: sum("app"), Size: 1 << 40, SHA256: strings.Repeat("ab", 32)},
				{Path: "dist/static", Dir: true, Digest: sum("static"), Size: 5, Files: 1},
			},
		},
		{Name: "no", Key: keyOf("no"), Cmd: sum("no"), Outs: []artifact.Output{{Path: `it's "odd", [ü] 😀: #1`, Digest: sum(""), Size: 0}}},
		{Name: "pack@1.2", Key: keyOf("key 2"), Cmd: sum("tar"), Outs: []artifact.Output{{Path: "true", Digest: sum("t"), Size: 1}}},
	}}
}

func TestEncodeWritesTheDocumentedBytes(t *testing.T) {
	golden(t, "example.lock", example().Encode())
	golden(t, "empty.lock", (&File{}).Encode())
}

func TestParseReadsWhatEncodeWrote(t *testing.T) {
	for _, want := range []*File{{}, example(), named()} {
		got, err := Parse(FileName, want.Encode())
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v\nwant %+v", got, err, want)
		}
	}
}

// nasty are the characters that YAML, JSON and people stumble over.
var nasty = []rune("aZ09/._- \"':#,{}[]*?!&|>%@`~^$()=+;<" + "\u00e9\u0085\u00a0\u200b\u2028\u2029\ufeff\ufffd\ufffe\uffff😀\U0001fffe")

func texts() *rapid.Generator[string] { return rapid.StringOfN(rapid.RuneFrom(nasty), 1, 12, -1) }

// anyText also has what no path may hold.
func anyText() *rapid.Generator[string] {
	return rapid.StringOf(rapid.RuneFrom(append([]rune("\x00\t\n\r\x1b\x7f\\"), nasty...)))
}

func words() *rapid.Generator[string] {
	return rapid.SampledFrom([]string{"true", "No", "null", "y", "~", "1", "0x1f", "1e3", ".inf", "2026-01-02", "<<", "- a", "a: b", "dir", "blake3:x", "=", "_", "a #b", "%TAG"})
}

func paths() *rapid.Generator[repopath.Path] {
	return rapid.Custom(func(t *rapid.T) repopath.Path {
		p, err := repopath.Parse(rapid.OneOf(texts(), words()).Draw(t, "path"))
		if err != nil {
			return "plain/path.txt"
		}
		return p
	})
}

func digests() *rapid.Generator[digest.Digest] {
	return rapid.Custom(func(t *rapid.T) digest.Digest {
		return digest.Of([]byte(rapid.StringN(0, 3, -1).Draw(t, "content")))
	})
}

func depends() *rapid.Generator[artifact.Input] {
	return rapid.Custom(func(t *rapid.T) artifact.Input {
		d := artifact.Input{
			Path: paths().Draw(t, "dep"), Kind: rapid.SampledFrom([]artifact.Kind{artifact.OneFile, artifact.Dir, artifact.Glob}).Draw(t, "kind"),
			Digest: digests().Draw(t, "hash"), Exec: rapid.Bool().Draw(t, "exec"),
			Size: rapid.Int64Range(0, artifact.MaxNumber).Draw(t, "size"), Files: rapid.Int64Range(0, artifact.MaxNumber).Draw(t, "files"),
		}
		if rapid.Bool().Draw(t, "inside") {
			d.In = digests().Draw(t, "in")
		}
		if d.Kind == artifact.OneFile {
			d.Files = 0
		} else {
			d.Exec = false
		}
		if d.Kind == artifact.Glob {
			g, err := repopath.JoinPattern(repopath.Root, texts().Draw(t, "glob"))
			if err != nil {
				g = "**/*.go"
			}
			d.Path = repopath.Path(g)
		}
		return d
	})
}

func locks() *rapid.Generator[*File] {
	return rapid.Custom(func(t *rapid.T) *File {
		f := &File{}
		for range rapid.IntRange(0, 4).Draw(t, "stages") {
			s := Stage{
				Name: rapid.OneOf(rapid.StringMatching(`[A-Za-z0-9_][A-Za-z0-9_.@:/=,+-]{0,9}`), words()).Filter(artifact.IsStageName).Draw(t, "name"),
				Key:  digest.Key(digests().Draw(t, "key")), Cmd: digests().Draw(t, "cmd"),
				Generation: rapid.IntRange(0, 3).Draw(t, "generation"),
				Deps:       rapid.SliceOfN(depends(), 0, 3).Draw(t, "deps"),
			}
			for range rapid.IntRange(0, 2).Draw(t, "params") {
				p := Param{File: paths().Draw(t, "file"), Key: anyText().Draw(t, "key"), Value: anyText().Draw(t, "value")}
				if rapid.Bool().Draw(t, "long") {
					p.Value, p.Hash = "", digests().Draw(t, "hash")
				}
				s.Params = append(s.Params, p)
			}
			for range rapid.IntRange(0, 2).Draw(t, "env") {
				e := Env{Name: rapid.OneOf(texts(), words()).Draw(t, "variable"), Value: anyText().Draw(t, "value")}
				if rapid.Bool().Draw(t, "outside") {
					e.Value, e.Hash = "", texts().Draw(t, "hash")
				}
				s.Env = append(s.Env, e)
			}
			for range rapid.IntRange(0, 2).Draw(t, "outs") {
				o := artifact.Output{
					Path: paths().Draw(t, "out"), Dir: rapid.Bool().Draw(t, "dir"), Exec: rapid.Bool().Draw(t, "exec"),
					Digest: digests().Draw(t, "hash"), Size: rapid.Int64Range(0, artifact.MaxNumber).Draw(t, "size"), Files: rapid.Int64Range(0, artifact.MaxNumber).Draw(t, "files"),
				}
				if o.Dir {
					o.Exec = false
				} else {
					o.Files = 0
				}
				if !o.Dir && rapid.Bool().Draw(t, "asks") {
					o.SHA256 = digests().Draw(t, "sha256").Hex()
				}
				s.Outs = append(s.Outs, o)
			}
			f.Set(s)
		}
		return f
	})
}

// normal is f as Parse leaves it: lists sorted, without doubles, nil when empty.
func normal(f *File) *File {
	for i := range f.Stages {
		s := &f.Stages[i]
		s.Deps, s.Params, s.Env, s.Outs = settled(s.Deps, depOrder), settled(s.Params, paramOrder), settled(s.Env, envOrder), settled(s.Outs, outOrder)
	}
	return f
}

func settled[T any](items []T, order func(a, b T) int) []T {
	if len(items) == 0 {
		return nil
	}
	items = slices.Clone(items)
	slices.SortStableFunc(items, order)
	return slices.CompactFunc(items, func(a, b T) bool { return order(a, b) == 0 })
}

func TestParseReadsEveryLockThatEncodeWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := normal(locks().Draw(t, "lock"))
		b := want.Encode()
		got, err := Parse(FileName, b)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%v\ngot  %+v\nwant %+v\n%s", err, got, want, b)
		}
		if again := got.Encode(); !bytes.Equal(again, b) {
			t.Fatalf("encoded again:\n%s\nbefore:\n%s", again, b)
		}
	})
}

func TestEqualLocksAreEqualBytes(t *testing.T) {
	f := example()
	for i := range f.Stages {
		s := &f.Stages[i]
		slices.Reverse(s.Deps)
		slices.Reverse(s.Params)
		slices.Reverse(s.Env)
		slices.Reverse(s.Outs)
	}
	before := fmt.Sprintf("%+v", f)
	if !bytes.Equal(f.Encode(), example().Encode()) {
		t.Errorf("the order of lists shows:\n%s", f.Encode())
	}
	if fmt.Sprintf("%+v", f) != before {
		t.Error("Encode changed the lock")
	}
}

func TestSetKeepsStagesSortedAndKeepDropsTheRest(t *testing.T) {
	f := &File{}
	for _, n := range []string{"b", "c", "a", "b"} {
		f.Set(Stage{Name: n, Generation: len(f.Stages)})
	}
	var names []string
	for _, s := range f.Stages {
		names = append(names, s.Name)
	}
	if !slices.Equal(names, []string{"a", "b", "c"}) || f.Stage("b").Generation != 3 || f.Stage("x") != nil {
		t.Errorf("stages %q, b of generation %d", names, f.Stage("b").Generation)
	}
	before := copyOf(f)
	if f.Keep(func(string) bool { return true }) {
		t.Error("Keep says that it dropped something")
	}
	// LESSONS 15: what is gone from pipe.yaml goes from the lock.
	if !f.Keep(func(n string) bool { return n != "b" }) || f.Stage("b") != nil || f.Stage("c") == nil {
		t.Errorf("after Keep: %+v", f.Stages)
	}
	if len(before.Stages) != 3 || before.Stage("b") == nil {
		t.Errorf("the clone changed too: %+v", before.Stages)
	}
}

func large(n int) []byte {
	f := &File{}
	for i := range n {
		name := fmt.Sprintf("stage-%05d", i)
		f.Stages = append(f.Stages, Stage{
			Name: name, Key: keyOf(name), Cmd: sum(name),
			Deps: []artifact.Input{{Path: repopath.Path("src/" + name + ".c"), Digest: sum(name), Size: int64(i)}, {Path: "include", Kind: artifact.Dir, Digest: sum("h"), Size: 9, Files: 3}},
			Env:  []Env{{Name: "CC", Value: "gcc"}},
			Outs: []artifact.Output{{Path: repopath.Path("out/" + name + ".o"), Digest: sum(name + "o"), Size: int64(i)}},
		})
	}
	return f.Encode()
}

func BenchmarkParse(b *testing.B) {
	data := large(10_000)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if f, err := Parse(FileName, data); err != nil || len(f.Stages) != 10_000 {
			b.Fatal("not read")
		}
	}
}
