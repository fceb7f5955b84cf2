package pipe

import (
	"context"
	"fmt"

	"github.com/pipe-build/pipe/internal/approval"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/pkg/digest"
)

// Approval is where a plan stands with those who must agree to it.
type Approval struct {
	Plan      string   `json:"plan"`               // digest of what is agreed to
	By        string   `json:"by"`                 // ApprovedByCI or ApprovedBySigners
	Requested bool     `json:"requested"`          // it waits for signatures
	Need      int      `json:"need"`               // how many
	Approved  []string `json:"approved,omitempty"` // by whom
	Rejected  []string `json:"rejected,omitempty"` // by whom
	Missing   []string `json:"missing,omitempty"`  // who else may approve
	Problems  []string `json:"problems,omitempty"` // why signatures do not count
	Text      string   `json:"-"`                  // all that in one line for people
}

// The values of Approval.By.
const (
	ApprovedByCI      = "ci"
	ApprovedBySigners = "signers"
)

// standing describes what was counted.
func standing(plan digest.Digest, r *approval.Result) *Approval {
	a := &Approval{Plan: plan.String(), By: ApprovedBySigners, Need: r.Need, Missing: r.Missing, Problems: r.Problems, Text: r.String()}
	for _, s := range r.Good {
		a.Approved = append(a.Approved, s.Principal)
	}
	for _, s := range r.Rejected {
		a.Rejected = append(a.Rejected, s.Principal)
	}
	return a
}

// votes are what lies in the store for one plan. They are found without a list: the rules say
// who may vote, and so where a vote can be.
type votes struct {
	env    *release.Environment
	plan   digest.Digest
	rules  *approval.Guard
	keygen *approval.Keygen

	all   [][]byte
	after map[string]int // number of the next vote in each box
}

// request returns the request for the plan; nil: nobody has asked yet.
func (v *votes) request(ctx context.Context) ([]byte, error) {
	at := "requests/" + v.plan.Hex()
	b, err := v.env.Beside(ctx, at)
	if b == nil || err != nil {
		return nil, err
	}
	r, err := approval.ParseRequest(b)
	if err == nil {
		var named digest.Digest
		if named, err = r.Plan.Digest(); err == nil && named != v.plan {
			err = diag.New(diag.Integrity, "the request for an approval is one for another plan")
		}
	}
	if err != nil {
		return nil, diag.New(diag.KindOf(err), "%w", err).At(v.env.BesideAt(at)).
			Hinted("delete the object and those below approvals/%s, then run pipe deploy %s, which requests approval again", v.plan.Hex(), v.env.Name())
	}
	return b, nil
}

// votesAtOnce is how many boxes are asked for at the same time; maxBox is more votes than are ever counted.
const (
	votesAtOnce = 16
	maxBox      = 300
)

func (v *votes) at(box string, n int) string {
	return fmt.Sprintf("approvals/%s/%s/%d", v.plan.Hex(), box, n)
}

// read reads all votes that count under the rules, or may.
func (v *votes) read(ctx context.Context) error {
	boxes := v.rules.Boxes()
	found := make([][][]byte, len(boxes))
	err := par.Each(ctx, len(boxes), votesAtOnce, func(ctx context.Context, i int) error {
		for n := range maxBox {
			b, err := v.env.Beside(ctx, v.at(boxes[i], n))
			if b == nil || err != nil {
				return err
			}
			found[i] = append(found[i], b)
		}
		return nil
	})
	v.all, v.after = nil, map[string]int{}
	for i, box := range boxes {
		v.all = append(v.all, found[i]...)
		v.after[box] = len(found[i])
	}
	return err
}

func (v *votes) question(plan *approval.Plan, request []byte) approval.Question {
	return approval.Question{Plan: plan, Request: request, Votes: v.all, Guard: v.rules}
}

// put puts a vote into its box, behind those that are there.
func (v *votes) put(ctx context.Context, vote *approval.Vote) error {
	b, err := vote.Encode()
	for n := v.after[vote.Box()]; err == nil && n < maxBox; n++ {
		var there []byte
		if there, err = v.env.PutBeside(ctx, v.at(vote.Box(), n), b); err == nil && string(there) == string(b) {
			return nil
		}
	}
	if err == nil {
		err = diag.New(diag.Policy, "one signer already has %d votes on this plan", maxBox)
	}
	return err
}

// keygen returns ssh-keygen as this user runs it.
func (p *Project) keygen(ctx context.Context) *approval.Keygen {
	k := &approval.Keygen{Env: p.env, Root: p.root}
	for _, name := range []string{"HOME", "USERPROFILE"} {
		if home, _ := shell.Getenv(p.env, name); home != "" && k.Home == "" {
			k.Home = home
		}
	}
	if p.repo != nil {
		k.Root = p.repo.Root()
		k.Git = func(name string) string { return p.repo.Setting(ctx, name) }
	}
	return k
}
