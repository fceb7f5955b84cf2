package source_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/source"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/worktree"
)

// world is a repository to be a source, and a workspace that has it at src/api.
type world struct {
	*testing.T
	tmp, repo string
	env       []string
	work      *worktree.Work
	src       spec.Source
}

func newWorld(t *testing.T, init ...string) *world {
	t.Helper()
	w := &world{T: t, tmp: t.TempDir()}
	w.repo = filepath.Join(w.tmp, "repo")
	w.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + w.tmp, "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "LC_ALL=C", "GIT_TEMPLATE_DIR=",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=C", "GIT_COMMITTER_EMAIL=c@example.com",
	}
	for _, dir := range []string{w.repo, filepath.Join(w.tmp, "project")} {
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	w.git(append([]string{"init", "-q", "-b", "main"}, init...)...)
	w.src = spec.Source{Path: "src/api", Git: "file://" + w.repo, Ref: "main", Place: "pipe.yaml:3:3"}
	w.reopen()
	return w
}

func (w *world) reopen() {
	w.Helper()
	if w.work != nil {
		if err := w.work.Close(); err != nil {
			w.Fatal(err)
		}
	}
	var err error
	if w.work, err = worktree.Open(filepath.Join(w.tmp, "project"), worktree.Options{Workers: 2}); err != nil {
		w.Fatal(err)
	}
}

func (w *world) git(args ...string) string {
	w.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = w.repo, w.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit makes the files of the repository these, of which one without bytes goes, and returns the commit.
func (w *world) commit(files map[string]string) string {
	w.Helper()
	for name, text := range files {
		file := filepath.Join(w.repo, name)
		if text == "" {
			w.git("rm", "-q", "-r", name)
			continue
		}
		w.put(file, text)
		w.git("add", "-f", name)
	}
	w.git("commit", "-q", "--allow-empty", "-m", "x")
	return w.git("rev-parse", "HEAD")
}

func (w *world) put(file, text string) {
	w.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		w.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
		w.Fatal(err)
	}
}

func (w *world) at(name string) string { return filepath.Join(w.work.OS(w.src.Path), name) }

func (w *world) keeper() *source.Keeper { return &source.Keeper{Work: w.work, Env: w.env} }

// keep keeps the source at a commit as the next run of pipe would.
func (w *world) keep(commit string) (source.State, bool, error) {
	w.Helper()
	w.reopen()
	return keep(w, w.keeper(), commit)
}

// keep is what a run does: it looks, and puts the commit there if need be.
func keep(w *world, k *source.Keeper, commit string) (source.State, bool, error) {
	st, ok, err := k.Look(w.Context(), w.src, commit)
	if ok || err != nil {
		return st, false, err
	}
	st, err = k.Put(w.Context(), w.src, commit)
	return st, err == nil, err
}

func (w *world) mustKeep(commit string) bool {
	w.Helper()
	st, changed, err := w.keep(commit)
	if err != nil || st.Commit != commit {
		w.Fatalf("%+v, %v", st, err)
	}
	if now := w.keeper().State(w.src); now.Commit != commit || len(now.Tree.Entries) != len(st.Tree.Entries) {
		w.Fatalf("remembered is %+v", now)
	}
	return changed
}

// list returns what lies at the source, with the bytes and modes of files.
func (w *world) list() string {
	w.Helper()
	var b strings.Builder
	root := w.work.OS(w.src.Path)
	err := filepath.WalkDir(root, func(p string, d os.DirEntry, err error) error {
		if err != nil || p == root {
			return err
		}
		rel, _ := filepath.Rel(root, p)
		info, err := d.Info()
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return nil
		case d.Type() == os.ModeSymlink:
			to, err := os.Readlink(p)
			b.WriteString(rel + "->" + to + " ")
			return err
		case info.Mode()&0o100 != 0:
			rel += "*"
		}
		text, err := os.ReadFile(p)
		b.WriteString(rel + "=" + string(text) + " ")
		return err
	})
	if err != nil {
		w.Fatal(err)
	}
	return strings.TrimSpace(b.String())
}

