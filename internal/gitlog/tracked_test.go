package gitlog_test

import (
	"fmt"
	"testing"

	"github.com/pipe-build/pipe/internal/repopath"
)

func TestTrackedSeesFilesAndDirectories(t *testing.T) {
	for _, setup := range [][]string{
		{"update-index", "--index-version", "2"},
		{"update-index", "--index-version", "4"},
		{"update-index", "--split-index"},
		{"sparse-checkout", "set", "--cone", "--sparse-index", "a"},
	} {
		s := newSandbox(t)
		s.commit(1, "a/b.txt", "x")
		s.commit(2, "a-b/c.txt", "x")
		s.commit(3, "z/y/x.txt", "x")
		s.git(setup...)
		got, err := s.open(s.dir).Tracked(t.Context(), []repopath.Path{"a", "a/b.txt", "a/b", "a-b", "b", "z/y", "z/y/x.txt", "z/q", "."})
		if err != nil {
			t.Fatal(setup, err)
		}
		if want := "map[.:true a:true a-b:true a/b.txt:true z/y:true z/y/x.txt:true]"; fmt.Sprint(got) != want {
			t.Errorf("%v: %v", setup, got)
		}
	}
	empty := newSandbox(t)
	if got, err := empty.open(empty.dir).Tracked(t.Context(), []repopath.Path{".", "a"}); err != nil || len(got) != 0 && got["."] {
		t.Error(got, err)
	}
}
