package forge_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/forge"
)

// answer is what the API said.
type answer struct {
	t      *testing.T
	what   string
	status int
	header http.Header
	body   any
}

// call calls the API.
func call(t *testing.T, f *forge.Forge, token, method, path, body string) *answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, f.API+path, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	a := &answer{t: t, what: method + " " + path, status: resp.StatusCode, header: resp.Header}
	if err := json.NewDecoder(resp.Body).Decode(&a.body); err != nil {
		t.Fatal(a.what, err)
	}
	return a
}

// is checks the status, and that some words are in the body.
func (a *answer) is(status int, words ...string) *answer {
	a.t.Helper()
	b, _ := json.Marshal(a.body)
	if a.status != status {
		a.t.Errorf("%s: status %d, not %d: %s", a.what, a.status, status, b)
	}
	for _, w := range words {
		if !strings.Contains(string(b), w) {
			a.t.Errorf("%s: not %s in %s", a.what, w, b)
		}
	}
	return a
}

func TestTheAPITellsWhatATokenMaySee(t *testing.T) {
	f, r := start(t, forge.Options{}, forge.Kind{})
	f.Allow("admin", forge.Token{Login: "octocat", Contents: forge.Write, Administration: forge.Write, Scopes: []string{"repo", "workflow"}})
	get := func(token, path string) *answer { return call(t, f, token, "GET", path, "") }
	get("", "/repos/octo/app").is(404, "Not Found")
	get("nobody", "/repos/octo/app").is(401, "Bad credentials")
	get("elsewhere", "/repos/octo/app").is(404)
	get("reads", "/repos/octo/app").is(200, `"default_branch":"main"`, `"push":false`, `"pull":true`)
	get("writes", "/repos/octo/app").is(200, `"push":true`, `"admin":false`)
	get("writes", "/user").is(403, "not accessible by integration")
	if a := get("admin", "/user").is(200, `"login":"octocat"`); a.header.Get("X-OAuth-Scopes") != "repo, workflow" {
		t.Errorf("%v", a.header)
	}
	get("", "/user").is(401)
	get("writes", "/installation/repositories").is(200, `"full_name":"octo/app"`)
	get("writes", "/repos/octo/app/nothing").is(404)

	r.Commit("a/b", "slash", nil)
	for _, c := range []struct {
		rule               forge.Rule
		protection, status int
		rules, branch      string
	}{
		{forge.Free, 404, 404, "null", `"protected":false`},
		{forge.Protection, 403, 200, "null", `"protected":true`},
		{forge.Ruleset, 403, 404, `"type":"pull_request"`, `"protected":true`},
	} {
		r.Protect("a/b", c.rule)
		get("writes", "/repos/octo/app/branches/a%2Fb/protection").is(403)
		get("admin", "/repos/octo/app/branches/a%2Fb/protection").is(c.status)
		get("elsewhere", "/repos/octo/app/branches/a%2Fb/protection").is(404)
		get("reads", "/repos/octo/app/rules/branches/a%2Fb").is(200, strings.ReplaceAll(c.rules, "null", "[]"))
		get("reads", "/repos/octo/app/branches/a%2Fb").is(200, c.branch, r.Tip("a/b"))
	}
	get("reads", "/repos/octo/app/branches/gone").is(404)
}

