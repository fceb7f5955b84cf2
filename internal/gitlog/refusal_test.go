package gitlog_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/gitlog"
)

// mouth stands for git: what a push says comes from files. The refspec is its last argument.
const mouth = `#!/bin/sh
for spec; do :; done
for a; do
	[ "$a" = push ] || continue
	sed "s|SPEC|$spec|" "$MOUTH/stdout"
	cat "$MOUTH/stderr" >&2
	exit $(cat "$MOUTH/exit")
done
exec "$REAL_GIT" "$@"
`

// saying returns the sandbox with a git whose pushes say that.
func (s *sandbox) saying(stdout, stderr, exit string) *sandbox {
	s.tb.Helper()
	s.write("../mouth/git", mouth)
	s.write("../mouth/stdout", stdout)
	s.write("../mouth/stderr", stderr)
	s.write("../mouth/exit", exit)
	bin := filepath.Join(s.tmp, "mouth")
	if err := os.Chmod(filepath.Join(bin, "git"), 0o777); err != nil {
		s.tb.Fatal(err)
	}
	git, err := exec.LookPath("git")
	if err != nil {
		s.tb.Fatal(err)
	}
	return s.with("MOUTH="+bin, "REAL_GIT="+git, "PATH="+bin+":"+os.Getenv("PATH"))
}

// reply is what git prints when a push has failed, and what it means.
type reply struct {
	name, stdout, stderr, exit string
	cause                      gitlog.Cause
	text                       string // "": any
}

const (
	rejected = "To https://example.com/a/b\n!\tSPEC\t[remote rejected] (%s)\nDone\n"
	failed   = "error: failed to push some refs to 'https://example.com/a/b'\n"
)

func no(reason string) string { return fmt.Sprintf(rejected, reason) }

// services are replies of real ones.
func services() []reply {
	hook := no("pre-receive hook declined")
	return []reply{
		{
			"GitHub, branch protection", no("protected branch hook declined"),
			"remote: error: GH006: Protected branch update failed for refs/heads/main.        \nremote: error: Changes must be made through a pull request.        \n" + failed, "1", gitlog.Protected,
			"GH006: Protected branch update failed for refs/heads/main. Changes must be made through a pull request. protected branch hook declined",
		},
		{
			"GitHub, rules", no("push declined due to repository rule violations"),
			"remote: error: GH013: Repository rule violations found for refs/heads/main.        \nremote: Review all repository rules at https://github.com/a/b/rules?ref=refs%2Fheads%2Fmain        \nremote: \n" + failed, "1", gitlog.Protected,
			"GH013: Repository rule violations found for refs/heads/main. Review all repository rules at https://github.com/a/b/rules?ref=refs%2Fheads%2Fmain; push declined due to repository rule violations",
		},
		{
			"GitLab", hook, "remote: GitLab: You are not allowed to push code to protected branches on this project.        \n" + failed, "1", gitlog.Protected,
			"GitLab: You are not allowed to push code to protected branches on this project. pre-receive hook declined",
		},
		{
			"GitLab, token", "", "remote: You are not allowed to push code to this project.\nfatal: unable to access 'https://example.com/a/b.git/': The requested URL returned error: 403\n", "128", gitlog.Forbidden,
			"You are not allowed to push code to this project. unable to access 'https://example.com/a/b.git/': The requested URL returned error: 403",
		},
		{"Bitbucket", hook, "remote: Permission denied to update branch main.\n" + failed, "1", gitlog.Protected, "Permission denied to update branch main. pre-receive hook declined"},
		{"Bitbucket Server", hook, "remote: Branch refs/heads/main can only be modified through pull requests.\n" + failed, "1", gitlog.Protected, ""},
		{"Gitea", hook, "remote: \nremote: Gitea: Not allowed to push to protected branch main\n" + failed, "1", gitlog.Protected, ""},
		{
			"Azure, policy", no("TF402455: Pushes to this branch are not permitted; you must use a pull request to update this branch."), failed, "1", gitlog.Protected,
			"TF402455: Pushes to this branch are not permitted; you must use a pull request to update this branch.",
		},
		{"Azure, rights", no("TF401027: You need the Git 'GenericContribute' permission to perform this action. Details: identity 'x', scope 'repository'."), failed, "1", gitlog.Forbidden, ""},
		{"Gerrit", no("prohibited by Gerrit: not permitted: update"), failed, "1", gitlog.Protected, ""},
		{
			"GitHub, workflows", no("refusing to allow a GitHub App to create or update workflow `.github/workflows/ci.yml` without `workflows` permission"), failed, "1", gitlog.Forbidden,
			"refusing to allow a GitHub App to create or update workflow `.github/workflows/ci.yml` without `workflows` permission",
		},
		{
			"GitHub, read-only token", "", "remote: Permission to a/b.git denied to github-actions[bot].\nfatal: unable to access 'https://example.com/a/b/': The requested URL returned error: 403\n", "128", gitlog.Forbidden,
			"Permission to a/b.git denied to github-actions[bot]. unable to access 'https://example.com/a/b/': The requested URL returned error: 403",
		},
		{
			"GitHub, no write access", "", "remote: Write access to repository not granted.\nfatal: unable to access 'https://x:secret@example.com/a/b/': The requested URL returned error: 403\n", "128", gitlog.Forbidden,
			"Write access to repository not granted. unable to access 'https://example.com/a/b/': The requested URL returned error: 403",
		},
		{
			"GitHub, deploy key", "", "ERROR: The key you are authenticating with has been marked as read only.\nfatal: Could not read from remote repository.\n\nPlease make sure you have the correct access rights\nand the repository exists.\n", "128", gitlog.Forbidden,
			"ERROR: The key you are authenticating with has been marked as read only. Could not read from remote repository.",
		},
		{"GitHub, archived", "", "remote: This repository was archived so it is read-only.\nfatal: unable to access 'https://example.com/a/b/': The requested URL returned error: 403\n", "128", gitlog.Forbidden, ""},
	}
}

