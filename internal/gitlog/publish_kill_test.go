//go:build !windows

package gitlog_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/creack/pty"
)

// TestAKillAnywhereLeavesAPublicationThatWorks kills Publish before and after each of its calls of
// git, alone and with its process group. What runs on by itself is waited for.
func TestAKillAnywhereLeavesAPublicationThatWorks(t *testing.T) {
	for name, kind := range map[string][2]string{"before": {"before", ""}, "after": {"after", "-"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := 1
			for publishKilledAt(t, n, kind[0], kind[1]) {
				n++
			}
			if n < 15 {
				t.Errorf("only %d points", n)
			}
		})
	}
}

// publishKilledAt reports whether there was an n-th call.
func publishKilledAt(t *testing.T, n int, when, sign string) bool {
	up := upstream(t, "sha1")
	c := up.clone("clone")
	c.mess()
	before := c.snapshot()
	killed := c.with("PUBLISH=1").commitAndDie(n, when, sign)
	for _, s := range []*sandbox{c.at(filepath.Join(c.dir, ".git")), up} {
		err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
			if strings.HasSuffix(path, ".lock") {
				t.Errorf("call %d: %s was left", n, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		s.git("fsck", "--no-dangling")
	}
	if done := c.publish(toPublish()); done.Refused != nil {
		t.Errorf("call %d: %+v", n, done.Refused)
	}
	if got := up.git("show", "main:app/pipe.lock"); got != "one\ntwo" {
		t.Errorf("call %d: the lock is %q", n, got)
	}
	if got := up.git("rev-list", "--count", "main"); got != "5" {
		t.Errorf("call %d: %s commits", n, got)
	}
	c.git("fetch", "-q", "origin")
	c.git("merge-base", "--is-ancestor", "HEAD", "origin/main")
	c.git("diff", "--cached", "--quiet", "--", "app/pipe.lock")
	// Where HEAD has followed, the lock's own line is another one.
	lines := func(s string) string {
		var kept []string
		for line := range strings.Lines(s) {
			if !strings.HasSuffix(line, " app/pipe.lock\n") {
				kept = append(kept, line)
			}
		}
		return strings.Join(kept, "")
	}
	if after := c.snapshot(); lines(after) != lines(before) {
		t.Errorf("call %d: the user had\n%s\nand has\n%s", n, before, after)
	}
	return killed
}

// TestPublishAsksNobody runs it in a terminal, with a way to the remote and a hook that would ask there.
func TestPublishAsksNobody(t *testing.T) {
	up := upstream(t, "sha1")
	c := up.clone("clone")
	asks := `if (: </dev/tty) 2>/dev/null; then echo asked >>"$HOME/asked"; fi; `
	c.script("../ssh", asks+`shift; eval "$*"`)
	c.script(".git/hooks/pre-commit", asks)
	c.script(".git/hooks/pre-push", asks+`echo ran >>"$HOME/ran"`)
	c.git("remote", "set-url", "origin", "ssh://host"+up.dir)
	cmd := exec.Command(os.Args[0])
	cmd.Env = c.with("COMMIT_IN="+c.dir, "PUBLISH=1", "GIT_SSH_VARIANT=simple", "GIT_SSH="+filepath.Join(c.tmp, "ssh"), "GIT_TERMINAL_PROMPT=1", "TMPDIR="+c.tmp).env
	tty, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	out, _ := io.ReadAll(tty) // ends with EIO
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if _, err := os.Stat(filepath.Join(c.tmp, "ran")); err != nil {
		t.Error("the hook did not run:", err)
	}
	if _, err := os.Stat(filepath.Join(c.tmp, "asked")); err == nil {
		t.Error("there was a terminal to ask at")
	}
	if got := up.git("show", "main:app/pipe.lock"); got != "one\ntwo" {
		t.Errorf("the lock is %q", got)
	}
}

// TestTheEndOfAContextEndsWhatHooksHaveStarted waits for the processes of a hook that never ends.
func TestTheEndOfAContextEndsWhatHooksHaveStarted(t *testing.T) {
	up := upstream(t, "sha1")
	c := up.clone("clone")
	fifo := filepath.Join(c.tmp, "fifo")
	if err := syscall.Mkfifo(fifo, 0o666); err != nil {
		t.Fatal(err)
	}
	c.script(".git/hooks/pre-push", `sleep 1000 >"$HOME/fifo"`)
	ctx, cancel := context.WithCancelCause(t.Context())
	stop, ended := errors.New("stop"), make(chan error)
	go func() {
		_, err := c.open(c.dir).Publish(ctx, toPublish())
		ended <- err
	}()
	f, err := os.Open(fifo) // it runs
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cancel(stop)
	if _, err := io.ReadAll(f); err != nil { // it has ended
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, stop) {
		t.Error(err)
	}
}
