//go:build !windows

package inputs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/ignore"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// place is a workspace and the reader of its deps.
type place struct {
	*Reader
	*worktree.Work
}

func workspace(t *testing.T) place {
	t.Helper()
	w, err := worktree.Open(t.TempDir(), worktree.Options{Workers: 4})
	must(t, err)
	must(t, w.Prepare())
	return place{New(w, ignore.NoRepoRules()), w}
}

// reopened is what the next run sees: only the saved index is known.
func reopened(t *testing.T, p place) place {
	t.Helper()
	must(t, p.Close())
	w, err := worktree.Open(p.Root(), worktree.Options{Workers: 4})
	must(t, err)
	return place{New(w, ignore.NoRepoRules()), w}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w place) write(t *testing.T, p repopath.Path, content string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(w.OS(p)), 0o777))
	must(t, os.WriteFile(w.OS(p), []byte(content), 0o666))
}

func (w place) link(t *testing.T, p repopath.Path, target string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(w.OS(p)), 0o777))
	must(t, os.Symlink(target, w.OS(p)))
}

func (w place) dep(t *testing.T, p repopath.Path, exclude ...repopath.Pattern) artifact.Input {
	t.Helper()
	in, _, err := w.Read(t.Context(), spec.Dep{Path: p}, exclude, Made{})
	must(t, err)
	return in
}

func (w place) depErr(t *testing.T, d spec.Dep) error {
	t.Helper()
	in, _, err := w.Read(t.Context(), d, nil, Made{})
	if err == nil {
		t.Fatalf("no error: %+v", in)
	}
	return err
}

func names(t *object.Tree) (out []string) {
	for _, e := range t.Entries {
		out = append(out, fmt.Sprintf("%c %s", e.Kind, strings.TrimSuffix(string(e.Path)+" -> "+e.Target, " -> ")))
	}
	return out
}

// LESSONS 13: ignored files are not inputs.
func TestIgnoredJunkInADepIsNoInput(t *testing.T) {
	w := workspace(t)
	w.write(t, ".gitignore", "*.log\n")
	w.write(t, "src/.pipeignore", "notes/\n")
	w.write(t, "src/main.go", "package main\n")
	before := w.dep(t, "src")
	w.write(t, "src/debug.log", "junk")
	w.write(t, "src/deep/other.log", "junk")
	w.write(t, "src/notes/todo", "junk")
	if after := w.dep(t, "src"); after != before {
		t.Errorf("junk changed %+v to %+v", before, after)
	}
	w.write(t, "src/deep/real.go", "package deep\n")
	withReal := w.dep(t, "src")
	if withReal.Digest == before.Digest {
		t.Error("a new file changed nothing")
	}
	w.write(t, ".gitignore", "*.go\n")
	w = reopened(t, w)
	if after := w.dep(t, "src"); after.Digest == withReal.Digest || after.Digest == before.Digest {
		t.Error("other ignore rules changed nothing")
	}
}

func TestADepThatIsItselfIgnoredCounts(t *testing.T) {
	w := workspace(t)
	w.write(t, ".gitignore", "data/\nsecret.txt\n")
	w.write(t, "data/a", "1")
	w.write(t, "secret.txt", "1")
	dir, file := w.dep(t, "data"), w.dep(t, "secret.txt")
	if dir.Files != 1 {
		t.Errorf("%+v", dir)
	}
	w.write(t, "data/a", "2")
	w.write(t, "secret.txt", "2")
	if w.dep(t, "data").Digest == dir.Digest || w.dep(t, "secret.txt").Digest == file.Digest {
		t.Error("a change went unseen")
	}
}

