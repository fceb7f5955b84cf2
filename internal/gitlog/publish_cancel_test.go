//go:build !windows

package gitlog_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
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
