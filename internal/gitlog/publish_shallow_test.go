package gitlog_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/gitlog"
)

// objects returns all objects of a repository that are here, as "HASH TYPE".
func (s *sandbox) objects() map[string]bool {
	s.tb.Helper()
	all := map[string]bool{}
	out := s.git("cat-file", "--batch-all-objects", "--batch-check=%(objectname) %(objecttype)")
	for line := range strings.Lines(out) {
		all[strings.TrimSpace(line)] = true
	}
	return all
}

// came returns the types of the objects that a clone has got since, sorted, without those that
// belong to a commit and were made here.
func (s *sandbox) came(before map[string]bool, made string) string {
	s.tb.Helper()
	now := s.objects() // before git is asked what it may have to fetch
	own := map[string]bool{}
	if made != "" {
		for line := range strings.Lines(s.git("rev-list", "--objects", "--no-object-names", made, "^"+made+"^@")) {
			own[strings.TrimSpace(line)] = true
		}
	}
	var types []string
	for o := range now {
		if hash, kind, _ := strings.Cut(o, " "); !before[o] && !own[hash] {
			types = append(types, kind)
		}
	}
	slices.Sort(types)
	return strings.Join(types, " ")
}

// TestAPartialCloneFetchesTheWayToTheFileAlone counts what comes when others have changed much.
func TestAPartialCloneFetchesTheWayToTheFileAlone(t *testing.T) {
	for _, filter := range []string{"tree:0", "blob:none"} {
		up := upstream(t, "sha1")
		c := up.clone("clone", "--filter="+filter)
		up.advance("app/pipe.lock", "of somebody else\n")
		for _, f := range []string{"other/y", "web/deep/x", "app/sub/x", "new/dir/file", "app/main.go"} {
			up.advance(f, "changed")
		}
		before := c.objects()
		commit := c.pushed(up, gitlog.Publication{Path: "app/pipe.lock", File: add("two\n")})
		got, want := c.came(before, commit), "blob"+strings.Repeat(" commit", 6)+" tree tree" // of the top, and app
		if filter == "blob:none" {                                                            // all trees come with their commits
			got, want = strings.ReplaceAll(got, " tree", ""), strings.TrimSuffix(want, " tree tree")
		}
		if got != want {
			t.Errorf("%s: %s", filter, got)
		}
		if out := c.git("config", "--get-regexp", `remote\..*filter`); out != "remote.origin.partialclonefilter "+filter {
			t.Errorf("%s: the configuration is now %s", filter, out)
		}
	}
}

// TestAShallowCloneFetchesNewCommitsAlone counts what comes, of the branch and of another history.
func TestAShallowCloneFetchesNewCommitsAlone(t *testing.T) {
	up := upstream(t, "sha1")
	c := up.clone("clone", "--depth=1")
	up.advance("other/y", "changed")
	up.advance("other/y", "again")
	before, edge := c.objects(), c.read(".git/shallow")
	commit := c.pushed(up, gitlog.Publication{Path: "app/pipe.lock", File: add("two\n")})
	if got := c.came(before, commit); got != "blob blob commit commit tree tree tree tree" {
		t.Error(got)
	}
	if c.read(".git/shallow") != edge {
		t.Error("the edge has moved")
	}
	if out := c.git("config", "--get-regexp", `remote\.origin\.`); strings.Contains(out, "promisor") {
		t.Errorf("the clone is a partial one now:\n%s", out)
	}

	// A branch for the lock that left main long ago: its tip alone comes.
	up.git("branch", "lock", up.git("commit-tree", "-p", "main~5", "-m", "old", "main~5^{tree}"))
	before = c.objects()
	commit = c.pushed(up, gitlog.Publication{Path: "app/pipe.lock", To: "lock", File: add("three\n")})
	if got := c.came(before, commit); strings.Count(got, "commit") != 1 {
		t.Error(got)
	}

	// Another history: nothing comes.
	up.git("branch", "aside", "main~4")
	before = c.objects()
	done := c.publish(gitlog.Publication{Path: "app/pipe.lock", Branch: "aside", File: add("two\n")})
	if done.Refused == nil || done.Refused.Cause != gitlog.Ahead || strings.Contains(done.Refused.Text, "cannot tell") {
		t.Errorf("%+v", done.Refused)
	}
	if got := c.came(before, ""); got != "" {
		t.Error(got)
	}
}

func (s *sandbox) read(name string) string {
	s.tb.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		s.tb.Fatal(err)
	}
	return string(b)
}

// TestALateRunInAShallowClone has HEAD behind the edge of the branch, so that only the remote can
// tell that it is in it; and the remote wants the token of the repository's own configuration.
func TestALateRunInAShallowClone(t *testing.T) {
	up := upstream(t, "sha1")
	f := up.forge(t)
	url := strings.Replace(f.url, "://", "://writer:secret@", 1)
	c := up.clone("clone", "--depth=1")
	c.git("remote", "set-url", "origin", f.url)
	c.git("config", "url."+url+".insteadOf", f.url)
	late := up.git("rev-parse", "main~2")
	up.git("config", "uploadpack.allowReachableSHA1InWant", "true")
	c.git("fetch", "-q", "--depth=1", "origin", late)
	c.git("checkout", "-q", late)
	for range 2 {
		c.pushed(up, gitlog.Publication{Path: "pipe.lock", File: func(tip []byte) ([]byte, error) { return append(tip, "late\n"...), nil }})
		if head := c.git("rev-parse", "HEAD"); head != late {
			t.Errorf("HEAD is %s", head)
		}
		up.advance("other/y", up.git("rev-parse", "main"))
	}
}
