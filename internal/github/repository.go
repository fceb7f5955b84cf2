package github

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"github.com/pipe-build/pipe/internal/diag"
)

// Repository is what GitHub says of a repository.
type Repository struct {
	Default     string `json:"default_branch"`
	Permissions *struct {
		Push bool `json:"push"`
	} `json:"permissions"` // of the token's user; nil: not told
}

// Repository asks about the repository.
func (c *Client) Repository(ctx context.Context) (*Repository, error) {
	r := &Repository{}
	_, err := c.do(ctx, call{doing: "read the repository", method: http.MethodGet, path: c.repo(""), out: r})
	return r, err
}

// Protection returns what protects a branch against a push: the types of its rules, as GitHub
// names them (pull_request, required_status_checks), and "branch protection" for the older form,
// whose rules only administrators can read. Empty: nothing does.
func (c *Client) Protection(ctx context.Context, branch string) ([]string, error) {
	at := url.PathEscape(branch)
	var b struct {
		Protected  bool `json:"protected"`
		Protection struct {
			Enabled bool `json:"enabled"`
		} `json:"protection"`
	}
	if _, err := c.do(ctx, call{doing: "read branch " + branch, method: http.MethodGet, path: c.repo("/branches/" + at), out: &b}); err != nil {
		return nil, err
	}
	var rules []string
	k := call{doing: "read the rules of branch " + branch, method: http.MethodGet, path: c.repo("/rules/branches/" + at + "?per_page=100")}
	err := pages(ctx, c, k, func(rule struct {
		Type string `json:"type"`
	},
	) bool {
		rules = append(rules, rule.Type)
		return false
	})
	if err != nil && !diag.Is(err, diag.NotFound) { // a server that does not have rules yet
		return nil, err
	}
	// Rules count as protection, too; of the older form they say nothing.
	if b.Protection.Enabled || b.Protected && len(rules) == 0 {
		rules = append(rules, "branch protection")
	}
	slices.Sort(rules)
	return slices.Compact(rules), nil
}
