package template

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/yamldoc"
)

// contexts are scripts that print the value of x, between < and >, from a place each. What they print
// beside it is left out of the comparison.
var contexts = map[string]string{
	"word":                   `printf '<%s>' ${x}`,
	"part of a word":         `printf '<%s>' A${x}B`,
	"double":                 `printf '<%s>' "${x}"`,
	"single":                 `printf '<%s>' '${x}'`,
	"assigned":               `v=${x}; printf '<%s>' "$v"`,
	"assigned, quoted":       `v="${x}"; printf '<%s>' "$v"`,
	"quotes side by side":    `printf '<%s>' ''"${x}"''`,
	"twice":                  `printf '<%s>' ${x}; [ ${x} = "${x}" ]`,
	"in $()":                 `printf '<%s>' "$(printf '%s.' ${x})"`,
	"double in $()":          `v="$(printf '%s.' "${x}")"; printf '<%s>' "${v%.}"`,
	"single in $()":          `v="$(printf '%s.' '${x}')"; printf '<%s>' "${v%.}"`,
	"$() in $()":             `v="$(printf %s "$(printf '%s.' "${x}")")"; printf '<%s>' "${v%.}"`,
	"subshell":               `(printf '<%s>' ${x})`,
	"heredoc":                "v=$(cat <<EOF\n${x}.\nEOF\n); printf '<%s>' \"${v%.}\"",
	"heredoc, quoted":        "cat <<'END OF IT' >f\n${x}.\nEND OF IT\nv=$(cat f); printf '<%s>' \"${v%.}\"",
	"heredoc with a default": "v=$(cat <<EOF\na ${nothing:-b} \"${x}.\nEOF\n); v=${v#'a b \"'}; printf '<%s>' \"${v%.}\"",
	"behind a heredoc":       "cat <<A <<-\\B >/dev/null\n'\nA\n\t\"\n\tB\nprintf '<%s>' ${x}",
	"behind a comment":       "# it's \"\nprintf '<%s>' ${x}",
	"behind a case":          "v=$(case a in (b) ;; a) printf '%s.' ${x};; esac); printf '<%s>' \"${v%.}\"",
	"behind case in $()":     "v=\"$(case in in in) printf '%s' a ;; esac) ${x}.\"; v=${v#a }; printf '<%s>' \"${v%.}\"",
	"behind $name":           `n=A; printf '<%s>' "$n${x}B"`,
	"behind $name, bare":     `n=A; printf '<%s>' $n${x}B`,
	"behind quotes":          `: 'a"' "b'" a\'b "\"" "$(echo ")")" "${HOME:-}"; printf '<%s>' ${x}`,
	"behind arithmetic":      `: $((1+(2)*3)) "$((1))"; printf '<%s>' "${x}"`,
	"behind backquotes":      "v=`echo \"a'\"`; printf '<%s>' \"${x}\"",
	"a default":              `printf '<%s>' ${nothing:-${x}}`,
	"an argument of sh":      `sh -c 'printf "<%s>" "$1"' - ${x}`,
	"a redirection's word":   `printf '<%s>' ${x} >out; cat out`,
	"a loop's word":          `for i in ${x}; do printf '<%s>' "$i"; done`,
	"a function's":           "f() { case $1 in *) printf '<%s>' \"$1\";; esac; }; f ${x}",
	"an escaped line":        "printf '<%s>' \\\n${x}",
	"a name's second line":   "n=A; printf '<%s>' \"$n\\\n${x}B\"",
	"behind ~":               "v=~${x}; printf '<%s>' \"${v#'~'}\"",
}

// value draws a text of what shells make something of.
func value() *rapid.Generator[string] {
	part := rapid.SampledFrom([]string{
		"'", `"`, "`", "$", `\`, "\n", " ", "\t", "$(touch ran)", "`touch ran`", "${HOME}", "$HOME", "; touch ran", "&& touch ran", "| touch ran", "> ran", "< /etc/passwd",
		"-", "--", "-n", "-e", "*", "?", "[a]", "{a,b}", "{1..3}", "~", "~root", "!", "!!", "#", "# a", "EOF", "\nEOF\n", "END OF IT", "\\\n", "é", "日本", "\u2028", "a", "A1", "0", "2>", ">&2", "\r", "=", "a=b", "()", ")", "(", "}", "{", "%s", "\\n", "\\x41", "if", "done", "$'", "$\"", "'\\''", "${x}", "\x01", "\x7f", "a,b", "../a", ".",
	})
	return rapid.Custom(func(t *rapid.T) string { return strings.Join(rapid.SliceOfN(part, 0, 6).Draw(t, "parts"), "") })
}

// expand returns a script in which x is a value; "" when that is refused.
func expand(script, value string, bash bool) (string, *diag.Error) {
	var fault *diag.Error
	x := NewExpander(func(_ *yamldoc.Node, e *diag.Error) { fault = e })
	x = x.In((*Scope)(nil).With(map[string]Value{"x": {Node: &yamldoc.Node{Kind: yamldoc.String, Value: value}}}))
	n := x.Script(&yamldoc.Node{Kind: yamldoc.String, Value: script}, bash)
	return n.Value, fault
}

// prints runs a script in an empty directory, and returns what it has printed.
func prints(t rapid.TB, dir, shell, script string) string {
	cmd := exec.Command(shell, "-c", script)
	cmd.Dir, cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "LC_ALL=C.UTF-8"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s\n%s", shell, err, script, out)
	}
	return string(out)
}

func TestShellsReadExactlyTheValueWhereverItStands(t *testing.T) {
	names := make([]string, 0, len(contexts))
	for name := range contexts {
		names = append(names, name)
	}
	dir := t.TempDir()
	refused, tried := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		v := value().Draw(t, "value")
		name := rapid.SampledFrom(names).Draw(t, "place")
		shell := rapid.SampledFrom([]string{"sh", "bash"}).Draw(t, "shell")
		script, fault := expand(contexts[name], v, shell == "bash")
		tried++
		if fault != nil {
			refused++
			if !strings.Contains(name, "heredoc") {
				t.Fatalf("%s: refused: %v", name, fault)
			}
			return
		}
		got, want := prints(t, dir, shell, script), "<"+v+">"
		switch name {
		case "part of a word", "a name's second line", "behind $name", "behind $name, bare":
			want = "<A" + v + "B>"
		case "in $()":
			want = "<" + v + ".>"
		}
		if got != want {
			t.Errorf("%s in %s: printed %q, want %q\n%s", name, shell, got, want, script)
		}
		if _, err := os.Stat(filepath.Join(dir, "ran")); err == nil {
			_ = os.Remove(filepath.Join(dir, "ran"))
			t.Errorf("%s in %s: the value was executed\n%s", name, shell, script)
		}
	})
	if refused*4 > tried {
		t.Errorf("%d of %d were refused", refused, tried)
	}
}
