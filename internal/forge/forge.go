// Package forge is a git server with the manners of GitHub on loopback, for tests.
//
// Its repositories are bare ones behind git http-backend. Its answers to git, and those of the few calls
// of the API that it knows, are as GitHub documents them, or as logs in the open show them. What a test
// does to it, such as protecting a branch, counts from the next request on.
package forge

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Options say how the server is; the zero value is GitHub's.
type Options struct {
	OnlyTips bool // commits are fetched by the names of refs alone: uploadpack.allowAnySHA1InWant is off
	NoFilter bool // partial clones are not served: uploadpack.allowFilter is off
}

// Right is what a token may do with one part of a repository.
type Right int

// The rights. Each holds the one before it.
const (
	None Right = iota
	Read
	Write
)

// Token is what the owner of a token may do. Each right is one of a workflow's permissions.
type Token struct {
	Login          string   // of the user; one that ends in [bot] is an app, as GITHUB_TOKEN's owner is
	Contents       Right    // git, and branches
	Issues         Right    // comments
	PullRequests   Right    // pull requests, and comments on them
	Administration Right    // protections of branches
	Repos          []string // OWNER/NAME of those it is for; empty: all
	Scopes         []string // of a classic token, as X-OAuth-Scopes tells them
}

// app reports whether the owner is an app.
func (k *Token) app() bool { return strings.HasSuffix(k.Login, "[bot]") }

// reaches reports whether a token, nil for none, may know of a repository.
func (k *Token) reaches(r *Repo) bool {
	if r.public {
		return true
	}
	if k == nil || k.Contents+k.Issues+k.PullRequests+k.Administration == None {
		return false
	}
	for _, name := range k.Repos {
		if name == r.Name {
			return true
		}
	}
	return len(k.Repos) == 0
}

// right is one that a token, nil for none, has to a part of a repository.
func (k *Token) right(r *Repo, of func(*Token) Right) Right {
	have := None
	if k != nil && (len(k.Repos) == 0 || k.reaches(r)) {
		have = of(k)
	}
	if r.public {
		have = max(have, Read)
	}
	return have
}

// Forge is a running server.
type Forge struct {
	URL string // http://127.0.0.1:PORT; a repository is at URL/OWNER/NAME
	API string // of the API, as GITHUB_API_URL has it
	Dir string // of the bare repositories

	t     testing.TB
	opt   Options
	front *httptest.Server

	mu     sync.Mutex
	repos  map[string]*Repo
	tokens map[string]Token
	log    []string // method and path with query of each request
	before func(http.ResponseWriter, *http.Request) bool
	calls  int // of the API that are left; negative: no limit
	lastID int64
}

// Start starts a server that ends with the test.
func Start(t testing.TB, opt Options) *Forge {
	t.Helper()
	f := &Forge{Dir: filepath.Join(t.TempDir(), "forge"), t: t, opt: opt, repos: map[string]*Repo{}, tokens: map[string]Token{}, calls: -1}
	f.must(os.MkdirAll(f.Dir, 0o755))
	f.front = httptest.NewServer(f)
	f.URL = f.front.URL
	f.API = f.URL + "/api/v3" // where GitHub Enterprise Server has it
	t.Cleanup(func() {
		f.front.CloseClientConnections() // a request that is held back ends
		f.front.Close()
	})
	return f
}

func (f *Forge) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// Allow makes a token known, or changes what it may do.
func (f *Forge) Allow(token string, may Token) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tokens[token] = may
}

// Revoke makes a token unknown, as GITHUB_TOKEN is when its job has ended.
func (f *Forge) Revoke(token string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.tokens, token)
}

// Before lets a function see each request first; nil: none. The request is done where it returns true.
// The request's context ends when the client goes.
func (f *Forge) Before(do func(http.ResponseWriter, *http.Request) (done bool)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before = do
}

// Log returns the requests so far, each as its method and its path with the query.
func (f *Forge) Log() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.log...)
}

// Count returns how many requests had the method, "" for any, and part in path or query.
func (f *Forge) Count(method, part string) (n int) {
	for _, line := range f.Log() {
		m, rest, _ := strings.Cut(line, " ")
		if (method == "" || m == method) && strings.Contains(rest, part) {
			n++
		}
	}
	return n
}

// ServeHTTP implements http.Handler.
func (f *Forge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.log = append(f.log, r.Method+" "+r.URL.RequestURI())
	before := f.before
	f.mu.Unlock()
	if before != nil && before(w, r) {
		return
	}
	if path, ok := strings.CutPrefix(r.URL.Path, "/api/v3/"); ok {
		f.serveAPI(w, r, path)
		return
	}
	if r.URL.Path == "/api/graphql" {
		f.serveGraphQL(w, r)
		return
	}
	f.serveGit(w, r)
}

// repo returns a repository by OWNER/NAME, which GitHub compares without case; nil: there is none.
func (f *Forge) repo(name string) *Repo {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.repos[strings.ToLower(name)]
}

// token returns what the request's token may do; nil: it has none. One that is not known is no ok.
func (f *Forge) token(r *http.Request) (k *Token, ok bool) {
	kind, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch strings.ToLower(kind) {
	case "":
		return nil, true
	case "basic":
		b, err := base64.StdEncoding.DecodeString(rest)
		if err != nil {
			return nil, false
		}
		_, rest, _ = strings.Cut(string(b), ":") // any user name will do
	case "bearer", "token":
	default:
		return nil, false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	may, ok := f.tokens[strings.TrimSpace(rest)]
	return &may, ok
}

// id returns a number that nothing else has.
func (f *Forge) id() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lastID++
	return f.lastID
}

// Never is a function for Before that holds a request back until its client goes.
func Never(_ http.ResponseWriter, r *http.Request) bool {
	_, _ = io.Copy(io.Discard, r.Body) // before its end the server does not look whether the client is there
	<-r.Context().Done()
	return true
}

// Slowly returns a function for Before that passes a request on after a time.
func Slowly(by time.Duration) func(http.ResponseWriter, *http.Request) bool {
	return func(_ http.ResponseWriter, r *http.Request) bool {
		select {
		case <-r.Context().Done():
		case <-time.After(by):
		}
		return false
	}
}

// Only limits a function for Before to the requests with part in path or query.
func Only(part string, do func(http.ResponseWriter, *http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		return strings.Contains(r.URL.RequestURI(), part) && do(w, r)
	}
}

// say answers with a text, which git shows with remote: before each line.
func say(w http.ResponseWriter, status int, format string, args ...any) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintf(w, format, args...)
}
