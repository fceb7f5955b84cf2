package pipe

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/approval"
	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/digest"
)

// gate holds the deployments to one environment to the rules of this checkout, and to those that
// the deployment before has pinned: a branch that drops a rule does not get around it.
type gate struct {
	p      *Project
	conf   *spec.Environment
	env    *release.Environment
	guard  *approval.Guard // the rules of this checkout
	digest digest.Digest   // its name
	// worked is what the deployment that a rollback goes back to did, if it worked.
	worked map[string]release.Attempt

	verified map[string]release.ID // by environment, what was found to be verified there; that stays so
	plan     digest.Digest         // of what was asked about last
	standing *Approval             // and where it stands; nil: nobody needs to approve
}

// maxSigners is the largest file of signers in bytes; package approval takes less.
const maxSigners = 4 << 20

// gate reads the rules that this checkout has for an environment.
func (p *Project) gate(c *spec.Environment, env *release.Environment) (*gate, error) {
	g := &gate{p: p, conf: c, env: env, verified: map[string]release.ID{}}
	var signers []byte
	var err error
	if a := c.Approve; a != nil && !a.CI {
		if signers, err = atomicfile.Read(p.path(string(a.Signers)), maxSigners); err != nil {
			return nil, diag.New(diag.Usage, "%s: cannot read who may approve: %w", c.Name, err).At(c.Place).
				Hinted("list the signers in %s, a line for each: alice@example.com ssh-ed25519 AAAA...", a.Signers)
		}
	}
	if g.guard, err = approval.NewGuard(c.From, c.Approve, signers); err == nil {
		g.digest, err = g.guard.Digest()
	}
	return g, err
}

// pinnedRules holds a deployment to an environment of which pipe.yaml says nothing to what the
// deployment before has pinned: pipe.yaml may have said something then.
func (p *Project) pinnedRules(env *release.Environment) (func(context.Context, *release.State, *release.Want) error, error) {
	all, err := p.declared()
	if err != nil {
		return nil, err
	}
	c, err := all.Find(env.Name())
	if err != nil {
		return nil, err
	}
	g, err := p.gate(c, env)
	return g.check, err
}

// pin is what the state is to say of the rules: nothing where there are none.
func (g *gate) pin() digest.Digest {
	if len(g.guard.From) == 0 && !g.guard.CI && g.guard.Approve == nil {
		return digest.Digest{}
	}
	return g.digest
}

// check is release.Want.Gate. Rules that differ from the pinned ones come into force with a
// deployment that the pinned ones allow: either the signers whom these name approve of it, or they
// name nobody, and then the deployment must keep both.
func (g *gate) check(ctx context.Context, s *release.State, w *release.Want) error {
	g.plan, g.standing = digest.Digest{}, nil
	if g.returns(w) {
		w.Guard = s.Guard
		return nil
	}
	w.Guard = g.pin()
	plan, err := g.planOf(s, w)
	if err != nil {
		return err
	}
	if g.plan, err = plan.Digest(); err != nil {
		return err
	}
	old, err := g.pinned(ctx, s)
	if err != nil {
		return err
	}
	rules, from := g.guard, slices.Compact(slices.Sorted(slices.Values(slices.Concat(g.guard.From, old.From))))
	if old.Approve != nil { // they see that other rules come
		rules, from = old, g.guard.From
	}
	if err := g.verifiedIn(ctx, w, from); err != nil {
		return err
	}
	if rules.CI || old.CI {
		if err := g.approvedByCI(); err != nil {
			return err
		}
	}
	if rules.Approve == nil {
		return nil
	}
	return g.approved(ctx, plan, w, rules)
}

// returns reports whether a rollback brings back what has worked here, to the byte and the value. It
// was let in then, and in an emergency nobody should have to wait; it changes no rule either.
func (g *gate) returns(w *release.Want) bool {
	if w.Kind != release.KindRollback {
		return false
	}
	for name, a := range w.Stages {
		if g.worked[name].Key != a.Key {
			return false
		}
	}
	return true
}

// pinned returns the rules of the deployment before. Without any, no rule was dropped.
func (g *gate) pinned(ctx context.Context, s *release.State) (*approval.Guard, error) {
	switch s.Guard {
	case digest.Digest{}:
		return &approval.Guard{Schema: approval.Schema}, nil
	case g.digest:
		return g.guard, nil
	}
	return readGuard(ctx, g.env, s.Guard)
}

// readGuard reads rules that were kept. Its name is its digest, so nobody can have edited it.
func readGuard(ctx context.Context, env *release.Environment, name digest.Digest) (*approval.Guard, error) {
	at := "guards/" + name.Hex()
	b, err := env.Beside(ctx, at)
	if err != nil {
		return nil, err
	}
	if b == nil || digest.Of(b) != name {
		return nil, diag.New(diag.Integrity, "the rules pinned by the last deployment to %s are missing or damaged", env.Name()).At(env.BesideAt(at)).
			Hinted("restore the object from a backup, or deploy from a commit whose rules for %s are the same", env.Name())
	}
	return approval.ParseGuard(b)
}

// verifiedIn refuses a release that has not proved itself in other environments.
func (g *gate) verifiedIn(ctx context.Context, w *release.Want, from []string) error {
	var errs []error
	for _, name := range from {
		if w.Dirty || w.Override {
			errs = append(errs, diag.New(diag.Policy, "%s only takes releases verified in %s; this one has uncommitted files or overridden values", g.conf.Name, name).
				At(g.conf.Place).Hinted("commit, deploy to %s, then pipe promote %s %s", name, name, g.conf.Name))
			continue
		}
		if g.verified[name] == w.Release {
			continue
		}
		s, err := g.p.stateOf(ctx, name)
		if err != nil {
			return err
		}
		if slices.Contains(s.Verified, w.Release) {
			g.verified[name] = w.Release
		} else {
			what := ""
			if !slices.Contains(g.guard.From, name) {
				what = ", as pinned by the last deployment to " + g.conf.Name
			}
			errs = append(errs, diag.New(diag.Policy, "release %s is not verified in %s%s", w.Release.Short(), name, what).
				At(g.conf.Place).Hinted("pipe deploy %s, then pipe promote %s %s", name, name, g.conf.Name))
		}
	}
	return errors.Join(errs...)
}

