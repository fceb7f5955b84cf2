package s3_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/s3server"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/s3"
)

const state = "env/x/state"

// behind returns a store whose server is behind a proxy, and one that asks the server itself.
func behind(t *testing.T, opt s3server.Unruly) (p *s3server.Proxy, through, direct *s3.Store) {
	t.Helper()
	server := start(t, s3server.Options{})
	setenv(t, "AWS_MAX_ATTEMPTS", "1")
	p = server.Proxy(opt)
	t.Cleanup(p.Close)
	return p, open(t, s3.Config{Endpoint: p.Endpoint}), open(t, s3.Config{Endpoint: server.Endpoint})
}

func TestAProxyPassesOnAndCounts(t *testing.T) {
	p, s, _ := behind(t, s3server.Unruly{})
	if err := errors.Join(s.Probe(t.Context()), swap(t.Context(), s, state, "1")); err != nil {
		t.Fatal(err)
	}
	if n := p.Count(http.MethodPut, state); n != 1 {
		t.Errorf("%d writes\n%s", n, strings.Join(p.Log(), "\n"))
	}
	if all := p.Count("", ""); all != len(p.Log()) || all < 6 || p.Count("", "nothing has it") != 0 {
		t.Errorf("%d of %q", all, p.Log())
	}
}

func TestADeafProxyHasNoConditions(t *testing.T) {
	_, s, direct := behind(t, s3server.Unruly{Deaf: true})
	wantKind(t, s.Probe(t.Context()), diag.Policy, "If-None-Match")
	for _, v := range []string{"1", "2"} {
		if err := swap(t.Context(), s, state, v); err != nil {
			t.Errorf("%s: %v", v, err)
		}
	}
	if b, _, err := direct.Load(t.Context(), state); err != nil || string(b) != "2" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestAnAnswerIsLostAfterTheWrite(t *testing.T) {
	p, s, _ := behind(t, s3server.Unruly{Lost: 1})
	// A write finds itself when its answer does not come: that takes more than one request.
	if err := swap(t.Context(), s, state, "1"); err != nil || p.Count("", state) < 2 {
		t.Errorf("%v, %q", err, p.Log())
	}
	if b, _, err := s.Load(t.Context(), state); err != nil || string(b) != "1" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestARefusedRequestDoesNotReachTheServer(t *testing.T) {
	_, s, direct := behind(t, s3server.Unruly{Refused: 1})
	wantKind(t, swap(t.Context(), s, state, "1"), diag.Network, "")
	if _, _, err := direct.Load(t.Context(), state); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("%v", err)
	}
}

func TestTheSameSeedDoesTheSame(t *testing.T) {
	var all [3][]bool
	for i, seed := range []uint64{7, 7, 8} {
		_, s, _ := behind(t, s3server.Unruly{Seed: seed, Refused: 0.5})
		for range 30 {
			_, _, err := s.Load(t.Context(), state)
			all[i] = append(all[i], errors.Is(err, store.ErrNotFound))
		}
	}
	if !slices.Equal(all[0], all[1]) || slices.Equal(all[0], all[2]) || !slices.Contains(all[0], true) || !slices.Contains(all[0], false) {
		t.Errorf("%v", all)
	}
}

func TestALateWriteComesThoughNobodyWaitsForIt(t *testing.T) {
	p, s, direct := behind(t, s3server.Unruly{})
	p.Late(state, 300*time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() { failed <- swap(ctx, s, state, "late") }()
	for p.Count(http.MethodPut, state) == 0 {
		runtime.Gosched()
	}
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("swap: %v", err)
	}
	// The next one does not wait for it.
	if err := swap(t.Context(), s, "env/y/state", "1"); err != nil {
		t.Error(err)
	}
	p.Close()
	if b, _, err := direct.Load(t.Context(), state); err != nil || string(b) != "late" {
		t.Errorf("%q, %v", b, err)
	}
}

// swap writes a value in place of none.
func swap(ctx context.Context, s *s3.Store, name, value string) error {
	_, err := s.Swap(ctx, name, "", []byte(value))
	return err
}

// listening passes requests on to a URL, and the answers' headers to heard.
func listening(t *testing.T, to string, heard func(http.Header)) string {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host },
		ModifyResponse: func(r *http.Response) error { heard(r.Header.Clone()); return nil },
	})
	t.Cleanup(front.Close)
	return front.URL
}

func TestDatesOfAnswers(t *testing.T) {
	server := start(t, s3server.Options{})
	if err := swap(t.Context(), open(t, s3.Config{Endpoint: server.Endpoint}), state, "1"); err != nil {
		t.Fatal(err)
	}
	for opt, want := range map[s3server.Dates]func(date, modified string) bool{
		s3server.DatesKept:      func(d, m string) bool { return d != "" && m != "" },
		s3server.NoDate:         func(d, m string) bool { return d == "" && m != "" },
		s3server.NoLastModified: func(d, m string) bool { return d != "" && m == "" },
		s3server.DateTooEarly: func(d, m string) bool {
			date, err := http.ParseTime(d)
			modified, err2 := http.ParseTime(m)
			return errors.Join(err, err2) == nil && modified.Sub(date) == time.Hour
		},
	} {
		p := server.Proxy(s3server.Unruly{Dates: opt})
		t.Cleanup(p.Close)
		var date, modified string
		s := open(t, s3.Config{Endpoint: listening(t, p.Endpoint, func(h http.Header) { date, modified = h.Get("Date"), h.Get("Last-Modified") })})
		if _, _, err := s.Load(t.Context(), state); err != nil {
			t.Fatal(err)
		}
		if !want(date, modified) {
			t.Errorf("%q: Date %q, Last-Modified %q", opt, date, modified)
		}
	}
}
