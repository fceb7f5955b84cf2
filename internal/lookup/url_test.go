package lookup

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/pkg/digest"
)

// seen notes requests as METHOD PATH.
type seen struct {
	mu  sync.Mutex
	all []string
}

func (s *seen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.all, " ")
}

// serve answers with f, and notes what was asked.
func serve(t *testing.T, f http.HandlerFunc) (url string, s *seen) {
	t.Helper()
	s = &seen{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.all = append(s.all, r.Method+" "+r.URL.Path)
		s.mu.Unlock()
		f(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL, s
}

// impatient is a client that waits for nothing between attempts, and for a silent server only so long.
func impatient(idle time.Duration) *Client {
	c := New("pipe/test")
	c.policy.MinWait, c.policy.MaxWait = 0, time.Nanosecond
	if idle > 0 {
		c.base.DialContext = dial(idle)
	}
	return c
}

const body = "what lies there\n"

var hashed = digest.Of([]byte(body)).String()

func TestAStrongETagIsTheAnswerElseTheHashOfTheBody(t *testing.T) {
	for name, c := range map[string]struct{ etag, want, asked string }{
		"strong":          {`"33a64-\df5{}"`, `etag:"33a64-\df5{}"`, "HEAD /x"},
		"weak":            {`W/"33a64"`, hashed, "HEAD /x GET /x"},
		"none":            {"", hashed, "HEAD /x GET /x"},
		"empty":           {`""`, hashed, "HEAD /x GET /x"},
		"without quotes":  {"33a64", hashed, "HEAD /x GET /x"},
		"two quotes more": {`"a"b"`, hashed, "HEAD /x GET /x"},
		"a space":         {`"a b"`, hashed, "HEAD /x GET /x"},
		"beyond ASCII":    {"\"\xe9\"", hashed, "HEAD /x GET /x"},
		"long":            {`"` + strings.Repeat("x", 254) + `"`, `etag:"` + strings.Repeat("x", 254) + `"`, "HEAD /x"},
		"too long":        {`"` + strings.Repeat("x", 255) + `"`, hashed, "HEAD /x GET /x"},
	} {
		at, asked := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			if c.etag != "" {
				w.Header()["ETag"] = []string{c.etag}
			}
			fmt.Fprint(w, body)
		})
		if got, err := impatient(0).URL(t.Context(), at+"/x"); err != nil || got != c.want || asked.String() != c.asked {
			t.Errorf("%s: %s, %v, asked %s", name, got, err, asked)
		}
	}
}

func TestWhatTheServerSaysToGETCountsWhereHEADSaysNothing(t *testing.T) {
	for _, status := range []int{http.StatusMethodNotAllowed, http.StatusNotImplemented, http.StatusForbidden, http.StatusNotFound, http.StatusOK} {
		at, asked := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				w.WriteHeader(status)
				return
			}
			w.Header().Set("ETag", `"1"`)
			fmt.Fprint(w, body)
		})
		if got, err := impatient(0).URL(t.Context(), at+"/x"); err != nil || got != `etag:"1"` || !strings.HasSuffix(asked.String(), "GET /x") {
			t.Errorf("%d: %s, %v, asked %s", status, got, err, asked)
		}
	}
}

func TestAnyOtherStatusIsAnErrorThatNamesIt(t *testing.T) {
	for status, want := range map[int]struct {
		kind diag.Kind
		text string
	}{
		204: {diag.Network, "the server answered 204 No Content"},
		206: {diag.Network, "the server answered 206 Partial Content"},
		304: {diag.Network, "the server answered 304 Not Modified"},
		401: {diag.Auth, "the server answered 401 Unauthorized"},
		403: {diag.Auth, "the server answered 403 Forbidden"},
		404: {diag.NotFound, "the server answered 404 Not Found"},
		410: {diag.NotFound, "the server answered 410 Gone"},
		500: {diag.Network, "the server answered 500 Internal Server Error"},
		599: {diag.Network, "the server answered 599"},
	} {
		at, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", `"1"`)
			w.WriteHeader(status)
		})
		got, err := impatient(0).URL(t.Context(), at+"/x")
		if got != "" || !diag.Is(err, want.kind) || err.Error() != want.text || diag.All(err)[0].Hint == "" {
			t.Errorf("%d: %q, %v", status, got, err)
		}
	}
}

