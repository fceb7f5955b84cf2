package params

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// TestDifferentValuesDiffer holds the pairs that once had one key, and so left
// an out stale without a word.
func TestDifferentValuesDiffer(t *testing.T) {
	for _, c := range []struct {
		file repopath.Path
		a, b string
	}{
		{"p.yaml", `1.0`, `1`},
		{"p.yaml", `2020-01-01`, `"2020-01-01"`},
		{"p.yaml", `yes`, `"yes"`},
		{"p.yaml", `08`, `010`},
		{"p.yaml", `8`, `010`},
		{"p.yaml", `1:30`, `"1:30"`},
		{"p.yaml", `.inf`, `".inf"`},
		{"p.yaml", `{1: a}`, `{"1": a}`},
		{"p.toml", `a = 1`, `a = 1.0`},
		{"p.toml", `a = 2020-01-01`, `a = "2020-01-01"`},
		{"p.json", `1`, `1.0`},
		{"p.json", `1E400`, `"1E400"`},
	} {
		a, b := whole(t, c.file, c.a), whole(t, c.file, c.b)
		if a == b {
			t.Errorf("%s: %s and %s are both %s", c.file, c.a, c.b, a)
		}
	}
	for _, text := range []string{`"\ud800"`, `"\ud801"`, `"\ufffd\udc00"`} {
		if got, err := Read("p.json", []byte(text), nil); err == nil {
			t.Errorf("%s is %v", text, got)
		}
	}
}

func whole(t interface {
	Helper()
	Fatalf(string, ...any)
}, file repopath.Path, data string,
) string {
	t.Helper()
	got, err := Read(file, []byte(data), nil)
	if err != nil || len(got) != 1 || got[0].File != file || got[0].Key != "" {
		t.Fatalf("%s: %s: got %+v, %v", file, data, got, err)
	}
	return got[0].Value
}

// scalar is a way to write a value, and what it is by the rule of FORMAT.md:
// scalars are one value if and only if these are equal.
type scalar struct{ source, is string }

var (
	numbers = `[-+]?(0[xob])?[0-9][0-9_]{0,2}(\.[0-9]{1,2})?([eE][-+]?[0-9]{1,2})?`
	odd     = []string{
		"2020-01-01", "2020-01-01T00:00:00Z", "01:30:00", "1:30", "inf", "-inf", "nan", ".inf", "-.INF", ".nan", "~", "null", "Null", "NULL", "nULL",
		"true", "True", "TRUE", "tRUE", "false", "False", "yes", "Yes", "no", "NO", "on", "Off", "y", "N", "0x1f", "0x1F", "1_0", "+1", "-0", "./a", "/a", "=", "<<",
	}
	words = rapid.OneOf(rapid.SampledFrom(odd), rapid.StringMatching(numbers), rapid.StringMatching(`[a-zA-Z_/.é][a-z0-9/._é-]{0,2}`))
)

func quoted(t *rapid.T) scalar {
	w := words.Draw(t, "text")
	q, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	return scalar{string(q), "text " + w}
}

func yamlScalar(t *rapid.T) scalar {
	w := words.Draw(t, "word")
	switch rapid.IntRange(0, 4).Draw(t, "style") {
	case 0:
		return quoted(t)
	case 1:
		return scalar{"'" + w + "'", "text " + w}
	case 2:
		return scalar{"!!str " + w, "text " + w}
	}
	switch {
	case regexp.MustCompile(`^(~|null|Null|NULL)$`).MatchString(w):
		return scalar{w, "null"}
	case regexp.MustCompile(`^(true|True|TRUE|false|False|FALSE)$`).MatchString(w):
		return scalar{w, strings.ToLower(w)}
	case regexp.MustCompile(`^[A-Za-z_/é]`).MatchString(w) && !regexp.MustCompile(`^(?i:y|yes|n|no|on|off)$`).MatchString(w):
		return scalar{w, "text " + w}
	}
	return scalar{w, "source " + w}
}

func plainOrQuoted(t *rapid.T) scalar {
	if rapid.Bool().Draw(t, "quoted") {
		return quoted(t)
	}
	w := words.Draw(t, "word")
	return scalar{w, "source " + w}
}

