package s3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
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

// start starts a server and makes it the one that the environment names.
func start(t *testing.T, opt s3server.Options) *s3server.Server {
	t.Helper()
	srv := s3server.Start(t, opt)
	use(t, srv)
	return srv
}

func use(t testing.TB, srv *s3server.Server) {
	t.Helper()
	for _, name := range []string{"AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE"} {
		setenv(t, name, "")
	}
	for _, kv := range srv.Env() {
		name, value, _ := strings.Cut(kv, "=")
		setenv(t, name, value)
	}
	setenv(t, "AWS_MAX_ATTEMPTS", "2")
}

// setenv sets a variable for the test; no value takes it out.
func setenv(t testing.TB, name, value string) {
	t.Helper()
	t.Setenv(name, value)
	if value == "" {
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
}

func open(t testing.TB, cfg s3.Config) *s3.Store {
	t.Helper()
	if cfg.URL == "" {
		cfg.URL = "s3://test-bucket/some/prefix"
	}
	s, err := s3.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func put(t testing.TB, s *s3.Store, b []byte) object.Ref {
	t.Helper()
	ref := storetest.File(b)
	if err := s.Put(t.Context(), ref, store.Bytes(b)); err != nil {
		t.Fatal(err)
	}
	return ref
}

func wantBytes(t *testing.T, s store.Store, ref object.Ref, want []byte) {
	t.Helper()
	got, err := store.ReadAll(t.Context(), s, ref, int64(len(want)))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("read %d bytes, %v; want the %d that were put", len(got), err, len(want))
	}
}

func wantKind(t *testing.T, err error, kind diag.Kind, hint string) {
	t.Helper()
	var e *diag.Error
	if !errors.As(err, &e) || e.Kind != kind || e.Place == "" || !strings.Contains(e.Hint, hint) || e.Hint == "" {
		t.Errorf("error %v (%+v), want kind %s, a place, and a hint with %q", err, e, kind, hint)
	}
	if err != nil && strings.Contains(fmt.Sprintf("%v %+v", err, e), "secret") {
		t.Errorf("the error tells a secret: %v", err)
	}
}

func TestConformanceOverHTTP(t *testing.T) {
	start(t, s3server.Options{})
	storetest.Run(t, func(t *testing.T) store.Remote { return open(t, s3.Config{}) })
}

func TestConformanceOverTLS(t *testing.T) {
	start(t, s3server.Options{TLS: true})
	storetest.Run(t, func(t *testing.T) store.Remote { return open(t, s3.Config{URL: "s3://test-bucket"}) })
}

func TestObjectsLieWhereThePathsSay(t *testing.T) {
	srv := start(t, s3server.Options{})
	s, b := open(t, s3.Config{URL: "s3://test-bucket/some/prefix/"}), []byte("bytes of a file, exactly")
	ref := put(t, s, b)
	got, err := os.ReadFile(filepath.Join(srv.Dir, srv.Bucket, "some/prefix", store.Path(ref)))
	if err != nil || !bytes.Equal(got, b) {
		t.Errorf("%q, %v", got, err)
	}
	if s.URL() != "s3://test-bucket/some/prefix" {
		t.Errorf("URL %q", s.URL())
	}
}

func TestConfigFaultsAreUsage(t *testing.T) {
	for _, cfg := range []s3.Config{
		{URL: "bucket"},
		{URL: "s3://"},
		{URL: "https://host/x"},
		{URL: "s3://key:secret@bucket"},
		{URL: "s3://bucket", Endpoint: "127.0.0.1:9000"},
		{URL: "s3://bucket", Endpoint: "https://key:secret@host"},
	} {
		_, err := s3.Open(t.Context(), cfg)
		if !diag.Is(err, diag.Usage) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%+v: %v, want a usage error without the secret", cfg, err)
		}
	}
}

func TestMissingProfileAndRegionAreNamed(t *testing.T) {
	use(t, &s3server.Server{})
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL_S3"} {
		setenv(t, name, "")
	}
	_, err := s3.Open(t.Context(), s3.Config{URL: "s3://test-bucket"})
	wantKind(t, err, diag.Usage, "AWS_REGION")
	_, err = s3.Open(t.Context(), s3.Config{URL: "s3://test-bucket", Profile: "nobody"})
	wantKind(t, err, diag.Auth, "list-profiles")
}

