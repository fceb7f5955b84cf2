package forge

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// comment is one on a pull request.
type comment struct {
	id               int64
	pull             int
	login, body      string
	created, updated time.Time
}

// pull is a pull request. A closed one was not merged.
type pull struct {
	number            int
	id                int64
	from              *Repo
	head, base        string // branches
	title, body       string
	login             string
	open, draft       bool
	created, modified time.Time
}

// Comment is what somebody has written on a pull request.
type Comment struct {
	ID    int64  // of the comment
	Login string // who wrote it
	Body  string // the text
}

// Pull is a pull request.
type Pull struct {
	Number      int    // of the pull request
	Head, Base  string // branches; of a fork's, Head is OWNER:BRANCH
	Title, Body string // the texts
	Open        bool   // neither merged nor closed
}

// NewPull makes a pull request of a branch of this repository or a fork, and its refs, and returns its number.
func (r *Repo) NewPull(base string, from *Repo, head, title string) int {
	r.forge.t.Helper()
	p := r.open(pull{from: from, head: head, base: base, login: "octocat", title: title})
	r.Merge(p.number, base, from, head)
	return p.number
}

// DenyApps says whether apps may make pull requests: they may not where the setting "Allow GitHub
// Actions to create and approve pull requests" is off, which it is at first on GitHub.
func (r *Repo) DenyApps(deny bool) {
	r.forge.mu.Lock()
	defer r.forge.mu.Unlock()
	r.denyApps = deny
}

// Comments returns what is written on a pull request, the oldest first.
func (r *Repo) Comments(number int) (all []Comment) {
	r.forge.mu.Lock()
	defer r.forge.mu.Unlock()
	for _, k := range r.comments {
		if k.pull == number {
			all = append(all, Comment{k.id, k.login, k.body})
		}
	}
	return all
}

// AddComment writes a comment on a pull request as somebody else.
func (r *Repo) AddComment(number int, login, body string) int64 {
	return r.comment(number, login, body).id
}

// Pulls returns the pull requests, the oldest first.
func (r *Repo) Pulls() (all []Pull) {
	r.forge.mu.Lock()
	defer r.forge.mu.Unlock()
	for _, p := range r.pulls {
		head := p.head
		if p.from != r {
			head = p.label()
		}
		all = append(all, Pull{p.number, head, p.base, p.title, p.body, p.open})
	}
	return all
}

// open gives a new pull request its number.
func (r *Repo) open(p pull) *pull {
	p.id, p.created = r.forge.id(), time.Now().UTC()
	p.modified, p.open = p.created, true
	r.forge.mu.Lock()
	defer r.forge.mu.Unlock()
	p.number = len(r.pulls) + 1
	r.pulls = append(r.pulls, &p)
	return &p
}

func (r *Repo) comment(number int, login, body string) *comment {
	id, now := r.forge.id(), time.Now().UTC()
	r.forge.mu.Lock()
	defer r.forge.mu.Unlock()
	k := &comment{id, number, login, body, now, now}
	r.comments = append(r.comments, k)
	return k
}

// pull returns a pull request; nil: there is none.
func (r *Repo) pull(number string) *pull {
	n, err := strconv.Atoi(number)
	r.forge.mu.Lock()
	defer r.forge.mu.Unlock()
	if err != nil || n < 1 || n > len(r.pulls) {
		return nil
	}
	return r.pulls[n-1]
}

// discuss is the right to a pull request's comments: that to issues serves, too.
func discuss(k *Token) Right { return max(k.Issues, k.PullRequests) }

func pulling(k *Token) Right { return k.PullRequests }

func (c *call) issueComments(number string) {
	p := c.repo.pull(number)
	switch {
	case c.is(http.MethodGet):
		if !c.may(Read, discuss) {
			return
		}
		if p == nil {
			c.missing()
			return
		}
		c.page(c.commentsOf(p.number))
	case c.is(http.MethodPost):
		if !c.may(Write, discuss) {
			return
		}
		if p == nil {
			c.missing()
			return
		}
		if text, ok := c.commentText(); ok {
			k := c.repo.comment(p.number, c.k.Login, text)
			c.show(http.StatusCreated, func() object { return c.commentObject(k) })
		}
	default:
		c.missing()
	}
}

