package s3_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
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

// refuse answers the next n requests of a method by a status and an S3 error code.
func refuse(p *proxy, method string, n, status int, code string) {
	p.answer(func(w http.ResponseWriter, r *http.Request) bool {
		if n == 0 || r.Method != method {
			return false
		}
		n--
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code></Error>", code)
		return true
	})
}

// harm changes the bodies of the next n answers to GET.
func harm(p *proxy, n int, how func([]byte) []byte) {
	p.onResponse(func(r *http.Response) error {
		if r.Request.Method != http.MethodGet || r.StatusCode >= 300 || n == 0 {
			return nil
		}
		n--
		b, err := io.ReadAll(r.Body)
		b = how(b)
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
		r.Header.Set("Content-Length", fmt.Sprint(len(b)))
		return err
	})
}

func flip(b []byte) []byte {
	if len(b) > 0 {
		b[len(b)/2] ^= 1
	}
	return b
}

func short(b []byte) []byte { return b[:len(b)/2] }

func TestWhatAServerMayDoAnotherTimeIsAskedForAgain(t *testing.T) {
	p := newProxy(t, start(t, s3server.Options{}))
	s, b := open(t, s3.Config{Endpoint: p.URL}), storetest.Noise(t, 5000)
	ref := put(t, s, b)
	for n, c := range []struct {
		status int
		code   string
	}{{429, "TooManyRequests"}, {503, "SlowDown"}, {503, ""}, {500, "InternalError"}, {502, ""}, {504, ""}, {400, "RequestTimeout"}, {408, ""}, {404, "NoSuchKez"}} {
		refuse(p, http.MethodGet, 1, c.status, c.code)
		wantBytes(t, s, ref, b)
		refuse(p, http.MethodPut, 1, c.status, c.code)
		put(t, s, storetest.Noise(t, 100))
		refuse(p, http.MethodPut, 1, c.status, c.code)
		if _, err := s.Swap(t.Context(), fmt.Sprint("cell", n), "", []byte("v")); err != nil {
			t.Errorf("swap after %d %s: %v", c.status, c.code, err)
		}
	}
	for _, c := range []struct {
		status int
		code   string
		kind   diag.Kind
	}{{403, "AccessDenied", diag.Auth}, {400, "InvalidRequest", diag.Failed}, {501, "NotImplemented", diag.Policy}} {
		before := p.count(http.MethodGet, "")
		refuse(p, http.MethodGet, 1, c.status, c.code)
		if _, err := s.Open(t.Context(), ref); !diag.Is(err, c.kind) || p.count(http.MethodGet, "") != before+1 {
			t.Errorf("%d %s is asked for again: %v", c.status, c.code, err)
		}
	}
}

func TestADamagedBodyIsFetchedThreeTimes(t *testing.T) {
	p := newProxy(t, start(t, s3server.Options{}))
	s, b := open(t, s3.Config{Endpoint: p.URL}), storetest.Noise(t, 5000)
	ref, id := put(t, s, b), object.RunID{Key: digest.Key{1}}
	if _, err := s.Record(t.Context(), id, b); err != nil {
		t.Fatal(err)
	}
	for name, how := range map[string]func([]byte) []byte{"flipped": flip, "short": short} {
		for read, f := range map[string]func() ([]byte, error){
			"object": func() ([]byte, error) { return store.ReadAll(t.Context(), s, ref, 5000) },
			"record": func() ([]byte, error) { return s.Lookup(t.Context(), id) },
		} {
			harm(p, 2, how)
			if got, err := f(); err != nil || !bytes.Equal(got, b) {
				t.Errorf("%s %s, twice: %d bytes, %v", name, read, len(got), err)
			}
			harm(p, 3, how)
			if _, err := f(); !errors.Is(err, store.ErrCorrupt) || !diag.Is(err, diag.Integrity) {
				t.Errorf("%s %s, three times: %v", name, read, err)
			}
		}
	}
}

