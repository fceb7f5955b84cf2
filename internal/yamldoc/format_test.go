package yamldoc

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
)

// formats are documents before and after; "" after means that nothing changes.
var formats = []struct{ name, in, out string }{
	{"indentation", "a:\n    b:\n       - c\n       -   d: 1\n           e: 2\n", "a:\n  b:\n    - c\n    - d: 1\n      e: 2\n"},
	{"a list below its key", "a:\n- b\n- - c\n  - d\n# e\nf: g\n", "a:\n  - b\n  - - c\n    - d\n# e\nf: g\n"},
	{"a comment in such a list", "a:\n# b\n- c\n# d\n- e\n", "a:\n  # b\n  - c\n  # d\n  - e\n"},
	{"space in a line", "a:   {  b :  [c,d ,  e],f: }   # g  \nh:\t1\t# i\n", "a: {b: [c, d, e], f: }   # g\nh: 1 # i\n"},
	{"empty lists and maps", "a: [ ]\nb: {\n}\n", "a: []\nb: {\n}\n"},
	{"empty lines", "\n\na: 1\n\n\n\nb:\n\n  c: 1\n \n   \n  d: 2\n\n\n", "a: 1\n\nb:\n\n  c: 1\n\n  d: 2\n"},
	{"no last line break", "a: 1", "a: 1\n"},
	{"CR LF", "a:\r\n    b: |\r\n       c\r\n\r\n        d\r\n", "a:\r\n  b: |\r\n    c\r\n\r\n     d\r\n"},
	{"mixed line ends", "a: 1\nb: 2\r\nc: 3\n", "a: 1\nb: 2\nc: 3\n"},
	{"byte order mark", "\uFEFFa:   1\n", "\uFEFFa: 1\n"},
	{"nothing", "", ""},
	{"comments alone", "# a\n\n\n  # b\n", "# a\n\n# b\n"},
	{"block scalars", "a:\n    b: |-\n     if x; then\n       y  \n\n     fi\n    c: >2 # d\n        e\n       f\n", "a:\n  b: |-\n    if x; then\n      y  \n\n    fi\n  c: >2 # d\n      e\n     f\n"},
	{"the end of a kept block scalar", "a: |+\n  b\n\n\n\nc: |+\n\n\n", ""},
	{"the end of a clipped block scalar", "a: |\n    b\n\n\n\nc: d\n", "a: |\n  b\n\nc: d\n"},
	{"a block scalar without line break", "a: |\n    b", "a: |\n  b"},
	{"a stripped block scalar without line break", "a: |-\n    b", "a: |-\n  b\n"},
	{"a block scalar of spaces", "a: |\n   b\n      \nc: d\n", "a: |\n  b\n     \nc: d\n"},
	{"a comment behind a block scalar", "a:\n    b: |\n      c\n      # text\n    # comment\n    d: e\n", "a:\n  b: |\n    c\n    # text\n  # comment\n  d: e\n"},
	{"text on several lines", "a: b\n      c\n\n      d\ne: \"f \n        g\\\n          h\\ \n i\"\nj: 'k\n    ''l'''\n", "a: b\n  c\n\n  d\ne: \"f\n  g\\\n  h\\ \n  i\"\nj: 'k\n  ''l'''\n"},
	{"quotes in quotes", "a:   \"b\\\"c\"\nd: [\"\\\\\",'e''f' ]\n", "a: \"b\\\"c\"\nd: [\"\\\\\", 'e''f']\n"},
	{"anchors, tags, aliases, merges", "a:   &x   !!str   b\nc:   *x\nd: &y\n    e: 1\nf:\n    <<:   *y\n    *x : g\nh: !!str\ni: [*x , &z j, !!str ]\n", "a: &x !!str b\nc: *x\nd: &y\n  e: 1\nf:\n  <<: *y\n  *x : g\nh: !!str\ni: [*x, &z j, !!str ]\n"},
	{"an empty value before an anchor", "a:\n&x b:   1\n", "a:\n&x b: 1\n"},
	{"JSON", "{\n    \"a\":1,\n    \"b\": {\n          \"c\":[\n  1,2\n ]\n  }\n}\n", "{\n  \"a\": 1,\n  \"b\": {\n    \"c\": [\n      1, 2\n    ]\n  }\n}\n"},
	{"brackets on several lines", "a:\n    b: [c,\n        d,   # e\n\n\n        # f\n        {g: h,\n         i: j}]\n    k:\n       - [l,\n          m\n         ]\n       - [{\n         n: o}]\n", "a:\n  b: [c,\n    d,   # e\n\n    # f\n    {g: h,\n      i: j}]\n  k:\n    - [l,\n        m\n      ]\n    - [{\n        n: o}]\n"},
	{"a pair in a list", "[a:   b, c ]", "[a: b, c]\n"},
	{"markers", "%YAML 1.1\n---   # a\nb:   1\n...\n# c\n", "%YAML 1.1\n---   # a\nb: 1\n...\n# c\n"},
	{"scalars like markers", "a: ---\n----: ...\n", ""},
	{"comments in line with what is around them", "a:\n    b: 1\n    # in a\n  # between\n# outside\nc:\n    # first of c\n    d:\n         # all of d\n         # e: 1\n\n    # f\n    f: 1\n       # last\n", "a:\n  b: 1\n  # in a\n# between\n# outside\nc:\n  # first of c\n  d:\n    # all of d\n    # e: 1\n\n  # f\n  f: 1\n  # last\n"},
	{"a comment behind a dash", "-   # a\n    b: 1\n", "-   # a\n  b: 1\n"},
	{"shell text", "cmd: make ${TARGET} 'a  b' \"c\" {d} # e\n", ""},
	{"letters of several bytes", "é:   [ü,  \"日本\"]\n   # ß\n日: { x: é }\n", "é: [ü, \"日本\"]\n# ß\n日: {x: é}\n"},
}

