package pipe

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/pipe-build/pipe/internal/approval"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/pkg/digest"
)

// Waiting is a plan that waits, or waited, for an approval.
type Waiting struct {
	Env      string    `json:"env"`                 // the environment
	Plan     string    `json:"plan"`                // its digest
	Release  string    `json:"release"`             // that would be live
	Commit   string    `json:"commit,omitempty"`    // that made it
	By       string    `json:"by"`                  // who asks
	Run      string    `json:"run,omitempty"`       // where they ask
	At       time.Time `json:"at"`                  // when they asked
	Reason   string    `json:"reason,omitempty"`    // what they said
	Stages   []Change  `json:"stages"`              // that would change
	NewRules bool      `json:"new_rules,omitempty"` // the deployment changes from: or approve: of the environment, or the signers
	Stale    bool      `json:"stale,omitempty"`     // the environment has moved: nobody can approve the plan any more
	Approval *Approval `json:"approval,omitempty"`  // how far it is; nil for a stale one

	plan  *approval.Plan
	bytes []byte
	votes *votes
}

// Change is what a plan would make of one stage.
type Change struct {
	Stage  string   `json:"stage"`            // its name
	Live   string   `json:"live,omitempty"`   // key; empty: nothing is known to be live
	Commit string   `json:"commit,omitempty"` // of what is live
	Key    string   `json:"key"`              // that would be live
	Values []string `json:"values,omitempty"` // names of its variables
}

// Waiting returns the plans of an environment that wait for an approval, the newest first.
func (p *Project) Waiting(ctx context.Context, name string) ([]*Waiting, error) {
	if err := p.knownEnvironment(name); err != nil {
		return nil, err
	}
	env, err := p.environment(ctx, name, true)
	if err != nil {
		return nil, err
	}
	s, err := env.Read(ctx)
	if err != nil {
		return nil, err
	}
	var all []*Waiting
	var faults error
	for _, plan := range slices.Backward(s.Asked) {
		w, err := p.waiting(ctx, env, s, plan)
		if err != nil {
			faults = errors.Join(faults, err) // one bad request hides no other
			continue
		}
		all = append(all, w)
	}
	if len(all) > 0 {
		for _, e := range diag.All(faults) {
			p.note(e.Error())
		}
		faults = nil
	}
	return all, faults
}

// waiting reads what belongs to a plan that somebody wants to have approved.
func (p *Project) waiting(ctx context.Context, env *release.Environment, s *release.State, plan digest.Digest) (*Waiting, error) {
	v := &votes{env: env, plan: plan, keygen: p.keygen(ctx)}
	b, err := v.request(ctx)
	if err != nil {
		return nil, err
	}
	if b == nil {
		return nil, diag.New(diag.NotFound, "%s: the request for the approval of plan %.12s is missing", env.Name(), plan.Hex()).
			At(env.BesideAt("requests/"+plan.Hex())).Hinted("run pipe deploy %s, which requests it again", env.Name())
	}
	r, err := approval.ParseRequest(b)
	if err != nil {
		return nil, err
	}
	w := &Waiting{
		Env: env.Name(), Plan: plan.String(), Release: r.Release, Commit: r.Commit, By: r.By, Run: r.Run, At: r.At, Reason: r.Reason,
		Stages: []Change{}, plan: &r.Plan, bytes: b, votes: v,
	}
	now := r.Plan
	situation(&now, s)
	is, err := now.Digest()
	if err != nil {
		return nil, err
	}
	w.plan, w.Stale = &now, is != plan
	w.changes(ctx, s)
	if w.Stale {
		return w, nil
	}
	return w, w.count(ctx, s)
}

// count counts the votes, by the rules that the deployment will be held to.
func (w *Waiting) count(ctx context.Context, s *release.State) (err error) {
	v := w.votes
	if !s.Guard.IsZero() {
		if v.rules, err = readGuard(ctx, v.env, s.Guard); err != nil {
			return err
		}
	}
	w.NewRules = !s.Guard.IsZero() && w.plan.Guard != s.Guard
	if v.rules == nil || v.rules.Approve == nil {
		if v.rules, err = readGuard(ctx, v.env, w.plan.Guard); err != nil {
			return err
		}
	}
	if err := v.read(ctx); err != nil {
		return err
	}
	r, err := v.keygen.Check(ctx, v.question(w.plan, w.bytes))
	if err != nil {
		return err
	}
	w.Approval = standing(v.plan, r)
	w.Approval.Requested = true
	return nil
}