// approvedByCI takes the word of the CI system, whose own gate stands before its job. A deployment
// by hand has passed no such gate.
func (g *gate) approvedByCI() error {
	g.standing = &Approval{Plan: g.plan.String(), By: ApprovedByCI, Text: "approved by the gate of the CI system"}
	if g.p.ci() {
		return nil
	}
	why := ""
	if !g.guard.CI {
		why = ", as pinned by the last deployment"
	}
	return diag.New(diag.Policy, "%s is approved in CI (approve: ci)%s, and this is not CI", g.conf.Name, why).At(g.conf.Place).
		Hinted("run the deployment in CI; pipe rollback %s works from here", g.conf.Name)
}

// approved refuses a plan that not enough people have approved.
func (g *gate) approved(ctx context.Context, plan *approval.Plan, w *release.Want, rules *approval.Guard) error {
	v := &votes{env: g.env, plan: g.plan, rules: rules, keygen: g.p.keygen(ctx)}
	request, err := v.request(ctx)
	if err != nil {
		return err
	}
	asked := request != nil
	if !asked { // what would be asked tells who may approve
		if request, err = g.request(ctx, plan, w); err != nil {
			return err
		}
	} else if err = v.read(ctx); err != nil {
		return err
	}
	r, err := v.keygen.Check(ctx, v.question(plan, request))
	if err != nil {
		return err
	}
	g.standing = standing(g.plan, r)
	g.standing.Requested = asked
	if r.Enough() {
		return nil
	}
	what := diag.New(diag.Policy, "%s is waiting for an approval: %s", g.conf.Name, r).At(g.conf.Place).
		Hinted("pipe deploy %s requests it", g.conf.Name)
	if asked {
		what = what.Hinted(approveHint, g.conf.Name)
	}
	if len(r.Rejected) > 0 {
		what = diag.New(diag.Policy, "%s: the plan was %s", g.conf.Name, r).At(g.conf.Place).
			Hinted("change what is deployed, or let them run pipe approve %s", g.conf.Name)
	}
	what.Err = &unapproved{request: request, asked: asked}
	return what
}

const approveHint = "pipe approve %s, then run this command again"

// unapproved is the cause of a refusal that an approval lifts.
type unapproved struct {
	request []byte
	asked   bool // it was requested before
}

func (u *unapproved) Error() string { return "not approved" }

// planOf describes what is agreed to: what is live now, and what shall be.
func (g *gate) planOf(s *release.State, w *release.Want) (*approval.Plan, error) {
	plan := &approval.Plan{Project: s.Project, Env: g.conf.Name, Release: w.Release.String(), Guard: g.digest, Wanted: map[string]digest.Key{}, Values: map[string]digest.Digest{}}
	situation(plan, s)
	for name, a := range w.Stages {
		plan.Wanted[name] = a.Key
		if len(a.Values) == 0 {
			continue
		}
		d, err := approval.ValuesDigest(a.Values)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		plan.Values[name] = d
	}
	return plan, nil
}

// situation fills in what the environment is now.
func situation(plan *approval.Plan, s *release.State) {
	plan.N, plan.Live = s.N, map[string]digest.Key{}
	for name, st := range s.Stages {
		if st.Status == action.StatusOK {
			plan.Live[name] = st.Key
		}
	}
}

// request makes the document that approvals sign.
func (g *gate) request(ctx context.Context, plan *approval.Plan, w *release.Want) ([]byte, error) {
	r := &approval.Request{
		Plan: *plan, Release: w.Release.String(), Commit: w.Commit, By: g.p.requester(ctx), Run: g.p.runName(), At: g.p.opt.Now(), Reason: w.Reason,
	}
	return r.Encode()
}

// requester is who asks for an approval, by the name that signers know: in CI the actor.
func (p *Project) requester(ctx context.Context) string {
	by := p.stamp(ctx).By
	if j := p.job(); j.Active && j.Actor != "" {
		return j.Actor
	}
	if p.repo != nil {
		if mail := p.repo.Setting(ctx, "user.email"); mail != "" {
			return mail
		}
	}
	return by
}

// ask puts a request for an approval where those who may give one find it, if that is what err is
// about. The rules are kept by then: whoever signs reads them.
func (g *gate) ask(ctx context.Context, err error) error {
	u := (*unapproved)(nil)
	if !errors.As(err, &u) {
		return err
	}
	if !u.asked {
		if _, perr := g.env.PutBeside(ctx, "requests/"+g.plan.Hex(), u.request); perr != nil {
			return errors.Join(err, perr)
		}
		g.standing.Requested = true
	}
	if perr := g.env.Ask(ctx, g.plan); perr != nil {
		return errors.Join(err, perr)
	}
	if e := (*diag.Error)(nil); errors.As(err, &e) && len(g.standing.Rejected) == 0 {
		e.Hint = fmt.Sprintf(approveHint, g.conf.Name)
	}
	return err
}

// keep puts the rules where later deployments find them, before a state names them.
func (g *gate) keep(ctx context.Context) error {
	b, err := g.guard.Encode()
	if err == nil {
		_, err = g.env.PutBeside(ctx, "guards/"+g.digest.Hex(), b)
	}
	return err
}
