package gitlog_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/gitlog"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// script writes a program of sh.
func (s *sandbox) script(name, body string) {
	s.tb.Helper()
	s.write(name, "#!/bin/sh\n"+body+"\n")
	if err := os.Chmod(filepath.Join(s.dir, name), 0o777); err != nil {
		s.tb.Fatal(err)
	}
}

// refusedFor is publish that must be refused, and change nothing.
func (s *sandbox) refusedFor(up *sandbox, cause gitlog.Cause, text string) {
	s.tb.Helper()
	before, refs, tip := s.snapshot(), s.git("for-each-ref"), up.git("rev-parse", "main")
	done := s.publish(gitlog.Publication{Path: "app/pipe.lock", File: add("refused\n")})
	if done.Refused == nil || done.Refused.Cause != cause || !strings.Contains(done.Refused.Text, text) {
		s.tb.Errorf("%+v", done.Refused)
	}
	if s.snapshot() != before || s.git("for-each-ref") != refs || up.git("rev-parse", "main") != tip {
		s.tb.Error("something changed")
	}
}

// TestPublishRunsTheHooksOfACommitAndOfAPush lets each of them look, and then refuse.
func TestPublishRunsTheHooksOfACommitAndOfAPush(t *testing.T) {
	for _, where := range []string{".git/hooks", "my hooks"} {
		t.Run(where, func(t *testing.T) {
			up := upstream(t, "sha1")
			c := up.clone("clone")
			if where != ".git/hooks" {
				c.git("config", "core.hooksPath", where)
				c.git("config", "status.showUntrackedFiles", "no")
			}
			c.mess()
			c.script(where+"/pre-commit", `git diff --cached --name-only >"$HOME/seen"; git show :app/pipe.lock >>"$HOME/seen"; pwd >>"$HOME/seen"; git write-tree >>"$HOME/seen"`)
			c.script(where+"/prepare-commit-msg", `[ "$2" = message ] && { cat "$1"; echo; echo prepared; } >"$1.new" && mv "$1.new" "$1"`)
			c.script(where+"/commit-msg", `echo checked >>"$1"`)
			c.script(where+"/pre-push", `echo "$1" >"$HOME/pushed"; cat >>"$HOME/pushed"`)
			old := up.git("rev-parse", "main")
			commit := c.pushed(up, gitlog.Publication{Path: "app/pipe.lock", File: add("two\n")})
			top := c.git("rev-parse", "--show-toplevel")
			if got, want := c.read("../seen"), "app/pipe.lock\none\ntwo\n"+top+"\n"+c.git("rev-parse", commit+"^{tree}")+"\n"; got != want {
				t.Errorf("pre-commit saw %q, not %q", got, want)
			}
			if got := c.git("log", "-1", "--format=%B"); got != "m\n\nprepared\nchecked" {
				t.Errorf("message %q", got)
			}
			if got := c.read("../pushed"); got != "origin\n"+commit+" "+commit+" refs/heads/main "+old+"\n" {
				t.Errorf("pre-push saw %q", got)
			}
			for _, hook := range []string{"pre-push", "commit-msg", "prepare-commit-msg", "pre-commit"} {
				c.script(where+"/"+hook, "echo no, says "+hook+"; exit 3")
				c.refusedFor(up, gitlog.Hook, "no, says "+hook)
			}
			c.script(where+"/pre-commit", "exit 3")
			c.refusedFor(up, gitlog.Hook, "pre-commit: it exited with status 3")
			c.script(where+"/pre-commit", "exit 0")
			c.script(where+"/prepare-commit-msg", "exit 0")
			c.script(where+"/commit-msg", `: >"$1"`)
			c.refusedFor(up, gitlog.Hook, "commit message")
			for _, hook := range []string{"pre-push", "commit-msg"} {
				if err := os.Chmod(filepath.Join(c.dir, where, hook), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			c.pushed(up, gitlog.Publication{Path: "app/pipe.lock", File: add("no hook may be run\n")})
		})
	}
}

// TestAHookWithoutAFirstLineIsAScript as for git itself.
func TestAHookWithoutAFirstLineIsAScript(t *testing.T) {
	up := upstream(t, "sha1")
	c := up.clone("clone")
	c.script(".git/hooks/pre-commit", "")
	c.write(".git/hooks/pre-commit", "echo bare; exit 1\n")
	c.refusedFor(up, gitlog.Hook, "pre-commit: bare")
}

func TestPublishSignsWhereGitWould(t *testing.T) {
	up := upstream(t, "sha1")
	c := up.clone("clone")
	key := filepath.Join(c.tmp, "key")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	c.git("config", "commit.gpgSign", "true")
	c.git("config", "gpg.format", "ssh")
	c.git("config", "user.signingKey", key+".pub")
	commit := c.pushed(up, gitlog.Publication{Path: "app/pipe.lock", File: add("two\n")})
	c.write("../allowed", "c@example.com "+c.read("../key.pub"))
	c.git("-c", "gpg.ssh.allowedSignersFile="+filepath.Join(c.tmp, "allowed"), "verify-commit", commit)
	c.git("config", "user.signingKey", key+"-gone.pub")
	c.refusedFor(up, gitlog.Unsigned, "key-gone")
	c.git("config", "gpg.format", "openpgp")
	c.git("config", "gpg.program", filepath.Join(c.tmp, "no-gpg"))
	c.refusedFor(up, gitlog.Unsigned, "no-gpg")
}

func TestPublishTakesTheIdentityThatItIsGiven(t *testing.T) {
	up := upstream(t, "sha1")
	c := up.clone("clone").with()
	c.env = slices.DeleteFunc(c.env, func(kv string) bool {
		return strings.HasPrefix(kv, "GIT_AUTHOR_") || strings.HasPrefix(kv, "GIT_COMMITTER_")
	})
	c.refusedFor(up, gitlog.NoIdentity, "author")
	p := gitlog.Publication{Path: "app/pipe.lock", File: add("two\n"), Name: "A Bot", Email: "bot@example.com"}
	show := func(commit string) string { return c.git("show", "-s", "--format=%an <%ae> %cn <%ce>", commit) }
	if got := show(c.pushed(up, p)); got != "A Bot <bot@example.com> A Bot <bot@example.com>" {
		t.Error(got)
	}
	c.git("config", "committer.name", "C")
	c.git("config", "committer.email", "c@example.com")
	p.File = add("three\n")
	if got := show(c.pushed(up, p)); got != "A Bot <bot@example.com> C <c@example.com>" {
		t.Error(got)
	}
	c.git("config", "user.name", "Me")
	c.git("config", "user.email", "me@example.com")
	p.File = add("four\n")
	if got := show(c.pushed(up, p)); got != "Me <me@example.com> C <c@example.com>" {
		t.Error(got)
	}
}

// TestPublishPushesNothingElse has the settings that make git push more.
func TestPublishPushesNothingElse(t *testing.T) {
	up := upstream(t, "sha1")
	c := up.clone("clone")
	for _, kv := range []string{"push.followTags true", "push.pushOption surprise", "push.default matching", "push.recurseSubmodules only", "remote.origin.push refs/heads/*:refs/heads/*", "fetch.prune true", "remote.origin.tagOpt --tags"} {
		c.git(append([]string{"config", "--add"}, strings.Fields(kv)...)...)
	}
	c.git("tag", "-a", "-m", "mine", "mine")
	c.git("branch", "mine")
	up.git("tag", "theirs")
	refs := up.git("for-each-ref", "--format=%(refname)")
	c.pushed(up, gitlog.Publication{Path: "app/pipe.lock", File: add("two\n")})
	up.advance("other/y", "more")
	c.pushed(up, gitlog.Publication{Path: "app/pipe.lock", File: add("three\n")})
	if now := up.git("for-each-ref", "--format=%(refname)"); now != refs {
		t.Errorf("the remote has\n%s", now)
	}
	if out := c.git("tag"); out != "mine" {
		t.Errorf("tags came: %s", out)
	}
}

func TestPublishKeepsTheMode(t *testing.T) {
	up := upstream(t, "sha1")
	o := up.clone("other")
	o.git("update-index", "--chmod=+x", "app/pipe.lock")
	o.git("commit", "-qm", "executable")
	o.git("push", "-q", "origin", "main")
	c := up.clone("clone")
	commit := c.pushed(up, gitlog.Publication{Path: "app/pipe.lock", File: add("two\n")})
	if got := c.git("ls-tree", "--format=%(objectmode)", commit, "app/pipe.lock"); got != "100755" {
		t.Error(got)
	}
	commit = c.pushed(up, gitlog.Publication{Path: "new/dir/pipe.lock", File: add("one\n")})
	if got := c.git("ls-tree", "--format=%(objectmode)", commit, "new/dir/pipe.lock"); got != "100644" {
		t.Error(got)
	}
}

// TestPublishTellsAbsentFromEmpty gives File what the tip has.
func TestPublishTellsAbsentFromEmpty(t *testing.T) {
	up := upstream(t, "sha1")
	c := up.clone("clone")
	put := func(want, next []byte) func([]byte) ([]byte, error) {
		return func(tip []byte) ([]byte, error) {
			if (tip == nil) != (want == nil) || string(tip) != string(want) {
				t.Errorf("the tip has %q, not %q", tip, want)
			}
			return next, nil
		}
	}
	if done := c.publish(gitlog.Publication{Path: "pipe.lock", File: put(nil, nil)}); done.Commit != "" || done.Refused != nil {
		t.Errorf("%+v", done)
	}
	c.pushed(up, gitlog.Publication{Path: "pipe.lock", File: put(nil, []byte{})})
	c.pushed(up, gitlog.Publication{Path: "pipe.lock", File: put([]byte{}, []byte("a\r\nb"))})
	if done := c.publish(gitlog.Publication{Path: "pipe.lock", File: put([]byte("a\r\nb"), []byte("a\r\nb"))}); done.Commit != "" || done.Refused != nil {
		t.Errorf("%+v", done)
	}
}

// TestPublishDoesNotReplaceWhatIsNotAFile keeps a directory where the file should be, and a file
// where its directory should be.
func TestPublishDoesNotReplaceWhatIsNotAFile(t *testing.T) {
	up := upstream(t, "sha1")
	c := up.clone("clone")
	tip := up.git("rev-parse", "main")
	for _, path := range []string{"web/deep", "dirty/pipe.lock"} {
		_, err := c.open(c.dir).Publish(t.Context(), gitlog.Publication{Remote: "origin", Branch: "main", Path: repopath.Path(path), Message: "m", File: add("x")})
		if err == nil || up.git("rev-parse", "main") != tip {
			t.Error(path, err)
		}
	}
}
