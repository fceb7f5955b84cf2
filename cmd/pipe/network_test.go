//go:build !windows

package main

import (
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pipe-build/pipe/internal/s3server"
)

// aboutFaults has a directory, a file that never comes out twice alike, and a deployment
// that notes each time it runs.
const aboutFaults = `project: shop
remote: s3://test-bucket/PREFIX
stages:
  files: {cmd: "mkdir out; for i in $(seq 12); do { echo $i; cat src; } > out/$i; done", deps: [src], outs: [out]}
  stamp: {cmd: "{ cat src; date +%s%N; } > stamp", deps: [src], outs: [stamp]}
  large: {cmd: "cat src > large; head -c 17000000 /dev/urandom >> large", deps: [seed], outs: [large]}
  ship:  {cmd: "cat src stamp out/12 >> DIR/ships; echo shipped >> DIR/ships", deps: [src, out, stamp], deploy: true}
`

// faulty is a project whose remote is a server behind a faulty proxy.
type faulty struct {
	*place
	beside, store string
	proxy         *s3server.Faulty
}

func newFaulty(t *testing.T, seed uint64, share float64) *faulty {
	server := s3server.Start(t, s3server.Options{})
	proxy := server.Faulty(t, seed, share)
	env := append(server.Env(), "AWS_ENDPOINT_URL_S3="+proxy.Endpoint)
	f := &faulty{newPlace(t, env...), quickDir(t), filepath.Join(server.Dir, server.Bucket, "p"), proxy}
	f.write("pipe.yaml", strings.NewReplacer("PREFIX", "p", "DIR", f.beside).Replace(aboutFaults))
	f.write("seed", "1")
	return f
}

// clone is a fresh clone: what git carries, and no cache.
func (f *faulty) clone(why string) *place {
	f.t.Helper()
	c := newPlace(f.t, f.env...)
	for _, name := range []string{"pipe.yaml", "pipe.lock", "src", "seed"} {
		c.write(name, f.read(name))
	}
	if out := c.pipe("pull"); !strings.Contains(out, "pulled") {
		f.t.Fatalf("%s: %s", why, out)
	}
	for _, name := range []string{"out", "stamp", "large"} {
		if got, want := contentOf(f.t, c.path(name)), contentOf(f.t, f.path(name)); len(want) == 0 || !maps.Equal(got, want) {
			f.t.Fatalf("%s: %s is not what was pushed", why, name)
		}
	}
	return c
}

// Every tenth request fails in one way or another, and nobody notices: what is published is
// there and whole, every pull brings it, no deployment runs twice, and nothing else lies.
func TestAConnectionThatFailsNowAndThenHarmsNothing(t *testing.T) {
	t.Parallel()
	f := newFaulty(t, rand.Uint64(), 0.1)
	rounds := kills() / 2
	for i := range rounds {
		why := fmt.Sprintf("round %d", i)
		f.write("src", why+"\n")
		if i%2 == 0 {
			f.pipe("repro", "--push")
		} else {
			f.pipe("repro", "files", "stamp", "large")
			f.pipe("push")
			f.pipe("repro")
		}
		b, err := os.ReadFile(filepath.Join(f.beside, "ships"))
		must(t, err)
		if n := strings.Count(string(b), "shipped"); n != i+1 || !strings.Contains(string(b), why) {
			t.Fatalf("%s: %d deployments", why, n)
		}
		if out := f.pipe("push"); !strings.Contains(out, "up to date") {
			t.Fatalf("%s: what was published is not there: %s", why, out)
		}
		c := f.clone(why)
		if i%5 == 0 {
			c.pipe("verify", "--remote")
			c.pipe("status")
			c.pipe("gc", "--yes")
			c.pipe("find", strings.Fields(c.pipe("hash", "stamp"))[0], "-o", "found")
			if c.read("found") != f.read("stamp") {
				t.Fatalf("%s: find brought something else", why)
			}
		}
		must(t, os.RemoveAll(c.dir))
	}
	if found := lies(t, f.store); found != nil {
		t.Error(found)
	}
	if n := len(f.proxy.Harmed()); n < 5 {
		t.Errorf("only %d sorts of harm were done", n)
	}
	t.Logf("%d rounds, harmed: %v", rounds, f.proxy.Harmed())
}

