package gitlog_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/pipe-build/pipe/pkg/repopath"
)

func TestFilesAtNamesTheFilesOfACommit(t *testing.T) {
	s := branchy(t, "sub/pipe.lock")
	r := s.open(filepath.Join(s.dir, "sub"))
	for p, want := range map[repopath.Path]string{"sub": "[sub/pipe.lock]", "sub/pipe.lock": "[sub/pipe.lock]", "none": "[]", "su": "[]"} {
		got, err := r.FilesAt(t.Context(), s.git("rev-parse", "side"), p)
		if fmt.Sprint(got) != want || err != nil {
			t.Errorf("%s: got %v, %v", p, got, err)
		}
	}
}