func (w *world) want(list string) {
	w.Helper()
	if got := w.list(); got != list {
		w.Errorf("there is %q, want %q", got, list)
	}
}

func TestTheFilesOfACommitAreThereAsGitStoresThem(t *testing.T) {
	w := newWorld(t)
	w.put(filepath.Join(w.repo, "run.sh"), "run")
	w.git("add", "run.sh")
	w.git("update-index", "--chmod=+x", "run.sh")
	if err := os.Symlink("run.sh", filepath.Join(w.repo, "link")); err != nil {
		t.Fatal(err)
	}
	w.git("add", "link")
	w.commit(map[string]string{"a": "one\r\n"})
	one := w.commit(map[string]string{"d/e/f": "deep", ".gitattributes": "* text eol=crlf ident\n", ".gitignore": "kept\n", "kept": "$Id$", "odd \"ü\n": "x"})
	if !w.mustKeep(one) {
		t.Error("nothing was put there")
	}
	want := ".gitattributes=* text eol=crlf ident\n .gitignore=kept\n a=one\r\n d/e/f=deep kept=$Id$ link->run.sh odd \"ü\n=x run.sh*=run"
	w.want(want)
	if w.mustKeep(one) {
		t.Error("it was put there twice")
	}
	two := w.commit(map[string]string{"a": "two\n", "d": "", "new/x": "x", "link": ""})
	before, err := os.Stat(w.at("kept"))
	if err != nil {
		t.Fatal(err)
	}
	w.put(w.at("build/junk"), "junk")
	w.mustKeep(two)
	w.want(".gitattributes=* text eol=crlf ident\n .gitignore=kept\n a=two\n build/junk=junk kept=$Id$ new/x=x odd \"ü\n=x run.sh*=run")
	after, err := os.Stat(w.at("kept"))
	if err != nil || !os.SameFile(before, after) || !before.ModTime().Equal(after.ModTime()) {
		t.Errorf("a file that is the same was written anew: %v", err)
	}
	if _, err := os.Lstat(w.at("d")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an emptied directory stays: %v", err)
	}
	w.mustKeep(one)
	w.want(strings.Replace(want, "d/e", "build/junk=junk d/e", 1))
}

func TestWithoutAChangeNoGitRuns(t *testing.T) {
	w := newWorld(t)
	c := w.commit(map[string]string{"a": "1"})
	w.mustKeep(c)
	w.reopen()
	k := &source.Keeper{Work: w.work, Env: []string{"PATH="}}
	if _, changed, err := keep(w, k, c); changed || err != nil {
		t.Errorf("%v, %v", changed, err)
	}
	if _, _, err := keep(w, k, w.commit(map[string]string{"a": "2"})); err == nil || !strings.Contains(err.Error(), "git is not on the PATH") {
		t.Errorf("%v", err)
	}
}

