package githook

import (
	"bytes"
	"strings"
	"testing"
)

func hook(t *testing.T, dir string, i int) Hook {
	t.Helper()
	hooks, err := Hooks(dir)
	if err != nil || len(hooks) != 2 {
		t.Fatal(hooks, err)
	}
	return hooks[i]
}

func TestWhatIsAddedComesOutAgain(t *testing.T) {
	for _, dir := range []string{".", "web", "a b's/$x"} {
		for i := range 2 {
			h := hook(t, dir, i)
			other := hook(t, "other", i)
			for _, script := range []string{
				"", "#!/bin/sh\nset -e\n", "#!/usr/bin/env bash\nx", "#!/usr/bin/env -S A=1 bash -e\nx\n", "#!/bin/zsh\r\nx\r\n", "echo no first line\n", "\n",
				"#!/bin/sh\n" + other.Line + "\n",
			} {
				for _, bare := range []bool{false, true} {
					with, err := h.add([]byte(script), bare)
					if err != nil {
						t.Fatalf("%q: %v", script, err)
					}
					again, err := h.add(with, bare)
					if err != nil || !bytes.Equal(again, with) || bytes.Count(with, []byte(h.Line)) != 1 {
						t.Errorf("%q: %v\n%s\n%s", script, err, with, again)
					}
					if got := h.remove(with); string(got) != script {
						t.Errorf("%q came out as %q", script, got)
					}
					if got := h.remove([]byte(script)); string(got) != script {
						t.Errorf("%q without a line came out as %q", script, got)
					}
				}
			}
		}
	}
}

func TestAnOlderLineIsReplaced(t *testing.T) {
	h := hook(t, "web", 0)
	got, err := h.add([]byte("#!/bin/sh\nexit 0\npipe something # added by: pipe -C web init hooks\n"), false)
	if want := "#!/bin/sh\n" + h.Line + "\nexit 0\n"; err != nil || string(got) != want {
		t.Errorf("%v\n%s", err, got)
	}
}

func TestOnlyShellScriptsTakeALine(t *testing.T) {
	for _, script := range []string{"#!/usr/bin/python3\n", "#!/usr/bin/env node\n", "#!\n", "#!/usr/bin/fish\n", "\x7fELF\x00\n", "#!/usr/bin/env -S\n"} {
		if got, err := hook(t, ".", 1).add([]byte(script), false); err == nil || !strings.Contains(err.Error(), "does not change it") {
			t.Errorf("%q: %v\n%s", script, err, got)
		}
	}
	if _, err := Hooks("a\nb"); err == nil {
		t.Error("a directory with a line break made two lines")
	}
}

func TestDirectoriesThatDifferInSpacesHaveTheirOwnLines(t *testing.T) {
	one, two := hook(t, "a b", 0), hook(t, "a  b", 0)
	script := []byte("#!/bin/sh\n" + two.Line + "\n")
	if got := one.remove(script); !bytes.Equal(got, script) {
		t.Errorf("the line of %q went with that of %q: %q", "a  b", "a b", got)
	}
}

func TestALineNamesTheFilesOfItsDirectory(t *testing.T) {
	for i := range 2 {
		inside, top := hook(t, "a b's/{pipe}", i).Line, hook(t, ".", i).Line
		if !strings.Contains(inside, `'a b'\''s/{pipe}/pipe.lock' `) || !strings.Contains(inside, ` 'a b'\''s/{pipe}/pipe.yaml' `) {
			t.Errorf("other files: %s", inside)
		}
		if !strings.Contains(top, "pipe.lock ") || strings.Contains(top, "{pipe") {
			t.Errorf("other files: %s", top)
		}
	}
}
