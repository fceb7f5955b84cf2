package lockfile

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/yamldoc"
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
			Params: []Param{
				{File: "config/app.yaml", Key: "features.search", Value: "true"},
				{File: "params.yaml", Value: `{"a":[1,"x"]}`},
			},
			Env: []Env{
				{Name: "CGO_ENABLED", Value: "0"}, {Name: "EMPTY"}, {Name: "GOFLAGS", Hash: "0123456789ab"}, {Name: "no", Hash: "unset"},
			},
			Outs: []artifact.Output{
				{Path: "dist/app", Exec: true, Digest: sum("app"), Size: 1 << 40},
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
	for _, want := range []*File{{}, example()} {
		got, err := Parse(FileName, want.Encode())
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v\nwant %+v", got, err, want)
		}
	}
}

func TestAMissingLockIsAnEmptyOne(t *testing.T) {
	for _, text := range []string{"", "\n", "# only a comment\n", "schema: 1\n", "schema: 1\nstages:\n", "schema: 1\nstages: {}\n"} {
		f, err := Parse(FileName, []byte(text))
		if err != nil || len(f.Stages) != 0 {
			t.Errorf("%q: %+v, %v", text, f, err)
		}
	}
}

// slow reads data as YAML, whatever it looks like.
func slow(data []byte) (*File, error) {
	root, err := yamldoc.Parse(FileName, data, yamldoc.Options{NoAnchors: true})
	if err != nil {
		return nil, err
	}
	return decode(FileName, root)
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
			Size: rapid.Int64Min(0).Draw(t, "size"), Files: rapid.Int64Min(0).Draw(t, "files"),
		}
		if rapid.Bool().Draw(t, "inside") {
			d.In = digests().Draw(t, "in")
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
				Name: rapid.OneOf(rapid.StringMatching(`[A-Za-z0-9_][A-Za-z0-9_.@-]{0,9}`), words()).Draw(t, "name"),
				Key:  digest.Key(digests().Draw(t, "key")), Cmd: digests().Draw(t, "cmd"),
				Generation: rapid.IntRange(0, 3).Draw(t, "generation"),
				Deps:       rapid.SliceOfN(depends(), 0, 3).Draw(t, "deps"),
			}
			for range rapid.IntRange(0, 2).Draw(t, "params") {
				s.Params = append(s.Params, Param{paths().Draw(t, "file"), anyText().Draw(t, "key"), anyText().Draw(t, "value")})
			}
			for range rapid.IntRange(0, 2).Draw(t, "env") {
				e := Env{Name: rapid.OneOf(texts(), words()).Draw(t, "variable"), Value: anyText().Draw(t, "value")}
				if rapid.Bool().Draw(t, "outside") {
					e.Value, e.Hash = "", texts().Draw(t, "hash")
				}
				s.Env = append(s.Env, e)
			}
			for range rapid.IntRange(0, 2).Draw(t, "outs") {
				s.Outs = append(s.Outs, artifact.Output{
					Path: paths().Draw(t, "out"), Dir: rapid.Bool().Draw(t, "dir"), Exec: rapid.Bool().Draw(t, "exec"),
					Digest: digests().Draw(t, "hash"), Size: rapid.Int64Min(0).Draw(t, "size"), Files: rapid.Int64Min(0).Draw(t, "files"),
				})
			}
			f.Set(s)
		}
		return f
	})
}

// normal makes empty lists nil, as both readers leave them.
func normal(f *File) *File {
	for i := range f.Stages {
		if len(f.Stages[i].Deps) == 0 {
			f.Stages[i].Deps = nil
		}
	}
	if len(f.Stages) == 0 {
		f.Stages = nil
	}
	return f
}

func TestFastScannerReadsWhatTheYAMLReaderReads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := normal(locks().Draw(t, "lock"))
		b := want.Encode()
		fast, ok := scan(string(b))
		if !ok {
			t.Fatalf("the scanner refuses canonical bytes:\n%s", b)
		}
		bySlow, err := slow(b)
		if err != nil {
			t.Fatalf("the YAML reader refuses canonical bytes: %v\n%s", err, b)
		}
		if !reflect.DeepEqual(normal(fast), want) || !reflect.DeepEqual(normal(bySlow), want) {
			t.Fatalf("three locks that are not one:\nfast %+v\nslow %+v\nwant %+v", fast, bySlow, want)
		}
		if again := fast.Encode(); !bytes.Equal(again, b) {
			t.Fatalf("encoded again:\n%s\nbefore:\n%s", again, b)
		}
	})
}