func TestWhatMayPassIsTriedAgainAFewTimes(t *testing.T) {
	for _, status := range []int{429, 500, 502, 503} {
		n := 0
		at, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			if n++; n < 4 {
				w.WriteHeader(status)
				return
			}
			w.Header().Set("ETag", `"1"`)
		})
		if got, err := impatient(0).URL(t.Context(), at); err != nil || got != `etag:"1"` {
			t.Errorf("%d: %q, %v after %d", status, got, err, n)
		}
	}
	at, asked := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
	if _, err := impatient(0).URL(t.Context(), at); !diag.Is(err, diag.Network) || len(asked.all) != 8 {
		t.Errorf("%v after %s", err, asked)
	}
}

func TestNoCredentialsAreSentNorWhereItWasRedirectedFrom(t *testing.T) {
	t.Setenv("NETRC", "/dev/null")
	to, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		h := r.Header
		if h.Get("Authorization")+h.Get("Cookie")+r.Referer()+h.Get("Accept-Encoding") != "" || r.UserAgent() != "pipe/test" || h.Get("Cache-Control") != "no-cache" {
			w.WriteHeader(400)
			return
		}
		if r.Method == http.MethodGet { // both methods are sent
			w.Header().Set("ETag", `"there"`)
		}
	})
	from, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
		http.Redirect(w, r, strings.Replace(to, "://", "://me:secret@", 1)+"/signed?key=secret", http.StatusFound)
	})
	if got, err := impatient(0).URL(t.Context(), from+"/x?key=secret"); err != nil || got != `etag:"there"` {
		t.Errorf("%q, %v", got, err)
	}
}

func TestRedirectsEndAndNeverLeaveTLS(t *testing.T) {
	plain, asked := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path+"x", http.StatusFound) })
	if _, err := impatient(0).URL(t.Context(), plain+"/x"); !errors.Is(err, errRedirects) || !diag.Is(err, diag.Network) || len(asked.all) != maxRedirects+1 {
		t.Errorf("%v after %d", err, len(asked.all))
	}
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, plain+"/signed?key=secret", http.StatusFound)
	}))
	defer secure.Close()
	c := impatient(0)
	c.base.TLSClientConfig = secure.Client().Transport.(*http.Transport).TLSClientConfig
	if _, err := c.URL(t.Context(), secure.URL); !errors.Is(err, errDowngrade) || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
	if _, err := impatient(0).URL(t.Context(), secure.URL); !diag.Is(err, diag.Network) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("%v", err)
	}
}

func TestAServerThatIsAbsentSilentOrBreaksOffIsAnErrorWithoutTheAddress(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	silent, _ := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	stops, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, body)
		if r.Method == http.MethodGet {
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
	})
	breaks, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		fmt.Fprint(w, body)
		if r.Method == http.MethodGet {
			panic(http.ErrAbortHandler)
		}
	})
	for name, c := range map[string]struct {
		at, text string
		idle     time.Duration
	}{
		"absent": {"http://" + closed.Addr().String(), "refused", 0},
		"silent": {silent, "it did not answer within", 100 * time.Millisecond},
		"stops":  {stops, "it did not answer within", 100 * time.Millisecond},
		"breaks": {breaks, "EOF", 0},
		"no DNS": {"http://does-not-exist.invalid", "does-not-exist.invalid", 0},
	} {
		got, err := impatient(c.idle).URL(t.Context(), c.at+"/x?key=secret")
		if got != "" || !diag.Is(err, diag.Network) || !strings.Contains(err.Error(), c.text) || strings.Contains(err.Error(), "secret") || diag.All(err)[0].Hint == "" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestWhoAsksMayEndIt(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	at, _ := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel(why)
		<-r.Context().Done()
	})
	if _, err := impatient(0).URL(ctx, at); !errors.Is(err, why) {
		t.Errorf("%v", err)
	}
}
