package history_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/gitlog"
	"github.com/pipe-build/pipe/internal/history"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/mem"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

func of(content string) digest.Digest { return digest.Of([]byte(content)) }

// lock is one whose stage "app" made dist/app with this content.
func lock(content string, more ...lockfile.Stage) *lockfile.File {
	f := &lockfile.File{}
	f.Set(lockfile.Stage{
		Name: "app", Key: digest.Key(of("key of " + content)), Cmd: of("cmd"),
		Deps: []artifact.Input{{Path: "src/app.go", Digest: of("source of " + content), Size: 9}, {Path: "web", Kind: artifact.Dir, Digest: of("list"), Size: 30, Files: 3}},
		Outs: []artifact.Output{{Path: "dist/app", Exec: true, Digest: of(content), Size: int64(len(content))}},
	})
	for _, s := range more {
		f.Set(s)
	}
	return f
}

// repo is a git repository whose commits are a minute apart.
type repo struct {
	t    *testing.T
	dir  string
	made int
}

func newRepo(t *testing.T) *repo {
	t.Helper()
	r := &repo{t: t, dir: t.TempDir()}
	r.git("init", "-q", "-b", "main")
	return r
}

func (r *repo) env() []string {
	at := fmt.Sprintf("@%d +0000", 1_700_000_000+60*r.made)
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + r.dir, "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=c", "GIT_COMMITTER_EMAIL=c@example.com",
		"GIT_AUTHOR_DATE=" + at, "GIT_COMMITTER_DATE=" + at,
	}
}

func (r *repo) git(args ...string) string {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), "git", args...)
	cmd.Dir, cmd.Env = r.dir, r.env()
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %q: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit commits the lock's bytes, and another file, and returns the commit's hash.
func (r *repo) commit(data []byte) string {
	r.t.Helper()
	r.made++
	for name, b := range map[string][]byte{"pipe.lock": data, "other": []byte(fmt.Sprint(r.made))} {
		if err := os.WriteFile(filepath.Join(r.dir, name), b, 0o666); err != nil {
			r.t.Fatal(err)
		}
	}
	r.git("add", "-A")
	r.git("commit", "-q", "-m", fmt.Sprint("commit ", r.made))
	return r.git("rev-parse", "HEAD")
}

func (r *repo) open() *gitlog.Repo {
	r.t.Helper()
	g, err := gitlog.Open(r.dir, gitlog.Options{Env: r.env()})
	if err != nil {
		r.t.Fatal(err)
	}
	return g
}

func find(t *testing.T, g *gitlog.Repo, now *lockfile.File, prefix string, tree history.Tree) []*history.Hit {
	t.Helper()
	past, err := history.Find(t.Context(), g, "pipe.lock", now, prefix, tree, func(err error) { t.Errorf("bad lock: %v", err) })
	if err != nil || !past.Whole || len(past.KeptBack) > 0 {
		t.Fatalf("%+v, %v", past, err)
	}
	return past.Hits
}

func hashes(commits []gitlog.Commit) (h []string) {
	for _, c := range commits {
		h = append(h, c.Hash)
	}
	return h
}

func TestFindSaysWhatAHashIsTheHashOf(t *testing.T) {
	now := lock("one")
	key := now.Stage("app").Key
	app := history.Hit{Stage: "app", Path: "dist/app", Ref: object.Ref{Digest: of("one")}, Exec: true, Size: 3, Key: key, Named: history.Named{Now: true}}
	out, byKey := app, app
	out.What, byKey.What = history.Out, history.Key
	for prefix, want := range map[string]history.Hit{
		of("one").Hex():               out,
		of("one").Hex()[:7]:           out,
		key.Hex():                     byKey,
		of("source of one").Hex()[:9]: {What: history.Dep, Stage: "app", Path: "src/app.go", Ref: object.Ref{Digest: of("source of one")}, Size: 9, Key: key, Named: history.Named{Now: true}},
		of("list").Hex():              {What: history.Dep, Stage: "app", Path: "web", Ref: object.Ref{Shelf: object.Inputs, Digest: of("list")}, Size: 30, Key: key, Named: history.Named{Now: true}},
	} {
		hits := find(t, nil, now, prefix, nil)
		if len(hits) != 1 || fmt.Sprintf("%+v", *hits[0]) != fmt.Sprintf("%+v", want) {
			t.Errorf("%s: %d hits\n%+v, want\n%+v", prefix, len(hits), hits, want)
		}
	}
	if hits := find(t, nil, now, of("nowhere").Hex(), nil); len(hits) != 0 {
		t.Errorf("%+v", hits)
	}
	if hits := find(t, nil, nil, of("one").Hex(), nil); len(hits) != 0 {
		t.Errorf("without a lock: %+v", hits)
	}
}

