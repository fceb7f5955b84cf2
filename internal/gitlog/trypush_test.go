package gitlog_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/pipe-build/pipe/internal/gitlog"
)

// tryPush is the answer about a clone, and fails when anything has changed on either side.
func tryPush(t *testing.T, up, clone *sandbox, remote string) *gitlog.Refusal {
	t.Helper()
	const all = "--format=%(refname) %(objectname)"
	was := up.git("for-each-ref", all) + clone.git("for-each-ref", all)
	refused, err := clone.open(clone.dir).TryPush(t.Context(), remote, "main")
	if err != nil {
		t.Fatal(err)
	}
	if is := up.git("for-each-ref", all) + clone.git("for-each-ref", all); is != was {
		t.Errorf("changed:\n%s\n%s", was, is)
	}
	return refused
}

func TestTryPushAsksAndChangesNothing(t *testing.T) {
	up := upstream(t, "sha1")
	clone := up.clone("tried")
	hook := filepath.Join(clone.dir, ".git", "hooks", "pre-push")
	if err := os.MkdirAll(filepath.Dir(hook), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(hook, []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	clone.commit(5, "new", "text")
	if no := tryPush(t, up, clone, "origin"); no != nil {
		t.Errorf("a new commit: %+v", no)
	}
	up.advance("other/z", "theirs")
	if no := tryPush(t, up, clone, "origin"); no != nil {
		t.Errorf("behind: %+v", no)
	}
	if no := tryPush(t, up, clone, "absent"); no == nil || no.Cause != gitlog.NoRemote {
		t.Errorf("no remote: %+v", no)
	}
	clone.git("remote", "add", "gone", "http://127.0.0.1:9/x.git")
	if no := tryPush(t, up, clone, "gone"); no == nil || no.Cause != gitlog.Unreachable {
		t.Errorf("no server: %+v", no)
	}
}
