// Package github asks GitHub's REST API what pipe needs of it: comments of a pull request, pull
// requests, and what is known of a repository and its branches.
//
// The token goes to the one server that a Client is made for, over TLS unless that is this
// machine, and into no text: a redirect to another server is not followed, and errors are
// searched for it. Each request ends in a bounded time. One that the server refused without
// doing anything (a rate limit) is sent again, and so is one that may be sent twice without harm.
//
// Errors are of kind auth where the token is not accepted or may not do something (the text
// names the missing permission), not-found, network, or failed with GitHub's own words.
// See docs.github.com/en/rest.
package github

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/par"
)

// DefaultURL is the API of github.com. GitHub Actions sets GITHUB_API_URL to the one of its server.
const DefaultURL = "https://api.github.com"

// Options say where the API is and who asks.
type Options struct {
	URL        string // of the API; "": DefaultURL
	Token      string // "": what everybody may read
	Repository string // OWNER/NAME
	Agent      string // names this program to the server
	// Now and Wait are the clock; nil: the real one. Wait returns early when ctx ends, with its cause.
	Now  func() time.Time
	Wait func(ctx context.Context, d time.Duration) error
}

// Client asks about one repository. It may be used by several goroutines.
type Client struct {
	opt  Options
	base *url.URL
	http *http.Client
}

// form of OWNER/NAME. It becomes a part of addresses.
var form = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9_.-]*/[A-Za-z0-9_.-]+$`)

// How long a request may take: to connect, and altogether. Answers are a few kilobytes, so one that takes longer
// stands still.
const (
	connectTimeout = 15 * time.Second
	requestTimeout = 30 * time.Second
)

// New returns a client. It makes no request.
func New(opt Options) (*Client, error) {
	if opt.URL == "" {
		opt.URL = DefaultURL
	}
	base, err := url.Parse(strings.TrimSuffix(opt.URL, "/"))
	switch {
	case err != nil || base.Host == "" || base.User != nil || base.RawQuery != "" || base.Fragment != "":
		return nil, diag.New(diag.Usage, "GITHUB_API_URL must have the form https://HOST/PATH, without a user").Hinted("export GITHUB_API_URL=%s", DefaultURL)
	case base.Scheme != "https" && (base.Scheme != "http" || !loopback(base.Hostname())):
		return nil, diag.New(diag.Usage, "GITHUB_API_URL must begin with https://: the token is not sent in the clear").At(base.String()).Hinted("export GITHUB_API_URL=%s", DefaultURL)
	case !form.MatchString(opt.Repository) || strings.HasSuffix(opt.Repository, "/..") || strings.HasSuffix(opt.Repository, "/."):
		return nil, diag.New(diag.Usage, "GITHUB_REPOSITORY must have the form OWNER/NAME, not %q", opt.Repository)
	}
	opt.Token = strings.TrimSpace(opt.Token) // a secret that was pasted often ends with a line end
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Wait == nil {
		opt.Wait = par.Sleep
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSHandshakeTimeout, t.IdleConnTimeout = connectTimeout, connectTimeout
	return &Client{opt: opt, base: base, http: &http.Client{Transport: t, Timeout: requestTimeout, CheckRedirect: redirect}}, nil
}

// Close frees connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// loopback takes a name or an address as it stands: what must be resolved first may lead anywhere.
func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// redirect follows what stays on the server and keeps the method, as for a repository that was renamed.
func redirect(r *http.Request, via []*http.Request) error {
	if len(via) > 5 || r.Method != via[0].Method || r.URL.Scheme != via[0].URL.Scheme || r.URL.Host != via[0].URL.Host {
		return http.ErrUseLastResponse
	}
	return nil
}

// repo is a path below the repository.
func (c *Client) repo(path string) string { return "/repos/" + c.opt.Repository + path }

// secret takes the token out of a text.
func (c *Client) secret(text string) string {
	if c.opt.Token == "" {
		return text
	}
	return strings.ReplaceAll(text, c.opt.Token, "***")
}
