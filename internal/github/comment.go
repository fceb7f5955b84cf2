package github

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
)

// comment is one of a pull request, which GitHub keeps as an issue's.
type comment struct {
	ID   int64  `json:"id"`
	Body string `json:"body"`
	URL  string `json:"html_url"`
	User struct {
		Login string `json:"login"`
	} `json:"user"`
}

// KeepComment makes body the comment of a pull request that begins with a mark, and returns its
// address: the first one that this token's user wrote is edited, and there is one afterwards. What is
// the same is not written. Others may write the mark, too; their comments stay as they are, for whoever wrote one
// could change it again.
func (c *Client) KeepComment(ctx context.Context, number int, mark, body string) (url string, err error) {
	for n := 1; ; n++ {
		old, err := c.ownComment(ctx, number, mark)
		switch {
		case err != nil:
			return "", err
		case old != nil && same(old.Body, body):
			return old.URL, nil
		case old != nil:
			url, err := c.writeComment(ctx, http.MethodPatch, "/issues/comments/"+strconv.FormatInt(old.ID, 10), body)
			if !diag.Is(err, diag.NotFound) { // it was deleted since it was listed
				return url, err
			}
		}
		url, err = c.writeComment(ctx, http.MethodPost, issue(number)+"/comments", body)
		// It may be there although no answer came: look before it is written a second time.
		if n == maxAttempts || !diag.Is(err, diag.Network) {
			return url, err
		}
		if err := c.opt.Wait(ctx, c.pause(n, nil, false)); err != nil {
			return "", err
		}
	}
}

// same reports whether a comment says what it should. GitHub takes blank space off the end, and its
// editor writes line ends of its own.
func same(a, b string) bool {
	return strings.TrimSpace(strings.ReplaceAll(a, "\r\n", "\n")) == strings.TrimSpace(b)
}

func issue(number int) string { return "/issues/" + strconv.Itoa(number) }

func (c *Client) writeComment(ctx context.Context, method, path, body string) (string, error) {
	var written comment
	_, err := c.do(ctx, call{
		doing: "write the comment", method: method, path: c.repo(path), in: map[string]string{"body": body}, out: &written,
	})
	return written.URL, err
}

// ownComment returns the first comment that begins with the mark and that this token's user
// wrote, nil when there is none.
func (c *Client) ownComment(ctx context.Context, number int, mark string) (found *comment, err error) {
	viewer, failed := "", error(nil)
	k := call{doing: "read the comments of pull request " + strconv.Itoa(number), method: http.MethodGet, path: c.repo(issue(number) + "/comments?per_page=100")}
	err = pages(ctx, c, k, func(one comment) bool {
		if !strings.HasPrefix(one.Body, mark) {
			return false
		}
		if viewer == "" {
			if viewer, failed = c.viewer(ctx); failed != nil {
				return true
			}
		}
		if one.User.Login == viewer {
			found = &one
		}
		return found != nil
	})
	return found, errors.Join(err, failed)
}

// viewer returns the login of the token's user. REST has no answer for the token of a GitHub App, as
// that of GitHub Actions is one; GraphQL does.
func (c *Client) viewer(ctx context.Context) (string, error) {
	var out struct {
		Data struct {
			Viewer struct {
				Login string `json:"login"`
			} `json:"viewer"`
		} `json:"data"`
	}
	k := call{
		doing: "ask whose token it is", method: http.MethodPost, asks: true, in: map[string]string{"query": "{viewer{login}}"}, out: &out,
		path: strings.TrimSuffix(c.base.String(), "/v3") + "/graphql", // of GitHub Enterprise: /api/graphql, beside /api/v3
	}
	if _, err := c.do(ctx, k); err != nil {
		return "", err
	}
	if out.Data.Viewer.Login == "" {
		return "", diag.New(diag.Auth, "%s: the server does not say", k.doing).At(c.base.String()).Hinted("set GITHUB_TOKEN to a token of a user or an app")
	}
	return out.Data.Viewer.Login, nil
}
