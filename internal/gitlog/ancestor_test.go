package gitlog_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// line makes n commits, and a branch that leaves the line after the first.
func line(t *testing.T, n int) (s *sandbox, commits []string, aside string) {
	s = newSandbox(t)
	for i := range n {
		commits = append(commits, s.commit(i, "f", time.Unix(int64(i), 0).String()))
	}
	s.git("checkout", "-q", "-b", "aside", commits[0])
	aside = s.commit(n, "g", "aside")
	s.git("checkout", "-q", "main")
	return s, commits, aside
}

func TestAnAncestorIsFoundInAWholeClone(t *testing.T) {
	s, c, aside := line(t, 4)
	for _, q := range []struct {
		a, b       string
		yes, known bool
	}{
		{c[0], c[3], true, true},
		{c[3], c[0], false, true},
		{c[2], c[2], true, true},
		{c[0], aside, true, true},
		{c[1], aside, false, true},
		{aside, c[3], false, true},
		{"0123456789012345678901234567890123456789", c[0], false, false},
	} {
		if yes, known, err := s.open(s.dir).Ancestor(t.Context(), q.a, q.b); yes != q.yes || known != q.known || err != nil {
			t.Errorf("%s before %s: %v, %v, %v", q.a, q.b, yes, known, err)
		}
	}
}

// A shallow clone is not deepened, and neither is what it says taken for a no.
func TestInAShallowCloneTheOriginSaysWhatIsAnAncestor(t *testing.T) {
	s, c, aside := line(t, 6)
	for name, url := range map[string]string{"url": "file://" + s.dir, "path": s.dir, "relative": "../repo"} {
		s.git("clone", "-q", "--depth=1", "file://"+s.dir, filepath.Join(s.tmp, name))
		clone := s.at(filepath.Join(s.tmp, name))
		clone.git("remote", "set-url", "origin", url)
		before := clone.git("count-objects", "-v") + clone.git("config", "--list", "--local") + clone.git("for-each-ref")
		left, err := filepath.Glob(filepath.Join(os.TempDir(), "pipe-history-*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range []struct {
			a, b string
			yes  bool
		}{{c[0], c[5], true}, {c[5], c[0], false}, {c[1], aside, false}, {aside, c[5], false}, {c[3], c[4], true}} {
			if yes, known, err := clone.open(clone.dir).Ancestor(t.Context(), q.a, q.b); yes != q.yes || !known || err != nil {
				t.Errorf("%s: %s before %s: %v, %v, %v", name, q.a, q.b, yes, known, err)
			}
		}
		if after := clone.git("count-objects", "-v") + clone.git("config", "--list", "--local") + clone.git("for-each-ref"); after != before {
			t.Errorf("%s: the clone was\n%s\nand is\n%s", name, before, after)
		}
		if now, _ := filepath.Glob(filepath.Join(os.TempDir(), "pipe-history-*")); len(now) > len(left) {
			t.Errorf("left behind: %q", now)
		}
	}
}

func TestWhatNeitherCloneNorOriginHasIsNotKnown(t *testing.T) {
	s, c, _ := line(t, 3)
	s.git("clone", "-q", "--depth=1", "file://"+s.dir, "../clone")
	clone := s.at(filepath.Join(s.tmp, "clone"))
	absent := "0123456789012345678901234567890123456789"
	for name, url := range map[string]string{"commit": "file://" + s.dir, "origin": "file://" + s.tmp + "/none"} {
		clone.git("remote", "set-url", "origin", url)
		a := c[0]
		if name == "commit" {
			a = absent
		}
		if yes, known, err := clone.open(clone.dir).Ancestor(t.Context(), a, c[2]); yes || known || err != nil {
			t.Errorf("no such %s: %v, %v, %v", name, yes, known, err)
		}
	}
	clone.git("remote", "remove", "origin")
	if yes, known, err := clone.open(clone.dir).Ancestor(t.Context(), c[0], c[2]); yes || known || err != nil {
		t.Errorf("no origin: %v, %v, %v", yes, known, err)
	}
	if _, _, err := s.with("PATH=").open(s.dir).Ancestor(t.Context(), c[0], c[2]); err == nil {
		t.Error("without git there is an answer")
	}
}

func TestTheTimeOfACommitIsThatOfItsCommitter(t *testing.T) {
	s, c, _ := line(t, 2)
	if at, err := s.open(s.dir).Committed(t.Context(), c[1]); err != nil || at.Unix() != 1_700_000_060 {
		t.Errorf("%v, %v", at, err)
	}
	if _, err := s.open(s.dir).Committed(t.Context(), "0123456789012345678901234567890123456789"); !diag.Is(err, diag.NotFound) {
		t.Errorf("%v", err)
	}
}

// The commit of a lock that follows a deployment is no change, nor is that of another project.
func TestCommitsAreTheSameButForOneFile(t *testing.T) {
	s := newSandbox(t)
	first := s.commit(0, "a*/in", "1")
	locked := s.commit(1, "a*/pipe.lock", "1")
	other := s.commit(2, "b/in", "1")
	changed := s.commit(3, "a*/in", "2")
	for _, q := range []struct {
		a, b, at    string
		same, known bool
	}{
		{first, first, ".", true, true},
		{first, locked, ".", true, true},
		{first, other, ".", false, true},
		{first, other, "a*", true, true},
		{first, changed, "a*", false, true},
		{other, changed, "b", true, true},
		{"0123456789012345678901234567890123456789", first, ".", false, false},
	} {
		same, known, err := s.open(s.dir).Same(t.Context(), q.a, q.b, repopath.Path(q.at), "a*/pipe.lock")
		if same != q.same || known != q.known || err != nil {
			t.Errorf("%+v: %v, %v, %v", q, same, known, err)
		}
	}
}
