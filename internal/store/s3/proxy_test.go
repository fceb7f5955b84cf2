package s3_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/s3server"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/s3"
	"github.com/pipe-build/pipe/internal/store/storetest"
	"github.com/pipe-build/pipe/pkg/digest"
)

// proxy stands before a server and does harm.
type proxy struct {
	URL string

	mu       sync.Mutex
	log      []string // method and query of each request
	request  func(*http.Request)
	instead  func(http.ResponseWriter, *http.Request) bool
	response func(*http.Response) error
}

func newProxy(t testing.TB, srv *s3server.Server) *proxy {
	t.Helper()
	p := &proxy{}
	front := httptest.NewUnstartedServer(p.handler(t, srv))
	if srv.CAFile == "" {
		front.Start()
	} else {
		front.StartTLS()
		trust(t, front)
	}
	t.Cleanup(front.Close)
	p.URL = front.URL
	return p
}

func trust(t testing.TB, front *httptest.Server) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "front.pem")
	b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw})
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	setenv(t, "AWS_CA_BUNDLE", file)
}

func (p *proxy) handler(t testing.TB, srv *s3server.Server) http.Handler {
	t.Helper()
	to, err := url.Parse(srv.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	if srv.CAFile != "" {
		b, err := os.ReadFile(srv.CAFile)
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(b)
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	back := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host // it is signed
		},
		Transport:      transport,
		ModifyResponse: p.modify,
		ErrorHandler:   func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !p.meet(w, r) {
			back.ServeHTTP(w, r)
		}
	})
}

func (p *proxy) meet(w http.ResponseWriter, r *http.Request) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log = append(p.log, r.Method+" "+r.URL.RawQuery)
	if p.request != nil {
		p.request(r)
	}
	return p.instead != nil && p.instead(w, r)
}

func (p *proxy) modify(r *http.Response) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.response == nil {
		return nil
	}
	return p.response(r)
}

// onRequest, onResponse and answer set what the proxy does from now on; answer
// may reply in the server's place.
func (p *proxy) onRequest(f func(*http.Request))         { p.set(func() { p.request = f }) }
func (p *proxy) onResponse(f func(*http.Response) error) { p.set(func() { p.response = f }) }
func (p *proxy) answer(f func(http.ResponseWriter, *http.Request) bool) {
	p.set(func() { p.instead = f })
}

func (p *proxy) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// count returns how many requests had the method and a word in their query.
func (p *proxy) count(method, query string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range p.log {
		m, q, _ := strings.Cut(line, " ")
		if (method == "" || m == method) && strings.Contains(q, query) {
			n++
		}
	}
	return n
}

// broken is a body that ends by f after n bytes.
type broken struct {
	io.ReadCloser
	left int
	then func() error
}

func (b *broken) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, b.then()
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

var errDropped = errors.New("dropped on purpose")

// breakBodies breaks the next answers to GET, each after the next of the counts of bytes.
func breakBodies(p *proxy, then func() error, after ...int) {
	p.onResponse(func(r *http.Response) error {
		if r.Request.Method == http.MethodGet && r.StatusCode < 300 && len(after) > 0 {
			r.Body = &broken{r.Body, after[0], then}
			after = after[1:]
		}
		return nil
	})
}

func TestOpenResumesABrokenBody(t *testing.T) {
	for _, opt := range []s3server.Options{{}, {TLS: true}} {
		p := newProxy(t, start(t, opt))
		s, b := open(t, s3.Config{Endpoint: p.URL}), storetest.Noise(t, 3<<20)
		ref := put(t, s, b)
		breakBodies(p, func() error { return errDropped }, 1<<20, 0, 77_777)
		wantBytes(t, s, ref, b)
		if n := p.count("GET", ""); n != 4 {
			t.Errorf("%d requests, want 4", n)
		}
	}
}

func TestOpenGivesUpOnABodyThatNeverComes(t *testing.T) {
	p := newProxy(t, start(t, s3server.Options{}))
	s, b := open(t, s3.Config{Endpoint: p.URL}), storetest.Noise(t, 5000)
	ref := put(t, s, b)
	breakBodies(p, func() error { return errDropped }, make([]int, 100)...)
	_, err := store.ReadAll(t.Context(), s, ref, 5000)
	wantKind(t, err, diag.Network, "curl")
	if n := p.count("GET", ""); n > 10 {
		t.Errorf("%d requests for one object", n)
	}
}

func TestOpenResumesASilentServer(t *testing.T) {
	p := newProxy(t, start(t, s3server.Options{}))
	s, b := open(t, s3.Config{Endpoint: p.URL, IdleTimeout: 200 * time.Millisecond}), storetest.Noise(t, 3<<20)
	ref := put(t, s, b)
	free := make(chan struct{})
	defer close(free)
	breakBodies(p, func() error { <-free; return errDropped }, 2<<20, 1000)
	wantBytes(t, s, ref, b)
}

func TestServerThatNeverAnswersIsGivenUp(t *testing.T) {
	p := newProxy(t, start(t, s3server.Options{}))
	setenv(t, "AWS_MAX_ATTEMPTS", "1")
	s := open(t, s3.Config{Endpoint: p.URL, IdleTimeout: 100 * time.Millisecond})
	free := make(chan struct{})
	defer close(free)
	p.onResponse(func(*http.Response) error { <-free; return errDropped })
	_, err := s.Open(t.Context(), storetest.File(nil))
	wantKind(t, err, diag.Network, "curl")
}

