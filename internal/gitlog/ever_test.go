package gitlog_test

import (
	"fmt"
	"testing"
)

// TestEverNamesFilesThatAreGone: of any branch and of a detached HEAD, below the top as well, with odd names.
func TestEverNamesFilesThatAreGone(t *testing.T) {
	s := newSandbox(t)
	s.commit(1, "dvc.lock", "1")
	s.commit(2, "sub/dir/dvc.lock", "1")
	s.commit(3, "a \"é\n.dvc", "1")
	s.commit(4, "notdvc.lock", "1")
	s.git("rm", "-q", "dvc.lock")
	s.git("commit", "-qm", "Gone")
	s.git("checkout", "-q", "-b", "side", "HEAD~1")
	s.commit(5, "side/x.dvc", "1")
	s.git("checkout", "-q", "--detach", "main")
	s.commit(6, "loose.dvc", "1")
	got, err := s.open(s.dir).Ever(t.Context(), "**/dvc.lock", "**/*.dvc")
	if want := `["dvc.lock" "loose.dvc" "side/x.dvc" "sub/dir/dvc.lock"]`; err != nil || fmt.Sprintf("%q", got) != want {
		t.Errorf("%q, %v", got, err)
	}
	empty := newSandbox(t)
	if got, err := empty.open(empty.dir).Ever(t.Context(), "**/dvc.lock"); err != nil || len(got) != 0 {
		t.Errorf("%q, %v", got, err)
	}
}
