package gitlog_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/gitlog"
)

// TestPublishToABranchOfItsOwn goes through the life of such a branch.
func TestPublishToABranchOfItsOwn(t *testing.T) {
	for name, options := range map[string][]string{"whole": nil, "shallow": {"--depth=1"}, "no trees": {"--filter=tree:0"}} {
		t.Run(name, func(t *testing.T) {
			up := upstream(t, "sha1")
			c := func(i int) *sandbox { return up.clone(fmt.Sprint("clone", i), options...) }
			p := gitlog.Publication{Path: "app/pipe.lock", To: "pipe/lock", File: add("two\n")}
			first := c(1)
			before, refs := first.snapshot(), first.git("for-each-ref", "refs/heads")
			main := up.git("rev-parse", "main")
			made := first.pushed(up, p)
			if up.git("rev-parse", "main") != main || up.git("rev-parse", made+"^@") != main {
				t.Error("it is not on top of main alone")
			}
			if first.snapshot() != before || first.git("for-each-ref", "refs/heads") != refs {
				t.Error("something changed here")
			}
			for i := range 2 {
				if done := c(2 + i).publish(p); done.Commit != "" || done.Refused != nil {
					t.Errorf("pushed again: %+v", done)
				}
			}
			// Another tip that has the same files.
			main = up.git("commit-tree", "-p", "main", "-m", "empty", "main^{tree}")
			up.git("update-ref", "refs/heads/main", main)
			again := c(7).pushed(up, p)
			if got := up.git("rev-parse", again+"^@"); got != main+"\n"+made {
				t.Errorf("parents %s", got)
			}
			made = again
			// The same tip, another lock.
			p.File = add("three\n")
			second := c(4).pushed(up, p)
			if got := up.git("rev-parse", second+"^@"); got != main+"\n"+made {
				t.Errorf("parents %s", got)
			}
			if got := up.git("show", second+":app/pipe.lock"); got != "one\nthree" {
				t.Errorf("the lock is not that of the tip: %q", got)
			}
			// The tip moves on: the other branch has all of it, and the lock.
			main = up.advance("other/y", "more")
			third := c(5).pushed(up, p)
			if got := up.git("rev-parse", third+"^@"); got != main+"\n"+second {
				t.Errorf("parents %s", got)
			}
			if got := up.git("diff-tree", "-r", "--name-only", main, third); got != "app/pipe.lock" {
				t.Errorf("it changes %s", got)
			}
			// It is merged: where that is known, it is no parent of its own.
			up.git("update-ref", "refs/heads/main", third)
			main = up.advance("other/y", "after the merge")
			p.File = add("four\n")
			if got := up.git("rev-parse", c(6).pushed(up, p)+"^@"); got != main && (name != "shallow" || got != main+"\n"+third) {
				t.Errorf("parents %s", got)
			}
			up.git("fsck", "--strict", "--no-dangling")
		})
	}
}

// TestRacingPublicationsLoseNothing lets clones of several kinds push at once, round after round, to
// a server that takes nothing but fast-forwards.
func TestRacingPublicationsLoseNothing(t *testing.T) {
	const runners, rounds = 6, 4
	up := upstream(t, "sha1")
	options := [][]string{nil, {"--depth=1"}, {"--filter=tree:0"}}
	var wg sync.WaitGroup
	for i := range runners {
		c := up.clone(fmt.Sprint("runner", i), options[i%len(options)]...)
		wg.Go(func() {
			for round := range rounds {
				done, err := c.open(c.dir).Publish(t.Context(), gitlog.Publication{
					Remote: "origin", Branch: "main", Path: "app/pipe.lock", Message: "m", File: add(fmt.Sprintf("runner %d round %d\n", i, round)),
				})
				if err != nil || done.Refused != nil {
					t.Errorf("%d: %v %+v", i, err, done)
				}
			}
		})
	}
	wg.Wait()
	lock := up.git("show", "main:app/pipe.lock")
	if n := strings.Count(lock+"\n", "\n"); n != 1+runners*rounds {
		t.Errorf("%d lines:\n%s", n, lock)
	}
	if n := up.git("rev-list", "--count", "main", "--first-parent"); n != fmt.Sprint(4+runners*rounds) {
		t.Errorf("%s commits", n)
	}
	up.git("fsck", "--strict", "--no-dangling")
}

// TestALostRaceAsksForTheFileAgain moves the branch between question and push.
func TestALostRaceAsksForTheFileAgain(t *testing.T) {
	up := upstream(t, "sha1")
	c := up.clone("clone", "--depth=1")
	asked, notes := 0, 0
	p := gitlog.Publication{Path: "app/pipe.lock", Note: func(string) { notes++ }, File: func(tip []byte) ([]byte, error) {
		if asked++; asked <= 2 {
			up.advance("app/pipe.lock", fmt.Sprintf("%stheirs %d\n", tip, asked))
		}
		return add("ours\n")(tip)
	}}
	commit := c.pushed(up, p)
	if got := up.git("show", commit+":app/pipe.lock"); got != "one\ntheirs 1\ntheirs 2\nours" || asked != 3 || notes != 2 {
		t.Errorf("asked %d times, told %d times, the lock is %q", asked, notes, got)
	}
}

