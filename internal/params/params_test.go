package params

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/pkg/repopath"
)

const (
	asYAML = `
lr: 0.001
big: 9007199254740993
name: "a \"b\" ü 😀"
on: true
when: 2020-01-02T03:04:05Z
day: 2020-01-02
model: {layers: [1, 2, {units: 64}], inf: .inf}
a.b: dotted
a: {b: nested, c.d: {e: deep}}
`
	asJSON = `{"lr": 1e-3, "big": 9007199254740993, "name": "a \"b\" \u00fc \ud83d\ude00", "on": true,
"when": "2020-01-02T03:04:05Z", "day": "2020-01-02",
"model": {"inf": ".inf", "layers": [1, 2, {"units": 64}]}, "a.b": "dotted", "a": {"b": "nested", "c.d": {"e": "deep"}}}`
	asTOML = `
lr = 0.001
big = 9_007_199_254_740_993
name = "a \"b\" ü 😀"
on = true
when = 2020-01-02T03:04:05Z
day = 2020-01-02
"a.b" = "dotted"
[model]
layers = [1, 2, {units = 64}]
inf = inf
[a]
b = "nested"
[a."c.d"]
e = "deep"
`
)

func TestEqualFilesHaveEqualValues(t *testing.T) {
	const want = `{"a":{"b":"nested","c.d":{"e":"deep"}},"a.b":"dotted","big":9007199254740993,"day":"2020-01-02","lr":0.001,` +
		`"model":{"inf":".inf","layers":[1,2,{"units":64}]},"name":"a \"b\" ü 😀","on":true,"when":"2020-01-02T03:04:05Z"}`
	for file, data := range map[repopath.Path]string{"p.yaml": asYAML, "p.yml": asYAML, "p.json": asJSON, "p.TOML": asTOML} {
		got, err := Read(file, []byte(data), nil)
		if err != nil || len(got) != 1 || got[0] != (Value{File: file, Value: want}) {
			t.Errorf("%s: got %+v, %v", file, got, err)
		}
	}
}

func TestKeysGoDownMapsAndLists(t *testing.T) {
	for _, c := range []struct{ key, want string }{
		{"lr", "0.001"},
		{"model.layers", `[1,2,{"units":64}]`},
		{"model.layers.0", "1"},
		{"model.layers.2.units", "64"},
		{"a.b", `"dotted"`},
		{"a.c.d", `{"e":"deep"}`},
		{"a.c.d.e", `"deep"`},
	} {
		for file, data := range map[repopath.Path]string{"p.yaml": asYAML, "p.json": asJSON, "p.toml": asTOML} {
			got, err := Read(file, []byte(data), []string{c.key})
			if err != nil || len(got) != 1 || got[0] != (Value{file, c.key, c.want}) {
				t.Errorf("%s: %s: got %+v, %v", file, c.key, got, err)
			}
		}
	}
}

