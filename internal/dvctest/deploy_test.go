//go:build unix

package dvctest

import (
	"slices"
	"testing"
)

// What dvc.lock says of a stage that deploys may be live or not. Who imports says so, or the stage runs.
func TestWhatDVCHasDeployed(t *testing.T) {
	p := begun(t, "testdata/twin")
	p.works("add", "data/raw.csv", "data/images")
	// The directory in which pipe deploys is another one; home is beside the project.
	set("stages release", "{cmd: 'cat page.html; echo release >> $HOME/trace', deps: [page.html]}")(p)
	p.works("repro")
	p.sh("git add -A; git commit -qm First")
	p.ran()
	raw := sh("echo 4,40 >> data/raw.csv")
	for _, c := range []struct {
		name   string
		args   []string // of the import
		change change
		runs   string // by repro release
	}{
		{"live, and unchanged", []string{"--deployed"}, sh(":"), none},
		{"live, and changed", []string{"--deployed"}, raw, "count page release"},
		{"not known to be live", nil, sh(":"), "release"},
		{"not known to be live, and changed", nil, raw, "count page release"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := p.copyOf(t, "pipe.yaml")
			in.pipes(append([]string{"import", "dvc"}, c.args...)...)
			c.change(in)
			for _, want := range []string{c.runs, none} {
				if out, ran := in.pipes("repro", "-y", "release"), in.ran(); !slices.Equal(ran, stages(want, nil)) {
					t.Errorf("it runs %s, not %s: %s", ran, want, out)
				}
			}
		})
	}
}
