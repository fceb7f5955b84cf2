//go:build !windows

package inputs

import (
	"errors"
	"net"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// What matters of pipe.yaml to a stage is in its key already: another stage's
// line must not run this one.
func TestPipesOwnFilesAreInputsOnlyWhenNamed(t *testing.T) {
	w := workspace(t)
	w.write(t, "a.yaml", "1")
	w.write(t, "sub/pipe.yaml", "of another project")
	all := w.dep(t, repopath.Root)
	glob := func() artifact.Input {
		in, _, err := w.Read(t.Context(), spec.Dep{Glob: "**/*.yaml"}, nil, Made{})
		must(t, err)
		return in
	}
	yaml := glob()
	w.write(t, ".pipe/cache/x", "1")
	w.write(t, "pipe.yaml", "stages: {}")
	w.write(t, "pipe.lock", "stages: {}")
	if after := w.dep(t, repopath.Root); after != all || after.Files != 2 {
		t.Errorf("%+v became %+v", all, after)
	}
	if after := glob(); after != yaml || after.Files != 2 {
		t.Errorf("%+v became %+v", yaml, after)
	}
	if named := w.dep(t, "pipe.yaml"); named.Digest != digest.Of([]byte("stages: {}")) {
		t.Errorf("%+v", named)
	}
}

func TestGitsOwnDirectoryIsNoInput(t *testing.T) {
	w := workspace(t)
	w.write(t, "sub/a", "1")
	before := w.dep(t, "sub")
	w.write(t, "sub/.git/config", "x")
	w.write(t, "sub/deep/.GIT", "x")
	if after := w.dep(t, "sub"); after != before {
		t.Errorf("%+v became %+v", before, after)
	}
}

func TestSocketsAndPipesAreNoInputs(t *testing.T) {
	w := workspace(t)
	w.write(t, "d/a", "1")
	before := w.dep(t, "d")
	must(t, syscall.Mkfifo(w.OS("d/fifo"), 0o666))
	t.Chdir(w.OS("d")) // a socket's path is short
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", "sock")
	must(t, err)
	defer func() { must(t, l.Close()) }()
	if after := w.dep(t, "d"); after != before {
		t.Errorf("%+v became %+v", before, after)
	}
}

func TestPipeignoreGoesBeforeGitignore(t *testing.T) {
	w := workspace(t)
	w.write(t, "src/.gitignore", "*.gen\n!kept.log\n")
	w.write(t, "src/.pipeignore", "!b.gen\n*.log\n")
	for _, name := range []string{"a.gen", "b.gen", "kept.log"} {
		w.write(t, "src/"+repopath.Path(name), name)
	}
	_, list, err := w.Read(t.Context(), spec.Dep{Path: "src"}, nil, Made{})
	must(t, err)
	if got := names(list); !reflect.DeepEqual(got, []string{"f .gitignore", "f .pipeignore", "f b.gen"}) {
		t.Errorf("%q", got)
	}
	for name, want := range map[repopath.Path]bool{"src/a.gen": true, "src/b.gen": false, "src/kept.log": true} {
		if got, err := w.Ignored(name, false); err != nil || got != want {
			t.Errorf("%s is ignored: %v, %v", name, got, err)
		}
	}
}

func TestAListCountsOutsInsideAndIsReadBack(t *testing.T) {
	w := workspace(t)
	w.write(t, "src/a\tb", "12")
	w.write(t, "src/A\tB", "3")
	made := Made{Is: func(repopath.Path) bool { return false }, Inside: []artifact.Output{{Path: "src/gen", Dir: true, Digest: digest.Of([]byte("tree")), Size: 99, Files: 7}}}
	in, list, err := w.Read(t.Context(), spec.Dep{Path: "src"}, nil, made)
	must(t, err)
	if in.Files != 3 || in.Size != 3 {
		t.Errorf("%+v: an out inside is one entry, and its bytes are not the list's", in)
	}
	if again, err := object.ParseInput(list.Encode()); err != nil || !reflect.DeepEqual(again, list) {
		t.Errorf("%+v, %v", again, err)
	}
}

func TestASymlinkThatLeavesADepCountsByItsContent(t *testing.T) {
	w := workspace(t)
	w.write(t, "shared/lib.c", "1")
	w.link(t, "src/lib.c", "../shared/lib.c")
	before := w.dep(t, "src")
	w.write(t, "shared/lib.c", "2")
	if w.dep(t, "src").Digest == before.Digest {
		t.Error("a change behind the link went unseen")
	}
	w.link(t, "src/gone", "../nowhere")
	w.dep(t, "src")
	w.link(t, "src/dir", "../shared")
	if err := w.depErr(t, spec.Dep{Path: "src"}); !strings.HasPrefix(err.Error(), "src/dir: ") {
		t.Error(err)
	}
}

func TestASymlinkInsideADepCountsByItsTarget(t *testing.T) {
	w := workspace(t)
	w.write(t, "src/a", "1")
	w.write(t, "src/b", "2")
	w.link(t, "src/l", "a")
	before := w.dep(t, "src")
	must(t, os.Remove(w.OS("src/l")))
	w.link(t, "src/l", "b")
	if w.dep(t, "src").Digest == before.Digest {
		t.Error("another target went unseen")
	}
}

func TestALinkToNothingCountsOnlyInsideTheDep(t *testing.T) {
	w := workspace(t)
	w.write(t, "src/a", "1")
	w.link(t, "src/in", "missing")
	w.link(t, "src/out", "../missing")
	w.link(t, "src/through", "a/missing")
	_, list, err := w.Read(t.Context(), spec.Dep{Path: "src"}, nil, Made{})
	must(t, err)
	if got, want := names(list), []string{"f a", "l in -> missing", "l through -> a/missing"}; !reflect.DeepEqual(got, want) {
		t.Errorf("%q", got)
	}
}

func TestALinkToADirectoryIsKeptWhereAllOfItIsAnInput(t *testing.T) {
	w := workspace(t)
	w.write(t, "src/real/a", "1")
	w.link(t, "src/l", "real")
	if in := w.dep(t, "src"); in.Files != 2 {
		t.Errorf("%+v", in)
	}
	if _, _, err := w.Read(t.Context(), spec.Dep{Path: "src"}, []repopath.Pattern{"src/real"}, Made{}); err == nil || !strings.HasPrefix(err.Error(), "src/l: ") {
		t.Errorf("its directory is excluded: %v", err)
	}
	w.write(t, ".gitignore", "real/\n")
	w.Forget()
	if err := w.depErr(t, spec.Dep{Path: "src"}); !strings.HasPrefix(err.Error(), "src/l: ") {
		t.Errorf("its directory is ignored: %v", err)
	}
}

func TestALinkThatLeavesADepThroughAnotherIsRefused(t *testing.T) {
	w := workspace(t)
	w.write(t, "shared/a", "1")
	w.link(t, "src/m", "../shared")
	w.link(t, "src/l", "m")
	if _, _, err := w.Read(t.Context(), spec.Dep{Path: "src"}, []repopath.Pattern{"src/m"}, Made{}); err == nil || !strings.HasPrefix(err.Error(), "src/l: ") {
		t.Errorf("%v", err)
	}
}

func TestAPatternOfDirectoriesIgnoresNoFile(t *testing.T) {
	w := workspace(t)
	w.write(t, ".gitignore", "gen/\n")
	for _, isDir := range []bool{true, false} {
		if got, err := w.Ignored("gen", isDir); err != nil || got != isDir {
			t.Errorf("gen, a directory: %v: ignored: %v, %v", isDir, got, err)
		}
	}
	if got, err := w.Ignored("gen/below", false); err != nil || !got {
		t.Errorf("a file in it: %v, %v", got, err)
	}
	if got, err := New(w.Work, nil).Ignored("gen", true); err != nil || got {
		t.Errorf("without rules: %v, %v", got, err)
	}
}

// Without its rules, junk would be an input, or an input would not.
func TestAnIgnoreFileThatCannotBeReadIsAnError(t *testing.T) {
	w := workspace(t)
	w.write(t, ".gitignore/unreadable", "")
	w.write(t, "src/deep/a", "1")
	_, ignored := w.Ignored("src/deep/a", false)
	for what, err := range map[string]error{
		"a directory": w.depErr(t, spec.Dep{Path: "src/deep"}), "a glob": w.depErr(t, spec.Dep{Glob: "src/deep/*"}), "asked for": ignored,
	} {
		if err == nil || !strings.Contains(err.Error(), ".gitignore") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestOfAnIgnoredDirectoryThatHoldsAnOutOnlyTheOutCounts(t *testing.T) {
	w := workspace(t)
	w.write(t, ".gitignore", "gen/\n")
	w.write(t, "gen/left-over", "1")
	made := Made{Is: func(p repopath.Path) bool { return p == "gen/x" }, Inside: []artifact.Output{{Path: "gen/x", Digest: digest.Of([]byte("x")), Size: 1}}}
	_, list, err := w.Read(t.Context(), spec.Dep{Path: "gen"}, nil, made)
	if must(t, err); !reflect.DeepEqual(names(list), []string{"f x"}) {
		t.Errorf("%q", names(list))
	}
}

// What the hint says works.
func TestANameThatCannotStandInAListCanBeLeftOut(t *testing.T) {
	w := workspace(t)
	w.write(t, "d/git~1", "")
	var e *diag.Error
	if err := w.depErr(t, spec.Dep{Path: "d"}); !errors.As(err, &e) || e.Place != "d" || !strings.Contains(e.What, `"git~1"`) || e.Hint == "" {
		t.Error(err)
	}
	if err := w.depErr(t, spec.Dep{Glob: "d/*"}); !strings.Contains(err.Error(), `"git~1"`) {
		t.Error(err)
	}
	if in := w.dep(t, "d", "d/*"); in.Files != 0 {
		t.Errorf("%+v", in)
	}
	w.write(t, "d/.gitignore", "*\n")
	if in := w.dep(t, "d"); in.Files != 0 {
		t.Errorf("%+v", in)
	}
}