func TestFormatHasOneStyle(t *testing.T) {
	for _, c := range formats {
		t.Run(c.name, func(t *testing.T) {
			want := c.out
			if want == "" {
				want = c.in
			}
			got, err := Format("f.yaml", []byte(c.in))
			if err != nil || string(got) != want {
				t.Errorf("%v\n%q becomes\n%s\nwant\n%s", err, c.in, got, want)
			}
		})
	}
}

func TestFormatRefusesWhatItDoesNotKnow(t *testing.T) {
	for in, want := range map[string]string{
		"a: 1\n? b\n: 2\n":          "f.yaml:2:1: cannot be formatted: this form of YAML is not supported",
		"- |+\n   ":                 "f.yaml:1:5: cannot be formatted: the result would not say the same",
		"a: 1\n# b\u0085c: \"d\"\n": "f.yaml:2:1: cannot be formatted: contains a line break that only YAML 1.1 knows",
		"a: 1\na: 2\n":              `f.yaml:2:1: duplicate key "a"`,
		"a: [":                      "f.yaml:2:1: not valid YAML: did not find expected node content",
	} {
		if got, err := Format("f.yaml", []byte(in)); err == nil || err.Error() != want || got != nil {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}

// TestExamplesAreFormatted holds the style against the repository's own files: where they stand
// is the style.
func TestExamplesAreFormatted(t *testing.T) {
	count := 0
	err := filepath.WalkDir("../../examples", func(path string, _ os.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".yaml" {
			return err
		}
		count++
		in := read(t, path)
		if out, err := Format(path, in); err != nil || string(out) != string(in) {
			t.Errorf("%v\n%s", err, out)
		}
		return nil
	})
	if err != nil || count < 10 {
		t.Errorf("%d files, %v", count, err)
	}
}

func TestFormatKeepsWhatFilesSay(t *testing.T) {
	files, err := filepath.Glob("../spec/testdata/*.yaml")
	if err != nil || len(files) < 30 {
		t.Fatal(files, err)
	}
	formatted := 0
	for _, f := range files {
		in := read(t, f)
		if _, err := Parse(f, in, Options{}); err == nil {
			keeps(t, in)
			formatted++
		}
	}
	if formatted < 20 {
		t.Errorf("%d of %d files", formatted, len(files))
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// keeps formats a document and compares: the value, everything but white space, and what a second
// time makes of it.
func keeps(t *testing.T, in []byte) {
	t.Helper()
	out, err := Format("f", in)
	if err != nil {
		t.Errorf("%q: %v", in, err)
		return
	}
	was, _ := Parse("f", in, Options{})
	is, err := Parse("f", out, Options{})
	if err != nil || was.Canonical() != is.Canonical() {
		t.Errorf("%q becomes %q: %v", in, out, err)
	}
	if dense(in) != dense(out) {
		t.Errorf("%q becomes %q: not only white space has changed", in, out)
	}
	if again, err := Format("f", out); err != nil || string(again) != string(out) {
		t.Errorf("%q becomes %q, and that %q: %v", in, out, again, err)
	}
}

// dense is a text without its white space.
func dense(b []byte) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, string(b))
}

// FuzzFormat looks for documents that a format changes. That it refuses one is no failure.
func FuzzFormat(f *testing.F) {
	for _, c := range formats {
		f.Add([]byte(c.in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if _, err := Format("f", in); err == nil {
			keeps(t, in)
		}
	})
}