// each calls f with the error of every operation that s fails.
func each(t *testing.T, s *s3.Store, f func(t *testing.T, err error)) {
	t.Helper()
	b := storetest.Noise(t, 100)
	large := storetest.Noise(t, 17<<20)
	ops := map[string]func(ctx context.Context) error{
		"Stat":     func(ctx context.Context) error { _, err := s.Stat(ctx, storetest.File(b)); return err },
		"Open":     func(ctx context.Context) error { _, err := s.Open(ctx, storetest.File(b)); return err },
		"Put":      func(ctx context.Context) error { return s.Put(ctx, storetest.File(b), store.Bytes(b)) },
		"PutLarge": func(ctx context.Context) error { return s.Put(ctx, storetest.File(large), store.Bytes(large)) },
		"Lookup":   func(ctx context.Context) error { _, err := s.Lookup(ctx, object.RunID{Key: digest.Key{1}}); return err },
		"Record": func(ctx context.Context) error {
			_, err := s.Record(ctx, object.RunID{Key: digest.Key{1}}, b)
			return err
		},
		"Load":  func(ctx context.Context) error { _, _, err := s.Load(ctx, "env/x/state"); return err },
		"Swap":  func(ctx context.Context) error { _, err := s.Swap(ctx, "env/x/state", "", b); return err },
		"Probe": s.Probe,
		"List":  func(ctx context.Context) error { return s.List(ctx, func(store.Entry) error { return nil }) },
		"Names": func(ctx context.Context) error { return s.Names(ctx, "env", func(string) error { return nil }) },
	}
	for name, op := range ops {
		t.Run(name, func(t *testing.T) { f(t, op(t.Context())) })
	}
}

func TestWrongCredentialsAreAuth(t *testing.T) {
	start(t, s3server.Options{})
	auth := func(t *testing.T, err error) {
		wantKind(t, err, diag.Auth, "AWS_ACCESS_KEY_ID")
		if errors.Is(err, store.ErrNotFound) {
			t.Errorf("%v passes for a missing object", err)
		}
	}
	setenv(t, "AWS_ACCESS_KEY_ID", "unknown-access-key")
	each(t, open(t, s3.Config{}), auth)
	setenv(t, "AWS_ACCESS_KEY_ID", "test-access-key")
	setenv(t, "AWS_SECRET_ACCESS_KEY", "another-secret-key")
	each(t, open(t, s3.Config{}), auth)
	setenv(t, "AWS_ACCESS_KEY_ID", "")
	setenv(t, "AWS_SECRET_ACCESS_KEY", "")
	each(t, open(t, s3.Config{}), auth)
}

func TestMissingBucketIsNoMissingObject(t *testing.T) {
	start(t, s3server.Options{})
	each(t, open(t, s3.Config{URL: "s3://no-such-bucket/x"}), func(t *testing.T, err error) {
		wantKind(t, err, diag.NotFound, "aws s3 mb s3://no-such-bucket")
		if errors.Is(err, store.ErrNotFound) {
			t.Errorf("%v passes for a missing object", err)
		}
	})
}

func TestServerThatIsDownIsNetwork(t *testing.T) {
	srv := start(t, s3server.Options{})
	srv.Stop()
	setenv(t, "AWS_MAX_ATTEMPTS", "1")
	each(t, open(t, s3.Config{}), func(t *testing.T, err error) { wantKind(t, err, diag.Network, srv.Endpoint) })
}

func TestUntrustedCertificateNamesTheRemedy(t *testing.T) {
	start(t, s3server.Options{TLS: true})
	setenv(t, "AWS_CA_BUNDLE", "")
	setenv(t, "AWS_MAX_ATTEMPTS", "1")
	_, err := open(t, s3.Config{}).Stat(t.Context(), object.Ref{})
	wantKind(t, err, diag.Network, "AWS_CA_BUNDLE")
}

func TestFlippedByteOnTheServerIsCorrupt(t *testing.T) {
	srv := start(t, s3server.Options{})
	s, b := open(t, s3.Config{}), storetest.Noise(t, 5000)
	ref := put(t, s, b)
	file := filepath.Join(srv.Dir, srv.Bucket, "some/prefix", store.Path(ref))
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{b[1234] ^ 1}, 1234); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := store.ReadAll(t.Context(), s, ref, 5000); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("read: %v, want %v", err, store.ErrCorrupt)
	}
}

