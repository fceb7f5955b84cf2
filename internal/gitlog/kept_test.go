package gitlog_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/gitlog"
)

// epoch is when the sandbox's commits were made.
var epoch = time.Unix(1_700_000_000, 0)

// kept returns the contents that Kept finds, sorted.
func kept(t *testing.T, r *gitlog.Repo, since time.Time) (texts []string) {
	t.Helper()
	err := r.Kept(t.Context(), "pipe.lock", since, func(v *gitlog.Version) error {
		b, err := v.Data()
		texts = append(texts, string(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(texts)
	return texts
}

// hidden are the ways in which git keeps a lock without a branch, a tag or a HEAD. Each
// gets a clean repository whose branch main has the lock "base" with a branch "other" of
// the lock "theirs" beside it, and makes a lock "x" that only it names.
var hidden = map[string]func(s *sandbox){
	"stash": func(s *sandbox) {
		s.write("pipe.lock", "x")
		s.git("stash", "-q")
	},
	"older stash": func(s *sandbox) {
		s.write("pipe.lock", "x")
		s.git("stash", "-q")
		s.write("file", "y")
		s.git("stash", "-q")
	},
	"what a stash has staged": func(s *sandbox) {
		s.write("pipe.lock", "x")
		s.git("add", "pipe.lock")
		s.write("pipe.lock", "base")
		s.write("file", "y")
		s.git("stash", "-q")
	},
	"detached HEAD of a worktree": func(s *sandbox) {
		s.git("worktree", "add", "-q", "--detach", "../linked")
		s.at(filepath.Join(s.tmp, "linked")).commit(5, "pipe.lock", "x")
		noReflogs(s)
	},
	"reflog of HEAD": func(s *sandbox) {
		s.git("checkout", "-q", "--detach")
		s.commit(5, "pipe.lock", "x")
		s.git("checkout", "-q", "main")
		noNotes(s)
	},
	"reflog of a branch": func(s *sandbox) {
		s.git("update-ref", "--create-reflog", "-m", "to", "refs/heads/moved", s.lost("x"))
		s.git("update-ref", "-m", "back", "refs/heads/moved", "main")
		noNotes(s)
	},
	"reflog of a worktree": func(s *sandbox) {
		s.git("worktree", "add", "-q", "--detach", "../linked")
		linked := s.at(filepath.Join(s.tmp, "linked"))
		linked.commit(5, "pipe.lock", "x")
		linked.git("checkout", "-q", "main~0")
		noNotes(s)
	},
	"ORIG_HEAD": func(s *sandbox) {
		s.commit(5, "pipe.lock", "x")
		s.git("reset", "-q", "--hard", "HEAD~1")
		noReflogs(s)
	},
	"MERGE_HEAD": func(s *sandbox) {
		s.git("-c", "merge.conflictStyle=merge", "merge", "-q", "--no-commit", "-s", "ours", s.lost("x"))
		noReflogs(s)
	},
	"FETCH_HEAD": func(s *sandbox) {
		s.git("tag", "theirs", s.lost("x"))
		s.git("fetch", "-q", ".", "refs/tags/theirs")
		s.git("tag", "-d", "theirs")
	},
	"CHERRY_PICK_HEAD": func(s *sandbox) {
		s.git("checkout", "-q", "other")
		s.fails("cherry-pick", s.lost("x"))
		noIndex(s)
	},
	"a rebase's orig-head": func(s *sandbox) {
		s.git("checkout", "-q", "-b", "topic")
		s.commit(5, "pipe.lock", "x")
		s.git("checkout", "-q", "--detach")
		s.git("branch", "-q", "-D", "topic")
		s.fails("rebase", "other")
		noReflogs(s)
		noNotes(s)
		noIndex(s)
	},
	"a rebase's autostash": func(s *sandbox) {
		s.commit(5, "file", "ours")
		s.write("pipe.lock", "x")
		s.fails("rebase", "--autostash", "other")
		noReflogs(s)
	},
	"bisect in a worktree": func(s *sandbox) {
		s.git("worktree", "add", "-q", "--detach", "../linked")
		s.at(filepath.Join(s.tmp, "linked")).git("update-ref", "refs/bisect/bad", s.lost("x"))
	},
	"staged": func(s *sandbox) { s.write("pipe.lock", "x"); s.git("add", "pipe.lock"); s.write("pipe.lock", "base") },
	"staged in a worktree": func(s *sandbox) {
		s.git("worktree", "add", "-q", "--detach", "../linked")
		linked := s.at(filepath.Join(s.tmp, "linked"))
		linked.write("pipe.lock", "x")
		linked.git("add", "pipe.lock")
	},
	"conflict of a stash that was dropped": func(s *sandbox) {
		s.write("pipe.lock", "x")
		s.git("stash", "-q")
		s.git("checkout", "-q", "other")
		s.fails("stash", "pop")
		s.git("stash", "drop", "-q")
		s.git("checkout", "-q", "--ours", "pipe.lock")
	},
	"notes":          func(s *sandbox) { s.git("update-ref", "refs/notes/x", s.lost("x")) },
	"a pull request": func(s *sandbox) { s.git("update-ref", "refs/pull/1/head", s.lost("x")) },
	"a replacement":  func(s *sandbox) { s.git("replace", "main", s.lost("x")) },
}

// lost makes a commit that nothing names.
func (s *sandbox) lost(lock string) string {
	s.tb.Helper()
	blob := s.run(strings.NewReader(lock), "hash-object", "-w", "--stdin")
	tree := s.run(strings.NewReader("100644 blob "+blob+"\tpipe.lock\n"), "mktree")
	return s.git("commit-tree", "-m", "lost", "-p", "main", tree)
}

// fails runs a git command that stops half-way.
func (s *sandbox) fails(args ...string) {
	s.tb.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = s.dir, s.env
	if out, err := cmd.CombinedOutput(); err == nil {
		s.tb.Fatalf("git %v did not stop: %s", args, out)
	}
}

func noReflogs(s *sandbox) { s.git("reflog", "expire", "--expire=now", "--all") }

// noNotes removes the files in capitals, all but HEAD.
func noNotes(s *sandbox) {
	for _, dir := range []string{".git", ".git/worktrees/linked"} {
		for _, n := range []string{"ORIG_HEAD", "FETCH_HEAD", "AUTO_MERGE", "REBASE_HEAD"} {
			_ = os.Remove(filepath.Join(s.dir, dir, n))
		}
	}
}

func noIndex(s *sandbox) { s.git("read-tree", "HEAD") }

// withLock is a repository with a lock that two branches have changed, and a lost one.
func withLock(t *testing.T, env ...string) *sandbox {
	s := newSandbox(t).with(env...)
	if err := os.RemoveAll(filepath.Join(s.dir, ".git")); err != nil {
		t.Fatal(err)
	}
	s.git("init", "-q", "-b", "main")
	s.commit(0, "file", "base")
	s.commit(1, "pipe.lock", "base")
	s.git("checkout", "-q", "-b", "other")
	s.commit(2, "file", "theirs")
	s.commit(3, "pipe.lock", "theirs")
	s.git("checkout", "-q", "main")
	s.lost("lost")
	return s
}

// A git before 2.45 knows no tables and makes files, which are tried twice then.
func TestAllThatGitKeepsIsKept(t *testing.T) {
	for name, hide := range hidden {
		for _, format := range []string{"files", "reftable"} {
			t.Run(name+" "+format, func(t *testing.T) {
				t.Parallel()
				s := withLock(t, "GIT_DEFAULT_REF_FORMAT="+format)
				s.git("worktree", "add", "-q", "--detach", "../beside")
				hide(s)
				for _, dir := range []string{s.dir, filepath.Join(s.tmp, "beside")} {
					if got := kept(t, s.open(dir), epoch); fmt.Sprint(got) != "[base theirs x]" {
						t.Errorf("from %s: %v", dir, got)
					}
				}
			})
		}
	}
}

func TestAReflogKeepsWhatItSaysOfTheTimeSince(t *testing.T) {
	s := withLock(t)
	dated := func(day int) *sandbox {
		return s.with(fmt.Sprintf("GIT_COMMITTER_DATE=@%d +0000", epoch.AddDate(0, 0, day).Unix()))
	}
	dated(0).git("update-ref", "--create-reflog", "-m", "m", "refs/heads/moved", s.lost("first"))
	dated(1).git("update-ref", "-m", "with a > in it", "refs/heads/moved", s.lost("second"))
	dated(2).git("update-ref", "-m", "m", "refs/heads/moved", "main")
	s.write("pipe.lock", "stashed")
	dated(0).git("stash", "-q")
	s.write("file", "y")
	dated(0).git("stash", "-q")
	noNotes(s)
	r := s.open(s.dir)
	for _, c := range []struct {
		days, seconds int
		want          string
	}{
		{0, 0, "[base first second stashed theirs]"},
		{1, 0, "[base first second stashed theirs]"}, // on that day it became the second
		{1, 1, "[base second stashed theirs]"},
		{2, 0, "[base second stashed theirs]"},
		{2, 1, "[base stashed theirs]"},
	} {
		since := epoch.AddDate(0, 0, c.days).Add(time.Duration(c.seconds) * time.Second)
		if got := kept(t, r, since); fmt.Sprint(got) != c.want {
			t.Errorf("since day %d and %d s: %v, want %s", c.days, c.seconds, got, c.want)
		}
	}
	// What has no time that can be read is young.
	s.write(".git/logs/HEAD", strings.Repeat("0", 40)+" "+s.lost("timeless")+" nobody\n\x00\x00")
	if got := kept(t, r, epoch.AddDate(0, 0, 3)); fmt.Sprint(got) != "[base stashed theirs timeless]" {
		t.Error(got)
	}
}

// What is not seen may name anything.
func TestAHistoryThatIsNotWholeIsAnError(t *testing.T) {
	for name, c := range map[string]struct {
		kind   diag.Kind
		damage func(s *sandbox) *sandbox
	}{
		"shallow": {diag.Policy, func(s *sandbox) *sandbox {
			s.git("clone", "-q", "--depth", "1", "file://"+s.dir, "../clone")
			return s.at(filepath.Join(s.tmp, "clone"))
		}},
		"without old files": {diag.NotFound, func(s *sandbox) *sandbox { return partial(s, "blob:none") }},
		"without old trees": {diag.NotFound, func(s *sandbox) *sandbox { return partial(s, "tree:0") }},
		"a reference that is empty": {diag.Integrity, func(s *sandbox) *sandbox {
			s.write(".git/refs/heads/other", "")
			return s
		}},
		"a reference to nothing": {diag.Integrity, func(s *sandbox) *sandbox {
			s.write(".git/refs/heads/other", strings.Repeat("1", 40)+"\n")
			return s
		}},
		"a worktree's HEAD that is empty": {diag.Integrity, func(s *sandbox) *sandbox {
			s.git("worktree", "add", "-q", "--detach", "../linked")
			s.write(".git/worktrees/linked/HEAD", "")
			return s
		}},
		"a parent that is gone": {diag.NotFound, func(s *sandbox) *sandbox { return without(s, "other~1") }},
		"a tree of the reflog's that is gone": {diag.NotFound, func(s *sandbox) *sandbox {
			s.commit(5, "pipe.lock", "x")
			x := s.git("rev-parse", "HEAD^{tree}")
			s.git("reset", "-q", "--hard", "HEAD~1")
			return without(s, x)
		}},
		"a staged lock that is gone": {diag.NotFound, func(s *sandbox) *sandbox {
			s.write("pipe.lock", "x")
			s.git("add", "pipe.lock")
			return without(s, ":pipe.lock")
		}},
	} {
		s := c.damage(withLock(t))
		err := s.open(s.dir).Kept(t.Context(), "pipe.lock", epoch, func(v *gitlog.Version) error { _, err := v.Data(); return err })
		if d := (&diag.Error{}); !errors.Is(err, &diag.Error{Kind: c.kind}) || !errors.As(err, &d) || d.Hint == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// partial is a clone that has the newest commit's files alone.
func partial(s *sandbox, filter string) *sandbox {
	s.git("config", "uploadpack.allowFilter", "true")
	s.git("config", "uploadpack.allowAnySHA1InWant", "true")
	s.commit(9, "pipe.lock", "new")
	s.git("clone", "-q", "--filter="+filter, "-c", "gc.auto=0", "-c", "maintenance.auto=false", "file://"+s.dir, "../clone")
	return s.at(filepath.Join(s.tmp, "clone"))
}

// without deletes an object of git's.
func without(s *sandbox, rev string) *sandbox {
	hash := s.git("rev-parse", rev)
	if err := os.Remove(filepath.Join(s.dir, ".git/objects", hash[:2], hash[2:])); err != nil {
		s.tb.Fatal(err)
	}
	return s
}

func TestTheHintForAPartialCloneFillsIt(t *testing.T) {
	s := partial(withLock(t), "tree:0")
	err := s.open(s.dir).Kept(t.Context(), "pipe.lock", epoch, func(*gitlog.Version) error { return nil })
	d := &diag.Error{}
	if !errors.As(err, &d) {
		t.Fatal(err)
	}
	s.git(strings.Fields(d.Hint)[1:]...)
	if got := kept(t, s.open(s.dir), epoch); fmt.Sprint(got) != "[base new theirs]" {
		t.Error(got)
	}
}

// Nothing of these is missing, though it looks like it.
func TestWhatGitLivesWithStopsNothing(t *testing.T) {
	for name, live := range map[string]func(s *sandbox) *sandbox{
		"a dangling symbolic reference": func(s *sandbox) *sandbox {
			s.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/gone")
			return s
		},
		"reflogs of pruned commits": func(s *sandbox) *sandbox {
			s.git("update-ref", "--create-reflog", "-m", "m", "refs/heads/moved", s.lost("x"))
			s.git("update-ref", "-m", "m", "refs/heads/moved", "main")
			return without(s, "moved@{1}")
		},
		"tags of trees and files": func(s *sandbox) *sandbox {
			s.git("tag", "tree", "main^{tree}")
			s.git("tag", "-a", "-m", "m", "file", "main:pipe.lock")
			return s
		},
		"a worktree whose directory is gone": func(s *sandbox) *sandbox {
			s.git("worktree", "add", "-q", "--detach", "../linked")
			if err := os.RemoveAll(filepath.Join(s.tmp, "linked")); err != nil {
				s.tb.Fatal(err)
			}
			return s
		},
		"an unborn HEAD": func(s *sandbox) *sandbox {
			s.git("checkout", "-q", "--orphan", "unborn")
			return s
		},
		"a lock that is only announced": func(s *sandbox) *sandbox {
			s.git("rm", "-q", "--cached", "pipe.lock")
			s.git("add", "-N", "pipe.lock")
			return s
		},
	} {
		s := live(withLock(t))
		if got := kept(t, s.open(s.dir), epoch); fmt.Sprint(got) != "[base theirs]" {
			t.Errorf("%s: %v", name, got)
		}
	}
}