// troubles are replies without a service's own words.
func troubles() []reply {
	return []reply{
		{"no password", "", "fatal: could not read Username for 'https://example.com': terminal prompts disabled\n", "128", gitlog.Forbidden, "could not read Username for 'https://example.com': terminal prompts disabled"},
		{"no key", "", "git@example.com: Permission denied (publickey).\nfatal: Could not read from remote repository.\n", "128", gitlog.Forbidden, ""},
		{
			"no host", "", "ssh: Could not resolve hostname example.com: Name or service not known\nfatal: Could not read from remote repository.\n", "128", gitlog.Unreachable,
			"ssh: Could not resolve hostname example.com: Name or service not known; Could not read from remote repository.",
		},
		{"an ill server", "", "fatal: unable to access 'https://example.com/a/b/': The requested URL returned error: 503\n", "128", gitlog.Unreachable, ""},
		{"some hook", no("pre-receive hook declined"), "remote: no commits on Fridays, see https://me:secret@example.com/why\x1b[31m\x07\n" + failed, "1", gitlog.Hook, "no commits on Fridays, see https://example.com/why[31m; pre-receive hook declined"},
		{"work tree", no("branch is currently checked out"), "remote: error: refusing to update checked out branch: refs/heads/main\n" + failed, "1", gitlog.Hook, ""},
		{"a lock that stays", no("failed to update ref"), failed, "1", gitlog.Hook, "failed to update ref"},
		{"a hook here", "bad lock\n", "see the wiki\n" + failed, "1", gitlog.Hook, "see the wiki; bad lock"},
	}
}

