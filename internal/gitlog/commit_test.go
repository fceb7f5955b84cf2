package gitlog_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/gitlog"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// mustCommit writes the file, as a user of CommitFile does, and commits it.
func (s *sandbox) mustCommit(path, text string) string {
	s.tb.Helper()
	s.write(path, text)
	h, changed, err := s.open(s.dir).CommitFile(s.tb.Context(), repopath.Path(path), []byte(text), "update "+path)
	if err != nil || !changed {
		s.tb.Fatal(h, changed, err)
	}
	if head := s.git("rev-parse", "HEAD"); head != h {
		s.tb.Fatalf("HEAD is %s, not %s", head, h)
	}
	s.git("fsck", "--strict", "--no-dangling", "HEAD") // the trees of a sparse index are not written before a commit
	return h
}

func TestCommitFileLeavesStagedAndDirtyWorkAlone(t *testing.T) {
	sparse := "sparse-checkout set --cone --sparse-index some"
	for _, c := range []struct{ setup, path string }{
		{"update-index --index-version 2", "pipe.lock"},
		{"update-index --index-version 4", "sub/dir/pipe.lock"},
		{"update-index --split-index", "pipe.lock"},
		{"update-index --untracked-cache", "sub/dir/pipe.lock"},
		{"update-index --assume-unchanged assumed", "some/pipe.lock"},
		{sparse, "pipe.lock"},
		{sparse, "sub/dir/pipe.lock"},
		{sparse, "some/pipe.lock"},
	} {
		t.Run(c.setup+" "+c.path, func(t *testing.T) {
			t.Parallel()
			s := newSandbox(t)
			for _, f := range []string{"staged", "dirty", "removed", "assumed", "sub-x", "sub/x", "z/z", "some/a"} {
				s.write(f, "old")
			}
			s.git("add", ".")
			s.git("commit", "-q", "-m", "old")
			s.git(strings.Fields(c.setup)...)
			for _, text := range []string{"new file", "changed", "changed again"} {
				s.leavesAlone(c.path, text)
			}
			s.git("commit", "-q", "-m", "the rest")
			s.git("fsck", "--strict", "--no-dangling")
		})
	}
}

// leavesAlone commits path among staged and dirty work, and checks that it stays.
func (s *sandbox) leavesAlone(path, text string) {
	s.tb.Helper()
	s.write("staged", "staged"+text)
	s.write("added", text)
	s.git("add", "staged", "added")
	s.write("staged", "dirty on top")
	s.write("dirty", "dirty"+text)
	s.write("untracked", "x")
	s.git("rm", "-q", "--ignore-unmatch", "removed")
	before := s.git("status", "--porcelain")
	flags := s.git("ls-files", "-v", "assumed", "z")
	parent := s.git("rev-parse", "HEAD")
	s.mustCommit(path, text)
	if after := s.git("status", "--porcelain"); after != before {
		s.tb.Errorf("%s: status was\n%s\nand is\n%s", path, before, after)
	}
	if now := s.git("ls-files", "-v", "assumed", "z"); now != flags {
		s.tb.Errorf("flags %s", now)
	}
	if out := s.git("diff-tree", "-r", "--name-only", parent, "HEAD"); out != path {
		s.tb.Errorf("the commit changes %s", out)
	}
	s.git("diff", "--cached", "--quiet", "--", path)
}

func TestCommitFileChangesNothingWhenHeadHasIt(t *testing.T) {
	s := newSandbox(t)
	one := s.commit(1, "pipe.lock", "one")
	h, changed, err := s.open(s.dir).CommitFile(t.Context(), "pipe.lock", []byte("one"), "again")
	if h != one || changed || err != nil || s.git("rev-list", "--count", "HEAD") != "1" {
		t.Error(h, changed, err)
	}
}