// TestScalarsAreOneValueOnlyIfTheRuleSaysSo compares two ways to write a scalar;
// those that the format refuses are nothing.
func TestScalarsAreOneValueOnlyIfTheRuleSaysSo(t *testing.T) {
	for _, c := range []struct {
		file           repopath.Path
		scalar         func(*rapid.T) scalar
		before, behind string
	}{
		{"p.yaml", yamlScalar, "a: ", "\n"},
		{"p.yaml", yamlScalar, "[", " ]"},
		{"p.yaml", yamlScalar, "? ", "\n: x"},
		{"p.json", plainOrQuoted, "[", "]"},
		{"p.toml", plainOrQuoted, "a = ", "\n"},
	} {
		t.Run(string(c.file)+" "+c.before, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				x, y := c.scalar(t), c.scalar(t)
				xv, xerr := Read(c.file, []byte(c.before+x.source+c.behind), nil)
				yv, yerr := Read(c.file, []byte(c.before+y.source+c.behind), nil)
				if xerr == nil && yerr == nil && (xv[0].Value == yv[0].Value) != (x.is == y.is) {
					t.Fatalf("%q is %s, %q is %s", x.source, xv[0].Value, y.source, yv[0].Value)
				}
			})
		})
	}
}

func TestAllMissingKeysAreNamed(t *testing.T) {
	keys := []string{"lr", "modle.layers", "model.layers.3", "model.layers.01", "model.layers.-1", "zzzzzzzz", "lr.x", "", "a.", "b.yaml:x"}
	_, err := Read("dir/p.yaml", []byte("lr: 0.001\nmodel: {layers: [1, 2, {units: 64}]}\na: {b: nested}\n"), keys)
	var got strings.Builder
	for _, e := range diag.All(err) {
		fmt.Fprintf(&got, "%v (%s, %s)\n", e, e.Kind, e.Hint)
	}
	const want = `dir/p.yaml: key "modle.layers" does not exist (usage, did you mean model.layers?)
dir/p.yaml: key "model.layers.3" does not exist (usage, did you mean model.layers?)
dir/p.yaml: key "model.layers.01" does not exist (usage, did you mean model.layers?)
dir/p.yaml: key "model.layers.-1" does not exist (usage, did you mean model.layers?)
dir/p.yaml: key "zzzzzzzz" does not exist (usage, )
dir/p.yaml: key "lr.x" does not exist (usage, did you mean lr?)
dir/p.yaml: key "" does not exist (usage, )
dir/p.yaml: key "a." does not exist (usage, did you mean a?)
dir/p.yaml: key "b.yaml:x" does not exist (usage, for a key of another file write {b.yaml: [x]})
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
		{"p.yaml", "a: 1\na: 2\n", `p.yaml:2:1: duplicate key "a"`},
		{"p.json", `{"a": 1,}`, `p.json:1:9: not valid JSON: invalid character '}' looking for beginning of object key string`},
		{"p.json", "{\"a\":\n \"\\ud800\"}", `p.json:2:2: \ud800 is an unpaired surrogate`},
		{"p.toml", "a = 1\na = 2\n", `p.toml:2:1: not valid TOML: duplicate key "a"`},
		{"p.toml", "[a]\n[[b]]\n[b.c]\nd = { e = {}, e.f = 1 }\n", `p.toml:4:15: not valid TOML: duplicate key "e"`},
		{"p.toml", "a = [1,\n", "p.toml:1:8: not valid TOML: array is incomplete"},
		{"p.toml", "a = 2020-13-01\n", "p.toml:1:5: not valid TOML: 2020-13-01 is not a date or time"},
		{"p.toml", "a = 'b' c\n", "p.toml:1:9: not valid TOML: expected newline but got U+0063 'c'"},
		{"p.ini", "", "p.ini: params files must end in .yaml, .yml, .json or .toml"},
		{"p.json", "\"\xff\"", "p.json: not valid UTF-8"},
		{"p.yaml", "\xff\xfe1\x00", "p.yaml: not valid UTF-8"},
		{"p.toml", "# \xff", "p.toml: not valid UTF-8"},
		{"p.toml", strings.Repeat("#", yamldoc.MaxSize+1), "p.toml: too large: 67108865 bytes, more than 67108864"},
	} {
		_, err := Read(c.file, []byte(c.data), nil)
		if err == nil || err.Error() != c.want || !diag.Is(err, diag.Usage) {
			t.Errorf("%s: got %v, want %s", c.file, err, c.want)
		}
	}
}

func TestAnEmptyFileHasNoKeys(t *testing.T) {
	if _, err := Read("p.yaml", nil, []string{"a"}); err == nil || err.Error() != `p.yaml: key "a" does not exist` {
		t.Errorf("got %v", err)
	}
}

func TestEveryKeyOfAJSONFileIsFound(t *testing.T) {
	value := rapid.OneOf(rapid.Just[any](nil), rapid.Int().AsAny(), rapid.Float64().AsAny(), rapid.StringMatching("[ -%'-;=?-~é😀]*").AsAny(), rapid.Bool().AsAny())
	rapid.Check(t, func(t *rapid.T) {
		doc := rapid.MapOf(rapid.StringMatching(`[a-c]([a-c.]?[a-c])?`), rapid.MapOf(rapid.StringMatching(`[x-z]{1,2}`), value)).Draw(t, "doc")
		data, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		if whole(t, "p.json", string(data)) != string(data) {
			t.Fatalf("%s is not written as itself", data)
		}
		for k, m := range doc {
			for f, v := range m {
				want, _ := json.Marshal(v)
				got, err := Read("p.json", data, []string{k + "." + f})
				if err != nil || got[0].Value != string(want) {
					t.Fatalf("%s.%s = %s: got %v, %v", k, f, want, got, err)
				}
			}
		}
	})
}

// TestManyKeysAreRead ends only where neither reading nor looking up is
// quadratic in the keys.
func TestManyKeysAreRead(t *testing.T) {
	var yaml, toml strings.Builder
	keys := make([]string, 200_000)
	for i := range keys {
		keys[i] = fmt.Sprintf("key%d", i)
		fmt.Fprintf(&yaml, "%s: %d\n", keys[i], i)
		fmt.Fprintf(&toml, "%s = %d\n", keys[i], i)
	}
	for file, data := range map[repopath.Path]string{"p.yaml": yaml.String(), "p.toml": toml.String()} {
		if got, err := Read(file, []byte(data), keys); err != nil || len(got) != len(keys) || got[199_999].Key != "key199999" {
			t.Error(file, len(got), err)
		}
	}
}

func TestTooDeepTOMLIsRefused(t *testing.T) {
	const n = 1_000_000
	for _, data := range []string{"a = " + strings.Repeat("[", n), strings.Repeat("a.", n) + "a = 1", "a = " + strings.Repeat("{a=", n), "[" + strings.Repeat("a.", n) + "a]"} {
		if _, err := Read("p.toml", []byte(data), nil); err == nil {
			t.Errorf("%.9s... is read", data)
		}
	}
}

// FuzzRead demands that the value of a key stands in that of the whole file, and
// that JSON and TOML do not crash.
func FuzzRead(f *testing.F) {
	f.Add("a: {b: [1, yes]}\n", "[a]\nb = [1, {c = 0xff}]\n[[d]]\ne = 1979-05-27\n", "a.b")
	f.Add(`{"a": [1.0, "\ud83d\ude00"]}`, "a.b.c = inf\n", "a.0")
	f.Fuzz(func(t *testing.T, yaml, toml, key string) {
		for _, c := range []struct {
			file repopath.Path
			data string
		}{{"p.yaml", yaml}, {"p.json", yaml}, {"p.toml", toml}} {
			got, err := Read(c.file, []byte(c.data), []string{key})
			whole, werr := Read(c.file, []byte(c.data), nil)
			if err == nil && (werr != nil || !strings.Contains(whole[0].Value, got[0].Value)) {
				t.Fatalf("%s: got %v in %v, %v", c.file, got, whole, werr)
			}
			if werr == nil && c.file == "p.json" && !json.Valid([]byte(whole[0].Value)) {
				t.Fatalf("not JSON: %v", whole)
			}
		}
	})
}
