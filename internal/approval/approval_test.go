package approval_test

import (
	"strings"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/approval"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/pkg/digest"
)

func TestAPlanIsAnotherOneWhenAnythingMoves(t *testing.T) {
	d := newDesk(t)
	base := *d.question(d.team(1, false), "dave@acme.io").Plan
	want, err := base.Digest()
	d.must(err)
	for what, change := range map[string]func(p *approval.Plan){
		"project": func(p *approval.Plan) { p.Project = "other" },
		"env":     func(p *approval.Plan) { p.Env = "staging" },
		"live":    func(p *approval.Plan) { p.Live = map[string]digest.Key{"api": keyOf("hotfix")} },
		"none":    func(p *approval.Plan) { p.Live = nil },
		"wanted":  func(p *approval.Plan) { p.Wanted = map[string]digest.Key{"api": keyOf("newer")} },
		"swapped": func(p *approval.Plan) { p.Live, p.Wanted = p.Wanted, p.Live },
		"values":  func(p *approval.Plan) { p.Values = nil },
		"secrets": func(p *approval.Plan) { p.Secrets = map[string]string{"DB": "7"} },
		"guard":   func(p *approval.Plan) { p.Guard = digest.Of(nil) },
		"release": func(p *approval.Plan) { p.Release = "r-2" },
		"n":       func(p *approval.Plan) { p.N = 1 },
	} {
		p := base
		change(&p)
		if got, err := p.Digest(); err != nil || got == want {
			t.Errorf("%s: %v", what, err)
		}
	}
	again := base
	again.Live, again.Secrets = map[string]digest.Key{"api": keyOf("old")}, map[string]string{}
	if got, err := again.Digest(); err != nil || got != want {
		t.Errorf("an equal one: %v", err)
	}
}

func TestValuesThatAreNotTextHaveNoDigest(t *testing.T) {
	one, err := approval.ValuesDigest(map[string]string{"A": "", "B": "x"})
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range []map[string]string{nil, {"A": "x", "B": ""}, {"B": "x"}, {"A": "B", "": "x"}} {
		if two, err := approval.ValuesDigest(other); err != nil || one == two {
			t.Errorf("%v: %v", other, err)
		}
	}
	for _, bad := range []map[string]string{{"A": "\xff"}, {"\xff": ""}} {
		if _, err := approval.ValuesDigest(bad); err == nil {
			t.Errorf("%q", bad)
		}
	}
}

// What could not be read again is not written.
func TestNothingIsWrittenThatIsRefused(t *testing.T) {
	d := newDesk(t)
	q := d.question(d.team(1, false), "dave@acme.io")
	for what, change := range map[string]func(r *approval.Request){
		"nobody": func(r *approval.Request) { r.By = "" }, "release": func(r *approval.Request) { r.Release = "" },
		"time": func(r *approval.Request) { r.At = time.Time{} }, "guard": func(r *approval.Request) { r.Plan.Guard = digest.Digest{} },
		"env": func(r *approval.Request) { r.Plan.Env = "a/b" }, "project": func(r *approval.Request) { r.Plan.Project = ".." },
		"stage":   func(r *approval.Request) { r.Plan.Values = map[string]digest.Digest{"\n": {1}} },
		"secret":  func(r *approval.Request) { r.Plan.Secrets = map[string]string{"": "1"} },
		"version": func(r *approval.Request) { r.Plan.Secrets = map[string]string{"DB": "\xff"} },
		"another": func(r *approval.Request) { r.Plan.Release = "r-2" },
		"size":    func(r *approval.Request) { r.Reason = strings.Repeat("x", 16<<20) },
	} {
		r := &approval.Request{Plan: *q.Plan, Release: "r-1", By: "dave@acme.io", At: time.Unix(1, 0)}
		change(r)
		if _, err := r.Encode(); err == nil {
			t.Error(what)
		}
	}
	d.sign(&q, approval.Approve, "bob")
	for what, change := range map[string]func(v *approval.Vote){
		"plan": func(v *approval.Vote) { v.Plan = digest.Digest{} }, "verdict": func(v *approval.Vote) { v.Verdict = "" },
		"turn": func(v *approval.Vote) { v.Turn = -1 }, "signature": func(v *approval.Vote) { v.Signature += "\n" },
		"size": func(v *approval.Vote) { v.Reason = strings.Repeat("x", 64<<10) },
	} {
		v, err := approval.ParseVote(q.Votes[0])
		d.must(err)
		change(v)
		if _, err := v.Encode(); err == nil {
			t.Error(what)
		}
	}
	if _, err := approval.ParseRequest([]byte(strings.Repeat(" ", 17<<20))); !diag.Is(err, diag.Integrity) {
		t.Error(err)
	}
}
