package approval

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/digest"
)

// Guard is what stands before an environment. Its bytes are kept, so that votes can be counted
// under the guard that was pinned, when the files of a checkout say otherwise.
type Guard struct {
	Schema  int        `json:"schema"`
	From    []string   `json:"from,omitempty"`    // sorted
	CI      bool       `json:"ci,omitempty"`      // approve: ci
	Approve *Approvers `json:"approve,omitempty"` // nil: nobody needs to
}

// Approvers are those who must agree.
type Approvers struct {
	Count   int    `json:"count"`
	NotSelf bool   `json:"not_self,omitempty"`
	Signers string `json:"signers"` // an allowed_signers file in the one form that readSigners writes
}

// NewGuard makes the guard of an environment. signers is the content of the file that approve
// names, which nil and approve: ci do not. Faults of the file are returned together, with
// their lines; a count that the file's people cannot reach is one.
func NewGuard(from []string, approve *spec.Approve, signers []byte) (*Guard, error) {
	g := &Guard{Schema: Schema, From: slices.Compact(slices.Sorted(slices.Values(from)))}
	if approve == nil || approve.CI {
		g.CI = approve != nil
		return g, nil
	}
	file := string(approve.Signers)
	all, err := readSigners(file, signers)
	if err != nil {
		return nil, err
	}
	g.Approve = &Approvers{Count: approve.Count, NotSelf: approve.NotSelf, Signers: all.text()}
	if n := len(all.people(nil).names()); n < approve.Count && !all.authority() {
		return nil, diag.New(diag.Usage, "too few signers for count: %d (the file lists %d)", approve.Count, n).At(file).
			Hinted("keys that share a name, and names that share a key, are one person; add signers, or lower count in pipe.yaml")
	}
	return g, g.check()
}

// Encode returns the canonical bytes.
func (g *Guard) Encode() ([]byte, error) {
	if err := g.check(); err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	return bounded(g, "guard", store.MaxSmall)
}

// Digest is the guard's name: equal guards have equal ones, however the files are laid out.
func (g *Guard) Digest() (digest.Digest, error) {
	b, err := g.Encode()
	return digest.Of(b), err
}

// ParseGuard reads the bytes of Encode. It fails as ParseRequest does.
func ParseGuard(b []byte) (*Guard, error) {
	g := new(Guard)
	return g, parse("the environment's guard", b, store.MaxSmall, g)
}

// certified is the box of those who are listed by an authority: their keys are not known.
const certified = "certificates"

// Boxes are the names of the places where votes may lie, each with votes numbered from 0
// without a gap: one for each key, so that votes are found without a list of what is there.
func (g *Guard) Boxes() (boxes []string) {
	if g.Approve == nil {
		return nil
	}
	all, err := readSigners("signers", []byte(g.Approve.Signers))
	if err != nil {
		return nil // NewGuard and ParseGuard have read them
	}
	for _, s := range all {
		if !s.ca {
			boxes = append(boxes, box(s.print()))
		}
	}
	if slices.ContainsFunc(all, func(s signer) bool { return s.ca }) {
		boxes = append(boxes, certified)
	}
	slices.Sort(boxes)
	return slices.Compact(boxes)
}

// box names the box of a key by its fingerprint, of which no store would take every character.
func box(print string) string { return digest.Of([]byte(print)).Hex() }

// boxOf returns where the signer's votes lie.
func (g *Guard) boxOf(s *Signed) string {
	if b := box(strings.TrimPrefix(s.ids[0], key(""))); slices.Contains(g.Boxes(), b) {
		return b
	}
	return certified
}

func (g *Guard) check() error {
	for i, env := range g.From {
		if !spec.IsEnvironment(env) || i > 0 && g.From[i-1] >= env {
			return errors.New("from has an invalid name, or is not sorted")
		}
	}
	switch {
	case g.Schema != Schema:
		return fmt.Errorf("the schema is not %d", Schema)
	case g.Approve == nil:
		return nil
	case g.CI || g.Approve.Count < 1:
		return errors.New("both ci and approve are there, or count is less than 1")
	}
	all, err := readSigners("signers", []byte(g.Approve.Signers))
	if err == nil && all.text() != g.Approve.Signers {
		err = errors.New("the signers are not in normal form")
	}
	return err
}
