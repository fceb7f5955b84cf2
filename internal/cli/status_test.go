package cli

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
)

// credentials are for servers that ask for some; no other ones are looked for.
func credentials(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_SESSION_TOKEN", "precious")
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("HTTP_PROXY", "")
}

// point lets pipe.yaml name a server.
func (p *place) point(endpoint, more string) {
	p.write("pipe.yaml", strings.Replace(p.yaml, "remote: ../remote", `remote: {main: {url: "s3://bucket/x", endpoint: "`+endpoint+`"`+more+`}}`, 1))
}

// TestAnUnreadEnvironmentIsNeverExitCode0: what could be said stands on stdout all the same.
func TestAnUnreadEnvironmentIsNeverExitCode0(t *testing.T) {
	credentials(t)
	forbidden := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	defer forbidden.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	for name, c := range map[string]struct {
		code     int
		endpoint string
		state    string
	}{
		"untrusted": {9, "http://0.0.0.0:1", ""}, "forbidden": {4, forbidden.URL, ""}, "unreachable": {5, gone.URL, ""},
		"damaged": {7, "", "{"}, "newer": {9, "", `{"schema":99}`},
	} {
		t.Run(name, func(t *testing.T) {
			// What comes first in order fails first; the others are decided all the same.
			yaml := shop
			for i := range 4 * runtime.GOMAXPROCS(0) {
				yaml += fmt.Sprintf("  a%03d: {deploy: true, cmd: 'true', deps: [src]}\n", i)
			}
			p := newPlace(t, yaml)
			p.run(0, "repro", "--push")
			if c.endpoint != "" {
				p.point(c.endpoint, "")
			} else {
				p.write("../remote/projects/shop/env/default/state", c.state)
			}
			said := func() {
				t.Helper()
				if !strings.Contains(p.out, "build   skip") || !strings.Contains(p.out, "deploy  unknown") {
					t.Errorf("%q", p.out)
				}
			}
			p.run(0, "status")
			if said(); !strings.Contains(p.out, "note: ") {
				t.Errorf("%q", p.out)
			}
			p.run(c.code, "status", "--exit-code")
			said()
			p.run(c.code, "plan")
			said()
			for _, args := range [][]string{{"status", "--exit-code", "--json"}, {"plan", "--json"}} {
				p.run(c.code, args...)
				answer, fault, _ := strings.Cut(p.out, "\n")
				if !strings.Contains(answer, `{"stage":"build","verb":"skip"`) || !strings.Contains(fault, `"schema":"pipe.error/1"`) {
					t.Errorf("%v: %q", args, p.out)
				}
			}
		})
	}
}
