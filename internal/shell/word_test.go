//go:build !windows

package shell_test

import (
	"os/exec"
	"testing"

	"github.com/pipe-build/pipe/internal/shell"
)

func TestAWordIsOneWordOfTheShell(t *testing.T) {
	for text, want := range map[string]string{"a/b-c_1.0": "a/b-c_1.0", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "$HOME": "'$HOME'", "a\nb": "'a\nb'", "~": "'~'", "ä": "'ä'"} {
		word := shell.Word(text)
		if word != want {
			t.Errorf("%q: %s, want %s", text, word, want)
		}
		if out, err := exec.Command("sh", "-c", "printf %s "+word).Output(); err != nil || string(out) != text {
			t.Errorf("sh reads %s as %q, %v", word, out, err)
		}
	}
}
