package forge

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxBody is GitHub's limit of a comment's text, and of a pull request's, in characters.
const maxBody = 65536

// call is one call of the API. An answer is given by its methods, once.
type call struct {
	f    *Forge
	w    http.ResponseWriter
	r    *http.Request
	k    *Token   // nil: none
	repo *Repo    // of paths below repos/OWNER/NAME
	path []string // below it, or below the API's root
}

// LimitCalls lets the API answer so many more calls, and then say that the limit is reached; a negative
// number: no limit.
func (f *Forge) LimitCalls(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = n
}

// serveAPI answers a call of GitHub's REST API.
func (f *Forge) serveAPI(w http.ResponseWriter, r *http.Request, path string) {
	c := &call{f: f, w: w, r: r}
	var known bool
	c.k, known = f.token(r)
	for _, part := range strings.Split(strings.TrimPrefix(r.URL.EscapedPath(), "/api/v3/"), "/") {
		name, err := url.PathUnescape(part) // a branch with a slash is one part: a%2Fb
		if err != nil {
			c.fail(http.StatusBadRequest, "Bad Request")
			return
		}
		c.path = append(c.path, name)
	}
	switch {
	case r.UserAgent() == "":
		c.fail(http.StatusForbidden, "Request forbidden by administrative rules. Please make sure your request has a User-Agent header.")
	case !known:
		c.fail(http.StatusUnauthorized, "Bad credentials")
	case !c.count():
		c.fail(http.StatusForbidden, "API rate limit exceeded for user ID 1.")
	case c.path[0] == "repos" && len(c.path) >= 3:
		c.repo = f.repo(c.path[1] + "/" + c.path[2])
		if c.path = c.path[3:]; c.repo == nil || !c.k.reaches(c.repo) {
			c.missing()
			return
		}
		c.serveRepo()
	case path == "user" && c.k == nil:
		c.fail(http.StatusUnauthorized, "Requires authentication")
	case path == "user" && c.k.app():
		c.forbid()
	case path == "user":
		c.say(http.StatusOK, user(c.k.Login))
	case path == "installation/repositories":
		c.installation()
	default:
		c.missing()
	}
}

// count takes the call off the limit and says in the headers what is left.
func (c *call) count() bool {
	const hourly = 5000
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	left := c.f.calls
	if left > 0 {
		c.f.calls--
	}
	remaining := hourly
	if left >= 0 {
		remaining = c.f.calls
	}
	h := c.w.Header()
	h.Set("X-RateLimit-Limit", strconv.Itoa(hourly))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(remaining))
	h.Set("X-RateLimit-Used", strconv.Itoa(max(hourly-remaining, 0)))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10))
	h.Set("X-RateLimit-Resource", "core")
	if c.k != nil && len(c.k.Scopes) > 0 {
		h.Set("X-OAuth-Scopes", strings.Join(c.k.Scopes, ", "))
	}
	return left != 0
}

// serveRepo answers requests about a repository.
func (c *call) serveRepo() {
	p := c.path
	switch {
	case len(p) == 0 && c.is(http.MethodGet):
		c.say(http.StatusOK, c.repository(c.repo))
	case len(p) == 2 && p[0] == "branches" && c.is(http.MethodGet):
		c.branch(p[1])
	case len(p) == 3 && p[0] == "branches" && p[2] == "protection" && c.is(http.MethodGet):
		c.protection(p[1])
	case len(p) == 3 && p[0] == "rules" && p[1] == "branches" && c.is(http.MethodGet):
		c.rules(p[2])
	case len(p) == 3 && p[0] == "issues" && p[2] == "comments":
		c.issueComments(p[1])
	case len(p) == 3 && p[0] == "issues" && p[1] == "comments":
		c.oneComment(p[2])
	case len(p) == 1 && p[0] == "pulls":
		c.pullsOf()
	case len(p) == 2 && p[0] == "pulls":
		c.onePull(p[1])
	default:
		c.missing()
	}
}

func (c *call) is(method string) bool { return c.r.Method == method }

// object is a JSON object.
type object = map[string]any

// say answers with JSON.
func (c *call) say(status int, v any) {
	c.w.Header().Set("Content-Type", "application/json; charset=utf-8")
	c.w.WriteHeader(status)
	_ = json.NewEncoder(c.w).Encode(v)
}

// show answers with what is made while nobody else changes anything.
func (c *call) show(status int, make func() object) {
	c.f.mu.Lock()
	o := make()
	c.f.mu.Unlock()
	c.say(status, o)
}

// fail answers with an error, and what is wrong with which fields.
func (c *call) fail(status int, message string, wrong ...object) {
	o := object{"message": message, "documentation_url": "https://docs.github.com/rest", "status": strconv.Itoa(status)}
	if len(wrong) > 0 {
		o["errors"] = wrong
	}
	c.say(status, o)
}

// missing is also the answer to who may not know that something is there.
func (c *call) missing() { c.fail(http.StatusNotFound, "Not Found") }

// forbid is the answer to a token that may read, and not do what it asks for.
func (c *call) forbid() {
	if c.k != nil && !c.k.app() {
		c.fail(http.StatusForbidden, "Resource not accessible by personal access token")
		return
	}
	c.fail(http.StatusForbidden, "Resource not accessible by integration")
}

// may reports whether the token has a right, and answers where it has not.
func (c *call) may(need Right, of func(*Token) Right) bool {
	switch {
	case c.k.right(c.repo, of) >= need:
		return true
	case c.k == nil:
		c.fail(http.StatusUnauthorized, "Requires authentication")
	default:
		c.forbid()
	}
	return false
}

