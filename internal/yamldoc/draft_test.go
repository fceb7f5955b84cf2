package yamldoc

import (
	"strings"
	"testing"
)

func TestADraftIsWrittenAsItWasRead(t *testing.T) {
	const text = `# Above all.
a: 1 # one
# Above b.
b:
  # in a list
  - x
  - 'y: z'
c: {d: [1, "2"], e: ~}
f: |
  two
  lines
g: >-
  folded text
`
	d, err := ReadDraft("f", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Encode(); got != text {
		t.Errorf("%s", got)
	}
	var pairs strings.Builder
	for _, k := range d.Keys() {
		pairs.WriteString(d.Pair(k))
	}
	if pairs.String() != text {
		t.Errorf("pair by pair:\n%s", pairs.String())
	}
}

func TestADraftIsChanged(t *testing.T) {
	d, err := ReadDraft("f", []byte("a: {b: 1, c: 2} # stays\nd: [x]\ne: z\n"))
	if err != nil {
		t.Fatal(err)
	}
	d.Get("a").Delete("b")
	d.Get("a").Set("c", NewText("on"))
	d.Get("a").Set("n", NewFlag(true))
	d.Get("d").Append(NewText("a: b"))
	d.Get("e").SetValue("zz")
	d.Rename("e", "last")
	d.Set("list", NewList(false, NewText("1")))
	d.Delete("no such key")
	if got, want := d.Encode(), "a: {c: on, n: true} # stays\nd: [x, 'a: b']\nlast: zz\nlist:\n  - \"1\"\n"; got != want {
		t.Errorf("%s", got)
	}
	if d.Get("x") != nil || d.Get("x").IsMap() || d.Get("x").Items() != nil || d.Get("last").Line() != 3 || d.Pair("x") != "" {
		t.Error("what is not there")
	}
}

// TestADraftHasNoAliases: a change in one place is a change there alone.
func TestADraftHasNoAliases(t *testing.T) {
	d, err := ReadDraft("f", []byte("a: &a {x: 1, y: [1]}\nb: *a\nc:\n  <<: [*a, {x: 3, w: 4}]\n  y: 2\nd: {n: }\n"))
	if err != nil {
		t.Fatal(err)
	}
	d.Get("b").Get("y").Append(NewText("z"))
	if got, want := d.Encode(), "a: {x: 1, y: [1]}\nb: {x: 1, y: [1, z]}\nc:\n  y: 2\n  x: 1\n  w: 4\nd: {n: null}\n"; got != want {
		t.Errorf("%s", got)
	}
	if _, err := ReadDraft("f", []byte("a: 1\na: 2\n")); err == nil {
		t.Error("a duplicate key was taken")
	}
	if d, err := ReadDraft("f", nil); err != nil || d.Encode() != "{}\n" {
		t.Errorf("empty: %v", err)
	}
}