func TestTheAPIKeepsComments(t *testing.T) {
	f, r := start(t, forge.Options{}, forge.Kind{})
	r.Commit("topic", "theirs", map[string]string{"topic": "x"})
	n := r.NewPull("main", r, "topic", "A topic")
	at := fmt.Sprintf("/repos/octo/app/issues/%d/comments", n)
	call(t, f, "reads", "POST", at, `{"body":"x"}`).is(403)
	call(t, f, "writes", "POST", at, `{"body":" "}`).is(422, "blank")
	call(t, f, "writes", "POST", at, `{"body":"`+strings.Repeat("ä", 65537)+`"}`).is(422, "too long")
	call(t, f, "writes", "POST", at, `{`).is(400)
	call(t, f, "writes", "POST", "/repos/octo/app/issues/9/comments", `{"body":"x"}`).is(404)
	call(t, f, "writes", "POST", at, `{"body":"`+strings.Repeat("ä", 65536)+`"}`).is(201, `"login":"github-actions[bot]"`)
	for range 4 {
		r.AddComment(n, "octocat", "nice")
	}
	id := r.Comments(n)[0].ID
	path := fmt.Sprintf("/repos/octo/app/issues/comments/%d", id)
	call(t, f, "reads", "PATCH", path, `{"body":"new"}`).is(403)
	call(t, f, "writes", "PATCH", path, `{"body":"new"}`).is(200, `"body":"new"`)
	call(t, f, "writes", "PATCH", path+"9", `{"body":"new"}`).is(404)
	call(t, f, "reads", "GET", path, "").is(200, `"body":"new"`)
	if all := r.Comments(n); len(all) != 5 || all[0].Body != "new" {
		t.Errorf("%+v", all)
	}

	a := call(t, f, "reads", "GET", at+"?per_page=2&page=2", "").is(200)
	link := a.header.Get("Link")
	if len(a.body.([]any)) != 2 || !strings.Contains(link, `page=3&per_page=2>; rel="next"`) || !strings.Contains(link, `rel="prev"`) {
		t.Errorf("%v, %s", a.body, link)
	}
	if a := call(t, f, "reads", "GET", at+"?per_page=2&page=3", ""); len(a.body.([]any)) != 1 || strings.Contains(a.header.Get("Link"), "next") {
		t.Errorf("%v, %s", a.body, a.header.Get("Link"))
	}
	f.LimitCalls(1)
	call(t, f, "reads", "GET", at, "").is(200)
	if a := call(t, f, "reads", "GET", at, "").is(403, "rate limit"); a.header.Get("X-Ratelimit-Remaining") != "0" {
		t.Errorf("%v", a.header)
	}
}

func TestTheAPIMakesPullRequests(t *testing.T) {
	f, r := start(t, forge.Options{}, forge.Kind{})
	r.Commit("lock", "lock", map[string]string{"pipe.lock": "x"})
	fork := r.Fork("hubot/app")
	fork.Commit("lock", "theirs", map[string]string{"x": "x"})
	const at = "/repos/octo/app/pulls"
	post := func(body string) *answer { return call(t, f, "writes", "POST", at, body) }
	call(t, f, "reads", "POST", at, `{"title":"t","head":"lock","base":"main"}`).is(403)
	post(`{"head":"lock","base":"main"}`).is(422, "missing_field")
	post(`{"title":"t","head":"none","base":"main"}`).is(422, `"field":"head"`)
	post(`{"title":"t","head":"lock","base":"none"}`).is(422, `"field":"base"`)
	post(`{"title":"t","head":"main","base":"main"}`).is(422, "No commits between main and main")
	r.DenyApps(true)
	post(`{"title":"t","head":"lock","base":"main"}`).is(403, "not permitted to create or approve")
	r.DenyApps(false)
	post(`{"title":"t","head":"lock","base":"main"}`).is(201, `"number":1`, `"label":"octo:lock"`)
	post(`{"title":"t","head":"octo:lock","base":"main"}`).is(422, "A pull request already exists for octo:lock.")
	post(`{"title":"f","head":"hubot:lock","base":"main"}`).is(201, `"number":2`, `"full_name":"hubot/app"`)

	list := func(query string, want int) {
		t.Helper()
		if a := call(t, f, "reads", "GET", at+query, "").is(200); len(a.body.([]any)) != want {
			t.Errorf("%s: %v", query, a.body)
		}
	}
	list("", 2)
	list("?head=octo:lock&base=main", 1)
	list("?head=octo:none", 0)
	list("?base=other", 0)
	call(t, f, "reads", "PATCH", at+"/1", `{"title":"new"}`).is(403)
	call(t, f, "writes", "PATCH", at+"/1", `{"title":"new","body":"b"}`).is(200, `"title":"new"`, `"state":"open"`)
	call(t, f, "writes", "PATCH", at+"/1", `{"state":"closed"}`).is(200, `"state":"closed"`, `"title":"new"`)
	call(t, f, "reads", "GET", at+"/3", "").is(404)
	list("", 1)
	list("?state=all", 2)
	if all := r.Pulls(); len(all) != 2 || all[0].Open || all[1].Head != "hubot:lock" {
		t.Errorf("%+v", all)
	}
}
