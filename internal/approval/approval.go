// Package approval says who must agree to a deployment, and who did, by ssh signatures.
//
// A Plan is what people agree to. Who wants it carried out writes a Request, whose bytes are
// signed; each signature lies in a Vote of its own. A Guard says whose signatures count, and
// how many it takes: Keygen.Check counts them and Keygen.Sign makes one. All that is proved is
// proved by the program ssh-keygen. What a vote says of itself decides nothing.
//
// The package reads and writes no store, and knows no state of an environment. FORMAT.md
// describes the documents.
package approval

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/pipe-build/pipe/internal/canon"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
)

// Schema is the number of the form of each document that this version reads and writes.
const Schema = 1

// Plan is one situation of an environment: what is live, and what shall be. Equal situations
// have equal plans, so an approval is good until the next deployment begins, and for no other:
// what was rolled back does not return by an old signature.
type Plan struct {
	Schema  int                      `json:"schema"`
	Project string                   `json:"project,omitempty"`
	Env     string                   `json:"env"`
	Release string                   `json:"release,omitempty"` // so that it is the one that people look at
	Live    map[string]digest.Key    `json:"live"`              // stages that are known to be live
	Wanted  map[string]digest.Key    `json:"wanted"`            // stages after the deployment
	Values  map[string]digest.Digest `json:"values"`            // of each wanted stage: ValuesDigest
	Secrets map[string]string        `json:"secrets,omitempty"` // name to version
	Guard   digest.Digest            `json:"guard"`             // that the deployment pins
	N       uint64                   `json:"n,omitempty"`       // the environment's newest deployment: an approval is good for one
}

// Request asks for approvals of a plan. The bytes of the first one in the store are signed.
type Request struct {
	Schema  int       `json:"schema"`
	Plan    Plan      `json:"plan"`
	Release string    `json:"release"`
	Commit  string    `json:"commit,omitempty"`
	By      string    `json:"by"` // git's user.email, in CI the actor
	Run     string    `json:"run,omitempty"`
	At      time.Time `json:"at"`
	Reason  string    `json:"reason,omitempty"`
}

// Verdict is what a vote says.
type Verdict string

// The verdicts.
const (
	Approve Verdict = "approve"
	Reject  Verdict = "reject"
)

// Vote carries one signature. Its Principal, At and Reason are claims of whoever wrote it.
type Vote struct {
	Schema    int           `json:"schema"`
	Plan      digest.Digest `json:"plan"`
	Verdict   Verdict       `json:"verdict"`
	Turn      int           `json:"turn,omitempty"` // the later one of a person's votes counts
	Principal string        `json:"principal"`
	At        time.Time     `json:"at"`
	Reason    string        `json:"reason,omitempty"`
	Signature string        `json:"signature"` // armored, in the one form that armor writes

	box string
}

const (
	maxVote = 64 << 10 // of its bytes; an RSA key of 16384 bits signs with 6 KB
	maxTurn = 1 << 20
)

// namespace is ssh's: a signature for one verdict, or of a git commit, is none for another.
func (v Verdict) namespace() string {
	if v == Reject {
		return "pipe-rejection"
	}
	return "pipe-approval"
}

// ValuesDigest is what a plan has of a stage's values: environment variables by name.
func ValuesDigest(values map[string]string) (digest.Digest, error) {
	if values == nil {
		values = map[string]string{}
	}
	for name, v := range values {
		if !utf8.ValidString(name) || !utf8.ValidString(v) { // JSON would make equal what is not
			return digest.Digest{}, fmt.Errorf("%s is not valid UTF-8", name)
		}
	}
	b, err := canon.Marshal(values)
	return digest.Of(b), err
}

// Encode returns the canonical bytes.
func (p *Plan) Encode() ([]byte, error) {
	q := p.filled()
	if err := q.check(); err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	return canon.Marshal(q)
}

// filled is the plan as it is written.
func (p *Plan) filled() Plan {
	q := *p
	q.Schema = Schema
	for _, keys := range []*map[string]digest.Key{&q.Live, &q.Wanted} {
		if *keys == nil {
			*keys = map[string]digest.Key{}
		}
	}
	if q.Values == nil {
		q.Values = map[string]digest.Digest{}
	}
	return q
}

// Digest is the plan's name.
func (p *Plan) Digest() (digest.Digest, error) {
	b, err := p.Encode()
	return digest.Of(b), err
}

