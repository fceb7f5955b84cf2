package yamldoc

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pipe-build/pipe/internal/diag"
)

func mustParse(t testing.TB, text string) *Node {
	t.Helper()
	n, err := Parse("f.yaml", []byte(text), Options{})
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return n
}

func TestEqualValuesHaveOneCanonicalText(t *testing.T) {
	for _, c := range []struct{ yaml, want string }{
		{"", "null"},
		{"# only a comment\n", "null"},
		{"~", "null"},
		{"True", "true"},
		{"0x1F", "31"},
		{"0o17", "15"},
		{"1_000", "1000"},
		{"+7", "7"},
		{"-0", "0"},
		{"0b+1", `"0b+1"`},
		{"-0b11", "-3"},
		{"-0.0", "0"},
		{"1.50", "1.5"},
		{"1e3", "1000"},
		{"18446744073709551615", "18446744073709551615"},
		{"123456789012345678901234567890", "123456789012345678901234567890"},
		{"-00123456789012345678901234567890", "-123456789012345678901234567890"},
		{".inf", `".inf"`},
		{"-.INF", `"-.inf"`},
		{".NaN", `".nan"`},
		{"1e999", `"1e999"`},
		{"2020-01-02", `"2020-01-02"`},
		{`"1"`, `"1"`},
		{"!!str 1", `"1"`},
		{"!!float 1", "1"},
		{"yes", `"yes"`},
		{"{b: 1, a: [x, ~]}", `{"a":["x",null],"b":1}`},
		{"a: &x {k: 1}\nb: *x", `{"a":{"k":1},"b":{"k":1}}`},
		{"1: one", `{"1":"one"}`},
		{`"a<b&\u0085\ufeff"`, `"a<b&\u0085\ufeff"`},
	} {
		if got := mustParse(t, c.yaml).Canonical(); got != c.want {
			t.Errorf("%q: got %s, want %s", c.yaml, got, c.want)
		}
	}
}

