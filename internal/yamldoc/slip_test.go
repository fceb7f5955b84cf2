package yamldoc

import (
	"errors"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
)

func TestASlipOfSyntaxIsPlacedAndHasAHint(t *testing.T) {
	for _, c := range []struct{ name, yaml, place, hint string }{
		{"deeper", "a:\n  b: x y\n   c: d\n", "3:1", "indentation"},
		{"less deep", "a:\n  b:\n    c: d\n   e: f\n  g: h\n", "4:1", "indentation"},
		{"list in a map", "a:\n  b: 1\n  c: 2\n  - d\n  e: 3\n", "4:1", "indentation"},
		{"key in a list", "a:\n  - b\n  - c\n  d: 1\n", "4:1", "indentation"},
		{"no blank behind the colon", "a:\n  b:x\n  c: 1\n", "3:1", `each key ends in ": "`},
		{"tab", "a:\n\tb: 1\n", "2:1", "spaces"},
		{"colon", "a:\n  b: echo c: d\n", "2:1", `contains ": "`},
		{"colon in quotes", "a:\n  - b: echo \"c: d\"\n", "2:1", `contains ": "`},
		{"quote at the beginning", "a:\n  b: 1\n  c: 'd' == e\n  f: 2\n", "3:1", "begins with one"},
		{"quote in a list", "a:\n  - x\n  - \"it\\\"s\" d\n", "3:1", "begins with one"},
		{"pattern", "a:\n  b: [*.md, c]\n", "2:1", "begins with *"},
		{"pattern in a block", "a:\n  - *.md\n", "2:1", "begins with *"},
		{"alias", "a:\n  b: *x\n", "2:6", "begins with *"},
		{"exclude", "a:\n  b: [c, !d/e]\n", "2:1", "begins with !"},
		{"exclude in a block", "a:\n  - !d/e\n", "2:5", "begins with !"},
		{"template in a list", "a:\n  b: [${c}.txt]\n  d: 1\n", "2:1", `"${NAME}"`},
		{"bracket", "a: 1\nb: [c, d\ne: 1\n", "2:1", "bracket"},
		{"at", "a:\n  b: @c\n", "2:1", "begins with @"},
		{"quote that is not closed", "a:\n  b: \"c\n  d: e\n", "2:1", "close the quote"},
		{"text that is not indented", "a:\n  b: |\n  echo c\n  d: e\n", "3:1", "below |"},
		{"line ends of Windows", "a:\r\n  b: x\r\n   c: 'd: e'\r\n", "3:1", `contains ": "`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("f", []byte(c.yaml), Options{})
			var e *diag.Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want a fault", err)
			}
			if e.Place != "f:"+c.place || !strings.Contains(e.Hint, c.hint) {
				t.Errorf("got %s with hint %q, want the place %s and a hint with %q", err, e.Hint, c.place, c.hint)
			}
		})
	}
}

func TestTheLineOfAnErrorIsTheOneThatBreaksTheText(t *testing.T) {
	good := "a:\n" + strings.Repeat("  k: [1, {b: c}]\n", 500) // the keys are the same: no matter to syntax
	text := []byte(good + "  l: 'x' y\n" + strings.Repeat("  m: 1\n", 500))
	if got := met(text, 2, "did not find expected key"); got != 502 {
		t.Errorf("got line %d, want 502", got)
	}
}
