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

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/gitlog"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// branchy makes main, a side branch that is merged, one that is not, a tag on a
// lost commit, and a merge that has a lock of its own. Path may lie in a directory.
func branchy(t *testing.T, lock string) *sandbox {
	s := newSandbox(t)
	s.commit(1, "other", "0")
	s.commit(2, lock, "one")
	s.commit(3, "other", "1")
	s.git("checkout", "-q", "-b", "side")
	s.commit(4, lock, "side")
	s.git("checkout", "-q", "main")
	s.commit(5, lock, "two")
	s.git("checkout", "-q", "-b", "lost")
	s.commit(6, lock, "lost")
	s.git("tag", "-a", "-m", "annotated", "v1")
	s.git("checkout", "-q", "main")
	s.git("branch", "-q", "-D", "lost")
	s.commit(7, lock, "one") // again what it was
	s.with("GIT_COMMITTER_DATE=@1700000480 +0000").git("merge", "-q", "--no-commit", "-s", "ours", "side")
	s.commit(8, lock, "merged")
	s.git("checkout", "-q", "-b", "unmerged", "HEAD~1")
	s.commit(9, lock, "unmerged")
	s.git("rm", "-q", lock)
	s.commit(10, "other", "gone")
	s.git("update-ref", "refs/remotes/origin/feature", "HEAD~1")
	s.git("checkout", "-q", "main")
	s.commit(11, "other", "2")
	return s
}

// gitVersions asks git for every blob of path and the commits that introduced it, newest first.
func (s *sandbox) gitVersions(path string) map[string][]string {
	s.tb.Helper()
	blob := func(commit string) string {
		out := s.git("ls-tree", "--format=%(objectname)", commit, path)
		return out
	}
	versions := map[string][]string{}
	for line := range strings.Lines(s.git("log", "--all", "--full-history", "--format=%H %P", "--", path)) {
		hashes := strings.Fields(line)
		b := blob(hashes[0])
		if b == "" || slices.ContainsFunc(hashes[1:], func(p string) bool { return blob(p) == b }) {
			continue
		}
		versions[b] = append(versions[b], hashes[0])
	}
	return versions
}

