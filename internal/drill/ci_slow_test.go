//go:build linux

package drill

import (
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/forge"
)

// A forge that does not answer keeps nobody: the push is given up, and the rest is done.
func TestAForgeThatDoesNotAnswerStopsNoDeployment(t *testing.T) {
	t.Parallel()
	for _, part := range []string{"service=git-receive-pack", "/git-receive-pack", "git-upload-pack"} {
		t.Run(part, func(t *testing.T) {
			t.Parallel()
			w := newCI(t, nil)
			w.env = append(w.env, "GIT_HTTP_LOW_SPEED_TIME=2") // else a minute, each time
			j := w.job(forge.Trigger{Token: writes})
			w.forge.Before(forge.Only(part, forge.Never))
			w.merge("the job must fetch", map[string]string{"x": "y"})
			w.says(j.ci(0), "pipe.lock was not committed")
			w.logged("shipped", "one")
			w.forge.Before(nil)
			w.job(forge.Trigger{Token: writes}).ci(0)
			w.logged("built", "build one")
			w.logged("shipped", "one")
			w.quiet(forge.Trigger{Token: writes})
			w.sound()
		})
	}
}

// One that is slow is waited for.
func TestASlowForgeIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := newCI(t, nil)
	j := w.job(forge.Trigger{Token: writes})
	w.forge.Before(forge.Slowly(2 * time.Second))
	j.ci(0)
	w.forge.Before(nil)
	w.quiet(forge.Trigger{Token: writes})
}
