//go:build linux

package drill

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/forge"
)

const noEnvironments = `project: shop
remote: REMOTE
stages:
  build: {cmd: sh build.sh, deps: [src, build.sh], outs: [app]}
  ship: {deploy: true, cmd: sh ship.sh, deps: [app, ship.sh]}
`

// The lock's commit starts the next run, which finds nothing to do.
func TestTheRunOfTheLocksOwnCommitDoesNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, project string
		start         func(j *ciJob, script string, env ...string) *process
		script        string
	}{
		{"environments", ciProject, (*ciJob).start, "exec pipe ci"},
		{"no environments", noEnvironments, (*ciJob).start, "pipe ci\necho done"},
		{"in a terminal", ciProject, (*ciJob).startInTerminal, "pipe ci"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newCI(t, map[string]string{"pipe.yaml": c.project})
			first := w.repo.Tip("main")
			for range 2 {
				before := w.listen()
				w.ended(c.start(w.job(forge.Trigger{Token: writes}), c.script), 0)
				w.logged("built", "build one")
				w.logged("shipped", "one")
				if len(before.pushed()) > 1 || w.repo.Git("rev-list", "--count", first+"..main") != "1" {
					t.Fatalf("pushed: %+v", before.pushed())
				}
				if w.lock("main") == "" || w.repo.Git("diff", "--name-only", first, "main") != "pipe.lock" {
					t.Errorf("changed: %s", w.repo.Git("diff", "--stat", first, "main"))
				}
			}
			w.quiet(forge.Trigger{Token: writes})
			w.sound()

			w.merge("second", map[string]string{"src": "two\n"})
			w.job(forge.Trigger{Token: writes}).ci(0)
			w.logged("shipped", "one", "two")
			w.quiet(forge.Trigger{Token: writes})
			w.sound()
		})
	}
}

// quiet checks that a run has nothing to do: it reads the environment, and asks for no object. Of the forge it
// asks nothing.
func (c *ciWorld) quiet(on forge.Trigger) string {
	c.t.Helper()
	j := c.job(on)
	before, built, shipped := c.listen(), c.read("built"), c.read("shipped")
	said := j.ci(0)
	if got := before.ofRemote(); len(got) != 1 || !strings.HasPrefix(got[0], "GET ") || !strings.Contains(got[0], "/state") {
		c.t.Errorf("requests of a run with nothing to do:\n%s\n%s", strings.Join(got, "\n"), said)
	}
	if got := before.ofForge(); len(got) != 0 {
		c.t.Errorf("requests of a run with nothing to do:\n%s\n%s", strings.Join(got, "\n"), said)
	}
	if left, err := filepath.Glob(c.beside("pipe-*")); err != nil || len(left) > 0 {
		c.t.Errorf("left in TMPDIR: %v, %s", err, left)
	}
	if c.read("built") != built || c.read("shipped") != shipped {
		c.t.Errorf("it did something: %s", said)
	}
	if s, err := j.Git(c.t.Context(), "status", "--porcelain"); err != nil || s != "" {
		c.t.Errorf("the checkout has changed: %v, %s", err, s)
	}
	return said
}

// A checkout by hand, without depth, with a filter, or of some directories only is as good.
func TestAnyCheckoutWillDo(t *testing.T) {
	t.Parallel()
	for _, on := range []forge.Trigger{
		{Depth: -1},
		{OldVersion: true},
		{Filter: "blob:none"},
		{Filter: "tree:0", Depth: -1},
		{Sparse: []string{"docs"}}, // and the files at the top
	} {
		w := newCI(t, map[string]string{"docs/a": "a", "other/b": "b"})
		on.Token = writes
		j := w.job(on)
		j.ci(0)
		w.logged("shipped", "one")
		if got := w.repo.Git("diff", "--name-only", "main~1", "main"); got != "pipe.lock" {
			t.Errorf("%+v: changed %q", on, got)
		}
		if s, err := j.Git(t.Context(), "status", "-bs", "--porcelain"); err != nil || s != "## main...origin/main" {
			t.Errorf("%+v: %v, %s", on, err, s)
		}
		w.quiet(on)
		w.sound()
	}
}

// In a job whose checkout keeps no credentials the lock cannot be pushed, and nobody is asked for a password; all
// else is done.
func TestAJobThatKeepsNoCredentialsDeploys(t *testing.T) {
	t.Parallel()
	for _, start := range []func(j *ciJob, script string, env ...string) *process{(*ciJob).start, (*ciJob).startInTerminal} {
		w := newCI(t, nil)
		said := w.ended(start(w.job(forge.Trigger{Token: writes, NoPersist: true}), "exec pipe ci"), 0)
		w.logged("shipped", "one")
		w.says(said, "pipe.lock was not committed")
		if len(w.repo.Pushes()) != 0 {
			t.Error(w.repo.Pushes())
		}
	}
}

// The names of branches and objects may be others.
func TestARepositoryOfAnotherKind(t *testing.T) {
	t.Parallel()
	w := newCIOf(t, forge.Kind{Default: "release/2.x", SHA256: true}, map[string]string{"pipe.yaml": noEnvironments})
	w.job(forge.Trigger{Token: writes}).ci(0)
	w.logged("shipped", "one")
	if w.lock("release/2.x") == "" {
		t.Error("no lock")
	}
	w.quiet(forge.Trigger{Token: writes})
	w.sound()
}
