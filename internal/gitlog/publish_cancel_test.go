//go:build !windows

package gitlog_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/gitlog"
)

// A signal between the two would leave an index that takes the lock back with the next commit, and no later
// run has a reason to look.
func TestHeadAndTheIndexFollowTogetherOrNotAtAll(t *testing.T) {
	up := upstream(t, "sha1")
	c := up.clone("clone")
	for _, name := range []string{"moved", "go"} {
		if err := syscall.Mkfifo(filepath.Join(c.tmp, name), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	real, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	c.script("../bin/git", `"`+real+`" "$@"; rc=$?; case "$*" in *" update-ref "*) echo >"$HOME/moved"; read x <"$HOME/go";; esac; exit $rc`)
	c = c.with("PATH=" + filepath.Join(c.tmp, "bin") + ":" + os.Getenv("PATH"))
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error)
	go func() {
		_, err := c.open(c.dir).Publish(ctx, toPublish())
		ended <- err
	}()
	if _, err := os.ReadFile(filepath.Join(c.tmp, "moved")); err != nil { // waits for the hook
		t.Fatal(err)
	}
	cancel(errors.New("stop"))
	f, err := os.OpenFile(filepath.Join(c.tmp, "go"), os.O_RDWR, 0) // waits for nobody
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("\n"); err != nil {
		t.Fatal(err)
	}
	<-ended
	c.git("diff", "--cached", "--quiet", "HEAD", "--", "app/pipe.lock")
	if up.git("rev-parse", "main") != c.git("rev-parse", "HEAD") {
		t.Error("HEAD has not moved")
	}
}

// ssh waits for ever where nothing comes, not even the end of the connection.
func TestAServerThatNeverAnswersIsUnreachable(t *testing.T) {
	c := upstream(t, "sha1").clone("clone")
	for _, name := range []string{"never", "alive"} {
		if err := syscall.Mkfifo(filepath.Join(c.tmp, name), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	c.script("../bin/ssh", `read x <"$HOME/never"`)
	c = c.with("GIT_SSH_COMMAND=" + filepath.Join(c.tmp, "bin", "ssh"))
	c.git("remote", "set-url", "origin", "ssh://example.com/up.git")
	r, err := gitlog.Open(c.dir, gitlog.Options{Env: c.env, Longest: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	done, err := r.Publish(t.Context(), toPublish())
	if err != nil || done.Refused == nil || done.Refused.Cause != gitlog.Unreachable {
		t.Errorf("%+v, %v", done, err)
	}
	c.script("../bin/ssh", `exec 8>"$HOME/alive"; read x <"$HOME/never"`)
	ended := make(chan error)
	go func() {
		_, err := os.ReadFile(filepath.Join(c.tmp, "alive")) // until the last ssh has ended
		ended <- err
	}()
	if _, known, err := r.Ancestor(t.Context(), c.git("rev-parse", "HEAD"), strings.Repeat("1", 40)); err != nil || known {
		t.Errorf("known: %v, %v", known, err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	no, err := r.TryPush(t.Context(), "origin", "main")
	if err != nil || no == nil || no.Cause != gitlog.Unreachable {
		t.Errorf("%+v, %v", no, err)
	}
}
