package approval_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/approval"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/pkg/digest"
)

func TestTwoPeopleApprove(t *testing.T) {
	d := newDesk(t)
	q := d.question(d.team(2, false), "dave@acme.io")
	d.says(q, "0 of 2 approvals; missing: 2 of alice@acme.io, bob@acme.io, carol@acme.io", false)
	if r := d.sign(&q, approval.Approve, "alice"); r.Enough() || r.String() != "1 of 2 approvals: alice@acme.io; missing: 1 of bob@acme.io, carol@acme.io" {
		t.Errorf("%s", r)
	}
	d.sign(&q, approval.Approve, "alice") // once more says nothing new
	d.says(q, "1 of 2 approvals: alice@acme.io; missing: 1 of bob@acme.io, carol@acme.io", false)
	d.sign(&q, approval.Approve, "carol")
	r := d.says(q, "approved by alice@acme.io, carol@acme.io", true)
	for _, b := range q.Votes { // the request is what all of them sign
		if v, err := approval.ParseVote(b); err != nil || v.Turn != 0 {
			t.Errorf("%+v, %v", v, err)
		}
	}
	if len(r.Problems) != 0 || r.Good[0].At != time.Unix(1_800_000_100, 0).UTC() || r.Good[0].Verdict != approval.Approve {
		t.Errorf("%+v", r)
	}
}

func TestNobodyIsAskedWithoutSigners(t *testing.T) {
	d := newDesk(t)
	for _, g := range []*approval.Guard{{Schema: 1}, {Schema: 1, CI: true}} {
		q := approval.Question{Plan: &approval.Plan{Env: "production"}, Guard: g}
		if r := d.check(q); !r.Enough() || r.Need != 0 {
			t.Errorf("%+v", r)
		}
		if _, _, err := d.k.Sign(t.Context(), q, approval.Ballot{Verdict: approval.Approve}); !diag.Is(err, diag.Policy) {
			t.Error(err)
		}
	}
}

// Each of these is a way to have a signature count that was not made for this.
func TestOnlyASignatureOfThisRequestCounts(t *testing.T) {
	d := newDesk(t)
	q := d.question(d.team(1, false), "dave@acme.io")
	other := *q.Plan
	other.Env = "staging"
	for what, c := range map[string]struct {
		who, namespace, text, problem string
		verdict                       approval.Verdict
	}{
		"a git commit":             {"bob", "git", string(q.Request), "signed for another purpose", approval.Approve},
		"a rejection as approval":  {"bob", "pipe-rejection", string(q.Request), "signed for another purpose", approval.Approve},
		"an approval as rejection": {"bob", "pipe-approval", string(q.Request), "rejection signed as bob@acme.io does not count: it was signed for another purpose", approval.Reject},
		"another request":          {"bob", "pipe-approval", string(d.request(q.Plan, "eve@acme.io")), "signs something other than this request", approval.Approve},
		"another environment":      {"bob", "pipe-approval", string(d.request(&other, "dave@acme.io")), "signs something other than this request", approval.Approve},
		"a later turn":             {"bob", "pipe-approval", string(q.Request) + "turn 1\n", "signs something other than this request", approval.Approve},
		"nothing":                  {"bob", "pipe-approval", "", "signs something other than this request", approval.Approve},
		"somebody else":            {"mallory", "pipe-approval", string(q.Request), "the key is not listed as a signer", approval.Approve},
	} {
		t.Run(what, func(t *testing.T) {
			d := &desk{t, d.dir, d.home, d.k}
			q := q
			d.forge(&q, c.verdict, c.who, c.namespace, c.text)
			d.problem(d.says(q, "0 of 1 approval; missing: 1 of alice@acme.io, bob@acme.io, carol@acme.io", false), c.problem)
		})
	}
	d.forge(&q, approval.Approve, "bob", "pipe-approval", string(q.Request))
	d.says(q, "approved by bob@acme.io", true)
}

func TestWhoSignedIsNotWhatTheVoteClaims(t *testing.T) {
	d := newDesk(t)
	q := d.question(d.team(1, false), "dave@acme.io")
	d.sign(&q, approval.Approve, "bob")
	v, err := approval.ParseVote(q.Votes[0])
	d.must(err)
	for _, claim := range []string{"alice@acme.io", "", "a\nb/../c", strings.Repeat("x", 1000)} {
		v.Principal = claim
		q.Votes = nil
		d.put(&q, v)
		d.says(q, "approved by bob@acme.io", true)
	}
}

func TestAVoteMayNotBeMovedToAnotherPlan(t *testing.T) {
	d := newDesk(t)
	q := d.question(d.team(1, false), "dave@acme.io")
	d.sign(&q, approval.Approve, "bob")
	moved := d.question(q.Guard, "dave@acme.io")
	moved.Plan.Live = map[string]digest.Key{"api": keyOf("hotfix")}
	moved.Request, moved.Votes = d.request(moved.Plan, "dave@acme.io"), q.Votes
	d.problem(d.says(moved, "0 of 1 approval; missing: 1 of alice@acme.io, bob@acme.io, carol@acme.io", false), "for another plan")

	moved.Request = q.Request // what was approved, where something else is live now
	if _, err := d.k.Check(t.Context(), moved); !diag.Is(err, diag.Policy) || !strings.Contains(err.Error(), "stale plan") {
		t.Error(err)
	}
	if _, _, err := d.k.Sign(t.Context(), moved, approval.Ballot{Verdict: approval.Approve, Key: d.key("bob")}); !diag.Is(err, diag.Policy) {
		t.Error(err)
	}
	moved.Request = []byte("{}\n")
	if _, err := d.k.Check(t.Context(), moved); !diag.Is(err, diag.Integrity) {
		t.Error(err)
	}
}

