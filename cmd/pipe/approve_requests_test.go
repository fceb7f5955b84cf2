//go:build !windows

package main

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/s3server"
)

// guarded is a project whose production needs an approval, behind a proxy that counts.
type guarded struct {
	*place
	proxy *s3server.Proxy
}

func newGuarded(t *testing.T) *guarded {
	server := s3server.Start(t, s3server.Options{})
	proxy := server.Proxy(s3server.Unruly{})
	t.Cleanup(proxy.Close)
	env := append(server.Env(), "AWS_ENDPOINT_URL_S3="+proxy.Endpoint, "CI=")
	g := &guarded{newPlace(t, env...), proxy}
	for _, who := range []string{"alice", "bob"} {
		out, err := exec.CommandContext(t.Context(), "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", who+"@acme.io", "-f", g.path(who)).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v", out, err)
		}
	}
	g.write(".approvers", "alice@acme.io "+g.read("alice.pub")+"bob@acme.io "+g.read("bob.pub"))
	g.write("src", "one\n")
	g.write("pipe.yaml", `project: shop
remote: s3://test-bucket/p
stages: {api: {deploy: true, cmd: 'cat src', deps: [src], env: [STACK]}}
environments:
  staging: {env: {STACK: stg}}
  production: {from: staging, approve: {signers: .approvers}, env: {STACK: prd}}
`)
	return g
}

// during returns the requests that a call of pipe makes, as METHOD PATH.
func (g *guarded) during(code int, args ...string) (log []string) {
	g.t.Helper()
	before := len(g.proxy.Log())
	c := g.start(args...)
	if got := g.end(c); got != code {
		g.t.Fatalf("%s: exit code %d\n%s", c.Args, got, &c.out)
	}
	return g.proxy.Log()[before:]
}

// A role that may only get objects and put approvals can approve, and one that may only get and put
// can deploy: nobody needs the right to list.
func TestApprovalsNeedNoRightToList(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	g.pipe("deploy", "staging")
	for _, step := range []struct {
		code int
		args []string
		puts string // what each PUT must fit
	}{
		{9, []string{"deploy", "production"}, `/(env/production/((guards|requests)/[0-9a-f]{64}|state)|releases/r-[0-9a-f]{64})$`},
		{0, []string{"approve", "production", "-y", "--key", g.path("bob")}, `/env/production/approvals/[0-9a-f]{64}/[0-9a-f]{64}/0$`},
		{0, []string{"deploy", "production"}, `/(env/production/(guards/[0-9a-f]{64}|state|log/1)|releases/r-[0-9a-f]{64})$|/logs/|/probe/`},
	} {
		fits := regexp.MustCompile(step.puts)
		for _, line := range g.during(step.code, step.args...) {
			method, path, _ := strings.Cut(line, " ")
			path, query, _ := strings.Cut(path, "?")
			if method == "PUT" && !fits.MatchString(path) || strings.Contains(query, "list-type") || strings.Contains(query, "prefix=") {
				t.Errorf("%v: %s", step.args, line)
			}
		}
	}
}

// What stands before an environment costs a request for each place where something can be, and
// nothing where nobody is asked.
func TestWhatAGateCosts(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	count := func(log []string, part string) (n int) {
		for _, line := range log {
			if strings.HasPrefix(line, "GET ") && strings.Contains(line, part) {
				n++
			}
		}
		return n
	}
	log := g.during(0, "deploy", "staging")
	for _, part := range []string{"/production/", "/requests/", "/approvals/", "/guards/"} {
		if n := count(log, part); n != 0 {
			t.Errorf("staging: %d times %s", n, part)
		}
	}
	log = g.during(3, "plan", "--env", "production")
	if n := count(log, "/env/staging/state"); n != 1 {
		t.Errorf("from: %d times", n)
	}
	if n := count(log, "/approvals/"); n != 0 {
		t.Errorf("without a request: %d times", n)
	}
	g.during(9, "deploy", "production")
	log = g.during(3, "plan", "--env", "production")
	if n := count(log, "/approvals/"); n != 2 { // one for each signer
		t.Errorf("approvals: %d times", n)
	}
	g.pipe("approve", "production", "-y", "--key", g.path("bob"))
	log = g.during(0, "deploy", "production")
	if n := count(log, "/env/staging/state"); n != 1 {
		t.Errorf("from: %d times", n)
	}
	log = g.during(0, "deploy", "production") // it is live
	if n := count(log, "/approvals/") + count(log, "/requests/") + count(log, "/staging/"); n != 0 {
		t.Errorf("nothing to do: %d requests\n%s", n, strings.Join(log, "\n"))
	}
}
