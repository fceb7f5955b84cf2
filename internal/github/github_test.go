package github

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
)

const token = "ghs_secret0123456789"

// server answers by a function and writes down what it was asked.
type server struct {
	*httptest.Server
	asked []string // METHOD PATH?QUERY BODY
	waits []time.Duration
}

// serve starts a server of one test, whose client waits without any time going by.
func serve(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, n int)) (*server, *Client) {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		s.asked = append(s.asked, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(b)))
		r.Body = io.NopCloser(bytes.NewReader(b))
		answer(w, r, len(s.asked))
	}))
	t.Cleanup(s.Close)
	c, err := New(Options{
		URL: s.URL + "/api/v3", Token: " " + token + "\n", Repository: "octo/shop", Agent: "pipe/test", Now: func() time.Time { return time.Unix(1000, 0) },
		Wait: func(_ context.Context, d time.Duration) error {
			s.waits = append(s.waits, d)
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return s, c
}

func say(w http.ResponseWriter, status int, v any) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

type object = map[string]any

func TestARequestSaysWhoAsksAndInWhichVersion(t *testing.T) {
	_, c := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		for k, want := range map[string]string{
			"Authorization": "Bearer " + token, "User-Agent": "pipe/test", "Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28",
		} {
			if got := r.Header.Get(k); got != want {
				t.Errorf("%s: %q, not %q", k, got, want)
			}
		}
		say(w, 200, object{"default_branch": "main", "permissions": object{"push": true}})
	})
	r, err := c.Repository(t.Context())
	if err != nil || r.Default != "main" || r.Permissions == nil || !r.Permissions.Push {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestATokenIsNotSentInTheClear(t *testing.T) {
	for url, ok := range map[string]bool{
		"": true, "https://api.github.com": true, "https://ghe.example.com/api/v3/": true, "http://127.0.0.1:1": true, "http://[::1]:1": true, "http://localhost:1": true,
		"http://api.github.com": false, "http://192.0.2.1": false, "http://127.0.0.1.example.com": false, "http://localhost.example.com": false, "ftp://api.github.com": false,
		"api.github.com": false, "https://": false, "https://user:pass@api.github.com": false, "https://api.github.com?x": false, "://": false,
	} {
		_, err := New(Options{URL: url, Token: token, Repository: "a/b"})
		if (err == nil) != ok || err != nil && (!diag.Is(err, diag.Usage) || strings.Contains(err.Error(), "pass@")) {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func TestARepositoryIsAnOwnerAndAName(t *testing.T) {
	for name, ok := range map[string]bool{"a/b": true, "A-1/b.c_d": true, "": false, "a": false, "a/b/c": false, "../b": false, "a/..": false, "a/.": false, "a/b?c": false, "a b/c": false} {
		if _, err := New(Options{Repository: name}); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestARedirectToAnotherServerIsNotFollowed(t *testing.T) {
	reached := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer other.Close()
	_, c := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		http.Redirect(w, r, other.URL+"/elsewhere", http.StatusTemporaryRedirect)
	})
	if _, err := c.Repository(t.Context()); err == nil || reached {
		t.Errorf("%v, reached: %v", err, reached)
	}
}

func TestARenamedRepositoryIsFollowedOnItsServer(t *testing.T) {
	s, c := serve(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if n == 1 {
			http.Redirect(w, r, "/api/v3/repositories/7", http.StatusMovedPermanently)
			return
		}
		if r.Header.Get("Authorization") == "" {
			t.Error("no token")
		}
		say(w, 200, object{"default_branch": "trunk"})
	})
	if r, err := c.Repository(t.Context()); err != nil || r.Default != "trunk" {
		t.Errorf("%+v, %v, %v", r, err, s.asked)
	}
}

func TestWhatOnlyReadsIsAskedAgain(t *testing.T) {
	s, c := serve(t, func(w http.ResponseWriter, _ *http.Request, n int) {
		switch n {
		case 1:
			w.WriteHeader(502)
		case 2:
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(429)
		case 3:
			w.Header().Set("Content-Length", "100") // the connection breaks before that
		case 4:
			say(w, 403, object{"message": "You have exceeded a secondary rate limit."})
		default:
			say(w, 200, object{"default_branch": "main"})
		}
	})
	if _, err := c.Repository(t.Context()); err != nil || len(s.asked) != 5 {
		t.Fatalf("%v, %v", err, s.asked)
	}
	if s.waits[1] != 7*time.Second || s.waits[3] != time.Minute {
		t.Errorf("waited %v", s.waits)
	}
}

func TestAServerThatFailsIsGivenUp(t *testing.T) {
	s, c := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(503) })
	if _, err := c.Repository(t.Context()); !diag.Is(err, diag.Network) || len(s.asked) != maxAttempts {
		t.Errorf("%v after %d", err, len(s.asked))
	}
}

func TestALongWaitIsRefused(t *testing.T) {
	for _, h := range []map[string]string{
		{"Retry-After": "3600"},
		{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "4600"},
	} {
		s, c := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
			for k, v := range h {
				w.Header().Set(k, v)
			}
			say(w, 403, object{"message": "API rate limit exceeded"})
		})
		_, err := c.Repository(t.Context())
		if !diag.Is(err, diag.Network) || len(s.asked) != 1 || len(s.waits) > 0 {
			t.Errorf("%v: %v, waited %v", h, err, s.waits)
		}
	}
}

