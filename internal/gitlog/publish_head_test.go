package gitlog_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/gitlog"
)

// TestHeadFollowsOnlyForItsBranch has HEAD at the tip, by different names.
func TestHeadFollowsOnlyForItsBranch(t *testing.T) {
	up := upstream(t, "sha1")
	up.git("branch", "other", "main")
	c := up.clone("clone")
	for _, row := range []struct {
		name    string
		at      []string // what HEAD becomes, at the tip of main
		follows bool
	}{
		{"detached", []string{"checkout", "-q", "--detach", "origin/main"}, true},
		{"the same name, tracking nothing", []string{"checkout", "-q", "--no-track", "-B", "main", "origin/main"}, true},
		{"another name, tracking it", []string{"checkout", "-q", "--track", "-B", "mine", "origin/main"}, true},
		{"another name, tracking nothing", []string{"checkout", "-q", "--no-track", "-B", "free", "origin/main"}, false},
		{"another name, tracking another", []string{"checkout", "-q", "--track", "-B", "far", "origin/other"}, false},
	} {
		c.git("fetch", "-q", "origin")
		c.git(row.at...)
		c.git("reset", "-q", "--hard", "origin/main")
		head, branch := c.git("rev-parse", "HEAD"), c.git("rev-parse", "--abbrev-ref", "HEAD")
		commit := c.pushed(up, gitlog.Publication{Path: "app/pipe.lock", File: add(row.name + "\n")})
		want := head
		if row.follows {
			want = commit
		}
		if got := c.git("rev-parse", "HEAD"); got != want || c.git("rev-parse", "--abbrev-ref", "HEAD") != branch {
			t.Errorf("%s: HEAD is %s, not %s", row.name, got, want)
		}
		if got := c.git("rev-parse", "origin/main"); got != commit {
			t.Errorf("%s: origin/main is %s", row.name, got)
		}
		// What the index has is what HEAD has, either way.
		c.git("diff", "--cached", "--quiet")
	}
}

// TestALocalBranchThatCannotFollowIsTold has git's locks in the way, as a git that works here would.
func TestALocalBranchThatCannotFollowIsTold(t *testing.T) {
	for _, lock := range []string{"index", "refs/heads/main"} {
		up := upstream(t, "sha1")
		c := up.clone("clone")
		c.mess()
		c.write(".git/"+lock+".lock", "")
		r, err := gitlog.Open(c.dir, gitlog.Options{Env: c.env, LockWait: time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		head, before := c.git("rev-parse", "HEAD"), c.snapshot()
		var notes []string
		p := toPublish()
		p.Note = func(text string) { notes = append(notes, text) }
		done, err := r.Publish(t.Context(), p)
		if err != nil || done.Refused != nil || done.Commit != up.git("rev-parse", "main") {
			t.Errorf("%s: %v %+v", lock, err, done)
		}
		if len(notes) != 1 || !strings.Contains(notes[0], filepath.FromSlash(lock)+".lock") {
			t.Errorf("%s: told %q", lock, notes)
		}
		if c.git("rev-parse", "HEAD") != head || c.snapshot() != before {
			t.Errorf("%s: something changed", lock)
		}
		if err := os.Remove(filepath.Join(c.dir, ".git", filepath.FromSlash(lock)+".lock")); err != nil {
			t.Error("the lock of the other was taken away:", err)
		}
	}
}

// TestWhatTheUserHasStagedOfTheFileStays where there is nothing to push, and where HEAD stays behind.
func TestWhatTheUserHasStagedOfTheFileStays(t *testing.T) {
	up := upstream(t, "sha1")
	c := up.clone("clone")
	c.write("app/pipe.lock", "staged by the user\n")
	c.git("add", "app/pipe.lock")
	c.write("app/pipe.lock", "and changed\n")
	before := c.snapshot()
	if done := c.publish(gitlog.Publication{Path: "app/pipe.lock", File: func(tip []byte) ([]byte, error) { return tip, nil }}); done.Commit != "" || done.Refused != nil {
		t.Errorf("%+v", done)
	}
	if after := c.snapshot(); after != before {
		t.Errorf("the user had\n%s\nand has\n%s", before, after)
	}
	up.advance("other/y", "more")
	c.pushed(up, toPublish())
	if after := c.snapshot(); after != before {
		t.Errorf("behind: the user had\n%s\nand has\n%s", before, after)
	}
}
