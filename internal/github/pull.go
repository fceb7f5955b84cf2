package github

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// pull is a pull request.
type pull struct {
	Number int    `json:"number"`
	URL    string `json:"html_url"`
	Title  string `json:"title"`
	Body   string `json:"body"`
}

// KeepPullRequest has an open pull request from the branch head to the branch base, both of this repository,
// with a title and a body, and returns its address. One that is open is changed, and only where it differs.
func (c *Client) KeepPullRequest(ctx context.Context, head, base, title, body string) (string, error) {
	old, err := c.openPull(ctx, head, base)
	if err != nil {
		return "", err
	}
	if old == nil {
		var made pull
		a, err := c.do(ctx, call{
			doing: "open a pull request", method: http.MethodPost, path: c.repo("/pulls"),
			in: map[string]string{"head": head, "base": base, "title": title, "body": body}, out: &made,
		})
		if err == nil {
			return made.URL, nil
		}
		// Another run was faster, or this one's answer was lost: GitHub allows only one.
		if a != nil && a.status != http.StatusUnprocessableEntity && a.status < 500 {
			return "", err
		}
		found, e := c.openPull(ctx, head, base)
		if e != nil || found == nil {
			return "", err
		}
		old = found
	}
	if old.Title == title && same(old.Body, body) {
		return old.URL, nil
	}
	_, err = c.do(ctx, call{
		doing: "change pull request " + strconv.Itoa(old.Number), method: http.MethodPatch, path: c.repo("/pulls/" + strconv.Itoa(old.Number)),
		in: map[string]string{"title": title, "body": body},
	})
	return old.URL, err
}

// openPull returns the open pull request from head to base, nil when there is none.
func (c *Client) openPull(ctx context.Context, head, base string) (found *pull, err error) {
	owner, _, _ := strings.Cut(c.opt.Repository, "/")
	q := url.Values{"state": {"open"}, "head": {owner + ":" + head}, "base": {base}}
	k := call{doing: "find the pull request", method: http.MethodGet, path: c.repo("/pulls?" + q.Encode())}
	err = pages(ctx, c, k, func(p pull) bool {
		found = &p
		return true
	})
	return found, err
}
