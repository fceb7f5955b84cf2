//go:build linux

package drill

import (
	"testing"

	"github.com/pipe-build/pipe/internal/forge"
)

// Jobs end in any order: what is live stays the newest commit, and an older job ends well and says why it
// deployed nothing.
func TestAnOlderJobThatComesLateDeploysNothing(t *testing.T) {
	t.Parallel()
	for _, project := range []string{ciProject, noEnvironments} {
		for _, depth := range []int{1, -1} {
			w := newCI(t, map[string]string{"pipe.yaml": project})
			c1 := w.repo.Tip("main")
			c2 := w.merge("second", map[string]string{"src": "two\n"})
			c3 := w.merge("third", map[string]string{"src": "three\n"})
			on := func(sha string) forge.Trigger { return forge.Trigger{Token: writes, SHA: sha, Depth: depth} }
			late := w.job(on(c2)) // it has checked out, and waits for a runner
			w.job(on(c3)).ci(0)
			w.logged("shipped", "three")
			lock := w.lock("main")

			w.says(late.ci(0), "is older than")
			w.says(w.job(on(c1)).ci(0), "is older than") // last week's job, run again
			w.says(w.job(on(c2)).ci(0), "is older than")
			w.logged("shipped", "three")
			if got := w.lock("main"); got != lock {
				t.Errorf("an older job changed the lock:\n%s\n%s", lock, got)
			}
			w.quiet(forge.Trigger{Token: writes})
			w.sound()

			w.merge("revert to two", map[string]string{"src": "two\n"})
			w.job(forge.Trigger{Token: writes, Depth: depth}).ci(0)
			w.logged("built", "build three", "build two", "build one") // each once
			w.logged("shipped", "three", "two")
			w.quiet(forge.Trigger{Token: writes})
		}
	}
}
