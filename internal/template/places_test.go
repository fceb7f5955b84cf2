package template

import (
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/yamldoc"
)

// TestEachPlaceHasItsRule has the places in which a value that is safe elsewhere means something: each rule
// is needed by a line here. want is what the script prints with the value; refused: it cannot be quoted.
func TestEachPlaceHasItsRule(t *testing.T) {
	const refused = "refused"
	for _, c := range []struct{ name, shell, script, value, want string }{
		{"braces and a comma", "bash", `printf '<%s>' {${x}}`, "a,b", "<{a,b}>"},
		{"braces and a range", "bash", `printf '<%s>' {${x}}`, "1..3", "<{1..3}>"},
		{"braces, the end of a range", "bash", `printf '<%s>' {1${x}}`, "..3", "<{1..3}>"},
		{"braces, the begin of a range", "bash", `printf '<%s>' {1.${x}}`, ".3", "<{1..3}>"},
		{"braces, half of the dots", "bash", `printf '<%s>' {${x}.3}`, "1.", "<{1..3}>"},
		{"behind a tilde", "sh", `HOME=/nowhere; printf '<%s>' ~${x}`, "/a", "<~/a>"},
		{"the name of a user", "sh", `printf '<%s>' ~${x}`, "root", "<~root>"},
		{"before a redirection", "sh", `printf '<%s>' ${x}>out; cat out`, "2", "<2>"},
		{"before an input", "sh", `printf '<%s>' ${x}</dev/null`, "0", "<0>"},
		{"a reserved word as a command", "sh", `${x} false 2>/dev/null && printf no; printf ok`, "!", "ok"},
		{"a reserved word in a condition", "sh", `if ${x} 2>/dev/null; then printf a; fi; printf ok`, "then", "ok"},
		{"an assignment as a command", "sh", `PATH=; ${x} 2>/dev/null || printf ok`, "A=b", "ok"},
		{"behind a name, a digit", "bash", `n=A; printf '<%s>' $n${x}`, "1", "<A1>"},
		{"in quotes behind a name, a digit", "bash", `n=A; printf '<%s>' "$n${x}"`, "1", "<A1>"},
		{"behind a name in a heredoc", "sh", "n=A; cat <<E\n$n${x}\nE", "1", refused},
		{"behind a name in a comment", "sh", "# $n${x}\nprintf ok", "1", "ok"},
		{"behind a dollar sign", "sh", `HOME=/; printf '<%s>' $${x}`, "HOME", refused},
		{"a tab in <<-", "sh", "cat <<-E\na ${x}\nE", "b\n\tc", refused},
		{"a tab that begins a line of <<-", "sh", "cat <<-E\n${x}\nE", "\ta", refused},
		{"a tab in <<", "sh", "cat <<E\n${x}\nE", "a\n\tb", "a\n\tb\n"},
		{"the delimiter, in parts", "sh", "cat <<EOF\nE${x}\na\nEOF", "OF", refused},
		{"the delimiter in a quoted heredoc", "sh", "cat <<'EOF'\n${x}\nEOF", "a\nEOF\nb", refused},
		{"a backslash in a heredoc", "sh", "cat <<E\n${x}\nE", `\\$a`, "\\\\$a\n"},
		{"a backslash in a quoted heredoc", "sh", "cat <<'E'\n${x}\nE", `\\$a`, "\\\\$a\n"},
		{"the delimiter in $() of a heredoc", "bash", "cat <<E\n$(printf %s ${x})\nE", "a\nE\nb", refused},
		{"a backslash in $''", "bash", `printf '<%s>' $'${x}'`, `\n`, refused},
		{"a quote in $''", "bash", `printf '<%s>' $'${x}'`, `'`, refused},
		{"$'' with a safe text", "bash", `printf '<%s>' $'${x}\n'`, "a b", "<a b\n>"},
		{"a default between quotes", "sh", `printf '<%s>' "${v:-${x}}"`, "a b", refused},
		{"a default between quotes, safe", "sh", `printf '<%s>' "${v:-${x}}"`, "a-b", "<a-b>"},
		{"a default", "sh", `printf '<%s>' ${v:-${x}}`, "a b", "<a b>"},
		{"a pattern", "bash", `v=a/b; printf '<%s>' ${v#${x}}`, "*", refused},
		{"a pattern with a slash", "bash", `v=a/b/c; printf '<%s>' ${v/${x}}`, "a/b", refused},
		{"a line break in a comment", "sh", "# ${x}\nprintf ok", "a\nprintf no", refused},
		{"a comment", "sh", "# ${x}\nprintf ok", "it's $(x)", "ok"},
		{"a number in $(())", "sh", `printf '<%s>' $((1+${x}))`, "-2", "<-1>"},
		{"no number in $(())", "sh", `printf '<%s>' $((1+${x}))`, "a", refused},
		{"`` with a safe text", "sh", "printf '<%s>' `printf %s ${x}`", "a.b", "<a.b>"},
		{"`` with a space", "sh", "printf '<%s>' `printf %s ${x}`", "a b", refused},
		{"behind a case in $() that is not seen", "bash", `printf '<%s>' "$(time -p case a in a) echo ${x};; esac)"`, "a b", refused},
		{"behind a heredoc and a $() in one line", "sh", "cat <<E; v=$(printf %s\nE\n${x})", "a b", refused},
		{"behind a raw value that opens quotes", "sh", `printf '<%s>' ${x | raw}${x}"`, `"`, `<">`},
	} {
		t.Run(c.name, func(t *testing.T) {
			script, fault := expand(c.script, c.value, c.shell == "bash")
			if fault != nil || c.want == refused {
				if fault == nil || c.want != refused {
					t.Errorf("%s with %q: got %q, %v, want %q", c.script, c.value, script, fault, c.want)
				}
				return
			}
			if got := prints(t, t.TempDir(), c.shell, script); got != c.want {
				t.Errorf("%s prints %q, want %q", script, got, c.want)
			}
		})
	}
}