func TestScannerLeavesAllElseToTheYAMLReader(t *testing.T) {
	canonical := string(example().Encode())
	for name, change := range map[string][2]string{
		"comment":         {"schema: 1", "# hello\nschema: 1"},
		"space":           {"size: 120", "size:  120"},
		"surrogate pair":  {`😀`, `\ud83d\ude00`},
		"lone surrogate":  {`😀`, `\ud83d`},
		"line separator":  {`😀`, "\u2028"},
		"next line":       {`😀`, "\u0085"},
		"delete":          {`😀`, "\x7f"},
		"invalid UTF-8":   {`😀`, "\xff"},
		"escaped slash":   {`odd\"`, `odd\"\/`},
		"control in name": {"# begin build\n", "# begin bu\x01ld\n"},
		"name too long":   {"pack@1.2", strings.Repeat("p", 1100)},
		"plus":            {"size: 120", "size: +120"},
		"leading zero":    {"size: 120", "size: 0120"},
		"negative":        {"size: 120", "size: -120"},
		"huge":            {"size: 120", "size: 99999999999999999999"},
		"upper-case hash": {sum("script").Hex(), strings.ToUpper(sum("script").Hex())},
		"carriage return": {"schema: 1\n", "schema: 1\r\n"},
		"no last newline": {"# end pack@1.2\n", "# end pack@1.2"},
		"stage twice":     {"  # begin pack@1.2", string(example().Stages[1].append(nil)) + "  # begin pack@1.2"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.ReplaceAll(canonical, change[0], change[1])
			if text == canonical {
				t.Fatal("the change changed nothing")
			}
			if f, ok := scan(text); ok {
				t.Errorf("the scanner took it: %+v", f)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(example().Encode())
	f.Add((&File{}).Encode())
	f.Add([]byte(""))
	f.Add([]byte("schema: 1\nstages: {a: {key: x, cmd: y, deps: [{path: p}], outs: [1], env: {}, params: [~]}}\n"))
	f.Add(bytes.Replace(example().Encode(), []byte("😀"), []byte(`\ud83d\ude00`), 1))
	f.Add(bytes.Replace(example().Encode(), []byte("😀"), []byte("\u2028"), 1))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := Parse(FileName, data); err != nil {
			return
		}
		if fast, ok := scan(string(data)); ok {
			bySlow, err := slow(data)
			if err != nil {
				t.Fatalf("the scanner takes what the YAML reader refuses: %v", err)
			}
			if !reflect.DeepEqual(normal(fast), normal(bySlow)) {
				t.Fatalf("fast %+v\nslow %+v", fast, bySlow)
			}
		}
	})
}

func TestParseReadsEveryWayToWriteTheSameLock(t *testing.T) {
	want := example()
	canonical := string(want.Encode())
	for name, text := range map[string]string{
		"indented":     strings.ReplaceAll(canonical, "\n  ", "\n      "),
		"comments":     strings.ReplaceAll(canonical, "    cmd:", "    # a remark\n    cmd:"),
		"windows":      strings.ReplaceAll(canonical, "\n", "\r\n"),
		"no banner":    strings.Replace(canonical, banner, "", 1),
		"quoted":       strings.ReplaceAll(canonical, "path: build.sh", "'path': 'build.sh'"),
		"block":        strings.ReplaceAll(canonical, "- {path: src, kind: dir, hash: ", "- path: src\n        kind: dir\n        files: 9\n        size: 99\n        hash: "),
		"key order":    strings.Replace(canonical, "    generation: 2\n    cmd: "+sum("./build.sh").String()+"\n", "    cmd: "+sum("./build.sh").String()+"\n    generation: 2\n", 1),
		"schema later": strings.Replace(canonical, "schema: 1\n", "", 1) + "schema: 1\n",
	} {
		t.Run(name, func(t *testing.T) {
			if name == "block" {
				text = strings.Replace(text, ", size: 99, files: 9}", "", 1)
			}
			if text == canonical {
				t.Fatal("the change changed nothing")
			}
			got, err := Parse(FileName, []byte(text))
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%v\ngot  %+v\nwant %+v\n%s", err, got, want, text)
			}
		})
	}
}

func TestParseSortsStages(t *testing.T) {
	f := example()
	slices.Reverse(f.Stages)
	got, err := Parse(FileName, f.Encode())
	if err != nil || !reflect.DeepEqual(got, example()) {
		t.Errorf("%v\ngot %+v", err, got)
	}
}