func TestAllMissingKeysAreNamed(t *testing.T) {
	keys := []string{"lr", "modle.layers", "model.layers.3", "model.layers.01", "model.layers.-1", "zzzzzzzz", "lr.x", "", "a."}
	_, err := Read("dir/p.yaml", []byte(asYAML), keys)
	var got strings.Builder
	for _, e := range diag.All(err) {
		fmt.Fprintf(&got, "%v (%s, %s)\n", e, e.Kind, e.Hint)
	}
	const want = `dir/p.yaml: no key "modle.layers" (usage, did you mean model.layers?)
dir/p.yaml: no key "model.layers.3" (usage, did you mean model.layers?)
dir/p.yaml: no key "model.layers.01" (usage, did you mean model.layers?)
dir/p.yaml: no key "model.layers.-1" (usage, did you mean model.layers?)
dir/p.yaml: no key "zzzzzzzz" (usage, )
dir/p.yaml: no key "lr.x" (usage, did you mean lr?)
dir/p.yaml: no key "" (usage, )
dir/p.yaml: no key "a." (usage, did you mean a.b?)
`
	if got.String() != want {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
}

func TestBrokenFilesAreRefusedWithAPlace(t *testing.T) {
	for _, c := range []struct {
		file       repopath.Path
		data, want string
	}{
		{"p.yaml", "a: 1\na: 2\n", `p.yaml:2:1: key "a" is given twice`},
		{"p.json", `{"a": 1,}`, `p.json:1:9: not valid JSON: invalid character '}' looking for beginning of object key string`},
		{"p.toml", "a = 1\na = 2\n", "p.toml:2:7: not valid TOML: Key 'a' has already been defined."},
		{"p.toml", "a = [1,\n", "p.toml:1:8: not valid TOML: unexpected EOF; expected value"},
		{"p.ini", "", "p.ini: params are read from .yaml, .yml, .json and .toml files alone"},
	} {
		_, err := Read(c.file, []byte(c.data), nil)
		if err == nil || err.Error() != c.want || !diag.Is(err, diag.Usage) {
			t.Errorf("%s: got %v, want %s", c.file, err, c.want)
		}
	}
}

func TestAnEmptyFileHasNoKeys(t *testing.T) {
	if _, err := Read("p.yaml", nil, []string{"a"}); err == nil || err.Error() != `p.yaml: no key "a"` {
		t.Errorf("got %v", err)
	}
	if got, err := Read("p.toml", nil, nil); err != nil || got[0].Value != "{}" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestTOMLDatesAreRFC3339(t *testing.T) {
	const data = "a = 2020-01-02T03:04:05.5+02:00\nb = 2020-01-02T03:04:05\nc = 03:04:05.25\nd = -inf\ne = nan\nf = -0.0\n[[g]]\nh = 1\n"
	const want = `{"a":"2020-01-02T03:04:05.5+02:00","b":"2020-01-02T03:04:05","c":"03:04:05.25","d":"-.inf","e":".nan","f":0,"g":[{"h":1}]}`
	if got, err := Read("p.toml", []byte(data), nil); err != nil || got[0].Value != want {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestEveryKeyOfAJSONFileIsFound(t *testing.T) {
	value := rapid.Deferred(func() *rapid.Generator[any] {
		return rapid.OneOf(rapid.Just[any](nil), rapid.Int().AsAny(), rapid.Float64().AsAny(), rapid.StringMatching("[ -~é😀]*").AsAny(), rapid.Bool().AsAny())
	})
	rapid.Check(t, func(t *rapid.T) {
		doc := rapid.MapOf(rapid.StringMatching(`[a-c]([a-c.]?[a-c])?`), rapid.MapOf(rapid.StringMatching(`[x-z]{1,2}`), value)).Draw(t, "doc")
		data, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		for k, m := range doc {
			for f, v := range m {
				y, yerr := Read("p.yaml", data, []string{k + "." + f})
				j, jerr := Read("p.json", data, []string{k + "." + f})
				if jerr != nil || (yerr == nil && y[0].Value != j[0].Value) {
					t.Fatalf("%s.%s = %v: %v %v, %v %v", k, f, v, y, yerr, j, jerr)
				}
			}
		}
	})
}

func TestManyKeysAreReadInLinearTime(t *testing.T) {
	var doc strings.Builder
	keys := make([]string, 16_000)
	for i := range keys {
		keys[i] = fmt.Sprintf("key%d", i)
		fmt.Fprintf(&doc, "%s: %d\n", keys[i], i)
	}
	begin := time.Now()
	if got, err := Read("p.yaml", []byte(doc.String()), keys); err != nil || got[15_999].Value != "15999" {
		t.Error(err)
	}
	if d := time.Since(begin); d > 3*time.Second {
		t.Errorf("took %s", d)
	}
}

func TestTooDeepTOMLIsRefused(t *testing.T) {
	const n = 1_000_000
	for _, data := range []string{"a = " + strings.Repeat("[", n), strings.Repeat("a.", n) + "a = 1", "a = " + strings.Repeat("{a=", n), "[" + strings.Repeat("a.", n) + "a]"} {
		if _, err := Read("p.toml", []byte(data), nil); err == nil || err.Error() != "p.toml: too deep values" {
			t.Errorf("got %v", err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(asYAML, asTOML, "a.b")
	f.Fuzz(func(t *testing.T, yaml, toml, key string) {
		for _, c := range []struct {
			file repopath.Path
			data string
		}{{"p.yaml", yaml}, {"p.json", yaml}, {"p.toml", toml}} {
			got, err := Read(c.file, []byte(c.data), []string{key})
			whole, werr := Read(c.file, []byte(c.data), nil)
			if err == nil && (werr != nil || !json.Valid([]byte(got[0].Value)) || !strings.Contains(whole[0].Value, got[0].Value)) {
				t.Fatalf("%s: got %v in %v, %v", c.file, got, whole, werr)
			}
		}
	})
}