func TestAnEditIsNamedAndNeverOverwritten(t *testing.T) {
	w := newWorld(t)
	one := w.commit(map[string]string{"a": "1", "b": "1", "c": "1"})
	two := w.commit(map[string]string{"a": "2", "c": "", "new": "2"})
	for name, edit := range map[string]func(){
		"bytes":    func() { w.put(w.at("a"), "mine") },
		"mode":     func() { w.must(os.Chmod(w.at("b"), 0o777)) },
		"link":     func() { w.must(os.Remove(w.at("b"))); w.must(os.Symlink("a", w.at("b"))) },
		"to go":    func() { w.put(w.at("c"), "mine") },
		"in a way": func() { w.put(w.at("new"), "mine") },
	} {
		w.must(os.RemoveAll(w.work.OS("src")))
		w.mustKeep(one)
		edit()
		before := w.list()
		for _, c := range []string{one, two} {
			if c == one && name == "in a way" {
				continue // it is none of the commit's files
			}
			if _, changed, err := w.keep(c); changed || !diag.Is(err, diag.Policy) || !strings.Contains(err.Error(), "1 file differs from commit "+one[:12]) {
				t.Errorf("%s, to %.7s: %v, %v", name, c, changed, err)
			}
		}
		w.want(before)
	}
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func TestWhatIsMissingComesBack(t *testing.T) {
	w := newWorld(t)
	c := w.commit(map[string]string{"a": "1", "d/b": "1"})
	w.mustKeep(c)
	for _, lost := range []string{"a", "d", ""} {
		w.must(os.RemoveAll(w.at(lost)))
		if !w.mustKeep(c) {
			t.Errorf("%q: nothing was put there", lost)
		}
		w.want("a=1 d/b=1")
	}
	// Pipe's memory is lost, or damaged: the files themselves say that they are the commit's.
	for _, lost := range []string{".pipe", ".pipe/sources", ".pipe/sources/*.json", ".pipe/sources/*.tree", ".pipe/sources/*/objects", ".pipe/sources/*/HEAD"} {
		found, err := filepath.Glob(filepath.Join(w.work.Root(), lost))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %q, %v", lost, found, err)
		}
		for _, f := range found {
			w.must(os.RemoveAll(f))
		}
		before, err := os.Stat(w.at("a"))
		w.must(err)
		w.mustKeep(c)
		w.want("a=1 d/b=1")
		if after, err := os.Stat(w.at("a")); err != nil || !os.SameFile(before, after) {
			t.Errorf("%s: a file that is right was written anew: %v", lost, err)
		}
		before, err = os.Stat(w.at("d/b"))
		w.must(err)
		w.mustKeep(w.commit(map[string]string{"a": lost}))
		if after, err := os.Stat(w.at("d/b")); err != nil || !os.SameFile(before, after) {
			t.Errorf("%s: a file that is the same was written anew: %v", lost, err)
		}
		w.mustKeep(c)
		w.want("a=1 d/b=1")
	}
}

func TestADamagedRepositoryIsFetchedAnew(t *testing.T) {
	w := newWorld(t)
	one := w.commit(map[string]string{"a": "1"})
	w.mustKeep(one)
	two := w.commit(map[string]string{"a": "2"})
	w.mustKeep(two)
	packs, err := filepath.Glob(filepath.Join(w.work.Root(), ".pipe/sources/*/objects/pack/*"))
	if err != nil || len(packs) == 0 {
		t.Fatal(packs, err)
	}
	for _, p := range packs {
		w.must(os.Remove(p))
	}
	w.mustKeep(one)
	w.want("a=1")
}

func TestWhatAKilledGitLeftBehindIsNotInTheWay(t *testing.T) {
	w := newWorld(t)
	w.mustKeep(w.commit(map[string]string{"a": "1"}))
	repos, _ := filepath.Glob(filepath.Join(w.work.Root(), ".pipe/sources/*/HEAD"))
	dir := filepath.Dir(repos[0])
	two := w.commit(map[string]string{"a": "2"})
	for _, name := range []string{"shallow.lock", "packed-refs.lock", "config.lock", "refs/pipe/" + two + ".lock", "objects/pack/tmp_pack_x"} {
		w.put(filepath.Join(dir, name), "")
	}
	w.mustKeep(two)
	w.want("a=2")
}

func TestADirectoryOfSomebodyElseIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	c := w.commit(map[string]string{"a": "1"})
	outside := filepath.Join(w.tmp, "outside")
	w.must(os.MkdirAll(outside, 0o777))
	for name, make := range map[string]func(at string) error{
		"a file": func(at string) error { return os.WriteFile(at, nil, 0o666) }, "a link": func(at string) error { return os.Symlink(outside, at) },
		"a repository": func(at string) error { return os.MkdirAll(filepath.Join(at, ".git"), 0o777) },
	} {
		w.must(os.RemoveAll(w.work.OS("src")))
		w.must(os.Mkdir(w.work.OS("src"), 0o777))
		w.must(make(w.work.OS(w.src.Path)))
		if _, _, err := w.keep(c); !diag.Is(err, diag.Policy) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.must(os.RemoveAll(w.work.OS("src")))
	w.must(os.Symlink(outside, w.work.OS("src")))
	if _, _, err := w.keep(c); !diag.Is(err, diag.Policy) {
		t.Errorf("behind a link: %v", err)
	}
	if left, err := os.ReadDir(outside); len(left) > 0 || err != nil {
		t.Errorf("%v, %v", left, err)
	}
}