func TestFlippedByteOnTheWayDownIsCorrupt(t *testing.T) {
	p := newProxy(t, start(t, s3server.Options{}))
	s, b := open(t, s3.Config{Endpoint: p.URL}), storetest.Noise(t, 5000)
	ref := put(t, s, b)
	p.onResponse(func(r *http.Response) error {
		got, err := io.ReadAll(r.Body)
		if len(got) > 10 {
			got[10] ^= 1
		}
		r.Body = io.NopCloser(bytes.NewReader(got))
		return err
	})
	if _, err := store.ReadAll(t.Context(), s, ref, 5000); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("read: %v, want %v", err, store.ErrCorrupt)
	}
}

func TestDamagedCellIsCorrupt(t *testing.T) {
	p := newProxy(t, start(t, s3server.Options{}))
	s := open(t, s3.Config{Endpoint: p.URL})
	if _, err := s.Swap(t.Context(), "env/x/state", "", []byte("some value")); err != nil {
		t.Fatal(err)
	}
	p.onResponse(func(r *http.Response) error {
		got, err := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(bytes.ReplaceAll(got, []byte("some"), []byte("same"))))
		return err
	})
	if _, _, err := s.Load(t.Context(), "env/x/state"); !errors.Is(err, store.ErrCorrupt) || !diag.Is(err, diag.Integrity) {
		t.Errorf("load: %v, want %v", err, store.ErrCorrupt)
	}
}

// A shorter object with a Content-Length to match is no broken connection: only the digest tells.
func TestConsistentTruncationIsCorrupt(t *testing.T) {
	p := newProxy(t, start(t, s3server.Options{}))
	s, b := open(t, s3.Config{Endpoint: p.URL}), storetest.Noise(t, 5000)
	ref := put(t, s, b)
	p.onResponse(func(r *http.Response) error {
		r.Body = io.NopCloser(io.LimitReader(r.Body, 4000))
		r.ContentLength = 4000
		r.Header.Set("Content-Length", strconv.Itoa(4000))
		return nil
	})
	if _, err := store.ReadAll(t.Context(), s, ref, 5000); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("read: %v, want %v", err, store.ErrCorrupt)
	}
}

// flipUp damages the bodies of the next n PUTs.
func flipUp(p *proxy, n int) {
	p.onRequest(func(r *http.Request) {
		if r.Method != http.MethodPut || n == 0 {
			return
		}
		n--
		b, err := io.ReadAll(r.Body)
		if err == nil && len(b) > 0 {
			b[len(b)/2] ^= 1
		}
		r.Body = io.NopCloser(bytes.NewReader(b))
	})
}

func TestServerNoticesDamageOnTheWayUp(t *testing.T) {
	for _, opt := range []s3server.Options{{}, {TLS: true}} {
		p := newProxy(t, start(t, opt))
		s := open(t, s3.Config{Endpoint: p.URL})
		for _, size := range []int{5000, 20 << 20} {
			b := storetest.Noise(t, size)
			flipUp(p, 1)
			wantBytes(t, s, put(t, s, b), b) // sent again
			b = storetest.Noise(t, size)
			flipUp(p, 100)
			if err := s.Put(t.Context(), storetest.File(b), store.Bytes(b)); err == nil {
				t.Errorf("%d damaged bytes were taken over %s", size, p.URL)
			}
			flipUp(p, 0)
			if _, err := s.Stat(t.Context(), storetest.File(b)); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%d damaged bytes are stored: %v", size, err)
			}
		}
	}
}

// loseAnswers drops the connection in place of the next n answers to method.
func loseAnswers(p *proxy, method string, n int) {
	p.onResponse(func(r *http.Response) error {
		if r.Request.Method == method && n > 0 {
			n--
			return errDropped
		}
		return nil
	})
}

func TestRecordFindsItsOwnWriteWhenTheAnswerIsLost(t *testing.T) {
	p := newProxy(t, start(t, s3server.Options{}))
	s := open(t, s3.Config{Endpoint: p.URL})
	loseAnswers(p, http.MethodPut, 1)
	got, err := s.Record(t.Context(), object.RunID{Key: digest.Key{1}}, []byte("mine"))
	if err != nil || string(got) != "mine" {
		t.Errorf("record: %q, %v", got, err)
	}
	loseAnswers(p, http.MethodPut, 1)
	got, err = s.Record(t.Context(), object.RunID{Key: digest.Key{1}}, []byte("another"))
	if err != nil || string(got) != "mine" {
		t.Errorf("record again: %q, %v", got, err)
	}
}

func TestLargePutFindsItsOwnWriteWhenTheAnswerIsLost(t *testing.T) {
	p := newProxy(t, start(t, s3server.Options{}))
	s, b := open(t, s3.Config{Endpoint: p.URL}), storetest.Noise(t, 20<<20)
	p.onResponse(func(r *http.Response) error {
		if r.Request.Method == http.MethodPost && !r.Request.URL.Query().Has("uploads") && p.response != nil {
			p.response = nil
			return errDropped
		}
		return nil
	})
	wantBytes(t, s, put(t, s, b), b)
}