func TestAListStandsAsWordsAlone(t *testing.T) {
	list := &yamldoc.Node{Kind: yamldoc.List, Items: []*yamldoc.Node{{Kind: yamldoc.String, Value: "a b"}, {Kind: yamldoc.String, Value: "c"}}}
	for script, want := range map[string]string{
		"x ${l}; y": "x 'a b' c; y", "${l}": "'a b' c", "x A${l}": "", `x "${l}"`: "", "x ${l}B": "", "x $${l}": "", "x $n${l}": "", "x ${l}>o": "", "# ${l}": "",
	} {
		faults := 0
		x := NewExpander(func(*yamldoc.Node, *diag.Error) { faults++ }).In((*Scope)(nil).With(map[string]Value{"l": {Node: list}}))
		got := x.Script(&yamldoc.Node{Kind: yamldoc.String, Value: script}, false).Value
		if faults > 0 && want != "" || faults == 0 && got != want {
			t.Errorf("%s is %s, with %d faults", script, got, faults)
		}
	}
}

func TestAnIndexIsWrittenInOneWay(t *testing.T) {
	list := &yamldoc.Node{Kind: yamldoc.List, Items: []*yamldoc.Node{{}, {}}}
	s := (*Scope)(nil).With(map[string]Value{"l": {Node: list}})
	for index, want := range map[string]bool{"0": true, "1": true, "2": false, "-1": false, "01": false, "+1": false, "x": false} {
		if n, err := s.Find(Ref{"l", index}); (err == nil) != want || want && n == nil {
			t.Errorf("l[%s]: %v", index, err)
		}
	}
}

func TestNoValueNamesAFunction(t *testing.T) {
	if got, fault := expand(`${x}() { :; }`, "ls", false); fault != nil || got != `'ls'() { :; }` {
		t.Errorf("got %s, %v", got, fault)
	}
}