// unanswering are servers that nobody can work with, each at a URL.
func unanswering(t *testing.T) map[string]string {
	t.Helper()
	over := make(chan struct{})
	serve := func(f http.HandlerFunc) string {
		s := httptest.NewServer(f)
		t.Cleanup(s.Close)
		return s.URL
	}
	urls := map[string]string{
		"silent": serve(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-over
		}),
		"headers and no body": serve(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "5000")
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			<-over
		}),
		"resets":   serve(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
		"no names": "http://no-such-host.invalid",
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	urls["refuses"] = gone.URL
	t.Cleanup(func() { close(over) }) // before the servers close, which wait for their requests
	return urls
}

func TestAServerThatDoesNotAnswerEndsEveryCommand(t *testing.T) {
	t.Parallel()
	f := newFaulty(t, 1, 0)
	f.write("src", "1\n")
	f.pipe("repro", "--push")
	hash := strings.Fields(f.pipe("hash", "stamp"))[0]
	for name, url := range unanswering(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, slices.Concat(f.env, []string{"AWS_ENDPOINT_URL_S3=" + url, "PIPE_REMOTE_TIMEOUT=1s"})...)
			for _, file := range []string{"pipe.yaml", "pipe.lock", "src", "seed"} {
				p.write(file, f.read(file))
			}
			for _, args := range [][]string{
				{"pull"}, {"push"}, {"verify", "--remote"}, {"find", hash, "-o", "found"}, {"remote", "probe"}, {"repro", "--push", "-k"}, {"repro", "files"},
			} {
				if args[0] == "repro" {
					p.write("src", "2\n")
				}
				c := p.start(args...)
				code := p.end(c)
				out := c.out.String()
				if code != 5 || !strings.Contains(out, "s3://test-bucket/p") || !strings.Contains(out, "hint: ") {
					t.Errorf("%s: exit code %d\n%s", args, code, out)
				}
				if name == "silent" && strings.Count(out, "note: waiting for s3://test-bucket/p (no answer for 0.5 s)") != 1 {
					t.Errorf("%s: not told once what is waited for\n%s", args, out)
				}
			}
		})
	}
}

// mortal is a server that goes silent after some requests.
func mortal(t *testing.T, f *faulty, requests int64) string {
	t.Helper()
	over := make(chan struct{})
	var n atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) > requests {
			_, _ = io.Copy(io.Discard, r.Body)
			<-over
			return
		}
		f.proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { close(over); s.Close() })
	return s.URL
}

func TestAServerThatDiesHalfWayLeavesNothingHalfDone(t *testing.T) {
	t.Parallel()
	f := newFaulty(t, 1, 0)
	f.write("src", "1\n")
	f.pipe("repro", "files", "stamp", "large")
	dying := func(p *place, requests int64, args ...string) string {
		t.Helper()
		q := &place{t, p.dir, slices.Concat(f.env, []string{"AWS_ENDPOINT_URL_S3=" + mortal(t, f, requests), "PIPE_REMOTE_TIMEOUT=1s"})}
		c := q.start(args...)
		if code := q.end(c); code != 5 || !strings.Contains(c.out.String(), "s3://test-bucket/p") {
			t.Errorf("%s, dead after %d requests: exit code %d\n%s", args, requests, code, &c.out)
		}
		return c.out.String()
	}
	for _, requests := range []int64{1, 3, 10, 18} {
		dying(f.place, requests, "push")
		if found := lies(t, f.store); found != nil {
			t.Errorf("dead after %d requests: %v", requests, found)
		}
	}
	f.pipe("push")
	c := newPlace(t, f.env...)
	for _, name := range []string{"pipe.yaml", "pipe.lock", "src", "seed"} {
		c.write(name, f.read(name))
	}
	for _, requests := range []int64{1, 5, 10} {
		dying(c, requests, "pull")
		for _, name := range []string{"out", "stamp", "large"} {
			if _, err := os.Lstat(c.path(name)); err == nil {
				t.Errorf("dead after %d requests: %s is there", requests, name)
			}
		}
	}
	c.pipe("pull")
	// A deployment whose begin cannot be written does not run.
	for _, requests := range []int64{2, 6} {
		dying(f.place, requests, "repro")
		if _, err := os.Lstat(filepath.Join(f.beside, "ships")); err == nil {
			t.Errorf("dead after %d requests: it was deployed", requests)
		}
	}
	f.pipe("repro")
	if b, err := os.ReadFile(filepath.Join(f.beside, "ships")); err != nil || strings.Count(string(b), "shipped") != 1 {
		t.Errorf("%q, %v", b, err)
	}
}
