package github

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
)

const (
	apiVersion  = "2022-11-28" // docs.github.com/en/rest/about-the-rest-api/api-versions
	maxAttempts = 5
	maxWait     = 90 * time.Second // GitHub asks for a minute after its secondary rate limit
	maxAnswer   = 64 << 20         // a page of 100 comments of 65,536 characters each is 26 MB at most
)

// call is a request and its answer.
type call struct {
	doing  string // for people: "find the comment"
	method string
	path   string // below the API's address, with a query; or a whole address on the same server
	asks   bool   // changes nothing, though it is a POST
	in     any    // sent as JSON; nil: nothing
	out    any    // filled from the answer; nil: nothing is read
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// do sends a request until it is answered, for a bounded time.
//
// A request that only reads, or that sets what is there, may be sent again after any failure. One that makes
// something may have made it although no answer came: it is sent again only where the server says that
// it did nothing.
func (c *Client) do(ctx context.Context, k call) (*answer, error) {
	for n := 1; ; n++ {
		a, err := c.once(ctx, k)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err == nil && a.status < 300 {
			return a, c.read(k, a)
		}
		limited := err == nil && a.limited()
		again := limited || (k.asks || k.method != http.MethodPost) && (err != nil || a.status >= 500)
		pause := c.pause(n, a, limited)
		if err != nil {
			err = c.unreached(k, err)
		} else {
			err = c.refused(k, a)
		}
		if !again || n == maxAttempts || pause > maxWait {
			return a, err
		}
		if err := c.opt.Wait(ctx, pause); err != nil {
			return nil, err
		}
	}
}

// once sends a request once.
func (c *Client) once(ctx context.Context, k call) (*answer, error) {
	var body io.Reader
	if k.in != nil {
		b, err := json.Marshal(k.in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	at := k.path
	if !strings.Contains(at, "://") {
		at = c.base.String() + at
	}
	r, err := http.NewRequestWithContext(ctx, k.method, at, body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/vnd.github+json")
	r.Header.Set("X-GitHub-Api-Version", apiVersion)
	r.Header.Set("User-Agent", c.opt.Agent)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.opt.Token != "" {
		r.Header.Set("Authorization", "Bearer "+c.opt.Token)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return nil, err
	}
	return &answer{resp.StatusCode, resp.Header, b}, nil
}

// read fills k.out.
func (c *Client) read(k call, a *answer) error {
	if k.out == nil {
		return nil
	}
	if err := json.Unmarshal(a.body, k.out); err != nil {
		return diag.New(diag.Failed, "%s: the server's answer is not JSON: %w", k.doing, err).At(c.base.String())
	}
	return nil
}

// limited reports that the server did nothing because there were too many requests. See
// docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api.
func (a *answer) limited() bool {
	if a.status == http.StatusTooManyRequests {
		return true
	}
	return a.status == http.StatusForbidden && (a.header.Get("Retry-After") != "" || a.header.Get("X-RateLimit-Remaining") == "0" ||
		bytes.Contains(a.body, []byte("secondary rate limit")))
}

// pause returns how long to wait after attempt n: what the server asks for, else a random part of
// a time that doubles.
func (c *Client) pause(n int, a *answer, limited bool) time.Duration {
	if a != nil {
		if s, err := strconv.Atoi(a.header.Get("Retry-After")); err == nil && s >= 0 {
			return time.Duration(s) * time.Second
		}
	}
	if limited {
		if at, err := strconv.ParseInt(a.header.Get("X-RateLimit-Reset"), 10, 64); err == nil && a.header.Get("X-RateLimit-Remaining") == "0" {
			return max(time.Unix(at, 0).Sub(c.opt.Now()), time.Second)
		}
		return time.Minute
	}
	return rand.N(500 * time.Millisecond << n)
}

// unreached is the error of a request without an answer.
func (c *Client) unreached(k call, err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // its text has the whole address, and says GET
	}
	e := diag.New(diag.Network, "%s: %s", k.doing, c.secret(err.Error())).At(c.base.String()).Hinted("check whether GitHub can be reached: curl -sI %s", c.base)
	e.Err = err
	return e
}

// refused is the error of an answer that says no.
func (c *Client) refused(k call, a *answer) error {
	e := diag.New(diag.Failed, "%s: %s", k.doing, c.secret(a.words())).At(c.base.String())
	switch {
	case a.limited():
		e.Kind, e.Hint = diag.Network, "run the command again later"
		if at, err := strconv.ParseInt(a.header.Get("X-RateLimit-Reset"), 10, 64); err == nil {
			e.Hint = "run the command again after " + time.Unix(at, 0).UTC().Format("15:04 UTC")
		}
	case a.status == http.StatusUnauthorized:
		e.Kind, e.Hint = diag.Auth, "set GITHUB_TOKEN to a token that is valid: in a workflow, env: {GITHUB_TOKEN: \"${{ github.token }}\"}"
	case a.status == http.StatusForbidden && a.noPulls():
		e.Kind, e.Hint = diag.Auth, "allow it in the repository's Settings > Actions > General > Workflow permissions, or use the token of a GitHub App"
	case a.status == http.StatusForbidden:
		e.Kind, e.Hint = diag.Auth, "use a token that may do this"
		if p := a.permissions(); p != "" {
			e.What += "; the token needs " + p
			// A job that names permissions has no others.
			if !strings.Contains(p, "contents:") {
				p = "contents: read, " + p
			}
			e.Hint = "in the workflow, give the job permissions: {" + p + "}"
		}
	case a.status == http.StatusNotFound:
		e.Kind, e.Hint = diag.NotFound, "check whether "+c.opt.Repository+" has it, and whether the token may read the repository"
	case a.status >= 500:
		e.Kind, e.Hint = diag.Network, "GitHub is failing (see githubstatus.com); run the command again later"
	case a.status < 400:
		e.Hint = "the server sends requests elsewhere (" + strconv.Itoa(a.status) + "); set GITHUB_API_URL and GITHUB_REPOSITORY to where the repository is now"
	}
	return e
}

// words are what the server says about its refusal.
func (a *answer) words() string {
	var m struct {
		Message string            `json:"message"`
		Errors  []json.RawMessage `json:"errors"`
	}
	text := "the server answered " + strconv.Itoa(a.status) + " " + http.StatusText(a.status)
	if json.Unmarshal(a.body, &m) != nil {
		return text
	}
	if m.Message != "" && m.Message != http.StatusText(a.status) {
		text += ": " + m.Message
	}
	for _, raw := range m.Errors {
		var detail struct{ Message, Field, Code string }
		var plain string
		if json.Unmarshal(raw, &plain) != nil && json.Unmarshal(raw, &detail) == nil {
			if plain = detail.Message; plain == "" {
				plain = strings.TrimSpace(detail.Field + " " + detail.Code)
			}
		}
		if plain != "" {
			text += "; " + plain
		}
	}
	return text
}

// noPulls reports the setting that forbids workflows to open pull requests. No header tells.
func (a *answer) noPulls() bool { return bytes.Contains(a.body, []byte("not permitted to create")) }

// permissions returns those that would do, in the words of a workflow: "pull-requests: write". GitHub
// separates sets, one of which is enough, by semicolons; the last one with pull requests is taken.
func (a *answer) permissions() string {
	best := ""
	for set := range strings.SplitSeq(a.header.Get("X-Accepted-GitHub-Permissions"), ";") {
		if best == "" || strings.Contains(set, "pull_requests") {
			best = set
		}
	}
	var words []string
	for p := range strings.SplitSeq(best, ",") {
		if name, level, ok := strings.Cut(strings.TrimSpace(p), "="); ok {
			words = append(words, strings.ReplaceAll(name, "_", "-")+": "+level)
		}
	}
	return strings.Join(words, ", ")
}

// link finds the next page in a header: <URL>; rel="next".
var link = regexp.MustCompile(`<([^>]*)>\s*;[^,]*\brel="next"`)

// maxPages is more than a pull request has: 100 comments each.
const maxPages = 100

// pages reads a list page by page, until f has seen enough. The next page is where the server
// says, and on the same server.
func pages[T any](ctx context.Context, c *Client, k call, f func(item T) (enough bool)) error {
	for range maxPages {
		var page []T
		k.out = &page
		a, err := c.do(ctx, k)
		if err != nil {
			return err
		}
		for _, item := range page {
			if f(item) {
				return nil
			}
		}
		m := link.FindStringSubmatch(a.header.Get("Link"))
		if m == nil {
			return nil
		}
		next, err := c.base.Parse(m[1])
		if err != nil || next.Scheme != c.base.Scheme || next.Host != c.base.Host {
			return diag.New(diag.Failed, "%s: the server names a next page on another server", k.doing).At(c.base.String())
		}
		k.path = next.String()
	}
	return nil
}
