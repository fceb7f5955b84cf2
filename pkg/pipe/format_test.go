package pipe

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
)

// TestAFileThatChangedMeanwhileIsNotReplaced: an editor may save between the reading and the writing.
func TestAFileThatChangedMeanwhileIsNotReplaced(t *testing.T) {
	opt := Options{Dir: t.TempDir()}
	file := filepath.Join(opt.Dir, "a.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write("a:   1\n")
	all, err := Format(t.Context(), opt, nil, []string{"a.yaml"})
	if err != nil || len(all) != 1 || !all[0].Changed {
		t.Fatal(all, err)
	}
	write("a:   2\n")
	if err := all[0].Save(opt); !diag.Is(err, diag.Busy) {
		t.Error(err)
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != "a:   2\n" {
		t.Errorf("%q, %v", got, err)
	}
	write("a:   1\n")
	if err := all[0].Save(opt); err != nil {
		t.Error(err)
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != "a: 1\n" {
		t.Errorf("%q, %v", got, err)
	}
}
