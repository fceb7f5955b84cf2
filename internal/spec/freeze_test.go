package spec

import (
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
)

// hintOf is the next step that the first error names.
func hintOf(err error) string { return diag.All(err)[0].Hint }

func TestFreezeChangesTheFlagAndLeavesTheRest(t *testing.T) {
	for _, c := range []struct{ thawed, frozen string }{
		{"stages:\n  a:\n    cmd: x\n", "stages:\n  a:\n    frozen: true\n    cmd: x\n"},
		{"stages:\n  a: # why\n    # how\n    cmd: x\n    outs: [y]\n", "stages:\n  a: # why\n    frozen: true\n    # how\n    cmd: x\n    outs: [y]\n"},
		{"stages:\r\n  a:\r\n    cmd: x # ä\r\n", "stages:\r\n  a:\r\n    frozen: true\r\n    cmd: x # ä\r\n"},
		{"stages:\n  a: {cmd: x, outs: [y]}\n", "stages:\n  a: {frozen: true, cmd: x, outs: [y]}\n"},
		{"stages:\n  a: { cmd: x }\n", "stages:\n  a: { frozen: true, cmd: x }\n"},
		{"stages: {a: {\n  # c\n  cmd: x}}", "stages: {a: {frozen: true,\n  # c\n  cmd: x}}"},
		{`{"stages": {"a": {"cmd": "x", "outs": ["y"]}}}`, `{"stages": {"a": {"frozen": true, "cmd": "x", "outs": ["y"]}}}`},
		{"stages: {b: {cmd: 'äöü'}, a: {cmd: y}}\n", "stages: {b: {cmd: 'äöü'}, a: {frozen: true, cmd: y}}\n"},
		{"\uFEFFstages: {a: {cmd: y}}\n", "\uFEFFstages: {a: {frozen: true, cmd: y}}\n"},
		{"stages:\n  b: &b\n    cmd: x\n  a: {<<: *b}\n", "stages:\n  b: &b\n    cmd: x\n  a: {frozen: true, <<: *b}\n"},
		{"stages:\n  a: &a\n    cmd: x\n  b:\n    <<: *a\n    frozen: false\n    outs: [z]\n", "stages:\n  a: &a\n    frozen: true\n    cmd: x\n  b:\n    <<: *a\n    frozen: false\n    outs: [z]\n"},
	} {
		if got, err := Freeze(c.thawed, "a", Options{}); err != nil || got != c.frozen {
			t.Errorf("freeze %q:\n%q, %v, want\n%q", c.thawed, got, err, c.frozen)
		}
		if got, err := Freeze(c.frozen, "a", Options{}); err != nil || got != c.frozen {
			t.Errorf("freeze twice %q:\n%q, %v", c.frozen, got, err)
		}
		if got, err := Unfreeze(c.frozen, "a", Options{}); err != nil || got != c.thawed {
			t.Errorf("unfreeze %q:\n%q, %v, want\n%q", c.frozen, got, err, c.thawed)
		}
	}
}

func TestUnfreezeKeepsComments(t *testing.T) {
	for text, want := range map[string]string{
		"stages:\n  a:\n    cmd: x\n    frozen: true # too big\n":                   "stages:\n  a:\n    cmd: x\n    frozen: false # too big\n",
		"stages:\n  a:\n    cmd: x\n    # too big\n    frozen: true\n":              "stages:\n  a:\n    cmd: x\n    # too big\n",
		"stages: {a: {cmd: x, frozen: true}}\n":                                     "stages: {a: {cmd: x}}\n",
		"stages: {a: {cmd: x,\n  frozen: true,\n  outs: [y]}}\n":                    "stages: {a: {cmd: x,\n  outs: [y]}}\n",
		"stages: {a: {cmd: x, frozen: true}, b: {cmd: y, frozen: true}}\n":          "stages: {a: {cmd: x}, b: {cmd: y, frozen: true}}\n",
		"stages:\n  a:\n    frozen:\n      true\n    cmd: x\n":                      "stages:\n  a:\n    cmd: x\n",
		"stages:\n  a:\n    cmd: |\n      echo frozen: true\n    frozen: true":      "stages:\n  a:\n    cmd: |\n      echo frozen: true\n",
		"stages:\n  a:\n    cmd: x\n    \"frozen\": true\n\n# end\nproject: shop\n": "stages:\n  a:\n    cmd: x\n\n# end\nproject: shop\n",
	} {
		if got, err := Unfreeze(text, "a", Options{}); err != nil || got != want {
			t.Errorf("%q:\n%q, %v, want\n%q", text, got, err, want)
		}
	}
}

func TestFreezeRefusesWhatItCannotSayWithoutASideEffect(t *testing.T) {
	for text, want := range map[string]string{
		"stages:\n  b: &b\n    cmd: x\n    outs: []\n  a: *b\n":                "add this line",
		"stages:\n  b: &b\n    cmd: x\n  a:\n    <<: *b\n":                     "add this line",
		"stages:\n  ? a\n  : cmd: x\n":                                         "add this line",
		"stages:\n  a:\n    cmd: x\n    always_changed: true\n    outs: [y]\n": "remove always_changed",
		"stages:\n  b:\n    cmd: x\n":                                          "pipe stage list",
	} {
		got, err := Freeze(text, "a", Options{})
		if err == nil {
			t.Errorf("%q became %q", text, got)
		} else if hint := hintOf(err); !strings.Contains(hint, want) {
			t.Errorf("%q: %v, hint %q, want %q", text, err, hint, want)
		}
	}
	shared := "stages:\n  b: &b\n    cmd: x\n    frozen: true\n  a: {<<: *b}\n"
	if got, err := Unfreeze(shared, "a", Options{}); err == nil || !strings.Contains(hintOf(err), "frozen: false") {
		t.Errorf("%q became %q, %v", shared, got, err)
	}
}
