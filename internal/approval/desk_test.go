package approval_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/approval"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/digest"
)

// desk has keys of people, and ssh-keygen. No key and no agent of the machine's user is seen.
type desk struct {
	testing.TB
	dir  string
	home string
	k    *approval.Keygen
}

func newDesk(tb testing.TB) *desk {
	dir := tb.TempDir()
	d := &desk{tb, dir, filepath.Join(dir, "home"), nil}
	d.must(os.MkdirAll(filepath.Join(d.home, ".ssh"), 0o700))
	env := []string{"HOME=" + d.home}
	for _, kv := range os.Environ() {
		if n, _, _ := strings.Cut(kv, "="); n != "HOME" && !strings.HasPrefix(n, "SSH_") && n != "DISPLAY" {
			env = append(env, kv)
		}
	}
	d.k = &approval.Keygen{Env: env, Home: d.home}
	return d
}

func (d *desk) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

// ssh runs ssh-keygen in the desk's directory.
func (d *desk) ssh(in string, args ...string) string {
	d.Helper()
	cmd := exec.CommandContext(d.Context(), "ssh-keygen", args...)
	cmd.Dir, cmd.Stdin = d.dir, strings.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		d.Fatal(args, err, stderr.String())
	}
	return string(out)
}

// key returns the file of a person's private key.
func (d *desk) key(who string) string {
	d.Helper()
	file := filepath.Join(d.dir, who)
	if _, err := os.Stat(file); err != nil {
		d.ssh("", "-q", "-t", "ed25519", "-N", "", "-C", who, "-f", file)
	}
	return file
}

// pub returns the type and the text of a person's public key.
func (d *desk) pub(who string) string {
	d.Helper()
	b, err := os.ReadFile(d.key(who) + ".pub")
	d.must(err)
	return strings.Join(strings.Fields(string(b))[:2], " ")
}

// line is one of the signers file: options stand behind the names.
func (d *desk) line(names, who string) string { return names + " " + d.pub(who) + "\n" }

// guard needs count approvals of those in the lines.
func (d *desk) guard(count int, notSelf bool, lines ...string) *approval.Guard {
	d.Helper()
	g, err := approval.NewGuard(nil, &spec.Approve{Signers: ".approvers", Count: count, NotSelf: notSelf}, []byte(strings.Join(lines, "")))
	d.must(err)
	return g
}

// team is a guard of alice, bob and carol.
func (d *desk) team(count int, notSelf bool) *approval.Guard {
	d.Helper()
	return d.guard(count, notSelf, d.line("alice@acme.io", "alice"), d.line("bob@acme.io", "bob"), d.line("carol@acme.io", "carol"))
}

func keyOf(s string) digest.Key { return digest.Key(digest.Of([]byte(s))) }

// question is about api in production, asked by dave, without votes.
func (d *desk) question(g *approval.Guard, by string) approval.Question {
	d.Helper()
	name, err := g.Digest()
	d.must(err)
	values, err := approval.ValuesDigest(map[string]string{"REGION": "us-east-1"})
	d.must(err)
	p := &approval.Plan{
		Project: "shop", Env: "production", Guard: name,
		Live:   map[string]digest.Key{"api": keyOf("old")},
		Wanted: map[string]digest.Key{"api": keyOf("new")},
		Values: map[string]digest.Digest{"api": values},
	}
	return approval.Question{Plan: p, Request: d.request(p, by), Guard: g}
}

func (d *desk) request(p *approval.Plan, by string) []byte {
	d.Helper()
	r := &approval.Request{Plan: *p, Release: "r-3f9c2a71b0de", Commit: "4be1f02", By: by, At: time.Unix(1_800_000_000, 999)}
	b, err := r.Encode()
	d.must(err)
	return b
}

// sign adds somebody's vote to the question, and returns what Sign says.
func (d *desk) sign(q *approval.Question, v approval.Verdict, who string) *approval.Result {
	d.Helper()
	vote, r, err := d.k.Sign(d.Context(), *q, approval.Ballot{Verdict: v, At: time.Unix(1_800_000_100, 0), Key: d.key(who)})
	d.must(err)
	d.put(q, vote)
	return r
}

func (d *desk) put(q *approval.Question, v *approval.Vote) {
	d.Helper()
	b, err := v.Encode()
	d.must(err)
	q.Votes = append(q.Votes, b)
}

// forge adds a vote with a signature that ssh-keygen makes of a text, whatever it is.
func (d *desk) forge(q *approval.Question, v approval.Verdict, who, namespace, text string) {
	d.Helper()
	name, err := q.Plan.Digest()
	d.must(err)
	sig := d.ssh(text, "-q", "-Y", "sign", "-f", d.key(who), "-n", namespace)
	d.put(q, &approval.Vote{Plan: name, Verdict: v, Principal: who + "@acme.io", At: time.Unix(1, 0), Signature: strings.ReplaceAll(sig, "\r", "")})
}

func (d *desk) check(q approval.Question) *approval.Result {
	d.Helper()
	r, err := d.k.Check(d.Context(), q)
	d.must(err)
	return r
}

// says checks the one line about where a plan stands, and whether that is enough.
func (d *desk) says(q approval.Question, want string, enough bool) *approval.Result {
	d.Helper()
	r := d.check(q)
	if r.String() != want || r.Enough() != enough {
		d.Errorf("%q, enough: %t, problems %q; want %q, %t", r, r.Enough(), r.Problems, want, enough)
	}
	return r
}

// problem checks that exactly one vote has a problem, which the text is a part of.
func (d *desk) problem(r *approval.Result, part string) {
	d.Helper()
	if len(r.Problems) != 1 || !strings.Contains(r.Problems[0], part) {
		d.Errorf("problems %q, want one with %q", r.Problems, part)
	}
}