// Encode returns the canonical bytes, which are signed.
func (r *Request) Encode() ([]byte, error) {
	q := *r
	q.Schema, q.Plan, q.At = Schema, r.Plan.filled(), whole(r.At)
	if err := q.check(); err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	return bounded(q, "request", store.MaxSmall)
}

// Encode returns the canonical bytes.
func (v *Vote) Encode() ([]byte, error) {
	w := *v
	w.Schema, w.At = Schema, whole(v.At)
	if err := w.check(); err != nil {
		return nil, fmt.Errorf("vote: %w", err)
	}
	return bounded(w, "vote", maxVote)
}

// Box is which of the guard's boxes the vote belongs into. Only Sign knows it.
func (v *Vote) Box() string { return v.box }

func whole(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

func bounded(v any, what string, most int) ([]byte, error) {
	b, err := canon.Marshal(v)
	if err == nil && len(b) > most {
		return nil, fmt.Errorf("the %s would be larger than %d KiB", what, most>>10)
	}
	return b, err
}

// ParseRequest reads a request. It fails with diag.Integrity, or diag.Policy where a newer
// pipe wrote it.
func ParseRequest(b []byte) (*Request, error) {
	if n := canon.Schema(canon.Members(b)["plan"]); n > Schema {
		return nil, diag.Newer("the approval request", n)
	}
	r := new(Request)
	return r, parse("the approval request", b, store.MaxSmall, r)
}

// ParseVote reads a vote, failing as ParseRequest does. Its signature is not verified.
func ParseVote(b []byte) (*Vote, error) {
	v := new(Vote)
	return v, parse("the approval", b, maxVote, v)
}

// parse reads a document of at most most bytes, and has it check itself.
func parse(what string, b []byte, most int, doc interface{ check() error }) error {
	err := fmt.Errorf("it is larger than %d KiB", most>>10)
	if len(b) <= most {
		if n := canon.Schema(b); n > Schema {
			return diag.Newer(what, n)
		}
		if err = canon.Unmarshal(b, doc); err == nil {
			err = doc.check()
		}
	}
	if err != nil {
		return diag.New(diag.Integrity, "cannot read %s: %w", what, err)
	}
	return nil
}

func (p *Plan) check() error {
	if p.Schema != Schema || !spec.IsEnvironment(p.Env) || p.Project != "" && !spec.IsProject(p.Project) {
		return fmt.Errorf("the schema is not %d, or the environment or project has no valid name", Schema)
	}
	stages := slices.Concat(slices.Collect(maps.Keys(p.Live)), slices.Collect(maps.Keys(p.Wanted)), slices.Collect(maps.Keys(p.Values)))
	for _, s := range stages {
		if !artifact.IsStageName(s) {
			return fmt.Errorf("%q is not a valid stage name", s)
		}
	}
	for name, version := range p.Secrets {
		if name == "" || !utf8.ValidString(name) || !utf8.ValidString(version) {
			return fmt.Errorf("the secret %q has no valid name or version", name)
		}
	}
	if p.Guard.IsZero() || p.N > artifact.MaxNumber {
		return errors.New("it lacks the guard, or its n is too large")
	}
	return nil
}

func (r *Request) check() error {
	if err := r.Plan.check(); err != nil {
		return err
	}
	if r.Schema != Schema || r.By == "" || r.Release == "" { // not_self compares By
		return fmt.Errorf("the schema is not %d, or by or release is missing", Schema)
	}
	if r.Plan.Release != "" && r.Plan.Release != r.Release {
		return errors.New("the release is not that of the plan")
	}
	return inSeconds(r.At)
}

func (v *Vote) check() error {
	switch {
	case v.Schema != Schema || v.Plan.IsZero():
		return fmt.Errorf("the schema is not %d, or the plan is missing", Schema)
	case v.Verdict != Approve && v.Verdict != Reject:
		return fmt.Errorf("unknown verdict %q", v.Verdict)
	case v.Turn < 0 || v.Turn > maxTurn:
		return fmt.Errorf("the turn is not between 0 and %d", maxTurn)
	}
	if again, err := armor(v.Signature); err != nil || again != v.Signature {
		return errors.Join(errors.New("the signature is not a single armored ssh signature"), err)
	}
	return inSeconds(v.At)
}

func inSeconds(t time.Time) error {
	if _, east := t.Zone(); east != 0 || t.Nanosecond() != 0 || t.IsZero() {
		return errors.New("the time is not in UTC and whole seconds")
	}
	return nil
}
