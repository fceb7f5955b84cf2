//go:build !windows

package local_test

import (
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// question asks a command with room for all that it says.
func question(cmd string) action.Question {
	return action.Question{Stage: "a", Cmd: cmd, Shell: "sh", Wdir: repopath.Root, Env: []string{"PATH=" + os.Getenv("PATH"), "A=b"}, Timeout: time.Minute, Most: 5}
}

func TestAnAnswerIsStandardOutputByteForByte(t *testing.T) {
	p := open(t, "", "sub/x")
	var said []string
	q := question(`printf 'a\r\n'; echo "$A" >&2; ls; cat "$PIPE_ROOT"/sub/x >&2`)
	q.Wdir, q.Line = "sub", func(line []byte) { said = append(said, string(line)) }
	if out, err := p.Ask(t.Context(), nil, q); err != nil || string(out) != "a\r\nx\n" || !slices.Equal(said, []string{"b", "sub/x"}) {
		t.Errorf("%q, %q, %v", out, said, err)
	}
}

func TestAnAnswerHasBounds(t *testing.T) {
	p := open(t, "")
	q := question("printf 12345")
	if out, err := p.Ask(t.Context(), nil, q); err != nil || string(out) != "12345" {
		t.Errorf("as much as may be: %q, %v", out, err)
	}
	for _, cmd := range []string{"printf 123456", "yes"} {
		if _, err := p.Ask(t.Context(), nil, question(cmd)); !errors.Is(err, action.ErrTooMuch) {
			t.Errorf("%s: %v", cmd, err)
		}
	}
	q = question("echo b; sleep 600 & sleep 600")
	q.Timeout = time.Millisecond
	if _, err := p.Ask(t.Context(), nil, q); !errors.Is(err, action.ErrTimeout) {
		t.Errorf("too long: %v", err)
	}
}

func TestACommandThatFailsGivesNoAnswer(t *testing.T) {
	p := open(t, "", "file")
	var exit *shell.ExitError
	if _, err := p.Ask(t.Context(), nil, question("echo 1; exit 3")); !errors.As(err, &exit) || exit.Code != 3 {
		t.Errorf("%v", err)
	}
	for dir, want := range map[repopath.Path]string{"none": "none does not exist", "file": "file is not a directory"} {
		q := question("true")
		q.Wdir = dir
		if _, err := p.Ask(t.Context(), nil, q); err == nil || err.Error() != "the working directory "+want {
			t.Errorf("%s: %v", dir, err)
		}
	}
}
