//go:build unix

package dvctest

import (
	"slices"
	"testing"
)

// What pipe has of a project that it imported goes back to DVC, which has nothing to do for it.
func TestAnImportedProjectGoesBackToDVC(t *testing.T) {
	for _, c := range []struct {
		from, data string
		runs       []string // stamp runs always, and what it made is in no record
	}{
		{"testdata/twin", "data/raw.csv", []string{"sealed", "stamp"}},
		{"testdata/mono", "VERSION", nil},
	} {
		t.Run(c.from, func(t *testing.T) {
			t.Parallel()
			p := begun(t, c.from)
			p.works("add", c.data)
			p.works("repro", "-P")
			p.sh("git add -A; git commit -qm First")
			p.ran()
			p.imports()
			p.pipes("repro")
			p.sh("rm -rf .dvc .dvcignore; find . -name dvc.yaml -o -name dvc.lock -o -name '*.dvc' | xargs rm")
			p.ran()
			p.pipes("export", "dvc")
			out := p.works("repro", "-P")
			if ran := p.ran(); !slices.Equal(ran, c.runs) {
				t.Errorf("dvc repro runs %s, not %s: %s", ran, c.runs, out)
			}
		})
	}
}
