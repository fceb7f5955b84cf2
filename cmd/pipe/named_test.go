package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/pipe-build/pipe/internal/registry"
	"github.com/pipe-build/pipe/pkg/digest"
)

// web serves the files of a directory on loopback, and notes requests.
type web struct {
	dir  string
	etag bool

	mu  sync.Mutex
	log []string
}

// ServeHTTP implements http.Handler.
func (s *web) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.log = append(s.log, r.Method+" "+r.URL.Path)
	s.mu.Unlock()
	file := filepath.Join(s.dir, filepath.FromSlash(r.URL.Path))
	if b, err := os.ReadFile(file); err == nil && s.etag {
		w.Header().Set("ETag", fmt.Sprintf("%q", digest.Of(b).Short()))
	}
	http.ServeFile(w, r, file)
}

// named is what a script's names stand for: its servers, by the variables with their URLs, and a registry.
type named struct {
	webs     map[string]*web
	registry *registry.Registry
}

// namedKey is the key of it.
type namedKey struct{}

// serve DIR NAME [etag] serves a directory until the script ends, and sets a variable to its URL.
func serve(ts *testscript.TestScript, _ bool, args []string) {
	s := &web{dir: ts.MkAbs(args[0]), etag: len(args) > 2}
	server := httptest.NewServer(s)
	ts.Defer(server.Close)
	ts.Setenv(args[1], server.URL)
	ts.Value(namedKey{}).(*named).webs[args[1]] = s
}

// asked NAME REQUESTS... checks which requests a server has had since the last time.
func asked(ts *testscript.TestScript, _ bool, args []string) {
	s := ts.Value(namedKey{}).(*named).webs[args[0]]
	s.mu.Lock()
	got := strings.Join(s.log, ", ")
	s.log = nil
	s.mu.Unlock()
	if want := strings.Join(args[1:], ", "); got != want {
		ts.Fatalf("requests: %s, want %s", got, want)
	}
}

// image REPOSITORY TAG TEXT gives a tag of a registry an image, and sets REGISTRY to the host and IMAGE to the digest.
// The first one starts the registry.
func image(ts *testscript.TestScript, _ bool, args []string) {
	n := ts.Value(namedKey{}).(*named)
	var err error
	if n.registry == nil {
		n.registry, err = registry.StartMain(context.Background(), ts.MkAbs("."), registry.Options{})
		ts.Check(err)
		ts.Defer(n.registry.Stop)
	}
	digest, err := n.registry.Push(context.Background(), args[0], args[1], args[2])
	ts.Check(err)
	ts.Setenv("REGISTRY", n.registry.Host)
	ts.Setenv("IMAGE", digest)
}

// unregister stops the registry.
func unregister(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Value(namedKey{}).(*named).registry.Stop()
}
