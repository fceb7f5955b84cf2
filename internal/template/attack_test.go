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
