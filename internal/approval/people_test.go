package approval_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/approval"
	"github.com/pipe-build/pipe/internal/diag"
)

func TestOnePersonCountsOnce(t *testing.T) {
	d := newDesk(t)
	rest := d.line("carol@acme.io", "carol") + d.line("dan@acme.io", "dan")
	for what, c := range map[string]struct{ lines, want string }{
		"two keys": {
			d.line("bob@acme.io", "k1") + d.line("bob@acme.io", "k2"),
			"1 of 2 approvals: bob@acme.io; missing: 1 of carol@acme.io, dan@acme.io",
		},
		"two keys, case": {
			d.line("Bob@acme.io", "k1") + d.line("bob@ACME.io", "k2"),
			"1 of 2 approvals: Bob@acme.io; missing: 1 of carol@acme.io, dan@acme.io",
		},
		"two names": {
			d.line("bob@acme.io", "k1") + d.line("robert@acme.io", "k1") + d.line("robert@acme.io", "k2"),
			"1 of 2 approvals: bob@acme.io; missing: 1 of carol@acme.io, dan@acme.io",
		},
		"two names of a line": {
			d.line("bob@acme.io,robert@acme.io", "k1") + d.line("robert@acme.io", "k2"),
			"1 of 2 approvals: bob@acme.io; missing: 1 of carol@acme.io, dan@acme.io",
		},
		"a pattern beside a name": {
			d.line("*@acme.io", "k1") + d.line("bob@acme.io", "k2"),
			"1 of 2 approvals: bob@acme.io; missing: 1 of carol@acme.io, dan@acme.io",
		},
		"one pattern twice": {
			d.line("*@ACME.io", "k1") + d.line("*@acme.io", "k2"),
			"1 of 2 approvals: *@ACME.io; missing: 1 of carol@acme.io, dan@acme.io",
		},
	} {
		t.Run(what, func(t *testing.T) {
			d := &desk{t, d.dir, d.home, d.k}
			q := d.question(d.guard(2, false, c.lines, rest), "dave@acme.io")
			d.forge(&q, approval.Approve, "k1", "pipe-approval", string(q.Request))
			d.forge(&q, approval.Approve, "k2", "pipe-approval", string(q.Request))
			d.says(q, c.want, false)
			d.forge(&q, approval.Approve, "carol", "pipe-approval", string(q.Request))
			if what != "one pattern twice" { // it may be carol's
				if r := d.check(q); !r.Enough() {
					t.Errorf("with carol: %s", r)
				}
			}
		})
	}
}

func TestNotSelfKnowsARequesterByAllNames(t *testing.T) {
	d := newDesk(t)
	bob := d.line("bob@acme.io,bob-ci", "bob") + d.line("*@corp.io", "corp")
	alice := d.line("alice@acme.io", "alice")
	for by, self := range map[string]string{"bob@acme.io": "bob", "BOB@Acme.IO": "bob", "bob-ci": "bob", "dan@corp.io": "corp"} {
		q := d.question(d.guard(1, true, bob, alice), by)
		d.forge(&q, approval.Approve, self, "pipe-approval", string(q.Request))
		if r := d.check(q); r.Enough() {
			t.Errorf("%s approved themselves", by)
		} else {
			d.problem(r, "they requested the deployment")
		}
		if _, _, err := d.k.Sign(t.Context(), q, approval.Ballot{Verdict: approval.Approve, Key: d.key(self)}); !diag.Is(err, diag.Policy) {
			t.Errorf("%s signed: %v", by, err)
		}
		d.sign(&q, approval.Approve, "alice")
		if r := d.check(q); !r.Enough() {
			t.Errorf("%s: %s", by, r)
		}
		if r := d.sign(&q, approval.Reject, self); r.Enough() { // of one's own request, one may
			t.Errorf("%s: %s", by, r)
		}
		allowed := d.question(d.guard(1, false, bob, alice), by)
		d.sign(&allowed, approval.Approve, self)
	}
	q := d.question(d.guard(1, true, bob, d.line("bob@acme.io", "bob2"), alice), "bob-ci") // a name that his second key lacks
	d.forge(&q, approval.Approve, "bob2", "pipe-approval", string(q.Request))
	d.problem(d.says(q, "0 of 1 approval; missing: 1 of *@corp.io, alice@acme.io", false), "they requested")
	q = d.question(d.guard(1, true, bob, alice), "Bob@acme.io")
	d.says(q, "0 of 1 approval; missing: 1 of *@corp.io, alice@acme.io", false)
	q = d.question(d.guard(1, true, alice), "alice@acme.io")
	d.says(q, "0 of 1 approval; missing: 1, but there are no other signers", false)
}

