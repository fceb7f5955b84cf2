package s3_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/s3server"
	"github.com/pipe-build/pipe/internal/store/s3"
	"github.com/pipe-build/pipe/pkg/digest"
)

// careless is a server for the probe that is deaf to one condition and to signatures.
type careless struct {
	deaf string

	mu    sync.Mutex
	cells map[string]string
}

// ServeHTTP implements http.Handler.
func (c *careless) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, _ := io.ReadAll(r.Body)
	old, there := c.cells[r.URL.Path]
	etag := func(v string) string { return `"` + digest.Of([]byte(v)).Short() + `"` }
	create, match := r.Header.Get("If-None-Match"), r.Header.Get("If-Match")
	switch {
	case r.Method == http.MethodPut && create != "" && c.deaf != "If-None-Match" && there,
		r.Method == http.MethodPut && match != "" && c.deaf != "If-Match" && match != etag(old):
		w.WriteHeader(http.StatusPreconditionFailed)
	case r.Method == http.MethodPut:
		c.cells[r.URL.Path] = string(b)
		w.Header().Set("ETag", etag(string(b)))
	case r.Method == http.MethodGet:
		w.Header().Set("ETag", etag(old))
		_, _ = io.WriteString(w, old)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

func TestProbeRefusesAServerThatIgnoresConditions(t *testing.T) {
	use(t, &s3server.Server{AccessKey: "test-access-key", SecretKey: "test-secret-key"})
	for _, c := range []struct{ header, want string }{
		{"", ""},
		{"If-None-Match", "a second conditional create"},
		{"If-Match", "a write with a stale If-Match"},
	} {
		srv := httptest.NewServer(&careless{deaf: c.header, cells: map[string]string{}})
		err := open(t, s3.Config{Endpoint: srv.URL}).Probe(t.Context())
		srv.Close()
		if c.header == "" {
			if err != nil {
				t.Errorf("a careful server: %v", err)
			}
			continue
		}
		wantKind(t, err, diag.Policy, "If-None-Match")
		if err == nil || !strings.Contains(err.Error(), c.want+" (it answered 200, not 412)") {
			t.Errorf("without %s: %v, want %q", c.header, err, c.want)
		}
	}
}

func TestProbeRefusesAServerThatRefusesConditions(t *testing.T) {
	p := newProxy(t, start(t, s3server.Options{}))
	s := open(t, s3.Config{Endpoint: p.URL})
	var scratch atomic.Bool
	p.answer(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut {
			return false
		}
		scratch.Store(strings.Contains(r.URL.Path, "/probe/"))
		w.WriteHeader(http.StatusNotImplemented)
		_, _ = io.WriteString(w, `<Error><Code>NotImplemented</Code><Message>A header you provided implies functionality that is not implemented</Message></Error>`)
		return true
	})
	wantKind(t, s.Probe(t.Context()), diag.Policy, "If-None-Match")
	if !scratch.Load() {
		t.Error("the probe wrote outside probe/")
	}
}