func TestPublishSaysWhyItWasRefused(t *testing.T) {
	up := upstream(t, "sha1")
	c := up.clone("clone")
	for _, row := range append(services(), troubles()...) {
		t.Run(row.name, func(t *testing.T) {
			before, refs := c.snapshot(), c.git("for-each-ref")
			r, err := gitlog.Open(c.dir, gitlog.Options{Env: c.saying(row.stdout, row.stderr, row.exit).env, LockWait: time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			done, err := r.Publish(t.Context(), gitlog.Publication{Remote: "origin", Branch: "main", Message: "m", Path: "app/pipe.lock", File: add("two\n")})
			if err != nil {
				t.Fatal(err)
			}
			if done.Refused == nil || done.Commit != "" || done.Refused.Cause != row.cause || row.text != "" && done.Refused.Text != row.text {
				t.Errorf("%+v", done.Refused)
			}
			if c.snapshot() != before || c.git("for-each-ref") != refs {
				t.Error("something changed")
			}
		})
	}
}

// TestARefusalOfAProtectedBranchCostsNothing has a real server with a real hook.
func TestARefusalOfAProtectedBranchCostsNothing(t *testing.T) {
	up := upstream(t, "sha1")
	c := up.clone("clone", "--depth=1")
	c.mess()
	up.advance("other/y", "more")
	up.write("hooks/pre-receive", "#!/bin/sh\necho 'GH006: Protected branch update failed for refs/heads/main.' >&2\nexit 1\n")
	if err := os.Chmod(filepath.Join(up.dir, "hooks/pre-receive"), 0o777); err != nil {
		t.Fatal(err)
	}
	before, refs := c.snapshot(), c.git("for-each-ref")
	done := c.publish(gitlog.Publication{Path: "pipe.lock", File: add("two\n")})
	if done.Refused == nil || done.Refused.Cause != gitlog.Protected || !strings.HasPrefix(done.Refused.Text, "GH006: ") {
		t.Errorf("%+v", done.Refused)
	}
	if c.snapshot() != before || c.git("for-each-ref") != refs {
		t.Error("something changed")
	}
	if _, err := os.Stat(filepath.Join(c.dir, ".git", "FETCH_HEAD")); err == nil {
		t.Error("FETCH_HEAD was written")
	}
}

func TestOnlyTheLocksCommitIsPushed(t *testing.T) {
	up := upstream(t, "sha1")
	for name, c := range map[string]*sandbox{"whole": up.clone("whole"), "shallow": up.clone("shallow", "--depth=1")} {
		tip := up.git("rev-parse", "main")
		c.commit(20, "app/main.go", "not pushed")
		head := c.git("rev-parse", "HEAD")
		done := c.publish(gitlog.Publication{Path: "pipe.lock", File: add("two\n")})
		if done.Refused == nil || done.Refused.Cause != gitlog.Ahead || !strings.Contains(done.Refused.Text, head[:7]) {
			t.Errorf("%s: %+v", name, done.Refused)
		}
		if up.git("rev-parse", "main") != tip || c.git("rev-parse", "HEAD") != head {
			t.Error(name, "something moved")
		}
	}
}

func TestABranchThatIsGoneIsNotMadeAgain(t *testing.T) {
	up := upstream(t, "sha1")
	up.git("branch", "a/refs/heads/work", "main") // ls-remote finds this one, too
	up.git("branch", "work", "main")
	c := up.clone("clone", "-b", "work")
	up.git("branch", "-D", "work")
	done := c.publish(gitlog.Publication{Path: "pipe.lock", Branch: "work", File: add("two\n")})
	if done.Refused == nil || done.Refused.Cause != gitlog.Gone {
		t.Errorf("%+v", done.Refused)
	}
	if out := up.git("for-each-ref", "--format=%(refname)", "refs/heads/work"); out != "" {
		t.Error(out)
	}
}

// TestABranchDeletedMeanwhileIsNotMadeAgain deletes it between question and push.
func TestABranchDeletedMeanwhileIsNotMadeAgain(t *testing.T) {
	up := upstream(t, "sha1")
	up.git("branch", "work", "main")
	c := up.clone("clone", "-b", "work")
	done := c.publish(gitlog.Publication{Path: "pipe.lock", Branch: "work", File: func([]byte) ([]byte, error) {
		up.git("branch", "-D", "work")
		return []byte("x"), nil
	}})
	if done.Refused == nil || done.Refused.Cause != gitlog.Gone {
		t.Errorf("%+v", done.Refused)
	}
	if out := up.git("for-each-ref", "--format=%(refname)", "refs/heads/work"); out != "" {
		t.Error(out)
	}
}

func TestARemoteThatIsNotThereIsNamed(t *testing.T) {
	up := upstream(t, "sha1")
	c := up.clone("clone")
	c.git("init", "-q", "fork") // git would take the directory for the remote
	done := c.publish(gitlog.Publication{Path: "pipe.lock", Remote: "fork", File: add("two\n")})
	if done.Refused == nil || done.Refused.Cause != gitlog.NoRemote {
		t.Errorf("%+v", done.Refused)
	}
	c.git("remote", "set-url", "origin", "http://me:secret@127.0.0.1:1/x.git")
	done = c.publish(gitlog.Publication{Path: "pipe.lock", File: add("two\n")})
	if done.Refused == nil || done.Refused.Cause != gitlog.Unreachable || strings.Contains(done.Refused.Text, "secret") {
		t.Errorf("%+v", done.Refused)
	}
}

func TestPublishWaitsForAMerge(t *testing.T) {
	up := upstream(t, "sha1")
	c := up.clone("clone")
	c.write(".git/MERGE_HEAD", c.git("rev-parse", "HEAD")+"\n")
	p := gitlog.Publication{Path: "pipe.lock", File: add("two\n")}
	if done := c.publish(p); done.Refused == nil || done.Refused.Cause != gitlog.InProgress || !strings.Contains(done.Refused.Text, "merge") {
		t.Errorf("%+v", done.Refused)
	}
	p.File = func(tip []byte) ([]byte, error) { return tip, nil }
	if done := c.publish(p); done.Refused != nil {
		t.Errorf("there was nothing to push: %+v", done.Refused)
	}
}
