//go:build !windows

package inputs

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/ignore"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// commit is the tree of files with these contents.
func commit(files map[repopath.Path]string) *object.Tree {
	t := &object.Tree{}
	for p, text := range files {
		t.Entries = append(t.Entries, object.Entry{Kind: object.File, Path: p, Digest: digest.Of([]byte(text)), Size: int64(len(text))})
	}
	t.Sort()
	return t
}

// sourced is a workspace with the source lib, all of whose files lie there, and others.
func sourced(t *testing.T, looked bool) place {
	t.Helper()
	w := workspace(t)
	w.Reader = New(w.Work, ignore.NoRepoRules())
	files := map[repopath.Path]string{"a.go": "a", ".gitignore": "*.log\n", "kept.log": "kept", "sub/b.go": "b", "sub/deep/c.go": "c", "pipe.yaml": "x"}
	for p, text := range files {
		w.write(t, "lib/"+p, text)
	}
	for _, junk := range []repopath.Path{".gitignore", "lib/junk.go", "lib/sub/junk.go", "lib/junk/x.go"} {
		w.write(t, junk, "/lib/\n")
	}
	w.SetSources(func() []Source { return []Source{{Path: "lib", Tree: commit(files), Looked: looked}} })
	return w
}

func TestEveryFileOfASourceCountsAndNothingElseThere(t *testing.T) {
	for _, looked := range []bool{false, true} {
		for _, c := range []struct {
			dep     spec.Dep
			exclude string
			want    string
		}{
			{spec.Dep{Path: "lib", Dir: true}, "", "f .gitignore,f a.go,f kept.log,f pipe.yaml,f sub/b.go,f sub/deep/c.go"},
			{spec.Dep{Path: "lib"}, "lib/sub", "f .gitignore,f a.go,f kept.log,f pipe.yaml"},
			{spec.Dep{Path: "lib"}, "lib/**/*.go", "f .gitignore,f kept.log,f pipe.yaml"},
			{spec.Dep{Path: "lib/sub"}, "", "f b.go,f deep/c.go"},
			{spec.Dep{Path: "lib/sub"}, "lib/sub/deep", "f b.go"},
			{spec.Dep{Glob: "lib/**/*.go"}, "", "f lib/a.go,f lib/sub/b.go,f lib/sub/deep/c.go"},
			{spec.Dep{Glob: "lib/sub/*.go"}, "", "f lib/sub/b.go"},
			{spec.Dep{Glob: "lib/**/*.go"}, "lib/sub/deep", "f lib/a.go,f lib/sub/b.go"},
		} {
			w := sourced(t, looked)
			var exclude []repopath.Pattern
			if c.exclude != "" {
				x, err := repopath.JoinPattern(repopath.Root, c.exclude)
				must(t, err)
				exclude = append(exclude, x)
			}
			in, tree, err := w.Read(t.Context(), c.dep, exclude, Made{})
			if err != nil || strings.Join(names(tree), ",") != c.want || in.Files != int64(len(tree.Entries)) {
				t.Errorf("looked %v: %+v without %q: %q, %v", looked, c.dep, c.exclude, names(tree), err)
			}
		}
	}
}

func TestAFileOfASourceIsADepAndJunkIsNone(t *testing.T) {
	w := sourced(t, true)
	if in := w.dep(t, "lib/kept.log"); in.Digest != digest.Of([]byte("kept")) || in.Kind != artifact.OneFile {
		t.Errorf("%+v", in)
	}
	for _, d := range []spec.Dep{{Path: "lib/junk.go"}, {Path: "lib/junk"}, {Path: "lib/none"}, {Path: "lib/a.go", Dir: true}, {Glob: "lib/junk/*"}, {Glob: "lib/*.none"}} {
		if err := w.depErr(t, d); !diag.Is(err, diag.Usage) {
			t.Errorf("%+v: %v", d, err)
		}
	}
}

// What was looked at counts until a command has run; then the files are read.
func TestACommandThatChangesASourceIsSeen(t *testing.T) {
	w := sourced(t, true)
	before := w.dep(t, "lib")
	w.write(t, "lib/a.go", "another")
	if w.dep(t, "lib") != before {
		t.Error("the files were read twice")
	}
	w.Forget()
	if w.dep(t, "lib") == before {
		t.Error("a change went unseen")
	}
	w.write(t, "lib/a.go", "a")
	if w.dep(t, "lib") != before {
		t.Error("what was read is not what the commit says")
	}
	must(t, os.Remove(w.OS("lib/a.go")))
	if w.dep(t, "lib") == before {
		t.Error("a missing file went unseen")
	}
}

func TestASymlinkInASourceCountsByWhatIsBehindIt(t *testing.T) {
	w := workspace(t)
	w.write(t, "lib/a", "a")
	w.link(t, "lib/link", "a")
	tree := commit(map[repopath.Path]string{"a": "a"})
	link := object.Link("a")
	link.Path = "link"
	tree.Entries = append(tree.Entries, link)
	w.SetSources(func() []Source { return []Source{{Path: "lib", Tree: tree, Looked: true}} })
	_, list, err := w.Read(t.Context(), spec.Dep{Path: "lib"}, nil, Made{})
	if want := []string{"f a", "f link"}; err != nil || !slices.Equal(names(list), want) {
		t.Errorf("%q, %v", names(list), err)
	}
}

func TestASourceThatIsNotFetchedIsWaitedFor(t *testing.T) {
	w := workspace(t)
	w.write(t, "lib/old", "x")
	w.SetSources(func() []Source { return []Source{{Path: "lib"}} })
	for _, d := range []spec.Dep{{Path: "lib"}, {Path: "lib/old"}, {Glob: "lib/*"}} {
		var u *Unfetched
		if err := w.depErr(t, d); !errors.As(err, &u) || u.Source != "lib" {
			t.Errorf("%+v: %v", d, err)
		}
	}
}

func TestADepThatReachesIntoASubmoduleIsRefused(t *testing.T) {
	w := sourced(t, true)
	all := w.sources()
	all[0].Omitted = []repopath.Path{"sub/vendor"}
	w.SetSources(func() []Source { return all })
	for _, d := range []spec.Dep{{Path: "lib"}, {Path: "lib/sub"}, {Path: "lib/sub/vendor/x"}, {Glob: "lib/**/*.go"}} {
		if err := w.depErr(t, d); !diag.Is(err, diag.Policy) {
			t.Errorf("%+v: %v", d, err)
		}
	}
	for _, d := range []spec.Dep{{Path: "lib/a.go"}, {Path: "lib/sub/deep"}, {Glob: "lib/*.go"}} {
		if _, _, err := w.Read(t.Context(), d, nil, Made{}); err != nil {
			t.Errorf("%+v: %v", d, err)
		}
	}
	if _, _, err := w.Read(t.Context(), spec.Dep{Path: "lib"}, []repopath.Pattern{"lib/sub"}, Made{}); err != nil {
		t.Errorf("excluded: %v", err)
	}
}