func TestFailedLargePutLeavesNoParts(t *testing.T) {
	srv := start(t, s3server.Options{})
	p := newProxy(t, srv)
	s, b := open(t, s3.Config{Endpoint: p.URL}), storetest.Noise(t, 40<<20)
	ref := storetest.File(b)
	b[len(b)-1] ^= 1
	if err := s.Put(t.Context(), ref, store.Bytes(b)); !errors.Is(err, store.ErrCorrupt) || !diag.Is(err, diag.Integrity) {
		t.Errorf("put: %v, want %v", err, store.ErrCorrupt)
	}
	if n := p.count("DELETE", "uploadId"); n != 1 {
		t.Errorf("%d aborts, want 1", n)
	}
	if n := p.count("POST", "uploadId"); n != 0 {
		t.Errorf("%d completions, want none", n)
	}
}

func TestPutSendsWhatItMust(t *testing.T) {
	p := newProxy(t, start(t, s3server.Options{}))
	s := open(t, s3.Config{Endpoint: p.URL, SSE: "aws:kms", SSEKey: "some-key"})
	var seen []http.Header
	p.onRequest(func(r *http.Request) {
		if r.Method == http.MethodPut || r.URL.Query().Has("uploads") {
			seen = append(seen, r.Header.Clone())
		}
		r.Header.Del("X-Amz-Server-Side-Encryption") // the test server has no KMS; the signature then fails
	})
	b := storetest.Noise(t, 10)
	_ = s.Put(t.Context(), storetest.File(b), store.Bytes(b))
	_, _ = s.Record(t.Context(), object.RunID{Key: digest.Key{1}}, b)
	_, _ = s.Swap(t.Context(), "cell", "", b)
	if len(seen) < 3 {
		t.Fatalf("%d writes, want at least 3", len(seen))
	}
	for _, h := range seen {
		if h.Get("X-Amz-Server-Side-Encryption") != "aws:kms" || h.Get("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id") != "some-key" ||
			h.Get("If-None-Match") != "*" || h.Get("X-Amz-Checksum-Crc32") == "" {
			t.Errorf("headers %v", h)
		}
	}
}

func TestMissingObjectCostsOneRequestAfterTheFirst(t *testing.T) {
	p := newProxy(t, start(t, s3server.Options{}))
	s := open(t, s3.Config{Endpoint: p.URL})
	for range 10 {
		if _, err := s.Stat(t.Context(), storetest.File(storetest.Noise(t, 5))); !errors.Is(err, store.ErrNotFound) {
			t.Error(err)
		}
	}
	if n := p.count("", ""); n != 11 {
		t.Errorf("%d requests for 10 missing objects, want 11", n)
	}
}

func TestRoleWithoutListSeesMissingObjects(t *testing.T) {
	p := newProxy(t, start(t, s3server.Options{}))
	s := open(t, s3.Config{Endpoint: p.URL})
	p.answer(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut || r.Method == http.MethodPost {
			return false
		}
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `<Error><Code>AccessDenied</Code><Message>User: arn:aws:iam::1:user/ci is not authorized to perform: s3:ListBucket on resource: "arn:aws:s3:::test-bucket"</Message></Error>`)
		return true
	})
	ref := storetest.File(storetest.Noise(t, 5))
	if _, err := s.Stat(t.Context(), ref); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("stat: %v", err)
	}
	if _, err := s.Open(t.Context(), ref); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("open: %v", err)
	}
	put(t, s, storetest.Noise(t, 17<<20))
}

func TestBusyServerIsTriedAgain(t *testing.T) {
	p := newProxy(t, start(t, s3server.Options{}))
	s := open(t, s3.Config{Endpoint: p.URL})
	left := 1
	p.answer(func(w http.ResponseWriter, _ *http.Request) bool {
		if left == 0 {
			return false
		}
		left--
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, `<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>`)
		return true
	})
	b := storetest.Noise(t, 10)
	wantBytes(t, s, put(t, s, b), b)
	left = 100
	_, err := s.Open(t.Context(), storetest.File(b))
	wantKind(t, err, diag.Network, "again")
}

func TestCancelStopsALargePut(t *testing.T) {
	p := newProxy(t, start(t, s3server.Options{}))
	s := open(t, s3.Config{Endpoint: p.URL})
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("too slow"))
	defer cancel()
	ctx, stop := context.WithCancel(ctx)
	p.onRequest(func(r *http.Request) {
		if r.URL.Query().Has("partNumber") {
			stop()
		}
	})
	b := storetest.Noise(t, 60<<20)
	if err := s.Put(ctx, storetest.File(b), store.Bytes(b)); !errors.Is(err, context.Canceled) {
		t.Errorf("put: %v", err)
	}
	if n := p.count("DELETE", "uploadId"); n != 1 {
		t.Errorf("%d aborts, want 1", n)
	}
}
