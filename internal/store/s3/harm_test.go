package s3_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/s3server"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/s3"
	"github.com/pipe-build/pipe/internal/store/storetest"
	"github.com/pipe-build/pipe/pkg/digest"
)

func TestABodyThatBreaksOftenButGoesOnIsReadWhole(t *testing.T) {
	p := newProxy(t, start(t, s3server.Options{}))
	s, b := open(t, s3.Config{Endpoint: p.URL}), storetest.Noise(t, 9<<20)
	ref := put(t, s, b)
	after := make([]int, 8) // more than it may break in a row
	for i := range after {
		after[i] = 1 << 20
	}
	breakBodies(p, func() error { return errDropped }, after...)
	wantBytes(t, s, ref, b)
}

// A server that does not know ranges sends the whole again.
func TestTheRestOfABodyIsTheRestOrAnError(t *testing.T) {
	p := newProxy(t, start(t, s3server.Options{}))
	s, b := open(t, s3.Config{Endpoint: p.URL}), storetest.Noise(t, 5000)
	ref := put(t, s, b)
	breakBodies(p, func() error { return errDropped }, 3000)
	p.answer(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Range") == "" {
			return false
		}
		_, _ = w.Write(b)
		return true
	})
	_, err := store.ReadAll(t.Context(), s, ref, 5000)
	wantKind(t, err, diag.Network, "curl")
	breakBodies(p, func() error { return errDropped }, 3000)
	p.answer(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Range") == "" {
			return false
		}
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `<Error><Code>NoSuchKey</Code></Error>`)
		return true
	})
	if _, err := store.ReadAll(t.Context(), s, ref, 5000); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("removed meanwhile: %v", err)
	}
}

func TestACellWhoseBodyBreaksIsAskedForAgain(t *testing.T) {
	p := newProxy(t, start(t, s3server.Options{}))
	s := open(t, s3.Config{Endpoint: p.URL})
	value := storetest.Noise(t, 100<<10) // more than a server holds back before it begins to answer
	if _, err := s.Swap(t.Context(), "env/x/state", "", value); err != nil {
		t.Fatal(err)
	}
	breakBodies(p, func() error { return errDropped }, 50<<10)
	if got, version, err := s.Load(t.Context(), "env/x/state"); err != nil || !bytes.Equal(got, value) || version == "" {
		t.Errorf("%d of %d bytes, version %q, %v", len(got), len(value), version, err)
	}
}

// docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html: two creations that meet get 409.
func TestACreationThatMetAnotherIsTriedAgain(t *testing.T) {
	p := newProxy(t, start(t, s3server.Options{}))
	s, b, left := open(t, s3.Config{Endpoint: p.URL}), storetest.Noise(t, 100), 2
	conflict := func(w http.ResponseWriter) {
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, `<Error><Code>ConditionalRequestConflict</Code></Error>`)
	}
	p.answer(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && left > 0 {
			left--
			conflict(w)
			return true
		}
		return false
	})
	wantBytes(t, s, put(t, s, b), b)
	p.answer(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			conflict(w)
		}
		return r.Method == http.MethodPost
	})
	large := storetest.Noise(t, 20<<20)
	wantKind(t, s.Put(t.Context(), storetest.File(large), store.Bytes(large)), diag.Busy, "again")
}

func TestALargeSourceThatCannotBeReadIsAnError(t *testing.T) {
	p := newProxy(t, start(t, s3server.Options{}))
	s, b, broken := open(t, s3.Config{Endpoint: p.URL}), storetest.Noise(t, 20<<20), errors.New("broken")
	ref := storetest.File(b)
	for name, src := range map[string]func() (io.ReadCloser, error){
		"not opened": func() (io.ReadCloser, error) { return nil, broken },
		"not read": func() (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(io.LimitReader(strings.NewReader(string(b)), 17<<20), iotest.ErrReader(broken))), nil
		},
	} {
		err := s.Put(t.Context(), ref, store.Source{Size: int64(len(b)), Open: src})
		if !errors.Is(err, broken) || !strings.Contains(err.Error(), ref.Digest.String()) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := s.Stat(t.Context(), ref); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: it is stored: %v", name, err)
		}
	}
	p.answer(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodDelete {
			w.WriteHeader(http.StatusForbidden)
		}
		return r.Method == http.MethodDelete
	})
	err := s.Put(t.Context(), ref, store.Source{Size: int64(len(b)), Open: func() (io.ReadCloser, error) { return nil, broken }})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "abort the upload") {
		t.Errorf("its parts stay on the server: %v", err)
	}
}

func TestWhatAServerIsAskedForIsWhatTheConfigurationSays(t *testing.T) {
	p := newProxy(t, start(t, s3server.Options{}))
	var header http.Header
	p.answer(func(_ http.ResponseWriter, r *http.Request) bool { header = r.Header.Clone(); return true })
	const sse, key = "X-Amz-Server-Side-Encryption", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id"
	for _, c := range []struct {
		remote           spec.Remote
		region, sse, key string
	}{
		{spec.Remote{}, "us-east-1", "", ""},
		{spec.Remote{Region: "eu-west-3", SSE: "AES256"}, "eu-west-3", "AES256", ""},
		{spec.Remote{Region: "eu-west-3", SSEKey: "k"}, "eu-west-3", "aws:kms", "k"},
		{spec.Remote{SSE: "aws:kms:dsse", SSEKey: "k"}, "us-east-1", "aws:kms:dsse", "k"},
	} {
		setenv(t, "AWS_REGION", "")
		c.remote.URL, c.remote.Endpoint = "s3://test-bucket/prefix", p.URL
		r, err := s3.OpenRemote(t.Context(), c.remote, store.NewWatch("", store.Patience{}))
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Put(t.Context(), storetest.File([]byte("x")), store.Bytes([]byte("x"))); err != nil {
			t.Error(err)
		}
		if !strings.Contains(header.Get("Authorization"), "/"+c.region+"/s3/") || header.Get(sse) != c.sse || header.Get(key) != c.key {
			t.Errorf("%+v: %v", c, header)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if r, err := s3.OpenRemote(t.Context(), spec.Remote{URL: "s3://"}, store.NewWatch("", store.Patience{})); err == nil || r != nil {
		t.Errorf("no bucket: %v, %v", r, err)
	}
}

// Put alone takes what is there for the object; to replace it needs no right but to put.
func TestADamagedObjectOrRecordIsReplaced(t *testing.T) {
	srv := start(t, s3server.Options{})
	s := open(t, s3.Config{})
	for _, size := range []int{100, 17 << 20} {
		b := storetest.Noise(t, size)
		ref := put(t, s, b)
		file := filepath.Join(srv.Dir, srv.Bucket, "some/prefix", store.Path(ref))
		if err := os.WriteFile(file, []byte("cut"), 0o644); err != nil {
			t.Fatal(err)
		}
		put(t, s, b)
		if n, err := s.Stat(t.Context(), ref); n != 3 || err != nil {
			t.Errorf("put without Replace: %d bytes, %v", n, err)
		}
		src := store.Bytes(b)
		src.Replace = true
		if err := s.Put(t.Context(), ref, src); err != nil {
			t.Error(err)
		}
		wantBytes(t, s, ref, b)
	}
	id := object.RunID{Key: digest.Key{7}}
	if _, err := s.Record(t.Context(), id, []byte("no record")); err != nil {
		t.Fatal(err)
	}
	if err := s.Adopt(t.Context(), id, []byte("a record")); err != nil {
		t.Error(err)
	}
	if got, err := s.Lookup(t.Context(), id); string(got) != "a record" {
		t.Errorf("%q, %v", got, err)
	}
}
