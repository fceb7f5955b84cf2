package gitlog_test

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/gitlog"
)

// branches makes a repository with the branches base, ours and theirs, of which each has its name in the
// file.
func branches(t *testing.T) *sandbox {
	s := newSandbox(t)
	for _, name := range []string{"base", "ours", "theirs"} {
		if name == "base" {
			s.git("checkout", "-q", "-B", name)
		} else {
			s.git("checkout", "-q", "-b", name, "base")
		}
		s.write("sub/pipe.lock", name)
		s.write("file "+name, name)
		s.git("add", ".")
		s.git("commit", "-q", "-m", name)
	}
	s.git("checkout", "-q", "ours")
	return s
}

func texts(all [][]byte) string {
	var out []string
	for _, b := range all {
		out = append(out, string(b))
	}
	return strings.Join(out, " ")
}

func TestSidesFindsTheVersionsThatMeet(t *testing.T) {
	union := func(s *sandbox) { s.write(".git/info/attributes", "pipe.lock merge=ours\n") }
	for _, c := range []struct {
		name               string
		do                 func(s *sandbox)
		unmerged           bool
		base, ours, theirs string
	}{
		{"nothing", func(*sandbox) {}, false, "", "ours base", ""},
		{"a merge", func(s *sandbox) { s.may("merge", "-q", "theirs") }, true, "base", "ours", "theirs"},
		{"a rebase", func(s *sandbox) { s.git("checkout", "-q", "theirs"); s.may("rebase", "-q", "ours") }, true, "base", "ours", "theirs"},
		{"a cherry-pick", func(s *sandbox) { s.may("cherry-pick", "theirs") }, true, "base", "ours", "theirs"},
		{"a revert", func(s *sandbox) {
			s.write("sub/pipe.lock", "later")
			s.git("commit", "-q", "-a", "-m", "later")
			s.may("revert", "--no-edit", "HEAD^")
		}, true, "ours", "later", "base"},
		{"a stash", func(s *sandbox) {
			s.write("sub/pipe.lock", "stashed")
			s.git("stash", "-q")
			s.git("checkout", "-q", "theirs")
			s.may("stash", "pop", "-q")
		}, true, "ours", "theirs base", "stashed"},
		{"a merge that was added", func(s *sandbox) { s.may("merge", "-q", "theirs"); s.git("add", ".") }, false, "base", "ours", "theirs"},
		{"a merge that was committed", func(s *sandbox) {
			s.may("merge", "-q", "theirs")
			s.git("add", ".")
			s.git("commit", "-q", "-m", "merged")
			s.write("sub/pipe.lock", "merged")
			s.git("commit", "-q", "-a", "--amend", "-m", "merged")
		}, false, "base", "merged ours", "theirs"},
		{"a rebase that went through", func(s *sandbox) {
			union(s)
			s.git("config", "merge.ours.driver", "true")
			s.git("checkout", "-q", "theirs")
			s.git("rebase", "-q", "ours")
		}, false, "base", "ours", "theirs"},
		{"one side deleted it", func(s *sandbox) {
			s.git("rm", "-q", "sub/pipe.lock")
			s.git("commit", "-q", "-m", "gone")
			s.may("merge", "-q", "theirs")
		}, true, "base", "", "theirs"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := branches(t)
			c.do(s)
			got, err := s.open(s.dir).Sides(t.Context(), "sub/pipe.lock")
			if err != nil {
				t.Fatal(err)
			}
			if got.Unmerged != c.unmerged || string(got.Base) != c.base || texts(got.Ours) != c.ours || texts(got.Theirs) != c.theirs || got.Others != 0 {
				t.Errorf("unmerged %v, base %q, ours %q, theirs %q, %d others", got.Unmerged, got.Base, texts(got.Ours), texts(got.Theirs), got.Others)
			}
		})
	}
}

// may is git for what may end with conflicts.
func (s *sandbox) may(args ...string) {
	s.tb.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = s.dir, s.env
	_ = cmd.Run()
}

func TestSettleEndsTheConflictOfOneFile(t *testing.T) {
	s := branches(t)
	s.write("other", "ours")
	s.git("add", ".")
	s.git("commit", "-q", "-m", "other")
	s.git("checkout", "-q", "theirs")
	s.write("other", "theirs")
	s.write("staged", "x")
	s.git("add", ".")
	s.git("commit", "-q", "-m", "other")
	s.git("checkout", "-q", "ours")
	s.may("merge", "-q", "theirs")
	r := s.open(s.dir)
	sides, err := r.Sides(t.Context(), "sub/pipe.lock")
	if err != nil || sides.Others != 1 {
		t.Fatal(sides, err)
	}
	if _, err := r.InIndex(t.Context(), "sub/pipe.lock"); !diag.Is(err, diag.Integrity) {
		t.Errorf("of a conflict the index says %v", err)
	}
	if err := r.Settle(t.Context(), "sub/pipe.lock", []byte("settled")); err != nil {
		t.Fatal(err)
	}
	if left := s.git("ls-files", "-u"); strings.Contains(left, "pipe.lock") || !strings.Contains(left, "other") {
		t.Errorf("unmerged now:\n%s", left)
	}
	if b, err := r.InIndex(t.Context(), "sub/pipe.lock"); err != nil || string(b) != "settled" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := r.InIndex(t.Context(), "nothing"); !errors.Is(err, gitlog.ErrNoFile) {
		t.Error(err)
	}
	if !slices.Contains(strings.Fields(s.git("diff", "--cached", "--name-only")), "staged") {
		t.Error("what else was staged is gone")
	}
}

func TestConfigureSetsWhatTheClonesWorktreesShare(t *testing.T) {
	s := branches(t)
	s.git("worktree", "add", "-q", "../linked", "base")
	linked := s.open(s.dir + "/../linked")
	if linked.IsSet(t.Context(), "diff.x.textconv") {
		t.Error("set before")
	}
	if err := linked.Configure(t.Context(), "diff.x.textconv", `a "b" 'c' \d; e`); err != nil {
		t.Fatal(err)
	}
	if got := s.git("config", "--local", "diff.x.textconv"); got != `a "b" 'c' \d; e` || !s.open(s.dir).IsSet(t.Context(), "diff.x.textconv") {
		t.Errorf("%q", got)
	}
	s.git("config", "diff.y.textconv", "")
	if !linked.IsSet(t.Context(), "diff.y.textconv") {
		t.Error("an empty value is a value")
	}
	if err := os.WriteFile(s.dir+"/.git/config.lock", nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := linked.Configure(t.Context(), "diff.z.textconv", "x"); err == nil {
		t.Error("a locked configuration was written")
	}
}
