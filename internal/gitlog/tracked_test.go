package gitlog_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/pkg/repopath"
)

// indexForms are calls of git that each give the index another form.
func indexForms() [][]string {
	return [][]string{
		{"update-index", "--index-version", "2"},
		{"update-index", "--index-version", "4"},
		{"update-index", "--split-index"},
		{"sparse-checkout", "set", "--cone", "--sparse-index", "a"},
	}
}

func TestTrackedSeesFilesAndDirectories(t *testing.T) {
	for _, setup := range indexForms() {
		s := newSandbox(t)
		s.commit(1, "a/b.txt", "x")
		s.commit(2, "a-b/c.txt", "x")
		s.commit(3, "z/y/x.txt", "x")
		s.git(setup...)
		got, err := s.open(s.dir).Tracked(t.Context(), ".", []repopath.Path{"a", "a/b.txt", "a/b", "a-b", "b", "z/y", "z/y/x.txt", "z/q", "."})
		if err != nil {
			t.Fatal(setup, err)
		}
		if want := "[a a/b.txt a-b z/y z/y/x.txt .]"; fmt.Sprint(got) != want {
			t.Errorf("%v: %v", setup, got)
		}
		// A project below the repository's root names its paths from there.
		if got, err := s.open(s.dir).Tracked(t.Context(), "z", []repopath.Path{"y", "x", "a"}); err != nil || fmt.Sprint(got) != "[y]" {
			t.Errorf("%v: below z: %v, %v", setup, got, err)
		}
	}
	empty := newSandbox(t)
	if got, err := empty.open(empty.dir).Tracked(t.Context(), ".", []repopath.Path{".", "a"}); err != nil || len(got) != 0 {
		t.Error(got, err)
	}
}

func TestTrackedNeedsNoGitProgram(t *testing.T) {
	s := newSandbox(t)
	s.commit(1, "a", "x")
	if got, err := s.with("PATH=").open(s.dir).Tracked(t.Context(), ".", []repopath.Path{"a"}); err != nil || len(got) != 0 {
		t.Error(got, err)
	}
}

func TestFileModeIsThatOfTheIndexWhereTheDiskHasNone(t *testing.T) {
	s := newSandbox(t)
	s.commit(1, "run.sh", "x")
	s.commit(2, "sub/a b.sh", "x")
	s.commit(3, "plain", "x")
	s.git("update-index", "--chmod=+x", "run.sh", "sub/a b.sh")
	for _, text := range []string{"", "[core]\n", "[core]\nfileMode = true\n", "[Core]\nfilemode = 1\n", "[core]\nfilemode = no\nfilemode = yes\n"} {
		s.write(".git/config", text)
		if trust, _, err := s.open(s.dir).FileMode(t.Context()); !trust || err != nil {
			t.Errorf("%q: %v %v", text, trust, err)
		}
	}
	for _, text := range []string{"[core]\nfileMode = false\n", "[core]\n\tFILEMODE = No ; why\n", "[core] # c\nfilemode=0\n[remote \"a.b\"]\n\turl = \"x;y\"\n[branch \"q\\\"x\"]\nmerge = a\n"} {
		s.write(".git/config", text)
		trust, executable, err := s.open(s.dir).FileMode(t.Context())
		if trust || err != nil {
			t.Errorf("%q: %v %v", text, trust, err)
			continue
		}
		for path, want := range map[repopath.Path]bool{"run.sh": true, "sub/a b.sh": true, "plain": false, "none": false, "sub": false} {
			tracked := path != "none" && path != "sub"
			if got, known, err := executable(path); got != want || known != tracked || err != nil {
				t.Errorf("%s executable: %v, known %v, %v", path, got, known, err)
			}
		}
	}
	// The index is read once, when it is first asked for.
	_, executable, err := s.open(s.dir).FileMode(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.git("update-index", "--chmod=+x", "plain")
	first, _, _ := executable("plain")
	s.git("update-index", "--chmod=-x", "plain")
	if second, _, _ := executable("plain"); !first || !second {
		t.Error(first, second)
	}
	if err := os.Remove(filepath.Join(s.dir, ".git/config")); err != nil {
		t.Fatal(err)
	}
	if trust, _, err := s.open(s.dir).FileMode(t.Context()); !trust || err != nil {
		t.Error(trust, err)
	}
}

func TestCarriesTellsWhateverTheIndexsForm(t *testing.T) {
	for _, setup := range indexForms() {
		s := newSandbox(t)
		s.commit(1, ".pipes", "x")
		s.commit(2, "a/.pipe/state", "x")
		s.git(setup...)
		r := s.open(s.dir)
		for dir, want := range map[repopath.Path]bool{".pipe": false, "a/.pipe": true, "a": true, "b": false} {
			if got, err := r.Carries(t.Context(), dir); got != want || err != nil {
				t.Errorf("%v: %s: %v, %v", setup, dir, got, err)
			}
		}
	}
	empty := newSandbox(t)
	if got, err := empty.open(empty.dir).Carries(t.Context(), ".pipe"); got || err != nil {
		t.Error(got, err)
	}
}

// Where no entry can be meant, git is not asked; where one may be, its absence is no answer.
func TestCarriesAsksGitOnlyWhenItMust(t *testing.T) {
	s := newSandbox(t)
	s.commit(1, "a/linker.go", "x")
	s.commit(2, "a/symlink", "x")
	s.git("update-index", "--index-version", "2")
	r := s.with("PATH=").open(s.dir)
	if got, err := r.Carries(t.Context(), ".pipe"); got || err != nil {
		t.Errorf("nothing like it in the index: %v, %v", got, err)
	}
	s.commit(3, ".pipe/state", "x")
	if got, err := r.Carries(t.Context(), ".pipe"); got || err == nil || !strings.Contains(err.Error(), "git is not on the PATH") {
		t.Errorf("tracked, and no git: %v, %v", got, err)
	}
}
