//go:build linux

package drill

import (
	"slices"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/s3server"
)

// asked returns the requests since a number of them, without those for objects and beats.
func asked(p *s3server.Proxy, since int) []string {
	objects := []string{"/files/", "/trees/", "/inputs/", "/logs/", "/runs/"}
	return slices.DeleteFunc(p.Log()[since:], func(line string) bool {
		return slices.ContainsFunc(objects, func(part string) bool { return strings.Contains(line, part) })
	})
}

// ENVIRONMENTS 4.2.
func TestADeploymentAsksLittle(t *testing.T) {
	t.Parallel()
	w, p := proxied(t, s3server.Unruly{})
	w.env = append(w.env, "PIPE_LEASE_TTL=2m") // no beat comes
	c := w.clone("c")
	c.git("init", "-qb", "main")
	c.write(".gitignore", ".pipe/\napp\n")
	commit := func(app string) {
		c.write("src", app+"\n")
		c.git("add", ".")
		c.git("commit", "-qm", app)
	}
	deploy := func(most int, what string, args ...string) {
		t.Helper()
		since := len(p.Log())
		c.pipe(append([]string{"deploy", "prod"}, args...)...)
		if got := asked(p, since); len(got) > most {
			t.Errorf("%s: %d requests, not %d:\n%s", what, len(got), most, strings.Join(got, "\n"))
			t.Logf("all:\n%s", strings.Join(p.Log()[since:], "\n"))
		}
	}
	commit("one")
	deploy(6+2+7+1, "the first one: it makes the marker, proves conditions and looks for an old history")
	deploy(2, "nothing to do")
	commit("two")
	deploy(6+1, "one stage, and the store's marker")
	deploy(2, "nothing to do")
	deploy(6+1, "forced", "--force")
	commit("one")
	deploy(6+1, "an older version")
}
