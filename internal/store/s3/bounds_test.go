package s3_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/s3server"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/s3"
	"github.com/pipe-build/pipe/internal/store/storetest"
	"github.com/pipe-build/pipe/pkg/digest"
)

// flood answers every GET with bytes that do not end.
type flood struct{ sent atomic.Int64 }

// ServeHTTP implements http.Handler.
func (f *flood) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("ETag", `"x"`)
	chunk := make([]byte, 64<<10)
	for f.sent.Load() < 1<<30 {
		n, err := w.Write(chunk)
		f.sent.Add(int64(n))
		if err != nil {
			return
		}
	}
}

func TestARecordOrCellThatDoesNotEndIsRefusedAtTheBound(t *testing.T) {
	use(t, &s3server.Server{AccessKey: "test-access-key", SecretKey: "test-secret-key"})
	for name, read := range map[string]func(*s3.Store) error{
		"record": func(s *s3.Store) error {
			_, err := s.Lookup(t.Context(), object.RunID{Key: digest.Key{1}})
			return err
		},
		"cell": func(s *s3.Store) error {
			_, _, err := s.Load(t.Context(), "projects/shop/env/default/state")
			return err
		},
	} {
		f := &flood{}
		srv := httptest.NewServer(f)
		err := read(open(t, s3.Config{Endpoint: srv.URL}))
		srv.Close() // waits for the answer to end
		// What lies in the sockets' buffers was sent, too.
		if sent := f.sent.Load(); !diag.Is(err, diag.Integrity) || sent > 2*store.MaxSmall {
			t.Errorf("%s: %v after %d bytes", name, err, sent)
		}
	}
}

// The rest of an object, asked for after a break, may be more than the answer
// that broke had announced.
func TestARestThatIsLongerThanAnnouncedEndsAtTheBound(t *testing.T) {
	p := newProxy(t, start(t, s3server.Options{}))
	s, b := open(t, s3.Config{Endpoint: p.URL}), storetest.Noise(t, 3<<20)
	ref := put(t, s, b)
	answers, more := 0, &countReader{}
	p.onResponse(func(r *http.Response) error {
		if r.Request.Method != http.MethodGet {
			return nil
		}
		if answers++; answers == 1 {
			r.Body = &broken{r.Body, 1 << 20, func() error { return errDropped }}
			return nil
		}
		r.ContentLength = -1
		r.Header.Del("Content-Length")
		r.Body = io.NopCloser(io.MultiReader(r.Body, more))
		return nil
	})
	r, err := s.Open(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	_, err = io.Copy(&got, r)
	if cerr := r.Close(); cerr != nil {
		t.Error(cerr)
	}
	const oneRead = 1 << 20 // a read that began within the bound may end beyond it
	if !errors.Is(err, store.ErrCorrupt) || got.Len() > len(b)+oneRead {
		t.Errorf("%v after %d bytes, %d were announced", err, got.Len(), len(b))
	}
}

// countReader ends only after 256 MiB.
type countReader struct{ n int64 }

func (c *countReader) Read(p []byte) (int, error) {
	if c.n += int64(len(p)); c.n > 256<<20 {
		return 0, io.EOF
	}
	return len(p), nil
}