// TestCommitFileMendsAnIndexThatLagsBehind does so with and without a new commit.
func TestCommitFileMendsAnIndexThatLagsBehind(t *testing.T) {
	s := newSandbox(t)
	s.commit(1, "a/pipe.lock", "old")
	old := s.git("rev-parse", "HEAD:a/pipe.lock")
	head := s.mustCommit("a/pipe.lock", "new")
	s.write("staged", "staged")
	s.git("add", "staged")
	for _, lag := range [][]string{
		{"update-index", "--cacheinfo", "100644," + old + ",a/pipe.lock"},
		{"update-index", "--chmod=+x", "a/pipe.lock"},
		{"rm", "-q", "--cached", "a/pipe.lock"},
	} {
		s.git(lag...)
		h, changed, err := s.open(s.dir).CommitFile(t.Context(), "a/pipe.lock", []byte("new"), "again")
		if h != head || changed || err != nil {
			t.Error(lag, h, changed, err)
		}
		if got := s.git("status", "--porcelain"); got != "A  staged" {
			t.Errorf("%v: status %s", lag, got)
		}
	}
	s.write("a/pipe.lock", "other")
	s.git("add", "a/pipe.lock")
	s.mustCommit("a/pipe.lock", "newest")
	if got := s.git("status", "--porcelain"); got != "A  staged" {
		t.Errorf("status %s", got)
	}
}

func TestCommitFileKeepsTheModeOfHead(t *testing.T) {
	s := newSandbox(t)
	s.commit(1, "pipe.lock", "old")
	s.git("update-index", "--chmod=+x", "pipe.lock")
	s.git("commit", "-qm", "executable")
	s.mustCommit("pipe.lock", "new")
	if got := s.git("ls-tree", "--format=%(objectmode)", "HEAD", "pipe.lock"); got != "100755" {
		t.Error(got)
	}
}

func TestCommitFileSignsWhereGitWould(t *testing.T) {
	s := newSandbox(t)
	s.write("../gpg", "#!/bin/sh\ncat >/dev/null\necho '[GNUPG:] SIG_CREATED ' >&2\necho 'made by the test'\n")
	gpg := filepath.Join(s.tmp, "gpg")
	if err := os.Chmod(gpg, 0o777); err != nil {
		t.Fatal(err)
	}
	s.git("config", "gpg.program", gpg)
	for _, sign := range []string{"false", "true"} {
		s.git("config", "commit.gpgSign", sign)
		s.mustCommit("pipe.lock", sign)
		if got := strings.Contains(s.git("cat-file", "commit", "HEAD"), "gpgsig made by the test"); fmt.Sprint(got) != sign {
			t.Errorf("commit.gpgSign %s: signed %v", sign, got)
		}
	}
	s.write("../gpg", "#!/bin/sh\nexit 1\n")
	head := s.git("rev-parse", "HEAD")
	_, _, err := s.open(s.dir).CommitFile(t.Context(), "pipe.lock", []byte("x"), "m")
	if err == nil || !strings.HasPrefix(err.Error(), "commit pipe.lock: git commit-tree in ") || s.git("rev-parse", "HEAD") != head {
		t.Error("a commit that cannot be signed was made:", err)
	}
}

