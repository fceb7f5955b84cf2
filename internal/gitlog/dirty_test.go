package gitlog_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pipe-build/pipe/pkg/repopath"
)

// Who only asks takes no lock of the repository: killed, it would leave it behind.
func TestDirtyLeavesTheIndexAlone(t *testing.T) {
	s := newSandbox(t)
	s.commit(1, "src", "text")
	past := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(s.dir, "src"), past, past); err != nil {
		t.Fatal(err)
	}
	index := filepath.Join(s.dir, ".git", "index")
	before, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	r := s.open(s.dir)
	for _, c := range []struct {
		text  string
		dirty bool
	}{{"text", false}, {"more", true}} {
		s.write("src", c.text)
		dirty, err := r.Dirty(t.Context(), []repopath.Path{"src"}, "pipe.lock")
		if err != nil || dirty != c.dirty {
			t.Errorf("%s: %v, %v", c.text, dirty, err)
		}
	}
	if after, err := os.ReadFile(index); err != nil || string(after) != string(before) {
		t.Errorf("the index was written: %v", err)
	}
}
