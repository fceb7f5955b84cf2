package yamldoc

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

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

func TestWhatIsNoTextIsNotInterpreted(t *testing.T) {
	for _, c := range []struct{ yaml, want string }{
		{"", "null"},
		{"# only a comment\n", "null"},
		{"~", "null"},
		{"NULL", "null"},
		{"nULL", `"nULL"`},
		{"True", "true"},
		{"FALSE", "false"},
		{"tRUE", `"tRUE"`},
		{"0x1F", `!"0x1F"`},
		{"1_000", `!"1_000"`},
		{"+7", `!"+7"`},
		{"-0.0", `!"-0.0"`},
		{"1.50", `!"1.50"`},
		{"18446744073709551616", `!"18446744073709551616"`},
		{"-.INF", `!"-.INF"`},
		{"1:30", `!"1:30"`},
		{"2020-01-02 03:04", `!"2020-01-02 03:04"`},
		{"1\n  2", `!"1 2"`},
		{"./x", `!"./x"`},
		{"=", `!"="`},
		{"<<", `!"<<"`},
		{"-a\"\\\tb", `!"-a\"\\\tb"`},
		{"Yes", `!"Yes"`},
		{"oN", `!"oN"`},
		{"y", `!"y"`},
		{"yesterday", `"yesterday"`},
		{"_1", `"_1"`},
		{"/", `"/"`},
		{"é", `"é"`},
		{"Zürich\n  x", `"Zürich x"`},
		{`"1"`, `"1"`},
		{`'yes'`, `"yes"`},
		{"|-\n  ~", `"~"`},
		{">-\n  1\n  2", `"1 2"`},
		{"!!str 1", `"1"`},
		{"!!str", `""`},
		{"!<tag:yaml.org,2002:str> ~", `"~"`},
		{"{b: 1, a: [x, ~]}", `{"a":["x",null],"b":!"1"}`},
		{"a: &x {k: 1}\nb: *x", `{"a":{"k":!"1"},"b":{"k":!"1"}}`},
		{`"a<b&\u007f\u0085\u2028\ufeff\b\f\n\r\t\x1f\"\\/"`, "\"a<b&\u007f\u0085\u2028\ufeff" + `\b\f\n\r\t\u001f\"\\/"`},
	} {
		if got := mustParse(t, c.yaml).Canonical(); got != c.want {
			t.Errorf("%q: got %s, want %s", c.yaml, got, c.want)
		}
	}
}

func TestKeysFollowTheRuleOfValues(t *testing.T) {
	for _, c := range []struct{ yaml, want, plain string }{
		{"{1: a}", `{!"1":"a"}`, ""},
		{"{yes: a, True: b, c: d}", `{"c":"d",true:"b",!"yes":"a"}`, ""},
		{`{"1": a, 1: b, 0: c}`, `{!"0":"c",!"1":"b","1":"a"}`, `duplicate key "1"`},
		{`{"true": a, true: b}`, `{"true":"a",true:"b"}`, `duplicate key "true"`},
		{"{\ue000: a, \U00010000: b, a: c, aa: d, 'a!': e}", "{\"a\":\"c\",\"a!\":\"e\",\"aa\":\"d\",\"\ue000\":\"a\",\"\U00010000\":\"b\"}", ""},
		{"{<<: {1: a}, '1': b}", `{!"1":"a","1":"b"}`, ""},
	} {
		n, err := Parse("f.yaml", []byte(c.yaml), Options{PlainKeys: true})
		if err != nil || n.Canonical() != c.want {
			t.Errorf("%s: got %s, %v, want %s", c.yaml, n.Canonical(), err, c.want)
		}
		if _, err := Parse("f.yaml", []byte(c.yaml), Options{}); (err != nil) != (c.plain != "") || err != nil && !strings.HasSuffix(err.Error(), c.plain) {
			t.Errorf("%s, without plain keys: got %v, want %q", c.yaml, err, c.plain)
		}
	}
	if _, err := Parse("f", []byte("{True: 1, true: 2}"), Options{PlainKeys: true}); err == nil {
		t.Error("True and true are two keys")
	}
}