func TestFindLooksInsideDirectoriesOnceEach(t *testing.T) {
	tree := &object.Tree{Entries: []object.Entry{
		{Kind: object.Executable, Path: "bin/run", Digest: of("run"), Size: 3},
		{Kind: object.File, Path: "page", Digest: of("page"), Size: 4},
	}}
	s := mem.New()
	ref := object.Ref{Shelf: object.Trees, Digest: tree.Digest()}
	if err := s.Put(t.Context(), ref, store.Bytes(tree.Encode())); err != nil {
		t.Fatal(err)
	}
	asked := 0
	read := func(ctx context.Context, _ repopath.Path, d digest.Digest) (*object.Tree, error) {
		asked++
		return store.ReadTree(ctx, s, d)
	}
	dir := func(name string, d digest.Digest) lockfile.Stage {
		return lockfile.Stage{
			Name: name, Key: digest.Key(of(name)), Cmd: of("cmd"),
			Outs: []artifact.Output{{Path: repopath.Path("out/" + name), Dir: true, Digest: d, Size: 7, Files: 2}},
		}
	}
	now := lock("one", dir("site", ref.Digest), dir("copy", ref.Digest), dir("lost", of("no such tree")))
	hits := find(t, nil, now, of("run").Hex(), read)
	var got []string
	for _, h := range hits {
		got = append(got, fmt.Sprint(h.What, " ", h.Path, " ", h.Exec, " ", h.Size, " ", h.In == ref.Digest, " ", h.Ref == object.Ref{Digest: of("run")}))
	}
	want := []string{"inside out/copy/bin/run true 3 true true", "inside out/site/bin/run true 3 true true"}
	if !slices.Equal(got, want) || asked != 2 {
		t.Errorf("%q after reading %d trees, want %q", got, asked, want)
	}
	if hits := find(t, nil, now, ref.Digest.Hex(), read); len(hits) != 2 || hits[0].What != history.Out || hits[0].Ref != ref {
		t.Errorf("the tree itself: %+v", hits)
	}
	if hits := find(t, nil, now, of("run").Hex(), nil); len(hits) != 0 {
		t.Errorf("without trees: %+v", hits)
	}
}

func TestFindKnowsWhichCommitsNameAHash(t *testing.T) {
	r := newRepo(t)
	one := lock("one").Encode()
	first := r.commit(one)
	r.commit(one)
	r.commit(lock("two").Encode())
	again := r.commit(one)
	r.git("checkout", "-q", "-b", "side")
	last := r.commit(one)
	r.git("checkout", "-q", "main")
	r.made -= 2 // older than the side branch
	hits := find(t, r.open(), lock("two"), of("one").Hex(), nil)
	if len(hits) != 1 {
		t.Fatalf("%+v", hits)
	}
	h := hits[0]
	if got, want := hashes(h.Commit), []string{again, first}; !slices.Equal(got, want) {
		t.Errorf("first named by %q, want %q", got, want)
	}
	if h.Last.Hash != last || h.Now {
		t.Errorf("last named by %+v, want %s; now: %v", h.Last, last, h.Now)
	}
	if hits := find(t, r.open(), lock("one"), of("one").Hex(), nil); len(hits) != 1 || !hits[0].Now || hits[0].Last.Hash != last || len(hits[0].Commit) != 2 {
		t.Errorf("named now, too: %+v", hits)
	}
}

func TestHitsComeNewestFirst(t *testing.T) {
	r := newRepo(t)
	r.commit(lock("one").Encode())
	r.commit(lock("two").Encode())
	var got []string
	for _, h := range find(t, r.open(), lock("three"), "", nil) {
		if h.What == history.Out {
			got = append(got, h.Ref.Digest.Hex())
		}
	}
	if want := []string{of("three").Hex(), of("two").Hex(), of("one").Hex()}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestALockOfThePastThatCannotBeReadIsTold(t *testing.T) {
	r := newRepo(t)
	r.commit(lock("one").Encode())
	bad := r.commit([]byte("schema: [\n"))
	r.commit(lock("two").Encode())
	var told []error
	past, err := history.Find(t.Context(), r.open(), "pipe.lock", nil, of("one").Hex(), nil, func(err error) { told = append(told, err) })
	if err != nil || len(past.Hits) != 1 || len(told) != 1 || !strings.Contains(told[0].Error(), bad[:12]) {
		t.Errorf("%+v, told %v, %v", past, told, err)
	}
	read := 0
	err = history.Locks(t.Context(), r.open(), "pipe.lock", time.Time{}, func(*lockfile.File) error { read++; return nil })
	if err == nil || !strings.Contains(err.Error(), bad[:12]) || read != 1 {
		t.Errorf("who collects garbage must not go on: %v after %d locks", err, read)
	}
}

func TestEachDistinctLockIsReadOnce(t *testing.T) {
	r := newRepo(t)
	for _, content := range []string{"one", "one", "two", "one", "two"} {
		r.commit(lock(content).Encode())
	}
	var got []string
	g := r.open()
	err := history.Locks(t.Context(), g, "pipe.lock", time.Time{}, func(f *lockfile.File) error {
		got = append(got, f.Stage("app").Outs[0].Digest.Hex())
		return nil
	})
	if want := []string{of("two").Hex(), of("one").Hex()}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
	enough := errors.New("enough")
	if err := history.Locks(t.Context(), g, "pipe.lock", time.Time{}, func(*lockfile.File) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("%v", err)
	}
}

func TestTheCommitOfAHitKeepsItsTime(t *testing.T) {
	r := newRepo(t)
	r.commit(lock("one").Encode())
	hits := find(t, r.open(), nil, of("one").Hex(), nil)
	want := time.Unix(1_700_000_060, 0)
	if len(hits) != 1 || !hits[0].Last.When.Equal(want) || !hits[0].Commit[0].When.Equal(want) || hits[0].Last.Subject != "commit 1" {
		t.Errorf("%+v", hits)
	}
}

func TestAHashInTwoLocksKeepsItsNewestCommit(t *testing.T) {
	r := newRepo(t)
	older := r.commit(lock("one").Encode())
	newer := r.commit(lock("one", lockfile.Stage{Name: "more", Key: digest.Key(of("more")), Cmd: of("cmd")}).Encode())
	hits := find(t, r.open(), nil, of("one").Hex(), nil)
	if len(hits) != 1 || hits[0].Last.Hash != newer || !slices.Equal(hashes(hits[0].Commit), []string{newer, older}) {
		t.Errorf("%+v", hits)
	}
}