func versions(t *testing.T, r *gitlog.Repo, path repopath.Path) (order []*gitlog.Version, introduced map[string][]string) {
	t.Helper()
	introduced = map[string][]string{}
	_, err := r.Versions(t.Context(), path, func(v *gitlog.Version) error {
		order = append(order, v)
		_, err := v.Data()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range order {
		for _, c := range v.Introduced {
			introduced[v.Blob] = append(introduced[v.Blob], c.Hash)
		}
	}
	return order, introduced
}

func TestVersionsAreThoseOfGitsFullHistory(t *testing.T) {
	for _, lock := range []string{"pipe.lock", "deep/er/pipe.lock"} {
		for _, form := range []string{"loose", "packed"} {
			s := branchy(t, lock)
			if form == "packed" {
				s.git("gc", "-q")
				s.git("pack-refs", "--all")
			}
			order, got := versions(t, s.open(s.dir), repopath.Path(lock))
			if want := s.gitVersions(lock); fmt.Sprint(got) != fmt.Sprint(want) || len(want) != 6 {
				t.Errorf("%s %s:\n got %v\nwant %v", lock, form, got, want)
			}
			var texts []string
			for _, v := range order {
				texts = append(texts, s.git("cat-file", "blob", v.Blob)+" "+v.Last.Subject)
			}
			want := "merged set other|unmerged set L|one set L|lost set L|two set L|side set L"
			if got := strings.ReplaceAll(strings.Join(texts, "|"), lock, "L"); got != want {
				t.Errorf("order %s", got)
			}
			if c := order[0].Last; c.Author != "A U Thor <a@example.com>" || c.When.Unix() != 1_700_000_660 {
				t.Error(c)
			}
		}
	}
}

func TestVersionsEndsWithTheErrorOfItsCallback(t *testing.T) {
	s := branchy(t, "pipe.lock")
	n, fail := 0, errors.New("full")
	_, err := s.open(s.dir).Versions(t.Context(), "pipe.lock", func(*gitlog.Version) error { n++; return fail })
	if !errors.Is(err, fail) || n != 1 {
		t.Error(n, err)
	}
}

func TestContainingNamesBranchesAndTags(t *testing.T) {
	s := branchy(t, "pipe.lock")
	r := s.open(s.dir)
	var hashes []string
	for c := range strings.Lines(s.git("rev-list", "--all")) {
		hashes = append(hashes, strings.TrimSpace(c))
	}
	got, err := r.Containing(t.Context(), hashes)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range hashes {
		var names []string
		for _, ref := range got[h] {
			names = append(names, ref.Name)
		}
		if want := s.git("for-each-ref", "--contains", h, "--format=%(refname)"); strings.Join(names, "\n") != want {
			t.Errorf("%s: %v, want %s", h, names, want)
		}
	}
	if s := (gitlog.Ref{Name: "refs/remotes/origin/x"}).Short(); s != "origin/x" {
		t.Error(s)
	}
}

func TestResolveAgreesWithRevParse(t *testing.T) {
	s := branchy(t, "pipe.lock")
	s.git("tag", "light", "main~1")
	head := s.git("rev-parse", "HEAD")
	for _, form := range []string{"loose", "packed"} {
		r := s.open(s.dir)
		for _, rev := range []string{
			"HEAD", "@", "main", "side", "heads/side", "refs/heads/side", "v1", "v1^{}", "v1^{commit}", "v1~1", "light", "origin/feature",
			"HEAD~2", "HEAD^", "HEAD~1^2", "HEAD^^", "@~1^2~1", "HEAD~0", "HEAD^0", head, head[:4], head[:7], head[:12], strings.ToUpper(head[:9]),
			"main@{0}",
		} {
			want := s.git("rev-parse", "--verify", rev+"^{commit}")
			if got, err := r.Resolve(t.Context(), rev); got != want || err != nil {
				t.Errorf("%s: %s %s, want %s, %v", form, rev, got, want, err)
			}
		}
		for _, rev := range []string{"nope", "HEAD~99", "HEAD^3", "", "-x", "HEAD:other", "config", strings.Repeat("0", 40), "0000", "HEAD^{tree}", "main..side", "../config", "HEAD~x"} {
			if got, err := r.Resolve(t.Context(), rev); !errors.Is(err, &diag.Error{Kind: diag.NotFound}) {
				t.Errorf("%q is %s, %v", rev, got, err)
			}
		}
		s.git("gc", "-q")
	}
}

func TestFileAtReadsAFileOfACommit(t *testing.T) {
	s := branchy(t, "sub/pipe.lock")
	r := s.open(filepath.Join(s.dir, "sub"))
	if b, err := r.FileAt(t.Context(), s.git("rev-parse", "side"), "sub/pipe.lock"); string(b) != "side" || err != nil {
		t.Error(string(b), err)
	}
	for _, p := range []repopath.Path{"pipe.lock", "sub", "sub/pipe.lock/x"} {
		if _, err := r.FileAt(t.Context(), s.git("rev-parse", "side"), p); !errors.Is(err, gitlog.ErrNoFile) {
			t.Error(p, err)
		}
	}
	if b, err := r.FileAt(t.Context(), s.git("rev-parse", "main"), "other"); string(b) != "2" || err != nil {
		t.Error(string(b), err)
	}
	if _, err := r.FileAt(t.Context(), strings.Repeat("1", 40), "x"); !errors.Is(err, &diag.Error{Kind: diag.NotFound}) {
		t.Error(err)
	}
}

func TestHeadTellsBranchDetachedAndUnborn(t *testing.T) {
	s := newSandbox(t)
	check := func(want gitlog.Head) {
		t.Helper()
		if got, err := s.open(s.dir).Head(t.Context()); got != want || err != nil {
			t.Errorf("%+v, want %+v, %v", got, want, err)
		}
	}
	check(gitlog.Head{Branch: "main", Unborn: true})
	one := s.commit(1, "x", "1")
	check(gitlog.Head{Branch: "main", Hash: one})
	s.git("checkout", "-q", "-b", "feature/x")
	s.git("pack-refs", "--all")
	check(gitlog.Head{Branch: "feature/x", Hash: one})
	s.git("checkout", "-q", "--detach")
	check(gitlog.Head{Hash: one})
}

// shapes are ways in which a repository with the history of branchy may lie on a disk.
func shapes(t *testing.T) map[string]*sandbox {
	s := branchy(t, "pipe.lock")
	made := map[string]*sandbox{"plain": s}
	add := func(name string, args ...string) *sandbox {
		s.git(args...)
		made[name] = s.at(filepath.Join(s.tmp, name))
		return made[name]
	}
	add("worktree", "worktree", "add", "-q", "--detach", "../worktree", "side")
	add("clone", "clone", "-q", s.dir, "../clone")
	add("borrower", "clone", "-q", "--shared", s.dir, "../borrower")
	rel := add("relative", "clone", "-q", "--shared", s.dir, "../relative")
	rel.write(".git/objects/info/alternates", "../../../repo/.git/objects\n")
	super := s.at(filepath.Join(s.tmp, "super"))
	s.git("init", "-q", "../super")
	super.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", s.dir, "mod")
	made["submodule"] = s.at(filepath.Join(super.dir, "mod"))
	sparse := add("sparse", "clone", "-q", s.dir, "../sparse")
	sparse.git("config", "extensions.worktreeConfig", "true")
	sparse.git("sparse-checkout", "set", "--cone", "nothing")
	linked := add("linked", "clone", "-q", s.dir, "../linked")
	objects := filepath.Join(s.tmp, "elsewhere", "objects")
	if err := errors.Join(os.Mkdir(filepath.Dir(objects), 0o777), os.Rename(filepath.Join(linked.dir, ".git/objects"), objects),
		os.Symlink(objects, filepath.Join(linked.dir, ".git/objects"))); err != nil {
		t.Fatal(err)
	}
	return made
}

func TestEveryShapeOfRepositoryIsRead(t *testing.T) {
	for name, s := range shapes(t) {
		s.write("some/dir/file", "")
		r := s.open(filepath.Join(s.dir, "some/dir"))
		if r.Root() != s.dir {
			t.Errorf("%s: root %s", name, r.Root())
		}
		if want := s.git("rev-parse", "--absolute-git-dir"); r.GitDir() != want {
			t.Errorf("%s: git dir %s, want %s", name, r.GitDir(), want)
		}
		if h, err := r.Head(t.Context()); h.Hash != s.git("rev-parse", "HEAD") || err != nil {
			t.Errorf("%s: head %v %v", name, h, err)
		}
		_, got := versions(t, r, "pipe.lock")
		if want := s.gitVersions("pipe.lock"); fmt.Sprint(got) != fmt.Sprint(want) || len(want) == 0 {
			t.Errorf("%s:\n got %v\nwant %v", name, got, want)
		}
		if r.Shallow() {
			t.Errorf("%s: shallow", name)
		}
		if h, changed, err := r.CommitFile(t.Context(), "pipe.lock", []byte("new in "+name), "lock"); !changed || err != nil || s.git("rev-parse", "HEAD") != h {
			t.Errorf("%s: commit %s %v %v", name, h, changed, err)
		}
		s.write("pipe.lock", "new in "+name)
		if out := s.git("status", "--porcelain", "--", "pipe.lock"); out != "" {
			t.Errorf("%s: status %s", name, out)
		}
		s.git("fsck", "--strict")
	}
}

func TestShallowAndPartialClonesEndAtTheirEdge(t *testing.T) {
	s := branchy(t, "pipe.lock")
	s.git("config", "uploadpack.allowFilter", "true")
	s.git("clone", "-q", "--depth", "2", "--no-single-branch", "file://"+s.dir, "../shallow")
	shallow := s.at(filepath.Join(s.tmp, "shallow"))
	r := shallow.open(shallow.dir)
	_, got := versions(t, r, "pipe.lock")
	if want := shallow.gitVersions("pipe.lock"); fmt.Sprint(got) != fmt.Sprint(want) || !r.Shallow() {
		t.Errorf("got %v want %v", got, want)
	}
	if _, err := r.Containing(t.Context(), []string{shallow.git("rev-parse", "HEAD")}); err != nil {
		t.Error(err)
	}
	if _, err := r.Resolve(t.Context(), "HEAD~5"); !errors.Is(err, &diag.Error{Kind: diag.NotFound}) {
		t.Error(err)
	}
	if whole, err := r.Versions(t.Context(), "pipe.lock", func(*gitlog.Version) error { return nil }); whole || err != nil {
		t.Errorf("the walk has not met the edge: %v", err)
	}
	if whole, err := s.open(s.dir).Versions(t.Context(), "pipe.lock", func(*gitlog.Version) error { return nil }); !whole || err != nil {
		t.Errorf("the walk has met an edge in a whole history: %v", err)
	}
}

// Git may pack objects at any time, and take away the loose ones.
func TestObjectsThatArePackedOneAfterTheOtherAreFound(t *testing.T) {
	s := newSandbox(t)
	s.commit(1, "pipe.lock", "one")
	s.commit(2, "pipe.lock", "two")
	var got []string
	_, err := s.open(s.dir).Versions(t.Context(), "pipe.lock", func(v *gitlog.Version) error {
		s.run(strings.NewReader(v.Blob+"\n"), "pack-objects", "-q", ".git/objects/pack/pack")
		s.git("prune-packed", "-q")
		b, err := v.Data()
		got = append(got, string(b))
		return err
	})
	if err != nil || fmt.Sprint(got) != "[two one]" {
		t.Error(got, err)
	}
}

func TestOpenFindsNoRepository(t *testing.T) {
	if _, err := gitlog.Open(t.TempDir(), gitlog.Options{}); !errors.Is(err, gitlog.ErrNoRepo) {
		t.Error(err)
	}
}

func TestASha256RepositoryDoesAllButRevealItsHistory(t *testing.T) {
	first := newSandbox(t)
	first.git("init", "-q", "-b", "main", "--object-format=sha256", "../sha256")
	s := first.at(filepath.Join(first.tmp, "sha256"))
	s.mustCommit("sub/pipe.lock", "one")
	h := s.mustCommit("sub/pipe.lock", "two")
	r := s.open(s.dir)
	if head, err := r.Head(t.Context()); head.Hash != h || len(h) != 64 || err != nil {
		t.Error(head, err)
	}
	s.git("pack-refs", "--all")
	if head, err := r.Head(t.Context()); head.Hash != h || err != nil {
		t.Error(head, err)
	}
	before, err := r.Resolve(t.Context(), "HEAD~1")
	if err != nil {
		t.Error(err)
	}
	if b, err := r.FileAt(t.Context(), before, "sub/pipe.lock"); string(b) != "one" || err != nil {
		t.Error(string(b), err)
	}
	if tracked, err := r.Tracked(t.Context(), ".", []repopath.Path{"sub"}); len(tracked) != 1 || err != nil {
		t.Error(tracked, err)
	}
	_, contains := r.Containing(t.Context(), []string{h})
	_, versions := r.Versions(t.Context(), "sub/pipe.lock", func(*gitlog.Version) error { return nil })
	for _, err := range []error{contains, versions} {
		if err == nil || !strings.Contains(err.Error(), "reading the history of a sha256 repository is not supported yet") {
			t.Error(err)
		}
	}
}

// TestReferencesInTablesAreRead needs git 2.45; one before it makes no such
// repository, and cannot be met by one.
func TestReferencesInTablesAreRead(t *testing.T) {
	first := newSandbox(t)
	cmd := exec.Command("git", "init", "-q", "-b", "main", "--ref-format=reftable", filepath.Join(first.tmp, "tables"))
	cmd.Env = first.env
	if cmd.Run() != nil {
		return
	}
	s := first.at(filepath.Join(first.tmp, "tables"))
	r := s.open(s.dir)
	check := func(want gitlog.Head) {
		t.Helper()
		if got, err := r.Head(t.Context()); got != want || err != nil {
			t.Errorf("%+v, want %+v, %v", got, want, err)
		}
	}
	check(gitlog.Head{Branch: "main", Unborn: true})
	one := s.mustCommit("pipe.lock", "one")
	check(gitlog.Head{Branch: "main", Hash: one})
	s.git("worktree", "add", "-q", "--detach", "../linked")
	lost := s.at(filepath.Join(s.tmp, "linked")).mustCommit("pipe.lock", "lost")
	two := s.mustCommit("pipe.lock", "two")
	s.git("tag", "-a", "-m", "annotated", "v1")
	s.git("checkout", "-q", "--detach")
	check(gitlog.Head{Hash: two})
	_, got := versions(t, r, "pipe.lock")
	if want := fmt.Sprint(map[string][]string{
		s.git("rev-parse", one+":pipe.lock"): {one}, s.git("rev-parse", two+":pipe.lock"): {two}, s.git("rev-parse", lost+":pipe.lock"): {lost},
	}); fmt.Sprint(got) != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if in, err := r.Containing(t.Context(), []string{one, two}); err != nil || len(in[one]) != 2 || len(in[two]) != 2 {
		t.Error(in, err)
	}
}

func TestRelSeesThroughSymlinks(t *testing.T) {
	s := newSandbox(t)
	s.write("a/b", "")
	link := filepath.Join(s.tmp, "link")
	if err := os.Symlink(filepath.Join(s.dir, "a"), link); err != nil {
		t.Fatal(err)
	}
	r := s.open(link)
	for _, p := range []string{filepath.Join(link, "b"), filepath.Join(s.dir, "a", "b")} {
		if got, err := r.Rel(p); got != "a/b" || err != nil {
			t.Error(p, got, err)
		}
	}
}
