package view

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestADiffMakesTheTextThatItShows has git apply what is printed.
func TestADiffMakesTheTextThatItShows(t *testing.T) {
	var long strings.Builder
	for i := range 40 {
		fmt.Fprintf(&long, "line %d\n", i)
	}
	for name, c := range map[string][2]string{
		"one line":          {"a\n b\nc\n", "a\nb\nc\n"},
		"empty lines":       {"\n\na\n\n\n\nb\n", "a\n\nb\n"},
		"no last break":     {"a\nb", "a\nb\n"},
		"none afterwards":   {"a\n b", "a\nb"},
		"several places":    {long.String(), strings.NewReplacer("line 3\n", "LINE 3\n", "line 9\n", "LINE 9\n", "line 30\n", "").Replace(long.String())},
		"everything":        {"a\nb\n", ""},
		"more than before":  {"a\n", "a\nb\nc\n"},
		"tabs and CR LF":    {"a\tb \r\n c\r\n", "a\tb\r\nc\r\n"},
		"letters of others": {" é\n日\n", "é\n日\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			Diff(&b, "f", c[0], c[1])
			dir := t.TempDir()
			file := filepath.Join(dir, "f")
			if err := os.WriteFile(file, []byte(c[0]), 0o666); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), "git", "-c", "core.autocrlf=false", "apply", "--whitespace=nowarn", "-p0", "-")
			cmd.Dir, cmd.Stdin = dir, &b
			text := b.String()
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", out, err, text)
			}
			if got, err := os.ReadFile(file); err != nil || string(got) != c[1] {
				t.Errorf("%q, %v\n%s", got, err, text)
			}
		})
	}
}

func TestADiffActsOnNoTerminal(t *testing.T) {
	var b bytes.Buffer
	Diff(&b, "f\x1b", "a\x1b[2J\t\u202eb\n", "::error::x\n")
	want := "--- f\\x1b\n+++ f\\x1b\n@@ -1,1 +1,1 @@\n-a\\x1b[2J\t\\u202eb\n+::error::x\n"
	if b.String() != want {
		t.Errorf("%q", b.String())
	}
}
