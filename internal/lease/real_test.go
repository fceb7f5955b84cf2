package lease_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/lease"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/s3server"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/disk"
	"github.com/pipe-build/pipe/internal/store/s3"
)

// start starts a server and makes its credentials those of the test.
func start(t *testing.T) *s3server.Server {
	t.Helper()
	srv := s3server.Start(t, s3server.Options{})
	for _, name := range []string{"AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE", "AWS_MAX_ATTEMPTS"} {
		t.Setenv(name, "")
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	for _, kv := range srv.Env() {
		name, value, _ := strings.Cut(kv, "=")
		t.Setenv(name, value)
	}
	return srv
}

func open(t *testing.T, endpoint string) *s3.Store {
	t.Helper()
	s, err := s3.Open(t.Context(), s3.Config{URL: "s3://test-bucket/p", Endpoint: endpoint})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// tap is a proxy that counts requests, and may let writes lie until they are let go.
type tap struct {
	URL string

	mu    sync.Mutex
	count map[string]int
	stuck chan struct{} // nil: nothing lies
	lying sync.WaitGroup
}

func newTap(t *testing.T, srv *s3server.Server) *tap {
	t.Helper()
	to, err := url.Parse(srv.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	p := &tap{count: map[string]int{}}
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.Transport = p
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	front := httptest.NewServer(proxy)
	t.Cleanup(front.Close)
	p.URL = front.URL
	return p
}

// RoundTrip implements http.RoundTripper. A write that lay arrives though nobody waits for it.
func (p *tap) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	p.count[r.Method]++
	stuck := p.stuck
	if stuck != nil && r.Method == http.MethodPut {
		p.lying.Add(1)
	}
	p.mu.Unlock()
	if stuck == nil || r.Method != http.MethodPut {
		return http.DefaultTransport.RoundTrip(r)
	}
	defer p.lying.Done()
	late := r.Clone(context.WithoutCancel(r.Context()))
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	late.Body = io.NopCloser(bytes.NewReader(body))
	<-stuck
	return http.DefaultTransport.RoundTrip(late)
}

func TestADeploymentOnARealServerIsThreeRequests(t *testing.T) {
	p := newTap(t, start(t))
	s := open(t, p.URL)
	if err := acquire(t, s, 1, "").Free(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p.count[http.MethodGet] != 1 || p.count[http.MethodPut] != 2 || len(p.count) != 2 {
		t.Errorf("%v", p.count)
	}
}

// both calls f with a directory and with a server a share of whose answers is harmed, and with
// a function that opens it again.
func both(t *testing.T, share float64, f func(t *testing.T, open func() store.Cells)) {
	srv := start(t)
	dir := t.TempDir()
	stores := map[string]func() store.Cells{
		"directory": func() store.Cells { return disk.Open(dir) },
		"server":    func() store.Cells { return open(t, srv.Faulty(t, 1, share).Endpoint) },
	}
	t.Run("", func(t *testing.T) {
		for name, open := range stores {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f(t, open)
			})
		}
	})
}

func TestChangesByManyOnARealStoreAreAllInOnce(t *testing.T) {
	both(t, 0.15, func(t *testing.T, open func() store.Cells) {
		const clients, each = 4, 8
		lines := make([]store.Cells, clients)
		for i := range lines {
			lines[i] = open()
		}
		err := par.Each(t.Context(), clients, clients, func(ctx context.Context, i int) error {
			d := lease.Open(lines[i], "doc"+t.Name())
			for n := range each {
				if _, err := d.Change(ctx, word(fmt.Sprint(i, "-", n))); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		seen, err := lease.Open(lines[0], "doc"+t.Name()).Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got, err := parse(seen)
		slices.Sort(got.Words)
		if err != nil || len(got.Words) != clients*each || len(slices.Compact(got.Words)) != clients*each {
			t.Errorf("%q, %v", got.Words, err)
		}
	})
}

// This one waits: a lease of a second is taken over after ten more, and another one that is
// renewed all the time is not.
func TestOnARealStoreADeadSlotIsTakenAndALivingOneIsNot(t *testing.T) {
	both(t, 0, func(t *testing.T, open func() store.Cells) {
		a, b, name := open(), open(), "limits/"+t.Name()
		lives, err := lease.Acquire(t.Context(), a, name, 2, lease.Lease{By: "lives", TTL: 30}, nil)
		if err != nil {
			t.Fatal(err)
		}
		dead, err := lease.Acquire(t.Context(), a, name, 2, lease.Lease{By: "dead", TTL: 1}, nil)
		if err != nil {
			t.Fatal(err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if err := dead.Free(gone); err == nil {
			t.Fatal("it was freed")
		}
		began := time.Now()
		third, err := lease.Acquire(t.Context(), b, name, 2, lease.Lease{By: "third", TTL: 120}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < lease.Grace-time.Second {
			t.Errorf("taken over after %v", took)
		}
		for _, slot := range []*lease.Slot{lives, third} {
			if err := slot.Free(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}

// What a holder sent before it was cut off arrives after another has taken over.
func TestOnARealServerAWriteThatArrivesLateDoesNoHarm(t *testing.T) {
	srv := start(t)
	p := newTap(t, srv)
	d := lease.Open(open(t, p.URL), "doc")
	sent, err := d.Change(t.Context(), edit("mine", func(s *state) error { s.Lease = &lease.Lease{Nonce: "mine", TTL: 1}; return nil }))
	if err != nil {
		t.Fatal(err)
	}
	stuck := make(chan struct{})
	p.mu.Lock()
	p.stuck = stuck
	p.mu.Unlock()
	h := d.Hold(t.Context(), time.Second, sent, renew)
	<-h.Context().Done()
	other := lease.Open(open(t, srv.Endpoint), "doc")
	if _, err := other.Change(t.Context(), edit("theirs", func(s *state) error { s.Lease = &lease.Lease{Nonce: "theirs"}; return nil })); err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	puts := p.count[http.MethodPut]
	p.mu.Unlock()
	close(stuck)
	p.lying.Wait()
	if puts < 2 {
		t.Errorf("nothing lay: %d writes", puts)
	}
	seen, err := other.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := parse(seen); err != nil || got.Lease.Nonce != "theirs" {
		t.Errorf("%+v, %v", got.Lease, err)
	}
	if err := h.Free(t.Context(), leave); !errors.Is(err, lease.ErrLost) {
		t.Error(err)
	}
}
