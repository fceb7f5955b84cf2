package template

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestNoPlaceLetsAValueRun puts values that want to run a command into random scripts, most of which no
// shell takes. Whatever a script is, the command must not run.
func TestNoPlaceLetsAValueRun(t *testing.T) {
	fragment := rapid.SampledFrom([]string{
		"${x}", "${x}", "${x}", " ", "\n", "\n", "a", "echo ", "printf %s ", `"`, `"`, "'", "'", "$(", ")", "`", "$((", "))", "((", "$[", "]", "${v:-", "${v#", "${v/a/", "}", "(", ")", "{ ", "; }", ";", "|cat ", "&& ", "<<E\n", "<<E ", "<<'E' ", "<<-E\n", "<<'E'\n", "<<\\E\n",
		"\nE\n", "\n\tE\n", "#", " # ", "case a in ", "a) ", "(b) ", ";; ", " esac", "case ", " in ", "if true; then ", "fi", "for i in ", "do ", "; done", "f() ", "$", "$n", "\\", "\\\\", `\"`, `\'`, "$'", `$"`, "[[ a == ", " ]]", "=", "a=", "a=(", "2>", "<(", "~", "!", "function g ", "select ", "esac)", "<<<", "E", "coproc ", "time ", "\t",
	})
	bad := rapid.SampledFrom([]string{
		"$(touch ran)", "`touch ran`", "'; touch ran; '", "\"; touch ran; \"", "; touch ran;", "\ntouch ran\n", "\nE\ntouch ran\n", "); touch ran; (", "}; touch ran; {", "a[$(touch ran)]", "'\"`)}\n;touch ran\n#", "\\'; touch ran #", "\\\"; touch ran #",
		"')touch ran", "))\ntouch ran\n((", ";; esac; touch ran; case a in b)", "\ttouch ran", "x) touch ran;; ", "'$(touch ran)'", "\"$(touch ran)\"", "\\$(touch ran)", "\nE\n$(touch ran)\n", "E\ntouch ran", "<(touch ran)", "${v:-$(touch ran)}",
	})
	dir, ran := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		script := strings.Join(rapid.SliceOfN(fragment, 1, 14).Draw(t, "script"), "")
		value := bad.Draw(t, "value")
		shell := rapid.SampledFrom([]string{"sh", "bash"}).Draw(t, "shell")
		full, fault := expand(script, value, shell == "bash")
		if fault != nil || full == script {
			return
		}
		ran++
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, shell, "-c", full)
		cmd.Dir, cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "v=1", "n=1"}
		_ = cmd.Run() // most are no scripts at all
		if _, err := os.Stat(filepath.Join(dir, "ran")); err == nil {
			_ = os.Remove(filepath.Join(dir, "ran"))
			t.Errorf("%s runs the value: %q with %q is\n%s", shell, script, value, full)
		}
	})
	if ran == 0 {
		t.Error("every script was refused")
	}
}

// TestNoFormLetsAValueRun has forms in which the place of a value is not where it seems to be.
func TestNoFormLetsAValueRun(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct{ script, value string }{
		"a comment behind a line that goes on":     {"echo \\\n# --old ${x} \\\n--b", "a\ntouch ran\n"},
		"$( in two lines":                          {"echo \"$\\\n(echo ${x})\"", "; touch ran"},
		"case behind a line that goes on":          {"echo \"$(\\\ncase x in x) echo ${x};; esac)\"", "; touch ran"},
		"(( in two lines":                          {"echo $(\\\n(${x}+1))", "a[$(touch ran)]"},
		"<< in two lines":                          {"cat <\\\n<E\n${x}\nE\n", "$(touch ran)"},
		"<<- in two lines":                         {"cat <<\\\n-E\n${x}\n\tE\n", "$(touch ran)"},
		"a here-document's word in the next line":  {"cat <<\\\nE\na\nE\n${x}", "touch ran"},
		"a here-document's word in two lines":      {"cat <<'E\nF'\na\nE\nF\n${x}", "touch ran"},
		"a here-document's end in two lines":       {"cat <<E\n\\\nE\n${x}", "touch ran"},
		"a here-document's end, then an empty one": {"cat <<E\nE\\\n\n${x}\n", "touch ran"},
		"a here-document's end inside its $(":      {"v=$(cat <<E\n$( # a\nE\n)\n${x}\nE\n)", "touch ran"},
		"a value as end, for bash in $( )":         {"v=$(cat <<E\n${x}\nE\n)", "E)\ntouch ran\n"},
		"an end for bash in $( )":                  {"v=$(cat <<'E'\nE a)\n${x}\nE\n)", "touch ran"},
		"an end for bash in $( ) and its own":      {"v=$(cat <<E\nE$(echo)\n${x}\nE\n)", "touch ran"},
		"a value behind an end for bash":           {"v=$(cat <<E\nE) ${x}\nE\n)", "; touch ran"},
		"a value as end, then an empty line":       {"cat <<E\n${x}\\\n\ntouch ran\nE\n", "E"},
		"a case that is no command's beginning":    {"echo \"$(echo then case x in y) ${x}\"", "$(touch ran)"},
		"for ((":                                   {"for ((i=0; i<${x}; i++)); do :; done", "$(touch ran)"},
		"an index that is assigned to":             {"a[${x}]=1", "$(touch ran)"},
		"an index with blanks":                     {"a[1 + ${x}]=1", "$(touch ran)"},
		"an index that is no here-document":        {"a[1 <<'E'\n${x}", "]\ntouch ran\n"},
		"an index behind $( )":                     {"a[$(echo 1)+${x}]=1", "$(touch ran)"},
		"an index in a list":                       {"a=([${x}]=1)", "$(touch ran)"},
	} {
		for _, shell := range []string{"sh", "bash"} {
			full, fault := expand(c.script, c.value, shell == "bash")
			if fault != nil {
				continue // no form must be expanded
			}
			cmd := exec.Command(shell, "-c", full)
			cmd.Dir = dir
			out, _ := cmd.CombinedOutput()
			if _, err := os.Stat(filepath.Join(dir, "ran")); err == nil {
				_ = os.Remove(filepath.Join(dir, "ran"))
				t.Errorf("%s: %s runs the value:\n%s\n%s", name, shell, full, out)
			}
		}
	}
}

// TestLongScriptsAreExpanded has a word and a line of a here-document of a megabyte, with many values.
// Where the time were not in proportion, it would not end.
func TestLongScriptsAreExpanded(t *testing.T) {
	for _, begin := range []string{"echo ", "cat <<E\n"} {
		script := begin + strings.Repeat("aaaaaaaa${x}", 1<<16)
		if full, fault := expand(script, "b", false); fault != nil || strings.Count(full, "aaaab") != 1<<16 {
			t.Errorf("%q: %v", begin, fault)
		}
	}
}