// What a line of the signers file allows is for ssh-keygen to enforce.
func TestOptionsOfSignersHold(t *testing.T) {
	d := newDesk(t)
	alice := d.line("alice@acme.io", "alice")
	for options, problem := range map[string]string{
		`namespaces="git"`:                                   "namespaces= in the signers file excludes it",
		`namespaces="git,!pipe-approval,pipe-*"`:             "namespaces= in the signers file excludes it",
		`valid-before="20200101"`:                            "has expired",
		`valid-after="20990101"`:                             "is not yet valid",
		`cert-authority`:                                     "not listed",
		`namespaces="git,pipe-*",valid-after="202001010000"`: "",
		`namespaces="pipe-approvalx"`:                        "excludes it", `namespaces="*x"`: "excludes it", `namespaces="pipe-?approval"`: "excludes it",
		`namespaces="*,!pipe-a*"`: "excludes it", `namespaces="!*-?pproval,*"`: "excludes it", `namespaces="ipe-approval,pipe-approva"`: "excludes it",
		`namespaces="p*e-a*p*l"`: "", `namespaces="**"`: "", `namespaces="pipe-approval?*"`: "excludes it", `namespaces="pipe-approval*"`: "", `namespaces="!git,p?pe-approval"`: "",
		`NAMESPACES="pipe-approval"`:                  "",
		`valid-after="20200101000000",namespaces="*"`: "",
	} {
		q := d.question(d.guard(1, false, d.line("bob@acme.io "+options, "bob"), alice), "dave@acme.io")
		// Our own reading of the patterns says who is missing, and must agree with ssh-keygen's.
		if listed := slices.Contains(d.check(q).Missing, "bob@acme.io"); strings.Contains(problem, "excludes") == listed {
			t.Errorf("%s: listed: %t", options, listed)
		}
		d.forge(&q, approval.Approve, "bob", "pipe-approval", string(q.Request))
		r := d.check(q)
		if r.Enough() != (problem == "") {
			t.Errorf("%s: %s %q", options, r, r.Problems)
		}
		if problem != "" {
			d.problem(r, problem)
		}
	}
	g := d.guard(1, false, d.line(`bob@acme.io namespaces="git"`, "bob"), alice)
	d.says(d.question(g, "dave@acme.io"), "0 of 1 approval; missing: 1 of alice@acme.io", false)
}

func TestWhatALineTakesOutIsNoName(t *testing.T) {
	d := newDesk(t)
	g := d.guard(1, false, d.line("!bob@acme.io,*@acme.io", "k1"), d.line("zoe@acme.io,!bob@acme.io", "k2"), d.line("!bob@acme.io,carol@acme.io", "k3"))
	q := d.question(g, "dave@acme.io")
	d.forge(&q, approval.Approve, "k1", "pipe-approval", string(q.Request))
	d.says(q, "approved by *@acme.io", true)
	q.Votes = nil
	d.forge(&q, approval.Approve, "k2", "pipe-approval", string(q.Request))
	d.forge(&q, approval.Approve, "k3", "pipe-approval", string(q.Request)) // they share no name
	d.says(q, "approved by carol@acme.io, zoe@acme.io", true)
}

