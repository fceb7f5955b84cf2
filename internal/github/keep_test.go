package github

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
)

const me = "github-actions[bot]"

// board is a pull request's comments, and the repository's pull requests.
type board struct {
	comments []object
	pulls    []object
	// lose is how many answers to what makes something are lost, after it was made.
	lose int
	// late pull requests are made by another run, between the look and ours.
	late []object
	sick int // how many questions whose token it is are not answered
}

func (b *board) serve(t *testing.T) (*server, *Client) {
	return serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		var in map[string]string
		if r.Method != http.MethodGet {
			if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
				t.Error(err)
			}
		}
		b.answer(w, r, in)
	})
}

func (b *board) answer(w http.ResponseWriter, r *http.Request, in map[string]string) {
	path := strings.TrimPrefix(r.URL.Path, "/api/v3/repos/octo/shop")
	switch {
	case r.URL.Path == "/api/graphql" && b.sick > 0:
		b.sick--
		w.WriteHeader(502)
	case r.URL.Path == "/api/graphql":
		say(w, 200, object{"data": object{"viewer": object{"login": me}}})
	case r.Method == http.MethodGet && path == "/issues/7/comments":
		b.page(w, r)
	case path == "/issues/7/comments":
		one := object{"id": len(b.comments) + 1, "body": in["body"], "user": object{"login": me}, "html_url": fmt.Sprintf("https://c/%d", len(b.comments)+1)}
		b.comments = append(b.comments, one)
		b.made(w, one)
	case strings.HasPrefix(path, "/issues/comments/"):
		for _, one := range b.comments {
			if fmt.Sprint(one["id"]) == path[len("/issues/comments/"):] {
				one["body"] = in["body"]
				say(w, 200, one)
			}
		}
	case r.Method == http.MethodGet && path == "/pulls":
		say(w, 200, b.pulls)
	case path == "/pulls" && len(b.pulls)+len(b.late) > 0:
		b.pulls, b.late = append(b.pulls, b.late...), nil
		say(w, 422, object{"message": "Validation Failed", "errors": []object{{"message": "A pull request already exists for octo:x."}}})
	case path == "/pulls":
		one := object{"number": 1, "title": in["title"], "body": in["body"], "html_url": "https://p/1"}
		b.pulls = append(b.pulls, one)
		b.made(w, one)
	case path == "/pulls/1":
		b.pulls[0]["title"], b.pulls[0]["body"] = in["title"], in["body"]
		say(w, 200, b.pulls[0])
	}
}

// made answers, or loses the answer.
func (b *board) made(w http.ResponseWriter, one object) {
	if b.lose > 0 {
		b.lose--
		w.WriteHeader(502)
		return
	}
	say(w, 201, one)
}

// page has one comment.
func (b *board) page(w http.ResponseWriter, r *http.Request) {
	n := 0
	_, _ = fmt.Sscan(r.URL.Query().Get("page"), &n)
	if n >= len(b.comments) {
		say(w, 200, []object{})
		return
	}
	w.Header().Set("Link", fmt.Sprintf("<http://%s%s?page=%d>; rel=\"next\", <http://x/>; rel=\"last\"", r.Host, r.URL.Path, n+1))
	say(w, 200, b.comments[n:n+1])
}

func (b *board) bodies() (all []string) {
	for _, one := range b.comments {
		all = append(all, one["body"].(string))
	}
	return all
}

// writes counts the requests that change something.
func (s *server) writes() (n int) {
	for _, line := range s.asked {
		if !strings.HasPrefix(line, "GET ") && !strings.HasPrefix(line, "POST /api/graphql") {
			n++
		}
	}
	return n
}

const mark = "<!-- mark -->"

func TestACommentIsMadeOnceAndThenEdited(t *testing.T) {
	b := &board{comments: []object{{"id": 1, "body": "hello", "user": object{"login": "octocat"}}}}
	s, c := b.serve(t)
	for i, k := range []struct {
		body   string
		writes int
	}{{mark + "\none", 1}, {mark + "\none", 1}, {mark + "\r\none\r\n\n", 1}, {mark + "\ntwo", 2}} {
		if i == 2 { // as GitHub's own editor leaves it
			b.comments[1]["body"] = k.body
			k.body = mark + "\none"
		}
		url, err := c.KeepComment(t.Context(), 7, mark, k.body)
		if err != nil || url != "https://c/2" || s.writes() != k.writes {
			t.Fatalf("%d: %q, %v, %d writes", i, url, err, s.writes())
		}
	}
	if got := b.bodies(); !slices.Equal(got, []string{"hello", mark + "\ntwo"}) {
		t.Errorf("%q", got)
	}
}

