//go:build linux

package drill

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
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
			w.env = append(w.env, "GIT_HTTP_LOW_SPEED_TIME=2") // else a minute
			j := w.job(forge.Trigger{Token: writes})
			w.forge.Before(forge.Only(part, forge.Never))
			w.merge("the job must fetch", map[string]string{"x": "y"})
			before := w.listen()
			w.says(j.ci(0), "pipe.lock was not committed")
			w.logged("shipped", "one")
			if n := strings.Count(strings.Join(before.ofForge(), "\n"), part); n != 1 {
				t.Errorf("it waited %d times", n)
			}
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

// A forge that is ill for a moment is asked again.
func TestAForgeThatIsIllIsAskedAgain(t *testing.T) {
	t.Parallel()
	for _, part := range []string{"service=git-upload-pack", "service=git-receive-pack", "/git-receive-pack"} {
		w := newCI(t, nil)
		j := w.job(forge.Trigger{Token: writes})
		var left atomic.Int64
		left.Store(2)
		w.forge.Before(forge.Only(part, func(rw http.ResponseWriter, _ *http.Request) bool {
			if left.Add(-1) < 0 {
				return false
			}
			http.Error(rw, "Bad Gateway", http.StatusBadGateway)
			return true
		}))
		said := j.ci(0)
		if w.lock("main") == "" || left.Load() >= 0 {
			t.Errorf("%s: the lock was not pushed: %s", part, said)
		}
		w.quiet(forge.Trigger{Token: writes})
	}
}

// The answer to a push can be lost when the forge has taken it: then there is one commit all the same.
func TestALostAnswerMakesNoSecondCommit(t *testing.T) {
	t.Parallel()
	for _, merged := range []bool{false, true} { // meanwhile
		w := newCI(t, nil)
		j := w.job(forge.Trigger{Token: writes})
		var taken atomic.Bool
		w.forge.Before(forge.Only("/git-receive-pack", func(rw http.ResponseWriter, r *http.Request) bool {
			if r.ContentLength == 4 || taken.Swap(true) { // git tries whether it may push
				return false
			}
			w.forge.Before(nil)
			w.forge.ServeHTTP(httptest.NewRecorder(), r)
			if merged {
				w.merge("meanwhile", map[string]string{"x": "y"})
			}
			panic(http.ErrAbortHandler)
		}))
		said := j.ci(0)
		w.says(said, "pushed pipe.lock to main")
		w.logged("shipped", "one")
		if got := w.repo.Git("log", "--format=%s", "main"); strings.Count(got, "Update pipe.lock") != 1 || !taken.Load() {
			t.Errorf("the history is %q: %s", got, said)
		}
		w.sound()
		if !merged {
			w.quiet(forge.Trigger{Token: writes})
		}
	}
}

// A job that cannot ask which of two commits is the newer one goes by their times.
func TestALateJobEndsWhenTheForgeIsSilent(t *testing.T) {
	t.Parallel()
	w := newCI(t, nil)
	w.env = append(w.env, "GIT_HTTP_LOW_SPEED_TIME=2")
	c1, at := w.repo.Tip("main"), time.Now().Unix()
	w.until("the next second", func() bool { return time.Now().Unix() > at })
	w.merge("second", map[string]string{"src": "two\n"})
	late := w.job(forge.Trigger{Token: writes, SHA: c1})
	w.job(forge.Trigger{Token: writes}).ci(0)
	w.merge("third", map[string]string{"src": "three\n"})
	next := w.job(forge.Trigger{Token: writes})
	w.forge.Before(forge.Never)
	w.says(late.ci(0), "is older than")
	w.logged("shipped", "two")
	next.ci(0)
	w.logged("shipped", "two", "three")
}