func TestARefusalSaysWhatIsMissing(t *testing.T) {
	for _, k := range []struct {
		status int
		header string
		body   string
		kind   diag.Kind
		text   string
		hint   string
	}{
		{401, "", `{"message":"Bad credentials"}`, diag.Auth, "401 Unauthorized: Bad credentials", "GITHUB_TOKEN"},
		{403, "issues=write; pull_requests=write", `{"message":"Resource not accessible by integration"}`, diag.Auth, "needs pull-requests: write", "permissions: {contents: read, pull-requests: write}"},
		{403, "contents=write,workflows=write", `{"message":"no"}`, diag.Auth, "needs contents: write, workflows: write", "permissions: {contents: write, workflows: write}"},
		{403, "", `{"message":"GitHub Actions is not permitted to create or approve pull requests."}`, diag.Auth, "not permitted", "Workflow permissions"},
		{403, "", ``, diag.Auth, "403 Forbidden", "token"},
		{404, "", `{"message":"Not Found"}`, diag.NotFound, "404 Not Found", "octo/shop"},
		{422, "", `{"message":"Validation Failed","errors":[{"message":"Body is too long"},"plain",{"field":"base","code":"invalid"}]}`, diag.Failed, "Validation Failed; Body is too long; plain; base invalid", ""},
		{200, "", `<html>`, diag.Failed, "not JSON", ""},
		{400, "", `echo ` + token, diag.Failed, "400", ""},
		{400, "", `{"message":"echo ` + token + `"}`, diag.Failed, "echo ***", ""},
	} {
		_, c := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
			w.Header().Set("X-Accepted-GitHub-Permissions", k.header)
			w.WriteHeader(k.status)
			_, _ = io.WriteString(w, k.body)
		})
		_, err := c.Repository(t.Context())
		var e *diag.Error
		if !errors.As(err, &e) || e.Kind != k.kind || !strings.Contains(e.What, k.text) || !strings.Contains(e.Hint, k.hint) {
			t.Errorf("%d %s: %+v", k.status, k.body, e)
		}
		if e != nil && strings.Contains(e.What+e.Hint+e.Place, token) {
			t.Errorf("%d: the error has the token", k.status)
		}
	}
}

func TestAServerThatIsNotThereIsNamed(t *testing.T) {
	s, c := serve(t, nil)
	s.Close()
	_, err := c.Repository(t.Context())
	var e *diag.Error
	if !errors.As(err, &e) || e.Kind != diag.Network || e.Place != c.base.String() {
		t.Errorf("%+v", err)
	}
}

func TestAPageOfAnotherServerIsNotRead(t *testing.T) {
	reached := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer other.Close()
	_, c := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		w.Header().Set("Link", fmt.Sprintf("<%s/x>; rel=\"next\"", other.URL))
		say(w, 200, []any{})
	})
	if _, err := c.ownComment(t.Context(), 1, "m"); err == nil || reached {
		t.Errorf("%v, reached: %v", err, reached)
	}
}

func TestProtectionHasRulesAndTheOlderForm(t *testing.T) {
	for _, k := range []struct {
		branch object
		rules  any
		want   []string
	}{
		{object{"protected": false}, []object{}, nil},
		{object{"protected": true, "protection": object{"enabled": true}}, []object{}, []string{"branch protection"}},
		{object{"protected": true}, []object{{"type": "pull_request"}, {"type": "deletion"}, {"type": "pull_request"}}, []string{"deletion", "pull_request"}},
		{object{"protected": true}, nil, []string{"branch protection"}},
	} {
		_, c := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
			switch {
			case r.URL.EscapedPath() == "/api/v3/repos/octo/shop/branches/a%2Fb":
				say(w, 200, k.branch)
			case r.URL.EscapedPath() == "/api/v3/repos/octo/shop/rules/branches/a%2Fb" && k.rules != nil:
				say(w, 200, k.rules)
			default:
				say(w, 404, object{"message": "Not Found"})
			}
		})
		if got, err := c.Protection(t.Context(), "a/b"); err != nil || !slices.Equal(got, k.want) {
			t.Errorf("%v: %v, %v", k.branch, got, err)
		}
	}
}
