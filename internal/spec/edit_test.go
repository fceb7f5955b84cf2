package spec

import "testing"

func TestAddNameAddsOneLineAndLeavesTheRest(t *testing.T) {
	for text, want := range map[string]string{
		"stages: {a: {cmd: x}}\n":                           "project: shop\nstages: {a: {cmd: x}}\n",
		"# why\nstages: {a: {cmd: x}}\n":                    "project: shop\n\n# why\nstages: {a: {cmd: x}}\n",
		"# head\n\n# why\nstages: {a: {cmd: x}} # end\n":    "# head\n\nproject: shop\n\n# why\nstages: {a: {cmd: x}} # end\n",
		"---\nstages: {a: {cmd: x}}\n":                      "---\nproject: shop\nstages: {a: {cmd: x}}\n",
		"stages: {a: {cmd: x}}\r\nremote: ../r\r\n":         "project: shop\r\nstages: {a: {cmd: x}}\r\nremote: ../r\r\n",
		"stages:\n  a:\n    cmd: |\n      # no comment\n\n": "project: shop\nstages:\n  a:\n    cmd: |\n      # no comment\n\n",
	} {
		if got, err := AddName(text, "shop", Options{}); err != nil || got != want {
			t.Errorf("%q:\n%q, %v, want\n%q", text, got, err, want)
		}
	}
	for _, text := range []string{"{stages: {a: {cmd: x}}}\n", "project: other\nstages: {a: {cmd: x}}\n"} {
		if got, err := AddName(text, "shop", Options{}); err == nil {
			t.Errorf("%q became %q", text, got)
		}
	}
}