func TestMergeKeysYieldToWhatIsWrittenOut(t *testing.T) {
	n := mustParse(t, "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: [*a, *b], z: 3}\n")
	if got, want := n.Get("c").Canonical(), `{"x":1,"y":1,"z":3}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestFaultsAreAllNamedWithTheirPlaces(t *testing.T) {
	for _, c := range []struct{ name, yaml, want string }{
		{"duplicates", "a: 1\nb: {c: 1, c: 2}\na: 3\n", "f.yaml:2:11: key \"c\" is given twice\nf.yaml:3:1: key \"a\" is given twice"},
		{"second document", "a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document starts here; only one is read"},
		{"keys", "~: 1\n[a]: 2\n", "f.yaml:1:1: a key must be a text, not null\nf.yaml:2:1: a key must be a text, not a list"},
		{"itself", "a: &a [*a]\n", "f.yaml:1:8: alias *a holds itself"},
		{"tags", "- !x 1\n- !!int a\n- !!bool yes\n- !y {}\n- !!binary aa\n", "f.yaml:1:3: tag !x is not supported\nf.yaml:2:3: \"a\" is not a number\nf.yaml:3:3: \"yes\" is not a boolean\nf.yaml:4:3: tag !y is not supported\nf.yaml:5:3: tag !!binary is not supported"},
		{"merge", "a: {<<: 1}\nb: {<<: {}, <<: {}}", "f.yaml:1:9: a merge key (<<) wants a map or a list of maps, not a number\nf.yaml:2:13: key \"<<\" is given twice"},
		{"syntax", "a: 1\nb: [\n", "f.yaml:3:1: not valid YAML: did not find expected node content"},
		{"unknown alias", "a: 1\nb: *b\n", "f.yaml:2:4: not valid YAML: unknown anchor 'b' referenced"},
		{"flow", "a: 1\nb: {c: 1\nd: 2\n", "f.yaml:2:1: not valid YAML: did not find expected ',' or '}'"},
		{"tab", "a:\n\tb: 1\n", "f.yaml:2:1: not valid YAML: found character that cannot start any token"},
		{"colon", "a: 1\nb: c: d\n", "f.yaml:2:1: not valid YAML: mapping values are not allowed in this context"},
		{"broken second", "a: 1\n---\n: [", "f.yaml:3:1: not valid YAML: did not find expected key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("f.yaml", []byte(c.yaml), Options{})
			if err == nil || err.Error() != c.want {
				t.Errorf("got\n%v\nwant\n%s", err, c.want)
			}
			var list diag.List
			if !errors.As(err, &list) || !diag.Is(err, diag.Usage) {
				t.Errorf("want a diag.List of usage faults, got %#v", err)
			}
		})
	}
}

func TestAnchorsCanBeForbidden(t *testing.T) {
	_, err := Parse("f", []byte("a: &x {}\n&k b: *x\nc: {<<: {}}\n*k : 1\n"), Options{NoAnchors: true})
	want := "f:1:4: anchor &x is not allowed here\nf:2:1: anchor &k is not allowed here\nf:2:7: alias *x is not allowed here\n" +
		"f:3:5: a merge key (<<) is not allowed here\nf:4:1: alias *k is not allowed here"
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestAnAliasStandsAtItsOwnPlace(t *testing.T) {
	n := mustParse(t, "a: &x [1]\nb: *x\n")
	if b := n.Get("b"); b.Line != 2 || b.Col != 4 || len(b.Items) != 1 {
		t.Errorf("got %+v", b)
	}
}

func TestYAMLBombsStop(t *testing.T) {
	var laughs strings.Builder
	laughs.WriteString("a0: &a0 lol\n")
	for i := range 60 {
		fmt.Fprintf(&laughs, "a%d: &a%d [%s]\n", i+1, i+1, strings.Repeat(fmt.Sprintf("*a%d,", i), 9))
	}
	text := "a: &a " + strings.Repeat("x", 1<<20) + "\nb: [" + strings.Repeat("*a,", 1000) + "]\n"
	var chain strings.Builder
	chain.WriteString("- &a0 []\n")
	for i := range 1000 {
		fmt.Fprintf(&chain, "- &a%d [*a%d]\n", i+1, i)
	}
	for name, doc := range map[string]string{
		"laughs": laughs.String(), "long text": text, "deep": strings.Repeat("[", 9000), "deep chain": chain.String(),
		"deep and closed": strings.Repeat("[", 900) + strings.Repeat("]", 900),
	} {
		begin := time.Now()
		_, err := Parse("f", []byte(doc), Options{})
		if err == nil {
			t.Errorf("%s: no fault", name)
		}
		if d := time.Since(begin); d > 5*time.Second {
			t.Errorf("%s: took %s", name, d)
		}
	}
}

func TestTooManyBytesAreRefused(t *testing.T) {
	data := make([]byte, MaxSize+1)
	_, yerr := Parse("f", data, Options{})
	_, jerr := ParseJSON("f", data)
	if yerr == nil || jerr == nil {
		t.Errorf("got %v, %v", yerr, jerr)
	}
}

func TestJSONIsReadAsJSON(t *testing.T) {
	long := strings.Repeat("k", 2000)
	n, err := ParseJSON("f", []byte(`{"e": "\ud83d\ude00\/", "`+long+`": 1.50, "n": [1E400, 12345678901234567890123, -0, null, true]}`))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := n.Canonical(), `{"e":"😀/","`+long+`":1.5,"n":["1E400",12345678901234567890123,0,null,true]}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestJSONFaultsHavePlaces(t *testing.T) {
	for _, c := range []struct{ name, json, want string }{
		{"duplicate", "{\n \"a\": 1,\n \"a\": 2}", "f:3:2: key \"a\" is given twice"},
		{"second value", "{}\n{}", "f:2:2: not valid JSON: a second value follows the first"},
		{"open", "{\"a\": [", "f:1:8: not valid JSON: unexpected EOF"},
		{"empty", "", "f:1:1: not valid JSON: unexpected EOF"},
		{"deep", strings.Repeat("[", 300), "f:1:202: not valid JSON: too deep values"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := ParseJSON("f", []byte(c.json)); err == nil || err.Error() != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestQuotedTextsSurviveYAMLAndJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		n, err := Parse("f", []byte(Quote(s)), Options{})
		if err != nil || n.Value != s {
			t.Fatalf("YAML: got %v, %v", n, err)
		}
		var back string
		if err := json.Unmarshal([]byte(Quote(s)), &back); err != nil || back != s {
			t.Fatalf("JSON: got %q, %v", back, err)
		}
	})
}

func TestNearestForgivesASlipAndNoMore(t *testing.T) {
	words := []string{"deps", "outs", "always_changed", "frozen", "cmd"}
	for word, want := range map[string]string{"dep": "deps", "alway_changd": "always_changed", "froze": "frozen", "cmds": "cmd", "zzzz": "", "": ""} {
		if got := Nearest(word, words); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "a: &x [1, 0x1f, .inf]\nb: {<<: {c: *x}}", "{\"a\": \"\\u0085\"}", "- !!int 1\n- 1_0.5\n- 007\n- 0o7", "? [a]\n: b", "---\n...\n---\n", "a: |\n  x\n y", "\"\\x7f\""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = Parse("f", data, Options{NoAnchors: true})
		checkCanonical(t, func() (*Node, error) { return Parse("f", data, Options{}) })
		checkCanonical(t, func() (*Node, error) { return ParseJSON("f", data) })
	})
}

// checkCanonical demands that a canonical text reads as itself, in JSON and in YAML.
func checkCanonical(t *testing.T, parse func() (*Node, error)) {
	n, err := parse()
	if err != nil {
		for _, e := range diag.All(err) {
			if e.Kind != diag.Usage || !strings.HasPrefix(e.Place, "f:") {
				t.Fatalf("fault without a place: %#v", e)
			}
		}
		return
	}
	text := n.Canonical()
	if len(text) > 1<<20 {
		return
	}
	if !json.Valid([]byte(text)) {
		t.Fatalf("not JSON: %s", text)
	}
	j, err := ParseJSON("f", []byte(text))
	if err != nil || j.Canonical() != text {
		t.Fatalf("as JSON: %v\n%s", err, text)
	}
	if len(text) > 900 {
		return // YAML ends simple keys at 1024 bytes
	}
	y, err := Parse("f", []byte(text), Options{})
	if err != nil || y.Canonical() != text {
		t.Fatalf("as YAML: %v\n%s", err, text)
	}
}

func BenchmarkParseKeys(b *testing.B) {
	for _, n := range []int{1000, 16000} {
		var doc strings.Builder
		for i := range n {
			fmt.Fprintf(&doc, "key%d: value%d\n", i, i)
		}
		data := []byte(doc.String())
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse("f", data, Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