// changes says which stages would change. The names of variables stand in the release, which this
// user may be unable to read.
func (w *Waiting) changes(ctx context.Context, s *release.State) {
	var parts map[string]release.Part
	if id, err := release.ParseID(w.Release); err == nil {
		if r, err := w.votes.env.Release(ctx, id); err == nil {
			parts = r.Stages
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.plan.Wanted)) {
		live, key := w.plan.Live[name], w.plan.Wanted[name]
		if live == key {
			continue
		}
		c := Change{Stage: name, Key: key.String()}
		if !live.IsZero() {
			c.Live, c.Commit = live.String(), s.Stages[name].Commit
		}
		for _, v := range parts[name].Env {
			c.Values = append(c.Values, v.Name)
		}
		w.Stages = append(w.Stages, c)
	}
}

// VoteOptions say what somebody says about a plan.
type VoteOptions struct {
	Reject  bool                 // and do not approve
	Plan    string               // the beginning of its digest; empty: the newest that is not stale
	Key     string               // file of the private key, or of a public one whose private key an agent has; empty: found
	Reason  string               // for people
	In, Err *os.File             // where ssh-keygen may ask for a passphrase; nil: it cannot
	Confirm func(*Waiting) error // is asked before anything is signed; nil: nobody is
}

// Vote signs the approval or the rejection of a plan, and puts it where the deployment looks for it.
// It needs no right to deploy. The plan is returned as it stands then.
func (p *Project) Vote(ctx context.Context, name string, opt VoteOptions) (*Waiting, error) {
	all, err := p.Waiting(ctx, name)
	if err != nil {
		return nil, err
	}
	w, err := chosenPlan(name, opt.Plan, all)
	if err != nil {
		return nil, err
	}
	if opt.Confirm != nil {
		if err := opt.Confirm(w); err != nil {
			return nil, err
		}
	}
	v := w.votes
	v.keygen.In, v.keygen.Err = opt.In, opt.Err
	say := approval.Ballot{Verdict: approval.Approve, Reason: opt.Reason, At: p.opt.Now(), Key: opt.Key}
	if opt.Reject {
		say.Verdict = approval.Reject
	}
	vote, r, err := v.keygen.Sign(ctx, v.question(w.plan, w.bytes), say)
	if err != nil {
		return nil, err
	}
	if err := v.put(ctx, vote); err != nil {
		return nil, err
	}
	w.Approval = standing(v.plan, r)
	w.Approval.Requested = true
	return w, nil
}

// chosenPlan returns the plan that somebody means.
func chosenPlan(env, prefix string, all []*Waiting) (*Waiting, error) {
	prefix = strings.TrimPrefix(prefix, "blake3:")
	fit := slices.DeleteFunc(slices.Clone(all), func(w *Waiting) bool {
		return !strings.HasPrefix(strings.TrimPrefix(w.Plan, "blake3:"), prefix)
	})
	fresh := slices.DeleteFunc(slices.Clone(fit), func(w *Waiting) bool { return w.Stale })
	switch {
	case len(all) == 0:
		return nil, diag.New(diag.NotFound, "no plan of %s waits for an approval", env).Hinted("pipe deploy %s requests one where it is needed", env)
	case len(fit) == 0:
		return nil, diag.New(diag.NotFound, "no waiting plan of %s begins with %s", env, prefix).Hinted("pipe plan --env %s shows the plan", env)
	case len(fresh) == 0:
		return nil, diag.New(diag.Policy, "stale plan: %s has changed since %s requested approval", env, fit[0].By).
			Hinted("run pipe deploy %s, which requests approval of the new plan", env)
	case prefix != "" && len(fresh) > 1:
		return nil, diag.New(diag.Usage, "%d waiting plans of %s begin with %s", len(fresh), env, prefix).Hinted("write more of its digits")
	}
	return fresh[0], nil
}
