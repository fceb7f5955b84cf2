// Package lookup asks servers what names stand for now: URLs, and images of container registries.
//
// It sends no credentials but those that docker has for a registry. Each question ends in a bounded time: a
// connection on which nothing moves is given up, and so is a registry that takes long. What may pass by itself (a
// server that is overloaded, a connection that is reset) is tried again.
//
// Errors are of kind network, auth or not-found. They never hold the address that a server has redirected to: it may
// be signed.
package lookup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/retry"

	"github.com/pipe-build/pipe/internal/diag"
)

// Client asks. It may be used by several goroutines.
type Client struct {
	agent  string
	base   *http.Transport // below the retries
	policy retry.GenericPolicy
	http   *http.Client
	docker func() (*auth.Client, error) // how registries are asked, made when the first one is
}

const (
	idleTimeout  = 30 * time.Second // without a byte: a slow disk or a cold cache answers sooner
	imageTimeout = time.Minute      // for all requests about an image, each of a few kilobytes
	maxRedirects = 10               // as in browsers and curl -L
)

// New returns a client that names itself agent. It makes no request, and reads no file.
func New(agent string) *Client {
	c := &Client{agent: agent, base: http.DefaultTransport.(*http.Transport).Clone(), policy: retry.GenericPolicy{
		Retryable: passing, Backoff: retry.DefaultBackoff, MinWait: 200 * time.Millisecond, MaxWait: 3 * time.Second, MaxRetry: 3,
	}}
	c.base.DialContext = dial(idleTimeout)
	c.base.IdleConnTimeout = idleTimeout / 2 // before the deadline of the connection, lest a request meets it
	c.base.DisableCompression = true         // the bytes count, as curl would save them
	c.http = &http.Client{CheckRedirect: redirect, Transport: &retry.Transport{Base: c.base, Policy: func() retry.Policy { return &c.policy }}}
	c.docker = sync.OnceValues(c.login)
	return c
}

// passing reports what may pass by itself. A silent server has had its time.
func passing(resp *http.Response, err error) (bool, error) {
	switch {
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.ErrUnexpectedEOF):
		return true, nil
	case err != nil:
		return false, err
	}
	return resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= http.StatusInternalServerError, nil
}

// dial returns how connections are made that are given up when no byte moves for a time.
func dial(idle time.Duration) func(ctx context.Context, network, addr string) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: idle}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dialer.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &restless{c, idle}, nil
	}
}

// restless is a connection that breaks when a read or a write takes longer than idle.
type restless struct {
	net.Conn
	idle time.Duration
}

// Read implements net.Conn.
func (c *restless) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.idle)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// Write implements net.Conn.
func (c *restless) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.idle)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

var (
	errRedirects = errors.New("it redirects without end")
	errDowngrade = errors.New("it redirects from https to http")
)

// redirect follows to other servers, but never from https to http, and tells none where it was before: that address
// may be signed.
func redirect(r *http.Request, via []*http.Request) error {
	switch {
	case len(via) > maxRedirects:
		return errRedirects
	case r.URL.Scheme != "https" && via[len(via)-1].URL.Scheme == "https":
		return errDowngrade
	}
	r.URL.User = nil
	r.Header.Del("Referer")
	return nil
}

// errSlow ends questions about an image.
var errSlow = errors.New("it did not answer within " + imageTimeout.String())

// unreached is an error of kind network, without the address, which stands beside it, and may be another one here.
func unreached(ctx context.Context, err error, hint string) error {
	if cause := context.Cause(ctx); cause != nil {
		if !errors.Is(cause, errSlow) {
			return cause // whoever asked has ended it
		}
		err = errSlow
	}
	for e := (*url.Error)(nil); errors.As(err, &e); {
		err = e.Err
	}
	if e := net.Error(nil); errors.As(err, &e) && e.Timeout() {
		err = fmt.Errorf("it did not answer within %s: %w", idleTimeout, err)
	}
	return diag.New(diag.Network, "%w", err).Hinted("%s", hint)
}

func statusText(code int) string {
	return strings.TrimSpace(fmt.Sprint(code, " ", http.StatusText(code)))
}
