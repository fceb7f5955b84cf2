package metrics

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/pkg/repopath"
)

func read(t *testing.T, file repopath.Path, data string) []Value {
	t.Helper()
	v, err := Read(file, []byte(data))
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return v
}

// lines shows values as NAME=JSON.
func lines(t *testing.T, values []Value) string {
	t.Helper()
	var all []string
	for _, v := range values {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%s=%s", v.Name, b))
	}
	return strings.Join(all, " ")
}

func TestEveryFormatIsAListOfValues(t *testing.T) {
	for _, c := range []struct {
		file       repopath.Path
		data, want string
	}{
		{"m.json", `{"a": {"b": 0.10, "c": [1, true]}, "d": null, "e": "x"}`, `a.b=0.10 a.c.0=1 a.c.1=true d=null e="x"`},
		{"m.json", "\ufeff0.5", `=0.5`},
		{"m.json", `{"a.b": 1, "a": {"b": 2, "": 3, "\"": 4}}`, `"a.b"=1 a.b=2 a.""=3 a."\""=4`},
		{"m.json", `{"loss": NaN, "min": -Infinity, "n": "a \"NaN\" b"}`, `loss="NaN" min="-Infinity" n="a \"NaN\" b"`},
		{"M.JSON", `{"big": 1e999999999, "far": 1E400}`, `big="1e999999999" far=1E400`},
		{"m.yaml", "a: 1\nb: +1\nc: .5\nd: 0x1F\ne: 0o17\nf: True\ng: ~\nh: 2020-01-01\ni: .nan\nj: '1'\nk: 1_0\nl: 010\nm: 0b1\n1: n\n", `a=1 b=1 c=0.5 d=31 e=15 f=true g=null h="2020-01-01" i=".nan" j="1" k="1_0" l=10 m="0b1" 1="n"`},
		{"m.toml", "a = 1_000\nb = 0b101\nc = 0xff\nd = inf\n[t]\nx = 1.5e3\n[[l]]\ny = 'z'\n", `a=1000 b=5 c=255 d="inf" t.x=1.5e3 l.0.y="z"`},
		{"scores", "auc: 0.9\n", `auc=0.9`},
		{"m.csv", "step, loss\n0,0.5\n1,\n2,\"a,b\"\n", `0.step=0 0.loss=0.5 1.step=1 1.loss="" 2.step=2 2.loss="a,b"`},
		{"m.tsv", "a\tb c\r\n1\t 2\r\n", `0.a=1 0.b c=" 2"`},
		{"m.csv", "", ``},
		{"m.yaml", "", `=null`},
		{"m.csv", "a,b\n", ``},
	} {
		if got := lines(t, read(t, c.file, c.data)); got != c.want {
			t.Errorf("%s: %q\n got %s\nwant %s", c.file, c.data, got, c.want)
		}
	}
}

func TestWhatIsNoSuchFileIsRefusedWithAPlace(t *testing.T) {
	for _, c := range []struct {
		file       repopath.Path
		data, want string
	}{
		{"m.json", `{"a": 1,}`, "m.json:1:9: not valid JSON"},
		{"m.json", `{"a": NaN, b}`, "m.json:1:7: not valid JSON"},
		{"m.json", ``, "m.json:1:1: not valid JSON"},
		{"m.json", `{"a": 1, "a": 2}`, `m.json:1:10: duplicate key "a"`},
		{"m.toml", `a = `, "m.toml:1:4: not valid TOML"},
		{"m.csv", "a,b\n1\n", "m.csv:2:1: not a valid table: wrong number of fields"},
		{"m.csv", "a,b,a\n", `m.csv:1:5: column "a" is there twice`},
		{"m.csv", "a\n\"x\n", "m.csv:2:4: not a valid table"},
		{"model.pkl", "\x80\x04", "model.pkl: not valid UTF-8"},
		{"m.yaml", "a: 1\n---\nb: 2\n", "m.yaml:2:1: a second document"},
		{"m.csv", strings.Repeat("x", MaxSize+1), "m.csv: too large"},
	} {
		_, err := Read(c.file, []byte(c.data))
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || !diag.Is(err, diag.Usage) {
			t.Errorf("%s: got %v, want %s", c.file, err, c.want)
		}
	}
}

func TestAReadableFileIsKnownByItsEnding(t *testing.T) {
	for file, want := range map[repopath.Path]bool{"a/m.json": true, "M.YML": true, "m.csv": true, "scores": false, "model.pkl": false, "json": false} {
		if Readable(file) != want {
			t.Errorf("%s: %v", file, !want)
		}
	}
}

// Binary floating point makes 0.30000000000000004 of 0.1 and 0.2.
func TestDifferencesAreExact(t *testing.T) {
	for _, c := range []struct{ old, new, by string }{
		{"-0.1", "0.2", "0.3"},
		{"0.1", "0.3", "0.2"},
		{"0.9", "0.90", "0"},
		{"1", "1e3", "999"},
		{"0.9249748999797422", "0.9461113110361", "0.0211364110563578"},
		{"1e-30", "2.5e-30", "1.5e-30"},
		{"0", "-123456789012345678901234567890", "-1.2345678901234567890123456789e29"},
		{"12345678901234567890", "12345678901234567891", "1"},
		{"0.000001", "0", "-0.000001"},
		{"0.0000001", "0", "-1e-7"},
		{"100", "0", "-100"},
		{"0", "100000000000000000000", "100000000000000000000"},
		{"0", "1000000000000000000000", "1e21"},
		{"3", "'3'", ""},
		{"x", "1", ""},
	} {
		all := Diff(read(t, "a.yaml", "v: "+c.old), read(t, "a.yaml", "v: "+c.new))
		if len(all) != 1 || all[0].By != c.by {
			t.Errorf("%s to %s: got %q, want %q", c.old, c.new, all[0].By, c.by)
		}
	}
}

func TestADiffNamesWhatOnlyOneSideHas(t *testing.T) {
	var got []string
	for _, c := range Diff(read(t, "a.json", `{"gone": 1, "one": 1.0, "t": "x", "b": true, "far": 1e9999999}`), read(t, "b.yaml", "fresh: 2\none: 1\nt: y\nb: True\nfar: 1e9999999\n")) {
		line := c.Name
		switch {
		case c.Old == nil:
			line += " new"
		case c.New == nil:
			line += " gone"
		case c.Same():
			line += " same"
		}
		got = append(got, line)
	}
	if s := strings.Join(got, ", "); s != "fresh new, one same, t, b same, far same, gone gone" {
		t.Errorf("got %s", s)
	}
}

func TestATextIsNotTheValueThatLooksLikeIt(t *testing.T) {
	text, err := Read("a.json", []byte(`{"a": "true", "b": "null", "c": "1"}`))
	if err != nil {
		t.Fatal(err)
	}
	value, err := Read("a.json", []byte(`{"a": true, "b": null, "c": 1}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range Diff(text, value) {
		if c.Same() || c.By != "" {
			t.Errorf("%s: the same, or a change by %q", c.Name, c.By)
		}
	}
}
