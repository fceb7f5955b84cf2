package gitlog_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Git takes a file for unchanged whose size and time are those of the index, unless the index is no
// younger than the file: then it looks. Whoever writes the index must keep that.
func TestCommitFileHidesNoChangeOfTheSameMoment(t *testing.T) {
	s := newSandbox(t)
	s.git("config", "core.trustctime", "false")
	moment := time.Now().Add(-time.Hour)
	at := func(name string) {
		t.Helper()
		if err := os.Chtimes(filepath.Join(s.dir, name), moment, moment); err != nil {
			t.Fatal(err)
		}
	}
	s.write("src", "1")
	at("src")
	s.git("add", "src")
	s.git("commit", "-qm", "1")
	at(".git/index")
	s.write("src", "2")
	at("src")
	s.mustCommit("pipe.lock", "x")
	if got := s.git("status", "--porcelain", "src"); !strings.Contains(got, "M src") {
		t.Errorf("the change is hidden: %q", got)
	}
}
