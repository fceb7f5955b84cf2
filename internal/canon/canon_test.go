package canon

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

type out struct {
	Path string `json:"path"`
	Size int64  `json:"size"`
}

type doc struct {
	Key  string  `json:"key"`
	Outs []out   `json:"outs"`
	By   string  `json:"by,omitempty"`
	Secs float64 `json:"secs,omitempty"`
}

func TestMarshalSortsMembersAndEscapesAsRFC8785Does(t *testing.T) {
	// The members of RFC 8785, 3.2.3, in the order that it prints.
	names := []string{"\r", "1", "\u0080", "ö", "€", "😀", "\ufb33"}
	in := map[string]int{}
	var want bytes.Buffer
	for i, n := range names {
		in[n] = i
		if i > 0 {
			want.WriteByte(',')
		}
		want.Write(AppendString(nil, n))
		want.WriteString(":" + string(rune('0'+i)))
	}
	got, err := Marshal(in)
	if err != nil || string(got) != "{"+want.String()+"}\n" {
		t.Errorf("got %q, %v, want {%s}", got, err, want.String())
	}
	if got := string(AppendString(nil, "\b\t\n\f\r\x0b\x1f\"\\/<&\u2028\x7fé")); got != `"\b\t\n\f\r\u000b\u001f\"\\/<&`+"\u2028\x7fé\"" {
		t.Errorf("string %s", got)
	}
	for f, want := range map[float64]string{1e21: "1e+21", 1e-7: "1e-7", 0.1: "0.1", 333333333.33333329: "333333333.3333333", 1e20: "100000000000000000000"} {
		if got, err := Marshal(f); err != nil || string(got) != want+"\n" {
			t.Errorf("number %v: %q, %v", f, got, err)
		}
	}
}

func TestUnmarshalTakesOnlyTheCanonicalBytes(t *testing.T) {
	good := `{"by":"a","key":"k","outs":[{"path":"p","size":9007199254740993}],"secs":1.5,"x-later":{"a":[null,true]}}` + "\n"
	var d doc
	if err := Unmarshal([]byte(good), &d); err != nil {
		t.Fatal(err)
	}
	if d.Outs[0].Size != 9007199254740993 || d.By != "a" {
		t.Errorf("read %+v", d)
	}
	for name, bad := range map[string]string{
		"no newline":              `{"key":"k","outs":[]}`,
		"two newlines":            "{\"key\":\"k\",\"outs\":[]}\n\n",
		"space":                   `{"key": "k","outs":[]}` + "\n",
		"unsorted":                `{"outs":[],"key":"k"}` + "\n",
		"a member twice":          `{"key":"k","key":"k","outs":[]}` + "\n",
		"another case alone":      `{"Outs":[{"path":"p","size":1}],"key":"k"}` + "\n",
		"the Kelvin sign":         "{\"key\":\"k\",\"outs\":[],\"\u212aey\":\"z\"}\n",
		"case in a list":          `{"key":"k","outs":[{"Path":"p","size":1}]}` + "\n",
		"a number with exponent":  `{"key":"k","outs":[],"secs":15e-1}` + "\n",
		"a fraction of zero":      `{"key":"k","outs":[],"secs":1.50}` + "\n",
		"minus zero":              `{"key":"k","outs":[],"secs":-0}` + "\n",
		"a needless escape":       `{"key":"\u006b","outs":[]}` + "\n",
		"a lone surrogate":        `{"key":"\ud800","outs":[]}` + "\n",
		"no UTF-8":                "{\"key\":\"\xff\",\"outs\":[]}\n",
		"a required member gone":  `{"outs":[]}` + "\n",
		"another type":            `{"key":1,"outs":[]}` + "\n",
		"null for a list":         `{"key":"k","outs":null}` + "\n",
		"null for a text":         `{"by":null,"key":"k","outs":[]}` + "\n",
		"null for a number":       `{"key":"k","outs":[],"secs":null}` + "\n",
		"null for an item":        `{"key":"k","outs":[null]}` + "\n",
		"null in an item":         `{"key":"k","outs":[{"path":"p","size":null}]}` + "\n",
		"null for all":            "null\n",
		"a second value":          "{\"key\":\"k\",\"outs\":[]}\n{}\n",
		"a whole number too long": `{"key":"k","outs":[{"path":"p","size":1e3}]}` + "\n",
	} {
		if err := Unmarshal([]byte(bad), &doc{}); !errors.Is(err, ErrForm) {
			t.Errorf("%s: taken: %v", name, err)
		}
	}
}

func TestARefusalSaysWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		`{"Key":"k","outs":[]}`:                        `unknown member "Key" in the document (the name is "key")`,
		`{"KEY":"x","key":"k","outs":[]}`:              `unknown member "KEY" in the document (the name is "key")`,
		`{"key":"k","outs":[{"path":"p","SIZE":1}]}`:   `unknown member "SIZE" in outs/0 (the name is "size")`,
		`{"outs":[]}`:                                  `the document lacks the member "key"`,
		`{"key":"k","outs":[{"path":"p"}]}`:            `outs/0 lacks the member "size"`,
		`{"by":null,"key":"k","outs":[]}`:              `by is null`,
		`{"outs":[],"key":"k"}`:                        `members are unsorted or repeated`,
		`{"key":"k","outs":[{"path":"p","size":1.0}]}`: `1.0`,
	} {
		if err := Unmarshal([]byte(text+"\n"), &doc{}); !errors.Is(err, ErrForm) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestSchemaIsReadByItsExactNameHoweverLargeItIs(t *testing.T) {
	for text, want := range map[string]int{
		`{"schema":2}`: 2, "{ \"x\": null,\n\"schema\" : 7 }": 7, `{"schema":9223372036854775808}`: math.MaxInt, `{"schema":1` + strings.Repeat("0", 400) + `}`: math.MaxInt,
		`{"SCHEMA":3}`: 0, `{"Schema":3,"schema":1}`: 1, `{"schema":"3"}`: 0, `{"schema":-3}`: 0, `{"schema":3.5}`: 0, `{"schema":null}`: 0, `{"schema":3`: 0, `[3]`: 0, ``: 0,
	} {
		if got := Schema([]byte(text)); got != want {
			t.Errorf("%s: %d, want %d", text, got, want)
		}
	}
}

// TestEveryReaderReadsTheSame holds that what Unmarshal takes, a reader that knows
// exact names alone reads the same.
func TestEveryReaderReadsTheSame(t *testing.T) {
	names := rapid.SampledFrom([]string{"key", "Key", "KEY", "\u212aey", "outs", "Outs", "by", "BY", "other"})
	rapid.Check(t, func(t *rapid.T) {
		m := map[string]any{}
		for _, n := range rapid.SliceOfN(names, 0, 6).Draw(t, "names") {
			if n == "outs" || n == "Outs" {
				m[n] = []any{map[string]any{"path": rapid.String().Draw(t, "path"), "size": 1}}
			} else {
				m[n] = rapid.String().Draw(t, "text")
			}
		}
		b, err := Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var d doc
		if Unmarshal(b, &d) != nil {
			return
		}
		var exact map[string]json.RawMessage
		if err := json.Unmarshal(b, &exact); err != nil {
			t.Fatal(err)
		}
		var key string
		if err := json.Unmarshal(exact["key"], &key); err != nil || key != d.Key {
			t.Errorf("%s: key %q, others read %q (%v)", b, d.Key, key, err)
		}
	})
}