func (c *call) commentsOf(number int) (list []object) {
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	for _, k := range c.repo.comments {
		if k.pull == number {
			list = append(list, c.commentObject(k))
		}
	}
	return list
}

// commentText reads the text of a comment to write.
func (c *call) commentText() (string, bool) {
	var in struct{ Body string }
	if !c.read(&in) {
		return "", false
	}
	wrong := object{"resource": "IssueComment", "code": "unprocessable", "field": "data"}
	switch n := utf8.RuneCountInString(in.Body); {
	case strings.TrimSpace(in.Body) == "":
		wrong["message"] = "Body cannot be blank"
	case n > maxBody:
		wrong["message"] = fmt.Sprintf("Body is too long (maximum is %d characters)", maxBody)
	default:
		return in.Body, true
	}
	c.fail(http.StatusUnprocessableEntity, "Validation Failed", wrong)
	return "", false
}

func (c *call) oneComment(number string) {
	id, _ := strconv.ParseInt(number, 10, 64)
	var found *comment
	c.f.mu.Lock()
	for _, k := range c.repo.comments {
		if k.id == id {
			found = k
		}
	}
	c.f.mu.Unlock()
	switch {
	case found == nil:
		c.missing()
	case c.is(http.MethodGet) && c.may(Read, discuss):
		c.show(http.StatusOK, func() object { return c.commentObject(found) })
	case c.is(http.MethodPatch) && c.may(Write, discuss):
		text, ok := c.commentText()
		if !ok {
			return
		}
		c.show(http.StatusOK, func() object {
			found.body, found.updated = text, time.Now().UTC()
			return c.commentObject(found)
		})
	}
}

func (c *call) commentObject(k *comment) object {
	at := c.f.API + "/repos/" + c.repo.Name + "/issues"
	return object{
		"id": k.id, "url": fmt.Sprintf("%s/comments/%d", at, k.id), "html_url": fmt.Sprintf("%s/pull/%d#issuecomment-%d", c.repo.URL, k.pull, k.id),
		"issue_url": fmt.Sprintf("%s/%d", at, k.pull), "body": k.body, "user": user(k.login),
		"created_at": k.created.Format(time.RFC3339), "updated_at": k.updated.Format(time.RFC3339), "author_association": "CONTRIBUTOR",
	}
}

// pullsOf answers GET and POST /repos/OWNER/NAME/pulls.
func (c *call) pullsOf() {
	switch {
	case c.is(http.MethodGet) && c.may(Read, pulling):
		c.page(c.matching())
	case c.is(http.MethodPost) && c.may(Write, pulling):
		c.makePull()
	}
}

// matching returns the pull requests that the query asks for, the newest first. A head is OWNER:BRANCH;
// one without an owner asks for nothing.
func (c *call) matching() (list []object) {
	q := c.r.URL.Query()
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	for i := len(c.repo.pulls) - 1; i >= 0; i-- {
		p := c.repo.pulls[i]
		state := cmp.Or(q.Get("state"), "open")
		if head := q.Get("head"); strings.Contains(head, ":") && !strings.EqualFold(head, p.label()) {
			continue
		}
		if base := q.Get("base"); base != "" && base != p.base || state != "all" && state != p.state() {
			continue
		}
		list = append(list, c.pullObject(p))
	}
	return list
}

func (p *pull) label() string {
	owner, _, _ := strings.Cut(p.from.Name, "/")
	return owner + ":" + p.head
}

func (p *pull) state() string {
	if p.open {
		return "open"
	}
	return "closed"
}