// The rest of a body that broke may be that of another answer: only the whole tells.
func TestABodyThatIsWrongAfterABreakIsFetchedWhole(t *testing.T) {
	p := newProxy(t, start(t, s3server.Options{}))
	s, b := open(t, s3.Config{Endpoint: p.URL}), storetest.Noise(t, 5000)
	ref, n := put(t, s, b), 0
	p.onResponse(func(r *http.Response) error {
		if n++; n == 1 {
			r.Body = &broken{r.Body, 3000, func() error { return errDropped }}
		}
		if n == 2 {
			got, err := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(flip(got)))
			return err
		}
		return nil
	})
	wantBytes(t, s, ref, b)
	if got := p.count(http.MethodGet, ""); got != 3 {
		t.Errorf("%d requests, want 3", got)
	}
}

func TestAListThatWasGarbledIsFetchedAgain(t *testing.T) {
	p := newProxy(t, start(t, s3server.Options{}))
	s := open(t, s3.Config{Endpoint: p.URL})
	put(t, s, storetest.Noise(t, 100))
	for name, how := range map[string]func([]byte) []byte{
		"short": short, "not XML": func([]byte) []byte { return []byte("<ListBucketResult><Contents>") },
		"another text": func([]byte) []byte { return []byte("<html><body>please log in</body></html>") }, "empty": func([]byte) []byte { return nil },
		"one key less": func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("Contents>"), []byte("Contenus>")) },
		"another key":  func(b []byte) []byte { return bytes.Replace(b, []byte("<Key>some"), []byte("<Key>same"), 1) },
	} {
		harm(p, 1, func(b []byte) []byte {
			bad := how(bytes.Clone(b))
			if bytes.Equal(bad, b) {
				t.Errorf("%s: not harmed: %s", name, b)
			}
			return bad
		})
		n := 0
		if err := s.List(t.Context(), func(store.Entry) error { n++; return nil }); err != nil || n != 1 {
			t.Errorf("%s: %d objects, %v", name, n, err)
		}
	}
}

// Only after an answer that was lost is an equal value our own.
func TestSwapFindsItsOwnWriteWhenTheAnswerIsLost(t *testing.T) {
	p := newProxy(t, start(t, s3server.Options{}))
	s, other := open(t, s3.Config{Endpoint: p.URL}), open(t, s3.Config{})
	loseAnswers(p, http.MethodPut, 1)
	if _, err := s.Swap(t.Context(), "cell", "", []byte("mine")); err != nil {
		t.Errorf("the answer was lost: %v", err)
	}
	if _, err := s.Swap(t.Context(), "cell", "", []byte("mine")); !errors.Is(err, store.ErrConflict) {
		t.Errorf("an equal value of somebody else: %v", err)
	}
	_, version, err := s.Load(t.Context(), "cell")
	if err != nil {
		t.Fatal(err)
	}
	p.answer(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut {
			return false
		}
		p.instead = nil
		if _, err := other.Swap(t.Context(), "cell", version, []byte("theirs")); err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	if _, err := s.Swap(t.Context(), "cell", version, []byte("mine too")); !errors.Is(err, store.ErrConflict) {
		t.Errorf("another was faster: %v", err)
	}
	if got, _, err := s.Load(t.Context(), "cell"); err != nil || string(got) != "theirs" {
		t.Errorf("%q, %v", got, err)
	}
	refuse(p, http.MethodPut, 1000, http.StatusForbidden, "AccessDenied")
	_, err = s.Swap(t.Context(), "cell", version, []byte("x"))
	wantKind(t, err, diag.Auth, "s3:PutObject")
}

// A slow line that still sends is not silent; a server that is asked again and again is.
func TestWhatIsSentOfABodyIsProgressAndARequestIsNot(t *testing.T) {
	p := newProxy(t, start(t, s3server.Options{}))
	for size, want := range map[int]bool{100: false, 1 << 20: true} {
		var moved atomic.Int64
		s := open(t, s3.Config{Endpoint: p.URL, Moved: func() { moved.Add(1) }})
		b, sent := storetest.Noise(t, size), int64(-1)
		p.answer(func(_ http.ResponseWriter, r *http.Request) bool {
			_, _ = io.Copy(io.Discard, r.Body)
			sent = moved.Load()
			return true
		})
		put(t, s, b)
		if (sent > 0) != want || moved.Load() <= sent {
			t.Errorf("%d bytes: %d signs of life before the answer, %d with it", size, sent, moved.Load())
		}
	}
}