func TestCommitFileRunsNoHook(t *testing.T) {
	s := newSandbox(t)
	s.commit(1, "x", "x")
	for _, hook := range []string{"pre-commit", "commit-msg", "post-commit", "post-index-change", "reference-transaction"} {
		s.write(".git/hooks/"+hook, "#!/bin/sh\ntouch '"+s.tmp+"/ran'\nexit 1\n")
		if err := os.Chmod(filepath.Join(s.dir, ".git/hooks", hook), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if _, changed, err := s.open(s.dir).CommitFile(t.Context(), "pipe.lock", []byte("x"), "m"); !changed || err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(s.tmp, "ran")); err == nil {
		t.Error("a hook ran")
	}
}

// TestCommitFileIsDurable reads git's own count of what it synced.
func TestCommitFileIsDurable(t *testing.T) {
	s := newSandbox(t)
	s.commit(1, "x", "x")
	trace := filepath.Join(s.tmp, "trace")
	s.with("GIT_TRACE2_EVENT="+trace).mustCommit("sub/pipe.lock", "new")
	b, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	argv := map[string]string{} // of each process
	synced := map[string]bool{}
	for line := range strings.Lines(string(b)) {
		var e struct {
			Event, Sid string
			Argv       []string
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Event == "start" {
			argv[e.Sid] = strings.Join(e.Argv, " ")
		}
		if strings.Contains(line, "hardware-flush") && !strings.Contains(line, `"value":"0"`) {
			synced[argv[e.Sid]] = true
		}
	}
	for _, step := range []string{" hash-object ", " hash-object -w -t tree ", " commit-tree ", " update-ref ", " update-index "} {
		found := false
		for line := range synced {
			found = found || strings.Contains(line, step)
		}
		if !found {
			t.Errorf("%s synced nothing", step)
		}
	}
}

func TestCommitFileWritesWhatGitWrites(t *testing.T) {
	s := newSandbox(t).with("GIT_AUTHOR_DATE=1700000000 +0130", "GIT_COMMITTER_DATE=1800000000 +0000")
	s.mustCommit("a/pipe.lock", "one") // unborn
	s.mustCommit("a/pipe.lock", "two")
	want := "update a/pipe.lock|A U Thor|a@example.com|1700000000 +0130|C O Mitter|c@example.com|1800000000"
	if got := s.git("log", "-1", "--date=raw", "--format=%s|%an|%ae|%ad|%cn|%ce|%ct"); got != want {
		t.Errorf("got %s", got)
	}
	if got := s.git("reflog", "show", "--format=%gs", "main"); got != "commit: update a/pipe.lock\ncommit (initial): update a/pipe.lock" {
		t.Errorf("reflog %s", got)
	}
	if s.git("reflog", "show", "--format=%H %gs", "HEAD") != s.git("reflog", "show", "--format=%H %gs", "main") {
		t.Error("the reflog of HEAD is another")
	}
	s.git("checkout", "-q", "--detach")
	main := s.git("rev-parse", "main")
	s.mustCommit("a/pipe.lock", "three")
	if s.git("rev-parse", "main") != main || s.git("rev-parse", "HEAD~1") != main {
		t.Error("a detached HEAD moved the branch")
	}
	s.git("checkout", "-q", "-b", "feature/packed")
	s.git("pack-refs", "--all", "--prune")
	s.mustCommit("a/pipe.lock", "four")
	s.write("b", "b")
	s.git("add", "b")
	s.git("commit", "-q", "-m", "b")
	if out := s.git("status", "--porcelain"); out != "" {
		t.Error(out)
	}
}

func TestCommitFileTakesTheIdentityFromTheConfiguration(t *testing.T) {
	plain := newSandbox(t)
	s := plain.with()
	s.env = slices.DeleteFunc(s.env, func(kv string) bool {
		return strings.HasPrefix(kv, "GIT_AUTHOR_") || strings.HasPrefix(kv, "GIT_COMMITTER_")
	})
	_, _, err := s.open(s.dir).CommitFile(t.Context(), "pipe.lock", []byte("x"), "m")
	if d := (&diag.Error{}); !errors.As(err, &d) || d.Hint == "" {
		t.Error(err)
	}
	if d := (&diag.Error{}); !errors.As(err, &d) || d.Kind != diag.Usage {
		t.Error(err)
	}
	s.write("../included", "[user]\n\temail = \"me@example.com\" ; mine\n")
	s.git("config", "user.name", `Me "and" # I`)
	s.git("config", "include.path", "~/included")
	h, _, err := s.open(s.dir).CommitFile(t.Context(), "pipe.lock", []byte("x"), "m")
	if err != nil {
		t.Fatal(err)
	}
	if got := s.git("show", "-s", "--format=%an <%ae> %cn", h); got != `Me "and" # I <me@example.com> Me "and" # I` {
		t.Error(got)
	}
}

func TestCommitFileRefusesInTheMiddleOfAMerge(t *testing.T) {
	s := branchy(t, "pipe.lock")
	s.git("merge", "-q", "--no-commit", "-s", "ours", "unmerged")
	_, _, err := s.open(s.dir).CommitFile(t.Context(), "pipe.lock", []byte("x"), "m")
	if !errors.Is(err, &diag.Error{Kind: diag.Policy}) || !strings.Contains(err.Error(), "merge") {
		t.Error(err)
	}
	s.write("pipe.lock", "of the merge")
	s.git("add", "pipe.lock")
	_, changed, err := s.open(s.dir).CommitFile(t.Context(), "pipe.lock", []byte(s.git("show", "HEAD:pipe.lock")), "m")
	if changed || err != nil || s.git("show", ":pipe.lock") != "of the merge" {
		t.Error("what HEAD has was taken for a change of the merge:", changed, err)
	}
}

func TestCommitFileNamesALockThatSomebodyHolds(t *testing.T) {
	for _, lock := range []string{"index", "refs/heads/main"} {
		s := newSandbox(t)
		head := s.commit(1, "x", "x")
		s.write(".git/"+lock+".lock", "")
		r, err := gitlog.Open(s.dir, gitlog.Options{Env: s.env, LockWait: time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = r.CommitFile(t.Context(), "pipe.lock", []byte("x"), "m")
		if !errors.Is(err, &diag.Error{Kind: diag.Busy}) || !strings.Contains(err.Error(), filepath.FromSlash(lock)+".lock") {
			t.Error(err)
		}
		if err := os.Remove(filepath.Join(s.dir, ".git", lock+".lock")); err != nil {
			t.Error("the lock of the other was taken away:", err)
		}
		if s.git("rev-parse", "HEAD") != head || s.git("status", "--porcelain") != "" {
			t.Error("something changed")
		}
		s.mustCommit("pipe.lock", "x")
	}
}

func TestCommitFileSaysThatTheIndexLags(t *testing.T) {
	s := newSandbox(t)
	s.mustCommit("pipe.lock", "x")
	s.git("rm", "-q", "--cached", "pipe.lock")
	s.write(".git/index.lock", "")
	r, err := gitlog.Open(s.dir, gitlog.Options{Env: s.env, LockWait: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = r.CommitFile(t.Context(), "pipe.lock", []byte("x"), "m")
	if !errors.Is(err, &diag.Error{Kind: diag.Busy}) || !strings.Contains(err.Error(), "committed, but the index was not updated") {
		t.Error(err)
	}
}

// TestParallelCommitsLoseNothing lets 8 CommitFile, 8 git commit and a writer
// that does without the index lock go for one branch.
func TestParallelCommitsLoseNothing(t *testing.T) {
	s := newSandbox(t)
	s.commit(0, "x", "x")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			r, err := gitlog.Open(s.dir, gitlog.Options{Env: s.env, LockWait: time.Minute})
			if err == nil {
				_, _, err = r.CommitFile(t.Context(), "pipe.lock", fmt.Append(nil, "lock ", i), fmt.Sprint("ours ", i))
			}
			if err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			for t.Context().Err() == nil { // git does not wait for its locks
				cmd := exec.CommandContext(t.Context(), "git", "commit", "-q", "--allow-empty", "-m", fmt.Sprint("theirs ", i))
				cmd.Dir, cmd.Env = s.dir, s.env
				if cmd.Run() == nil {
					return
				}
			}
		})
	}
	wg.Go(func() {
		done := 0
		for done < 4 && t.Context().Err() == nil {
			old := s.git("rev-parse", "main")
			c := s.git("commit-tree", "-p", old, "-m", fmt.Sprint("third ", done), old+"^{tree}")
			cmd := exec.CommandContext(t.Context(), "git", "update-ref", "refs/heads/main", c, old)
			cmd.Dir, cmd.Env = s.dir, s.env
			if cmd.Run() == nil {
				done++
			}
		}
	})
	wg.Wait()
	log := s.git("log", "--format=%s", "main")
	for _, who := range []string{"ours", "theirs"} {
		if n := strings.Count(log, who+" "); n != 8 {
			t.Errorf("%s: %d of 8 on the branch", who, n)
		}
	}
	if n := strings.Count(log, "third "); n != 4 {
		t.Errorf("third: %d of 4 on the branch", n)
	}
	for subject := range strings.Lines(s.git("log", "--full-history", "--format=%s", "main", "--", "pipe.lock")) {
		if !strings.HasPrefix(subject, "ours ") {
			t.Errorf("%s changed the lock", subject)
		}
	}
	s.git("fsck", "--strict", "--no-dangling")
	s.git("diff", "--cached", "--quiet")
}