func TestADamagedVoteKeepsNoOtherFromCounting(t *testing.T) {
	d := newDesk(t)
	q := d.question(d.team(1, false), "dave@acme.io")
	d.sign(&q, approval.Approve, "bob")
	good := string(q.Votes[0])
	begin, end := strings.Index(good, "-----BEGIN"), strings.Index(good, `","verdict`)
	sig := good[begin:end]
	for _, bad := range []string{
		"", "{}", good[:len(good)/2], good + good, strings.Repeat(good, 200),
		strings.Replace(good, sig, sig+sig, 1),                               // two signatures
		strings.Replace(good, sig, sig[:80], 1),                              // truncated
		strings.Replace(good, sig, strings.ReplaceAll(sig, `\n`, `\r\n`), 1), // not in the one form
		strings.Replace(good, sig, "x"+sig, 1),
		strings.Replace(good, "U1NIU0lH", "U1NIU0lI", 1), // SSHSIH
		strings.Replace(good, `"principal":"`, `"principal":"`+strings.Repeat("x", 64<<10), 1),
		strings.Replace(good, `"verdict":"approve"`, `"verdict":"maybe"`, 1),
		strings.Replace(good, `"verdict"`, `"Verdict"`, 1),
		strings.Replace(good, `"at":"`, `"at":"x`, 1),
		strings.Replace(good, `"principal"`, `"turn":-1,"principal"`, 1),
	} {
		if bad == good {
			t.Fatal("nothing was damaged")
		}
		q.Votes = [][]byte{[]byte(bad)}
		d.problem(d.says(q, "0 of 1 approval; missing: 1 of alice@acme.io, bob@acme.io, carol@acme.io", false), "the approval")
		q.Votes = append(q.Votes, []byte(good))
		d.says(q, "approved by bob@acme.io", true)
	}
}

func TestAVoteOfANewerPipeIsRefused(t *testing.T) {
	d := newDesk(t)
	q := d.question(d.team(1, false), "dave@acme.io")
	d.sign(&q, approval.Approve, "bob")
	q.Votes = append(q.Votes, []byte(strings.Replace(string(q.Votes[0]), `"schema":1`, `"schema":2`, 1)))
	if _, err := d.k.Check(t.Context(), q); !diag.Is(err, diag.Policy) || !strings.Contains(err.Error(), "newer pipe") {
		t.Error(err)
	}
}

// A vote that is not looked at may be a rejection.
func TestAFloodOfVotesIsRefusedAsAWhole(t *testing.T) {
	d := newDesk(t)
	q := d.question(d.team(1, false), "dave@acme.io")
	for i := range 257 {
		q.Votes = append(q.Votes, fmt.Append(nil, i))
	}
	if _, err := d.k.Check(t.Context(), q); !diag.Is(err, diag.Policy) {
		t.Error(err)
	}
	q.Votes = q.Votes[:256]
	d.says(q, "0 of 1 approval; missing: 1 of alice@acme.io, bob@acme.io, carol@acme.io", false)
}

func TestARejectionBlocksUntilItsSignerApproves(t *testing.T) {
	d := newDesk(t)
	q := d.question(d.team(1, false), "dave@acme.io")
	d.sign(&q, approval.Approve, "alice")
	if r := d.sign(&q, approval.Reject, "bob"); r.String() != "rejected by bob@acme.io" || r.Enough() {
		t.Errorf("%s", r)
	}
	d.sign(&q, approval.Approve, "carol") // lifts nobody else's
	d.says(q, "rejected by bob@acme.io", false)
	d.sign(&q, approval.Approve, "bob")
	d.says(q, "approved by alice@acme.io, bob@acme.io, carol@acme.io", true)
	d.sign(&q, approval.Reject, "bob")
	d.says(q, "rejected by bob@acme.io", false)
	d.forge(&q, approval.Approve, "bob", "pipe-approval", string(q.Request)) // his first one again
	d.says(q, "rejected by bob@acme.io", false)
	d.sign(&q, approval.Approve, "bob")
	d.says(q, "approved by alice@acme.io, bob@acme.io, carol@acme.io", true)
}

func TestOfTwoVotesInOneTurnTheRejectionCounts(t *testing.T) {
	d := newDesk(t)
	q := d.question(d.team(1, false), "dave@acme.io")
	d.forge(&q, approval.Reject, "bob", "pipe-rejection", string(q.Request))
	d.forge(&q, approval.Approve, "bob", "pipe-approval", string(q.Request))
	d.says(q, "rejected by bob@acme.io", false)
	q.Votes[0], q.Votes[1] = q.Votes[1], q.Votes[0]
	d.says(q, "rejected by bob@acme.io", false)
}

func TestARejectionOfWhoIsNotListedBlocksNothing(t *testing.T) {
	d := newDesk(t)
	q := d.question(d.team(1, false), "dave@acme.io")
	d.sign(&q, approval.Approve, "alice")
	d.forge(&q, approval.Reject, "mallory", "pipe-rejection", string(q.Request))
	d.problem(d.says(q, "approved by alice@acme.io", true), "not listed")
}