// read reads the JSON of a request.
func (c *call) read(v any) bool {
	b, err := io.ReadAll(io.LimitReader(c.r.Body, 1<<20))
	if err != nil || json.Unmarshal(b, v) != nil {
		c.fail(http.StatusBadRequest, "Problems parsing JSON")
		return false
	}
	return true
}

// page answers with one page of a list, and links to the others.
func (c *call) page(all []object) {
	q := c.r.URL.Query()
	number := func(name string, otherwise, limit int) int {
		n, err := strconv.Atoi(q.Get(name))
		if err != nil || n < 1 {
			return otherwise
		}
		return min(n, limit)
	}
	size, at := number("per_page", 30, 100), number("page", 1, 1<<20)
	last := max(1, (len(all)+size-1)/size)
	var links []string
	link := func(rel string, to int) {
		q.Set("page", strconv.Itoa(to))
		links = append(links, fmt.Sprintf(`<%s%s?%s>; rel=%q`, c.f.URL, c.r.URL.EscapedPath(), q.Encode(), rel))
	}
	if at > 1 {
		link("prev", at-1)
	}
	if at < last {
		link("next", at+1)
		link("last", last)
	}
	if at > 1 {
		link("first", 1)
	}
	if len(links) > 0 {
		c.w.Header().Set("Link", strings.Join(links, ", "))
	}
	from := min((at-1)*size, len(all))
	c.say(http.StatusOK, append([]object{}, all[from:min(from+size, len(all))]...))
}

func user(login string) object {
	kind := "User"
	if strings.HasSuffix(login, "[bot]") {
		kind = "Bot"
	}
	return object{"login": login, "id": len(login), "type": kind}
}

// repository is one as GET /repos/OWNER/NAME has it.
func (c *call) repository(r *Repo) object {
	owner, name, _ := strings.Cut(r.Name, "/")
	o := object{
		"name": name, "full_name": r.Name, "private": !r.public, "owner": user(owner), "fork": r.parent != nil,
		"default_branch": r.Default, "html_url": r.URL, "clone_url": r.URL + ".git", "url": c.f.API + "/repos/" + r.Name,
	}
	if r.parent != nil {
		o["parent"] = object{"full_name": r.parent.Name, "default_branch": r.parent.Default}
	}
	if c.k != nil {
		contents := c.k.right(r, func(k *Token) Right { return k.Contents })
		admin := c.k.right(r, func(k *Token) Right { return k.Administration }) == Write
		o["permissions"] = object{"admin": admin, "maintain": admin, "push": contents == Write, "triage": contents == Write, "pull": contents >= Read}
	}
	return o
}

// installation answers what an app's token is for.
func (c *call) installation() {
	if c.k == nil || !c.k.app() {
		c.forbid()
		return
	}
	list := []object{}
	c.f.mu.Lock()
	var all []*Repo
	for _, r := range c.f.repos {
		all = append(all, r)
	}
	c.f.mu.Unlock()
	for _, r := range all {
		if !r.public && c.k.reaches(r) {
			list = append(list, c.repository(r))
		}
	}
	c.say(http.StatusOK, object{"total_count": len(list), "repositories": list})
}

// rule is what protects a branch now.
func (r *Repo) rule(branch string) Rule {
	r.forge.mu.Lock()
	defer r.forge.mu.Unlock()
	return r.rules[branch]
}

// branch answers GET /repos/OWNER/NAME/branches/BRANCH.
func (c *call) branch(name string) {
	if !c.may(Read, func(k *Token) Right { return k.Contents }) {
		return
	}
	tip := c.repo.Tip(name)
	if tip == "" {
		c.fail(http.StatusNotFound, "Branch not found")
		return
	}
	protected := c.repo.rule(name) == Protection || c.repo.rule(name) == Ruleset
	at := c.f.API + "/repos/" + c.repo.Name
	c.say(http.StatusOK, object{
		"name": name, "protected": protected, "commit": object{"sha": tip, "url": at + "/commits/" + tip},
		"protection": object{"enabled": c.repo.rule(name) == Protection}, "protection_url": at + "/branches/" + url.PathEscape(name) + "/protection",
	})
}

// protection answers GET /repos/OWNER/NAME/branches/BRANCH/protection, which no GITHUB_TOKEN may ask for.
func (c *call) protection(name string) {
	switch {
	case c.k == nil || c.k.Administration < Read && !c.k.app():
		c.missing()
	case c.k.Administration < Read:
		c.forbid()
	case c.repo.Tip(name) == "":
		c.fail(http.StatusNotFound, "Branch not found")
	case c.repo.rule(name) != Protection:
		c.fail(http.StatusNotFound, "Branch not protected")
	default:
		c.say(http.StatusOK, object{
			"url":                           c.f.API + "/repos/" + c.repo.Name + "/branches/" + url.PathEscape(name) + "/protection",
			"required_pull_request_reviews": object{"dismiss_stale_reviews": false, "require_code_owner_reviews": false, "required_approving_review_count": 1},
			"enforce_admins":                object{"enabled": true},
			"allow_force_pushes":            object{"enabled": false},
			"allow_deletions":               object{"enabled": false},
		})
	}
}

// rules answers GET /repos/OWNER/NAME/rules/branches/BRANCH: those of rulesets, for whoever may read.
func (c *call) rules(name string) {
	list := []object{}
	if c.repo.rule(name) == Ruleset {
		list = append(list, object{
			"type": "pull_request", "ruleset_source_type": "Repository", "ruleset_source": c.repo.Name, "ruleset_id": 1,
			"parameters": object{"required_approving_review_count": 1, "dismiss_stale_reviews_on_push": false, "require_code_owner_review": false, "require_last_push_approval": false, "required_review_thread_resolution": false},
		})
	}
	c.page(list)
}