func TestParseNamesEveryFaultWithItsPlace(t *testing.T) {
	h := sum("").String()
	k := keyOf("k").String()
	stage := func(rest string) string {
		return "schema: 1\nstages:\n  build:\n    key: \"" + k + "\"\n    cmd: " + h + "\n" + rest
	}
	var out strings.Builder
	for _, c := range []struct{ name, text string }{
		{"anchor", stage("    outs:\n      - &a {path: a, hash: " + h + ", size: 1}\n      - *a\n")},
		{"duplicate key", stage("    cmd: " + h + "\n")},
		{"duplicate stage", stage("  build: {}\n")},
		{"unknown key", stage("    colour: red\n")},
		{"unknown key at the top", "schema: 1\nversion: 2\n"},
		{"wrong types", stage("    generation: two\n    deps: a\n    outs:\n      - 1\n      - {path: [], hash: " + h + ", exec: 1, size: many}\n    env: [{name: A, value: }]\n")},
		{"wrong hashes", "schema: 1\nstages:\n  a: {key: xyz, cmd: md5:1}\n  b: {key: , cmd: \"\"}\n  c: {}\n"},
		{"wrong paths", stage("    deps:\n      - {path: ../../x, hash: " + h + ", size: 1}\n      - {path: ., hash: " + h + ", size: 1}\n" +
			"      - {path: ../*, kind: glob, hash: " + h + ", size: 1}\n      - {path: d, kind: socket, hash: " + h + ", size: 1}\n" +
			"    outs:\n      - {path: .git/hooks/x, hash: " + h + ", size: 1}\n      - {path: /etc/passwd, kind: glob, hash: " + h + ", size: -1}\n")},
		{"two documents", "schema: 1\n---\nschema: 1\n"},
		{"schema of the future", "schema: 2\n"},
		{"no schema", "stages: {}\n"},
		{"a list", "- a\n"},
		{"stages is a list", "schema: 1\nstages: [a]\n"},
		{"stage is a text", "schema: 1\nstages: {a: b}\n"},
		{"no YAML", "schema: [1\n"},
		{"conflict markers", "schema: 1\nstages:\n<<<<<<< HEAD\n  a: {}\n=======\n  b: {}\n>>>>>>> other\n"},
		{"DVC's lock", "schema: '2.0'\nstages: {}\n"},
	} {
		f, err := Parse(FileName, []byte(c.text))
		if err == nil {
			t.Errorf("%s: no error: %+v", c.name, f)
			continue
		}
		fmt.Fprintf(&out, "== %s\n", c.name)
		for _, e := range diag.All(err) {
			fmt.Fprintf(&out, "%s [%s]\n", e, e.Kind)
		}
	}
	golden(t, "faults.txt", []byte(out.String()))
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
	before := f.Clone()
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

// LESSONS 15: changes of two neighbouring stages meet without a conflict.
func TestGitMergesChangesOfNeighbouringStages(t *testing.T) {
	stage := func(name, version string) Stage {
		return Stage{Name: name, Key: keyOf(name + version), Cmd: sum(name), Outs: []artifact.Output{{Path: repopath.Path(name), Digest: sum(version), Size: 1}}}
	}
	lock := func(a, b string, more ...Stage) []byte {
		f := &File{Stages: []Stage{stage("a", a), stage("b", b)}}
		for _, s := range more {
			f.Set(s)
		}
		return f.Encode()
	}
	for name, c := range map[string]struct{ base, ours, theirs, want []byte }{
		"both change":            {lock("1", "1"), lock("2", "1"), lock("1", "2"), lock("2", "2")},
		"one changes, one added": {lock("1", "1"), lock("1", "2"), lock("1", "1", stage("0", "1")), lock("1", "2", stage("0", "1"))},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, b := range map[string][]byte{"base": c.base, "ours": c.ours, "theirs": c.theirs} {
				if err := os.WriteFile(filepath.Join(dir, file), b, 0o666); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.CommandContext(t.Context(), "git", "merge-file", "-p", "ours", "base", "theirs")
			cmd.Dir = dir
			got, err := cmd.Output()
			if err != nil || !bytes.Equal(got, c.want) {
				t.Errorf("git merge-file: %v\n%s", err, got)
			}
		})
	}
}

func TestConflictMarkersGiveACommand(t *testing.T) {
	_, err := Parse(FileName, []byte("schema: 1\n>>>>>>> theirs\n"))
	var e *diag.Error
	if !errors.As(err, &e) || e.Place != "pipe.lock:2:1" || !strings.Contains(e.Hint, "git checkout") {
		t.Errorf("%v, hint %q", err, e.Hint)
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

// BenchmarkParse holds the fast way against the YAML reader.
func BenchmarkParse(b *testing.B) {
	data := large(10_000)
	b.Run("scan", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if f, ok := scan(string(data)); !ok || len(f.Stages) != 10_000 {
				b.Fatal("not read")
			}
		}
	})
	b.Run("yaml", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if f, err := slow(data); err != nil || len(f.Stages) != 10_000 {
				b.Fatal(err)
			}
		}
	})
}