func TestADirectoryWithAnOutInsideIsTheSameWhateverLiesOnTheDisk(t *testing.T) {
	w := workspace(t)
	w.write(t, "src/main.c", "int main;")
	made := Made{
		Is: func(p repopath.Path) bool { return p == "src/gen/api.h" || p == "src/gen/docs" },
		Inside: []artifact.Output{
			{Path: "src/gen/api.h", Digest: digest.Of([]byte("recorded")), Size: 8},
			{Path: "src/gen/docs", Dir: true, Digest: digest.Of([]byte("tree")), Size: 99, Files: 3},
		},
	}
	read := func(w place, m Made) digest.Digest {
		in, _, err := w.Read(t.Context(), spec.Dep{Path: "src"}, nil, m)
		must(t, err)
		return in.Digest
	}
	absent := read(w, made)
	w.write(t, "src/gen/api.h", "what lies here")
	w.write(t, "src/gen/docs/index.html", "<html>")
	if here := read(w, made); here != absent {
		t.Error("the out on the disk counts")
	}
	other := made
	other.Inside = append([]artifact.Output{{Path: "src/gen/api.h", Digest: digest.Of([]byte("other")), Size: 5}}, made.Inside[1:]...)
	if read(w, other) == absent {
		t.Error("the recorded out does not count")
	}
	if read(w, Made{}) == absent {
		t.Error("nobody makes it, but the file does not count")
	}
}

func TestADirectoryThatHoldsOnlyOutsNeedNotBeThere(t *testing.T) {
	w := workspace(t)
	made := Made{Is: func(p repopath.Path) bool { return p == "gen/x" }, Inside: []artifact.Output{{Path: "gen/x", Digest: digest.Of([]byte("x")), Size: 1}}}
	in, tree, err := w.Read(t.Context(), spec.Dep{Path: "gen", Dir: true}, nil, made)
	if err != nil || in.Files != 1 || len(tree.Entries) != 1 {
		t.Errorf("%+v, %v", in, err)
	}
	w.write(t, "gen/x", "something else")
	again, _, err := w.Read(t.Context(), spec.Dep{Path: "gen", Dir: true}, nil, made)
	if err != nil || again != in {
		t.Errorf("%+v, %v", again, err)
	}
}

func TestEmptyDirectoriesAreNoInputs(t *testing.T) {
	w := workspace(t)
	w.write(t, "src/a", "1")
	before := w.dep(t, "src")
	must(t, os.MkdirAll(w.OS("src/empty/deep"), 0o777))
	if after := w.dep(t, "src"); after != before {
		t.Errorf("%+v became %+v", before, after)
	}
}

func TestTheExecBitOfAnInputCounts(t *testing.T) {
	w := workspace(t)
	w.write(t, "src/run", "1")
	dir, file := w.dep(t, "src"), w.dep(t, "src/run")
	must(t, os.Chmod(w.OS("src/run"), 0o755))
	if w.dep(t, "src").Digest == dir.Digest || !w.dep(t, "src/run").Exec || file.Exec {
		t.Error("chmod +x went unseen")
	}
}

func TestAMissingDepSaysWhatToDo(t *testing.T) {
	w := workspace(t)
	for name, d := range map[string]spec.Dep{
		"path": {Path: "none", Place: "pipe.yaml:4:5"}, "glob": {Glob: "none/*.c", Place: "pipe.yaml:4:5"},
	} {
		var e *diag.Error
		if err := w.depErr(t, d); !errors.As(err, &e) || e.Kind != diag.Usage || e.Place != "pipe.yaml:4:5" || e.Hint == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.write(t, "file", "x")
	if err := w.depErr(t, spec.Dep{Path: "file", Dir: true}); !diag.Is(err, diag.Usage) {
		t.Error(err)
	}
}

func TestAGlobCountsWhatItNames(t *testing.T) {
	w := workspace(t)
	w.write(t, "src/a.go", "1")
	w.write(t, "src/deep/b.go", "2")
	read := func(g repopath.Pattern, exclude ...repopath.Pattern) (artifact.Input, []string) {
		in, tree, err := w.Read(t.Context(), spec.Dep{Glob: g}, exclude, Made{})
		must(t, err)
		return in, names(tree)
	}
	all, list := read("src/**/*.go")
	if !reflect.DeepEqual(list, []string{"f src/a.go", "f src/deep/b.go"}) {
		t.Errorf("%q", list)
	}
	w.write(t, "src/c.txt", "3")
	w.write(t, "src/odd\nname.txt", "not asked for")
	if again, _ := read("src/**/*.go"); again != all {
		t.Errorf("%+v became %+v", all, again)
	}
	if _, list := read("src/*.go"); !reflect.DeepEqual(list, []string{"f src/a.go"}) {
		t.Errorf("%q", list)
	}
	if _, list := read("src/**/*.go", "src/deep"); !reflect.DeepEqual(list, []string{"f src/a.go"}) {
		t.Errorf("%q", list)
	}
}