func TestACertificateOfSeveralNamesIsOnePerson(t *testing.T) {
	d := newDesk(t)
	certify := func(who, names string) string {
		d.ssh("", "-q", "-s", d.key("ca"), "-I", "id", "-n", names, d.key(who)+".pub")
		return who + "-cert.pub"
	}
	q := d.question(d.guard(2, false, d.line("alice@acme.io,bob@acme.io,robert@acme.io cert-authority", "ca")), "dave@acme.io")
	d.forge(&q, approval.Approve, certify("k1", "robert@acme.io,bob@acme.io"), "pipe-approval", string(q.Request))
	d.forge(&q, approval.Approve, certify("k2", "bob@acme.io"), "pipe-approval", string(q.Request))
	if r := d.check(q); r.Enough() || len(r.Good) != 1 || strings.Join(r.Missing, " ") != "alice@acme.io" {
		t.Errorf("%s, %q", r, r.Problems)
	}
	d.forge(&q, approval.Approve, certify("k3", "alice@acme.io"), "pipe-approval", string(q.Request)) // of one authority, but not one person
	if r := d.check(q); !r.Enough() || len(r.Good) != 2 {
		t.Errorf("%s, %q", r, r.Problems)
	}
	many := "alice@acme.io"
	for i := range 16 {
		many += fmt.Sprintf(",a%d@acme.io", i)
	}
	q = d.question(d.guard(1, false, d.line("* cert-authority", "ca")), "dave@acme.io")
	d.forge(&q, approval.Approve, certify("k4", many), "pipe-approval", string(q.Request))
	d.problem(d.check(q), "more than 16 names")
}

func TestTheHolderOfACertificateIsWhoItNames(t *testing.T) {
	d := newDesk(t)
	certify := func(who, names string) string {
		d.ssh("", "-q", "-s", d.key("ca"), "-I", "id", "-n", names, d.key(who)+".pub")
		cert := d.key(who) + "-cert.pub"
		if err := os.Rename(cert, d.key(who)+names[:1]+"-cert.pub"); err != nil {
			t.Fatal(err)
		}
		// ssh-keygen finds the private key beside it.
		d.must(os.Link(d.key(who), d.key(who)+names[:1]))
		return who + names[:1] + "-cert.pub"
	}
	for _, who := range []string{"bob", "carol", "mallory"} {
		d.key(who)
	}
	bob, carol := certify("bob", "bob@acme.io"), certify("carol", "carol@acme.io,c@acme.io")
	q := d.question(d.guard(2, true, d.line("*@acme.io cert-authority", "ca")), "Bob@acme.io")
	d.says(q, "0 of 2 approvals; missing: 2 of *@acme.io", false)
	d.forge(&q, approval.Approve, bob, "pipe-approval", string(q.Request))
	d.problem(d.says(q, "0 of 2 approvals; missing: 2 of *@acme.io", false), "bob@acme.io does not count: they requested")
	d.forge(&q, approval.Approve, carol, "pipe-approval", string(q.Request))
	d.says(q, "1 of 2 approvals: carol@acme.io; missing: 1 of *@acme.io", false)

	// The names are printed a line each, and a name may have a line end in it.
	forged := certify("mallory", "mallory@evil.io\nalice@acme.io")
	q = d.question(d.guard(1, false, d.line("* cert-authority", "ca")), "dave@acme.io")
	d.forge(&q, approval.Approve, forged, "pipe-approval", string(q.Request))
	d.says(q, "0 of 1 approval; missing: 1 of *", false)
	// A certificate for one name is no other's.
	q = d.question(d.guard(1, false, d.line("alice@acme.io cert-authority", "ca")), "dave@acme.io")
	d.forge(&q, approval.Approve, bob, "pipe-approval", string(q.Request))
	d.says(q, "0 of 1 approval; missing: 1 of alice@acme.io", false)
}