func (c *call) makePull() {
	var in struct {
		Title, Head, Base, Body string
		Draft                   bool
	}
	if !c.read(&in) {
		return
	}
	c.f.mu.Lock()
	denied := c.repo.denyApps && c.k.app()
	c.f.mu.Unlock()
	from, head := c.repo, in.Head
	if owner, branch, ok := strings.Cut(in.Head, ":"); ok {
		head = branch
		if mine, name, _ := strings.Cut(c.repo.Name, "/"); owner != mine {
			from = c.f.repo(owner + "/" + name)
		}
	}
	invalid := func(field string) {
		c.fail(http.StatusUnprocessableEntity, "Validation Failed", object{"resource": "PullRequest", "code": "invalid", "field": field})
	}
	custom := func(format string, args ...any) {
		c.fail(http.StatusUnprocessableEntity, "Validation Failed", object{"resource": "PullRequest", "code": "custom", "message": fmt.Sprintf(format, args...)})
	}
	switch {
	case denied:
		c.fail(http.StatusForbidden, "GitHub Actions is not permitted to create or approve pull requests.")
	case in.Title == "":
		c.fail(http.StatusUnprocessableEntity, "Validation Failed", object{"resource": "Issue", "code": "missing_field", "field": "title"})
	case utf8.RuneCountInString(in.Body) > maxBody:
		custom("body is too long (maximum is %d characters)", maxBody)
	case c.repo.Tip(in.Base) == "":
		invalid("base")
	case from == nil || from.Tip(head) == "":
		invalid("head")
	case c.isOpen(from, head, in.Base):
		owner, _, _ := strings.Cut(from.Name, "/")
		custom("A pull request already exists for %s:%s.", owner, head)
	case from == c.repo && !c.repo.ahead(c.r.Context(), in.Base, head):
		custom("No commits between %s and %s", in.Base, head)
	default:
		p := c.repo.open(pull{from: from, head: head, base: in.Base, login: c.k.Login, title: in.Title, body: in.Body, draft: in.Draft})
		c.show(http.StatusCreated, func() object { return c.pullObject(p) })
	}
}

// ahead reports whether a branch has commits that the base has not.
func (r *Repo) ahead(ctx context.Context, base, head string) bool {
	n, err := r.git(ctx, "rev-list", "--count", "refs/heads/"+base+"..refs/heads/"+head)
	return err == nil && n != "0"
}

func (c *call) isOpen(from *Repo, head, base string) bool {
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	for _, p := range c.repo.pulls {
		if p.open && p.from == from && p.head == head && p.base == base {
			return true
		}
	}
	return false
}

func (c *call) onePull(number string) {
	p := c.repo.pull(number)
	switch {
	case p == nil:
		c.missing()
	case c.is(http.MethodGet) && c.may(Read, pulling):
		c.show(http.StatusOK, func() object { return c.pullObject(p) })
	case c.is(http.MethodPatch) && c.may(Write, pulling):
		var in struct{ Title, Body, State, Base *string }
		if !c.read(&in) {
			return
		}
		c.show(http.StatusOK, func() object {
			for _, set := range []struct{ to, from *string }{{&p.title, in.Title}, {&p.body, in.Body}, {&p.base, in.Base}} {
				if set.from != nil {
					*set.to = *set.from
				}
			}
			p.open = p.open && in.State == nil || in.State != nil && *in.State == "open"
			p.modified = time.Now().UTC()
			return c.pullObject(p)
		})
	}
}

func (c *call) pullObject(p *pull) object {
	return object{
		"id": p.id, "number": p.number, "state": p.state(), "title": p.title, "body": p.body, "draft": p.draft, "user": user(p.login),
		"url": fmt.Sprintf("%s/repos/%s/pulls/%d", c.f.API, c.repo.Name, p.number), "html_url": fmt.Sprintf("%s/pull/%d", c.repo.URL, p.number),
		"head":       object{"label": p.label(), "ref": p.head, "sha": p.from.Tip(p.head), "repo": c.repository(p.from)},
		"base":       object{"ref": p.base, "sha": c.repo.Tip(p.base), "repo": c.repository(c.repo)},
		"created_at": p.created.Format(time.RFC3339), "updated_at": p.modified.Format(time.RFC3339),
	}
}