func TestTheCommentOfSomebodyElseStays(t *testing.T) {
	b := &board{comments: []object{
		{"id": 1, "body": mark + "\nforged", "user": object{"login": "mallory"}},
		{"id": 2, "body": "quotes " + mark, "user": object{"login": me}},
	}}
	b.sick = 2
	_, c := b.serve(t)
	for _, body := range []string{mark + "\none", mark + "\ntwo"} {
		if _, err := c.KeepComment(t.Context(), 7, mark, body); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.bodies(); !slices.Equal(got, []string{mark + "\nforged", "quotes " + mark, mark + "\ntwo"}) {
		t.Errorf("%q", got)
	}
}

func TestALostAnswerMakesNoSecondComment(t *testing.T) {
	b := &board{lose: 1}
	_, c := b.serve(t)
	url, err := c.KeepComment(t.Context(), 7, mark, mark+"\none")
	if err != nil || url != "https://c/1" || len(b.comments) != 1 {
		t.Errorf("%q, %v, %q", url, err, b.bodies())
	}
}

func TestACommentThatIsDeletedMeanwhileIsMadeAgain(t *testing.T) {
	made := false
	_, c := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		switch {
		case r.URL.Path == "/api/graphql":
			say(w, 200, object{"data": object{"viewer": object{"login": me}}})
		case r.Method == http.MethodGet:
			say(w, 200, []object{{"id": 5, "body": mark, "user": object{"login": me}}})
		case r.Method == http.MethodPatch:
			say(w, 404, object{"message": "Not Found"})
		default:
			made = true
			say(w, 201, object{"html_url": "https://c/6"})
		}
	})
	if url, err := c.KeepComment(t.Context(), 7, mark, mark+"\none"); err != nil || url != "https://c/6" || !made {
		t.Errorf("%q, %v", url, err)
	}
}

func TestACommentThatMayNotBeWrittenIsRefusedAtOnce(t *testing.T) {
	s, c := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		if r.Method == http.MethodGet {
			say(w, 200, []object{})
			return
		}
		say(w, 403, object{"message": "Resource not accessible by integration"})
	})
	if _, err := c.KeepComment(t.Context(), 7, mark, mark); !diag.Is(err, diag.Auth) || s.writes() != 1 {
		t.Errorf("%v, %v", err, s.asked)
	}
}

func TestAPullRequestIsOpenedOnceAndThenChanged(t *testing.T) {
	b := &board{}
	s, c := b.serve(t)
	for i, k := range []struct {
		title, body string
		writes      int
	}{{"a", "b", 1}, {"a", "b", 1}, {"a", "c", 2}, {"d", "c", 3}} {
		url, err := c.KeepPullRequest(t.Context(), "pipe-lock/main", "main", k.title, k.body)
		if err != nil || url != "https://p/1" || s.writes() != k.writes || b.pulls[0]["title"] != k.title || b.pulls[0]["body"] != k.body {
			t.Fatalf("%d: %q, %v, %d writes, %v", i, url, err, s.writes(), b.pulls)
		}
	}
	if want := "GET /api/v3/repos/octo/shop/pulls?base=main&head=octo%3Apipe-lock%2Fmain&state=open"; s.asked[0] != want {
		t.Errorf("asked %s", s.asked[0])
	}
}

func TestALostAnswerOpensNoSecondPullRequest(t *testing.T) {
	b := &board{lose: 1}
	_, c := b.serve(t)
	if url, err := c.KeepPullRequest(t.Context(), "x", "main", "a", "b"); err != nil || url != "https://p/1" || len(b.pulls) != 1 {
		t.Errorf("%q, %v, %v", url, err, b.pulls)
	}
}

func TestAPullRequestThatAnotherRunOpensMeanwhileIsChanged(t *testing.T) {
	b := &board{late: []object{{"number": 1, "title": "theirs", "body": "x", "html_url": "https://p/1"}}}
	_, c := b.serve(t)
	if url, err := c.KeepPullRequest(t.Context(), "x", "main", "a", "b"); err != nil || url != "https://p/1" || len(b.pulls) != 1 || b.pulls[0]["title"] != "a" {
		t.Errorf("%q, %v, %v", url, err, b.pulls)
	}
}

func TestAPullRequestThatCannotBeOpenedSaysWhy(t *testing.T) {
	_, c := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		if r.Method == http.MethodGet {
			say(w, 200, []object{})
			return
		}
		say(w, 422, object{"message": "Validation Failed", "errors": []object{{"message": "No commits between main and x"}}})
	})
	if _, err := c.KeepPullRequest(t.Context(), "x", "main", "a", "b"); err == nil || !strings.Contains(err.Error(), "No commits between") {
		t.Error(err)
	}
}