func TestMergeKeysYieldToWhatIsWrittenOut(t *testing.T) {
	n := mustParse(t, "a: &a {u: 1, v: 1}\nb: &b {v: 2, w: 2}\nc: {<<: [*a, *b], w: 3}\n")
	if got, want := n.Get("c").Canonical(), `{"u":!"1","v":!"1","w":!"3"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestFaultsAreAllNamedWithTheirPlaces(t *testing.T) {
	for _, c := range []struct{ name, yaml, want string }{
		{"duplicates", "a: 1\nb: {c: 1, c: 2}\na: 3\n", "f.yaml:2:11: duplicate key \"c\"\nf.yaml:3:1: duplicate key \"a\""},
		{"second document", "a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document starts here; only one is allowed"},
		{"keys", "~: 1\n[a]: 2\n", "f.yaml:1:1: a key must be a string, not null\nf.yaml:2:1: a key must be a string, not a list"},
		{"itself", "a: &a [*a]\n", "f.yaml:1:8: alias *a contains itself"},
		{"tags", "- !x 1\n- !!int 1\n- !!null ~\n- !y {}\n- !!merge <<\n- !!set {}\n", "f.yaml:1:3: tag !x is not supported\nf.yaml:2:3: tag !!int is not supported\nf.yaml:3:3: tag !!null is not supported\nf.yaml:4:3: tag !y is not supported\nf.yaml:5:3: tag !!merge is not supported\nf.yaml:6:3: tag !!set is not supported"},
		{"lone tags", "- ! 1\n- &a # why\n  ! x\n- \"é\u2028\"\n- {é: ! }\n- |\n  ! x\n- a ! b\n", "f.yaml:1:3: tag ! is not supported\nf.yaml:2:3: tag ! is not supported\nf.yaml:6:7: tag ! is not supported"},
		{"merge", "a: {<<: 1}\nb: {<<: {}, <<: {}}", "f.yaml:1:9: a merge key (<<) needs a map or a list of maps, not a plain value\nf.yaml:2:13: duplicate key \"<<\""},
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
		if _, err := Parse("f", []byte(doc), Options{}); err == nil {
			t.Errorf("%s: no fault", name)
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
	n, err := ParseJSON("f", []byte(`{"e": "\ud83d\ude00\/", "`+long+`": 1.50, "n": [1E400, 12345678901234567890123, -0, null, true, "\ud83d\udE00\\ud800"]}`))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := n.Canonical(), `{"e":"😀/","`+long+`":1.50,"n":[1E400,12345678901234567890123,-0,null,true,"😀\\ud800"]}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestJSONFaultsHavePlaces(t *testing.T) {
	for _, c := range []struct{ name, json, want string }{
		{"duplicate", "{\n \"a\": 1,\n \"a\": 2}", "f:3:2: duplicate key \"a\""},
		{"second value", "{}\n{}", "f:2:2: not valid JSON: more than one value"},
		{"open", "{\"a\": [", "f:1:8: not valid JSON: unexpected EOF"},
		{"empty", "", "f:1:1: not valid JSON: unexpected EOF"},
		{"high", `["a", "\ud800"]`, `f:1:7: \ud800 is an unpaired surrogate`},
		{"low", `{"\\\uDC00": 1}`, `f:1:2: \uDC00 is an unpaired surrogate`},
		{"two high", `"\ud800\ud800\udc00"`, `f:1:1: \ud800 is an unpaired surrogate`},
		{"wrong order", `"\udc00\ud800"`, `f:1:1: \udc00 is an unpaired surrogate`},
		{"apart", `"\ud800x\udc00"`, `f:1:1: \ud800 is an unpaired surrogate`},
		{"deep", strings.Repeat("[", 300), "f:1:202: not valid JSON: values nested too deeply"},
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
	words := []string{"deps", "outs", "always_changed", "frozen", "cmd", "x", "dist/app.zip", "train.lr", "lrs"}
	for word, want := range map[string]string{"app.zip": "dist/app.zip", "zip": "dist/app.zip", "lr": "train.lr", "pp.zip": "", "xyz": "", "dep": "deps", "alway_changd": "always_changed", "froze": "frozen", "cmds": "cmd", "zzzz": "", "": ""} {
		if got := Nearest(word, words); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "a: &x [1, 0x1f, .inf]\nb: {<<: {c: *x}}", "{\"a\": \"\\u0085\"}", "- !!str 1\n- 1_0.5\n- ! 007\n- yes", "? [a]\n: b", "---\n...\n---\n", "a: |\n  x\n y", "\"\\x7f\"", `{"a": [1E400, "\ud83d\ude00"]}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = Parse("f", data, Options{NoAnchors: true})
		y, err := Parse("f", data, Options{PlainKeys: true})
		checkFaults(t, err)
		if err == nil && y.weighs() < 1<<16 {
			checkYAML(t, y)
		}
		j, err := ParseJSON("f", data)
		checkFaults(t, err)
		if err != nil {
			return
		}
		if !json.Valid(data) {
			t.Fatal("not JSON")
		}
		if again, err := ParseJSON("f", []byte(j.Canonical())); err != nil || again.Canonical() != j.Canonical() {
			t.Fatalf("%v\n%s", err, j.Canonical())
		}
	})
}

// weighs counts nodes and texts, with what aliases name counted each time.
func (n *Node) weighs() int {
	w := 1 + len(n.Value)
	for _, it := range n.Items {
		w += it.weighs()
	}
	for _, p := range n.Pairs {
		w += len(p.Key) + p.Value.weighs()
	}
	return w
}

func checkFaults(t *testing.T, err error) {
	for _, e := range diag.All(err) {
		if e.Kind != diag.Usage || !strings.HasPrefix(e.Place, "f:") {
			t.Fatalf("fault without a place: %#v", e)
		}
	}
}

// checkYAML demands that a value which is written out in flow style, texts in
// quotes and all else as its source, has the same canonical text.
func checkYAML(t *testing.T, n *Node) {
	var b strings.Builder
	if !(&Node{Kind: List, Items: []*Node{n}}).flow(&b) { // in a list, ... does not end the document
		return
	}
	again, err := Parse("f", []byte(b.String()), Options{PlainKeys: true})
	if err != nil || again.Items[0].Canonical() != n.Canonical() {
		t.Fatalf("%v\n%s\n%s", err, b.String(), n.Canonical())
	}
}

// flow writes n, and says whether it could: sources that hold marks of the flow
// style can stand in the block style alone.
func (n *Node) flow(b *strings.Builder) bool {
	ok := true
	switch n.Kind {
	case List:
		b.WriteString("[")
		for _, it := range n.Items {
			ok = it.flow(b) && ok
			b.WriteString(", ")
		}
		b.WriteString("]")
	case Map:
		b.WriteString("{")
		for _, p := range n.Pairs {
			b.WriteString("? ") // a simple key ends at 1024 bytes
			ok = p.At.flow(b) && ok
			b.WriteString(" : ")
			ok = p.Value.flow(b) && ok
			b.WriteString(", ")
		}
		b.WriteString("}")
	case String:
		b.WriteString(Quote(n.Value))
	case Null:
		b.WriteString("null")
	default:
		b.WriteString(n.Value)
		return !strings.ContainsAny(n.Value, ",[]{}?:-\n")
	}
	return ok
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
