package lookup

import (
	"context"
	"net/http"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
)

// URL returns what a server has at a URL: etag: and its strong ETag, else the BLAKE3 of the body. Redirects are
// followed. Only status 200 is an answer, and only a body that was read to its end has a hash.
func (c *Client) URL(ctx context.Context, url string) (answer string, err error) {
	head, err := c.send(ctx, http.MethodHead, url)
	if err != nil {
		return "", err
	}
	_ = head.Body.Close() // it is empty
	// Not every server takes HEAD, and some have an ETag only beside a body: what GET says counts then.
	if etag := etagOf(head); etag != "" {
		return etag, nil
	}
	get, err := c.send(ctx, http.MethodGet, url)
	if err != nil {
		return "", err
	}
	defer func() { _ = get.Body.Close() }() // it was read to its end, or is not wanted
	if get.StatusCode != http.StatusOK {
		return "", refused(get.StatusCode)
	}
	if etag := etagOf(get); etag != "" {
		return etag, nil
	}
	d, _, err := digest.NewHasher().Copy(ctx, nil, get.Body, make([]byte, readBytes))
	if err != nil {
		return "", unreached(ctx, err, retryHint)
	}
	return d.String(), nil
}

const retryHint = "check the network, then run the command again"

// readBytes is what a body is read by.
const readBytes = 64 << 10

func (c *Client) send(ctx context.Context, method, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, unreached(ctx, err, retryHint)
	}
	req.Header.Set("User-Agent", c.agent)
	req.Header.Set("Cache-Control", "no-cache") // a cache on the way must look whether it still holds
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, unreached(ctx, err, retryHint)
	}
	return resp, nil
}

func etagOf(resp *http.Response) string {
	etag := resp.Header.Get("ETag")
	if resp.StatusCode != http.StatusOK || !artifact.IsETag(etag) {
		return ""
	}
	return "etag:" + etag
}

// refused says which status a server answered instead.
func refused(status int) error {
	kind, hint := diag.Network, "try again later; the URL must answer with status 200"
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired:
		kind, hint = diag.Auth, "pipe sends no credentials to a URL; use a {cmd: ...} that does"
	case http.StatusNotFound, http.StatusGone:
		kind, hint = diag.NotFound, "correct the URL, or remove it from deps"
	}
	return diag.New(kind, "the server answered %s", statusText(status)).Hinted("%s", hint)
}