// TestABranchThatWasSetBackIsNotBroughtForward has a push that git would take for a fast-forward.
func TestABranchThatWasSetBackIsNotBroughtForward(t *testing.T) {
	up := upstream(t, "sha1")
	c := up.clone("clone", "-n")
	old := up.git("rev-parse", "main~1")
	c.git("checkout", "-q", "--detach", old)
	asked := 0
	commit := c.pushed(up, gitlog.Publication{Path: "app/pipe.lock", File: func(tip []byte) ([]byte, error) {
		if asked++; asked == 1 {
			up.git("update-ref", "refs/heads/main", old)
		}
		return add("ours\n")(tip)
	}})
	if up.git("rev-parse", commit+"^") != old || asked != 2 {
		t.Error("what was taken back is there again")
	}
}

// TestABranchThatNeverRestsEndsTheTries moves it each time.
func TestABranchThatNeverRestsEndsTheTries(t *testing.T) {
	up := upstream(t, "sha1")
	c := up.clone("clone")
	r, err := gitlog.Open(c.dir, gitlog.Options{Env: c.env, LockWait: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	done, err := r.Publish(t.Context(), gitlog.Publication{Remote: "origin", Branch: "main", Message: "m", Path: "pipe.lock", File: func([]byte) ([]byte, error) {
		n++
		main := up.git("rev-parse", "main")
		up.git("update-ref", "refs/heads/main", up.git("commit-tree", "-p", main, "-m", "m", main+"^{tree}"))
		return []byte("x"), nil
	}})
	if err != nil || done.Refused == nil || done.Refused.Cause != gitlog.Moving || n != 30 {
		t.Errorf("%d times: %v %+v", n, err, done)
	}
}

// TestAnAnswerThatWasLostIsNoFailure lets the connection end when the server has taken the push.
func TestAnAnswerThatWasLostIsNoFailure(t *testing.T) {
	up := upstream(t, "sha1")
	c := up.clone("clone")
	lost := c.saying("", "fatal: the remote end hung up unexpectedly\n", "128")
	lost.script("../mouth/git", `for spec; do :; done
for a; do
	[ "$a" = push ] || continue
	"$REAL_GIT" "$@" >/dev/null 2>&1
	echo 'fatal: the remote end hung up unexpectedly' >&2
	exit 128
done
exec "$REAL_GIT" "$@"`)
	head := c.git("rev-parse", "HEAD")
	commit := lost.pushed(up, gitlog.Publication{Path: "app/pipe.lock", File: add("two\n")})
	if up.git("rev-parse", commit+"^") != head || c.git("rev-parse", "HEAD") != commit {
		t.Error("it was pushed twice, or HEAD did not follow")
	}
}

// TestPublishEndsWithItsContext ends it while it waits for another try.
func TestPublishEndsWithItsContext(t *testing.T) {
	up := upstream(t, "sha1")
	c := up.clone("clone")
	stop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	_, err := c.open(c.dir).Publish(ctx, gitlog.Publication{
		Remote: "origin", Branch: "main", Path: "pipe.lock", Message: "m",
		File: func(tip []byte) ([]byte, error) {
			up.advance("other/y", "more")
			return []byte("x"), nil
		},
		Note: func(string) { cancel(stop) },
	})
	if !errors.Is(err, stop) {
		t.Error(err)
	}
}

func TestAFileThatCannotBeMadeIsAnError(t *testing.T) {
	c := upstream(t, "sha1").clone("clone")
	no := errors.New("no")
	_, err := c.open(c.dir).Publish(t.Context(), gitlog.Publication{
		Remote: "origin", Branch: "main", Path: "pipe.lock", Message: "m", File: func([]byte) ([]byte, error) { return nil, no },
	})
	if !errors.Is(err, no) {
		t.Error(err)
	}
}

func TestTheDefaultBranchIsWhatTheRemotesHeadNames(t *testing.T) {
	up := upstream(t, "sha1")
	c := up.clone("clone")
	is := func(want string) {
		t.Helper()
		if got, err := c.open(c.dir).DefaultBranch(t.Context(), "origin"); got != want || err != nil {
			t.Errorf("%q, not %q: %v", got, want, err)
		}
	}
	up.git("branch", "release/1")
	up.git("symbolic-ref", "HEAD", "refs/heads/release/1")
	is("main") // as the clone remembers it
	c.git("remote", "set-head", "origin", "-d")
	is("release/1")
	up.git("update-ref", "--no-deref", "HEAD", "main")
	is("")
	c.git("remote", "set-url", "origin", "http://127.0.0.1:1/x.git")
	is("")
	c.git("remote", "remove", "origin")
	is("")
}
