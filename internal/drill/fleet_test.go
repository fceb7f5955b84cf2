//go:build linux

package drill

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/s3server"
)

// fleet is a project with an environment for each of many customers.
type fleet struct {
	*clone
	proxy *s3server.Proxy
	since int // requests before the last run

	all, held, failing, current, off []string
}

// newFleet has a tenth of all environments not automatic, and some held, failing and current.
func newFleet(t *testing.T, size int) *fleet {
	w, p := proxied(t, s3server.Unruly{})
	w.env = append(w.env, "PIPE_LEASE_TTL=2m") // no beat comes
	f := &fleet{clone: w.clone("c"), proxy: p}
	var tenants strings.Builder
	for i := range size {
		name := fmt.Sprintf("cust-%03d", i)
		switch f.all = append(f.all, name); {
		case i%10 == 9:
			f.off = append(f.off, name)
			fmt.Fprintf(&tenants, "%s: {env: {STACK: %s}, auto: false}\n", name, name)
			continue
		case i < 3:
			f.held = append(f.held, name)
		case i < 5:
			f.failing = append(f.failing, name)
		case len(f.current) < size/20:
			f.current = append(f.current, name)
		}
		fmt.Fprintf(&tenants, "%s: {env: {STACK: %s}}\n", name, name)
	}
	f.write("tenants.yaml", tenants.String())
	f.write("pipe.yaml", strings.NewReplacer("REMOTE", w.url, "DIR", w.dir).Replace(`project: shop
remote: REMOTE
stages:
  build: {cmd: cp src app, deps: [src], outs: [app]}
  ship:
    deploy: true
    cmd: echo $PIPE_ENV $STACK $(cat app) >> DIR/log; test ! -e DIR/fail.$STACK
    deps: [app]
    env: [STACK]
environments:
  customers: {each: tenants.yaml, auto: main}
`))
	f.write(".gitignore", ".pipe/\napp\n")
	f.git("init", "-qb", "main")
	f.git("add", ".")
	f.git("commit", "-qm", "one")
	return f
}

// deploys runs a deployment and returns what it printed.
func (f *fleet) deploys(code int, args ...string) string {
	f.t.Helper()
	must(f.t, os.RemoveAll(f.beside("log")))
	f.since = len(f.proxy.Log())
	p := f.start(append([]string{"deploy"}, args...)...)
	if got := p.end(); got != code {
		f.t.Fatalf("exit code %d, not %d: %s", got, code, p)
	}
	return p.String()
}

// ran checks for which environments commands ran.
func (f *fleet) ran(want []string) {
	f.t.Helper()
	log := f.read("log")
	for _, name := range want {
		if !strings.Contains(log, name+" "+name+" ") {
			f.t.Errorf("%s was not deployed", name)
		}
	}
	if n := strings.Count(log, "\n"); n != len(want) {
		f.t.Errorf("%d commands, not %d", n, len(want))
	}
}

// askedFor checks how many requests were made for each of some environments since the last run.
func (f *fleet) askedFor(what string, names []string, want int) {
	f.t.Helper()
	for _, name := range names {
		n := 0
		for _, line := range f.proxy.Log()[f.since:] {
			if strings.Contains(line, "/env/"+name+"/") {
				n++
			}
		}
		if n != want {
			f.t.Errorf("%s %s: %d requests, not %d", what, name, n, want)
		}
	}
}

func (f *fleet) fail(names []string, fails bool) {
	f.t.Helper()
	for _, name := range names {
		at := f.beside("fail." + name)
		if fails {
			must(f.t, os.WriteFile(at, nil, 0o666))
			continue
		}
		must(f.t, os.Remove(at))
	}
}

// One that fails, or is held, keeps no other back; the next run deploys what is left.
func TestAnEnvironmentForEachCustomer(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 100)
	f.deploys(0, append([]string{"--hold"}, f.held...)...)
	f.write("src", "two\n")
	f.git("commit", "-qam", "two")
	f.deploys(0, f.current...)
	f.fail(f.failing, true)

	began := time.Now()
	said := f.deploys(1, "--auto", "--all")
	t.Logf("%d environments: %s, %d requests", len(f.all), time.Since(began), len(f.proxy.Log())-f.since)
	left := without(f.all, f.off, f.held, f.current)
	f.ran(left)
	for outcome, names := range map[string][]string{"held": f.held, "failed": f.failing, "current": f.current, "off": f.off, "deployed": without(left, f.failing)} {
		for _, name := range names {
			if !strings.Contains(said, fmt.Sprintf("%s  %s", name, outcome)) {
				t.Errorf("the table does not say that %s is %s", name, outcome)
			}
		}
	}
	f.askedFor("off", f.off, 0)
	f.askedFor("held", f.held, 1)
	f.askedFor("current", f.current, 1)
	if n := f.proxy.Count("DELETE", "/probe/"); n > 3 { // one for each run so far
		t.Errorf("the remote was probed %d times", n)
	}
	if t.Failed() {
		t.Log(said)
	}

	f.fail(f.failing, false)
	f.deploys(0, "--auto", "--all")
	f.ran(f.failing)
	f.askedFor("held", f.held, 1)
	f.askedFor("live", without(left, f.failing), 1)
	for _, name := range f.held {
		b, err := os.ReadFile(filepath.Join(f.store, "projects", "shop", "env", name, "state"))
		must(t, err)
		if !strings.Contains(string(b), `"hold":{`) {
			t.Errorf("%s is not held any more", name)
		}
	}
}

// without returns the names that are in none of the others.
func without(names []string, others ...[]string) (left []string) {
	out := map[string]bool{}
	for _, o := range others {
		for _, name := range o {
			out[name] = true
		}
	}
	for _, name := range names {
		if !out[name] {
			left = append(left, name)
		}
	}
	return left
}
