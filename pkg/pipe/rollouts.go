package pipe

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/pipe-build/pipe/internal/deploy"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/pkg/event"
)

// rollouts is a call of Deploy.
type rollouts struct {
	p       *Project
	opt     *DeployOptions
	targets []*target
	mutexes deploy.Mutexes
	noted   sync.Once // the release of a commit that changes nothing is noted
}

// run deploys to all targets: those that wait for another one's verified release come after it.
func (r *rollouts) run(ctx context.Context) error {
	if r.opt.Auto {
		r.automatic(ctx)
	}
	for {
		now := r.next()
		if len(now) == 0 {
			break
		}
		if err := r.level(ctx, now); err != nil {
			// A build failed, for example: that is what became of all that waited for it.
			for _, t := range unsettled(r.targets) {
				t.settle(DeployFailed, diag.All(err)[0].What, nil)
			}
			return errors.Join(append(r.errors(), err)...)
		}
	}
	return errors.Join(r.errors()...)
}

// errors returns what went wrong, each error with the name of its environment where there are several.
func (r *rollouts) errors() (errs []error) {
	for _, t := range r.targets {
		if len(r.targets) == 1 {
			return []error{t.err}
		}
		for _, e := range diag.All(t.err) {
			named := *e
			rest, ok := strings.CutPrefix(e.What, t.conf.Name)
			if !ok || !strings.HasPrefix(rest, " ") && !strings.HasPrefix(rest, ":") { // production is held by ...
				named.What = t.conf.Name + ": " + e.What
			}
			errs = append(errs, &named)
		}
	}
	return errs
}

// automatic leaves out the environments that this run is not to deploy to by itself. It asks
// nobody.
func (r *rollouts) automatic(ctx context.Context) {
	branch := r.p.branch(ctx)
	here := ", and no branch is checked out"
	if branch != "" {
		here = ", not from " + branch
	}
	for _, t := range r.targets {
		if t.conf.Auto == "" || !t.conf.Promoted() && t.conf.Auto != branch {
			why := "auto is off"
			if t.conf.Auto != "" {
				why = "deployed from branch " + t.conf.Auto + here
			}
			t.settle(DeployOff, why, nil)
		}
	}
}

// next returns the targets that wait for none of the others.
func (r *rollouts) next() (now []*target) {
	waits := func(t *target) bool {
		return slices.ContainsFunc(r.targets, func(o *target) bool { return !o.done && slices.Contains(t.conf.From, o.conf.Name) })
	}
	for _, t := range r.targets {
		if !t.done && !waits(t) {
			now = append(now, t)
		}
	}
	return now
}

// settle says what became of a target.
func (t *target) settle(outcome, why string, err error) {
	t.done, t.result.Outcome, t.result.Why, t.err = true, outcome, why, err
	if err != nil && why == "" {
		t.result.Why = diag.All(err)[0].What
	}
}

// refuse settles a target by an error. In a dry run a rule that is not kept is an answer, and no failure.
func (r *rollouts) refuse(t *target, err error) {
	switch {
	case diag.Is(err, diag.Busy):
		t.settle(DeployBusy, "", err)
	case !diag.Is(err, diag.Policy):
		t.settle(DeployFailed, "", transfer.Explained(err))
	case r.opt.Dry:
		t.settle(DeployRefused, diag.All(err)[0].What, nil)
	default:
		t.settle(DeployRefused, "", err)
	}
}

// unsettled returns the targets that are not settled.
func unsettled(targets []*target) []*target {
	return slices.DeleteFunc(slices.Clone(targets), func(t *target) bool { return t.done })
}

// each calls f for the targets that are not settled, several at once; an error settles a target.
func (r *rollouts) each(ctx context.Context, targets []*target, f func(context.Context, *target) error) error {
	targets = unsettled(targets)
	return par.Each(ctx, len(targets), environmentsAtOnce, func(ctx context.Context, i int) error {
		if err := f(ctx, targets[i]); err != nil {
			if ctx.Err() != nil {
				return err
			}
			r.refuse(targets[i], err)
		}
		return nil
	})
}

// level deploys to some targets at the same time.
func (r *rollouts) level(ctx context.Context, targets []*target) (err error) {
	for _, t := range targets {
		// A name that is a typing error stops all of them, before anything is built.
		if err := t.env.CheckExists(ctx); diag.Is(err, diag.Usage) {
			return err
		}
	}
	targets[0].env.SayLocal()
	err = r.each(ctx, targets, func(ctx context.Context, t *target) (err error) {
		if t.state, err = t.env.Read(ctx); diag.Is(err, diag.Policy) {
			t.settle(DeployRefused, "", err) // in a dry run, too: a state that cannot be read is no answer
			return nil
		} else if err != nil {
			return err
		}
		// A held environment costs no build.
		if h := t.state.Hold; r.opt.Auto && h != nil && h.Until == release.UntilResume && !r.opt.Hold {
			t.settle(DeployHeld, t.env.HeldWhy(h), nil)
		}
		return nil
	})
	if err != nil || len(unsettled(targets)) == 0 {
		return err
	}
	if err := r.each(ctx, targets, r.p.storedOrigin(r.opt)); err != nil {
		return err
	}
	if r.opt.Dry {
		return r.foresee(ctx, targets)
	}
	free, err := r.draft(ctx, unsettled(targets))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, free()) }()
	if err := r.each(ctx, targets, r.judge); err != nil {
		return err
	}
	if err := r.each(ctx, targets, r.supply); err != nil {
		return err
	}
	// Only commands that run in the workspace itself need it for themselves.
	if !slices.ContainsFunc(unsettled(targets), func(t *target) bool { return len(t.work.Base) > 0 }) {
		if err := free(); err != nil {
			return err
		}
	}
	return r.each(ctx, targets, r.deploy)
}

// judge describes a target's deployment, says what would be done, and settles the target when nothing is.
func (r *rollouts) judge(ctx context.Context, t *target) error {
	w, verbs, err := t.origin.For(ctx, t.state, t.given)
	if err != nil {
		return err
	}
	t.work, t.verbs = w, verbs
	if err := r.describe(ctx, t); err != nil {
		return err
	}
	v, err := t.env.Judge(ctx, t.state, &w.Want)
	t.order = append(w.Order(), omitted(w, verbs)...)
	r.tell(t, v)
	t.result.Release, t.result.Commit = w.Release.String(), w.Commit
	t.planned()
	if err != nil {
		return r.requested(ctx, t, err)
	}
	if len(w.Stages) == 0 {
		t.settle(DeployCurrent, allOmitted, nil)
		return nil
	}
	if v.Do != release.Go && t.state.Lease == nil {
		t.settle(outcomeOf(v.Do), v.Why, nil)
		if v.Do == release.Nothing && w.Hold != nil && !r.opt.Dry {
			// There is nothing to deploy, but whoever asks for a hold wants what is live to stay.
			if err := t.env.Keep(ctx, w.Hold, w.Release); err != nil {
				return err
			}
		}
		return r.note(ctx, t)
	}
	return nil
}

// note notes that a commit which changes nothing has the release that is live, so that it can be
// deployed by that commit's name, too.
func (r *rollouts) note(ctx context.Context, t *target) (err error) {
	w := t.work
	if r.opt.Dry || w.MadeBy() == "" {
		return nil
	}
	if w.Automatic {
		return t.env.See(ctx, &w.Want)
	}
	if w.Release != t.state.Live || t.state.CommitOf(w.Release) == w.Commit {
		return nil
	}
	r.noted.Do(func() { err = t.env.Note(ctx, w.Commit, w.Release) })
	return err
}

func outcomeOf(d release.Do) string {
	return map[release.Do]string{release.Nothing: DeployCurrent, release.Superseded: DeployNewer, release.Held: DeployHeld}[d]
}

// describe fills in what the options say of a deployment.
func (r *rollouts) describe(ctx context.Context, t *target) error {
	w, o := t.work, r.opt
	w.Automatic, w.Newest, w.NoWait, w.Reason, w.Held = o.Auto, t.conf.Queue == spec.QueueNewest, r.p.opt.NoWait, o.Reason, o.Hold
	w.MayGoBack, w.Note = w.MayGoBack || !o.Auto, !o.Dry
	w.Override = w.Override || len(o.Set)+len(o.Sources)+len(o.Params) > 0
	w.Whole = w.Whole && len(o.Only)+len(o.Skip) == 0
	for flag, list := range map[string][]string{"--only": o.Only, "--skip": o.Skip} {
		for _, v := range list {
			w.Options = append(w.Options, flag+" "+v)
		}
	}
	for k := range o.Set {
		w.Options = append(w.Options, "--set "+k)
	}
	for k, v := range o.Params {
		w.Options = append(w.Options, "--set "+k+"="+v)
	}
	for k, v := range o.Sources {
		w.Options = append(w.Options, "--source "+k+"="+v)
	}
	if o.Force {
		w.Options = append(w.Options, "--force")
	}
	slices.Sort(w.Options)
	if o.Hold {
		w.Hold = r.p.newHold(ctx, o.Reason)
	}
	g, err := r.p.gate(t.conf, t.env)
	if err != nil {
		return err
	}
	g.worked = t.worked
	t.gate, w.Gate = g, g.check
	if w.Kind == release.KindRollback && !r.opt.PastBarrier {
		w.Gate = func(ctx context.Context, s *release.State, w *release.Want) error {
			if err := r.p.barrier(s, w); err != nil {
				return err
			}
			return g.check(ctx, s, w)
		}
	}
	return nil
}

// planned takes over what the gate has found out.
func (t *target) planned() {
	t.result.Plan, t.result.Approval = "", t.gate.standing
	if !t.gate.plan.IsZero() {
		t.result.Plan = t.gate.plan.String()
	}
}

// requested asks for the approval that is missing, if that is what err says. The release is published
// before: those who are asked can look at it, and whoever deploys then finds it.
func (r *rollouts) requested(ctx context.Context, t *target, err error) error {
	if u := (*unapproved)(nil); !errors.As(err, &u) {
		return err
	}
	if r.opt.Dry {
		t.settle(DeployWaiting, diag.All(err)[0].What, nil)
		return nil
	}
	for _, problem := range t.gate.standing.Problems {
		r.p.note(t.conf.Name + ": " + problem)
	}
	if serr := r.supply(ctx, t); serr != nil {
		return serr
	}
	t.settle(DeployWaiting, "", t.gate.ask(ctx, err))
	return nil
}

// supply brings what the commands need to where they take it from, and publishes the release.
func (r *rollouts) supply(ctx context.Context, t *target) error {
	if pin := t.gate.pin(); !pin.IsZero() && pin != t.state.Guard {
		if err := t.gate.keep(ctx); err != nil {
			return err
		}
	}
	return t.origin.Supply(ctx, t.env, t.work, t.work.Pending(t.state))
}

// deploy runs the deployment of a target.
func (r *rollouts) deploy(ctx context.Context, t *target) error {
	d, err := r.p.deployer(ctx, t.env, nil, cmp.Or(r.opt.Jobs, runtime.GOMAXPROCS(0)), r.opt.KeepGoing)
	if err != nil {
		return err
	}
	d.Emit, d.Mutexes = func(e event.Event) { r.emit(t, e) }, &r.mutexes
	result, err := d.Run(ctx, t.work)
	if x := result.Entry; x != nil {
		t.result.N = x.N
	}
	for i := range t.result.Stages {
		s := &t.result.Stages[i]
		o := result.Stages[s.Stage]
		if s.Seconds, s.Attempts = o.Seconds, o.Attempts; o.Err != nil {
			s.Error = o.Err.Error()
		} else if o.Blocked != "" {
			s.Verb, s.Because = event.Blocked, []event.Reason{{Code: event.NeedFailed, Path: o.Blocked}}
		}
	}
	if t.planned(); err != nil && result.Entry == nil {
		// The environment has moved since judge looked at it.
		if err = r.requested(ctx, t, err); t.done {
			return nil
		}
	}
	switch {
	case err != nil && result.Entry == nil && len(result.Stages) == 0 && (diag.Is(err, diag.Policy) || diag.Is(err, diag.Busy)):
		r.refuse(t, err)
	case err != nil:
		t.settle(DeployFailed, "", transfer.Explained(err))
		r.rollBack(ctx, t, result)
	case result.Verdict.Do != release.Go:
		t.settle(outcomeOf(result.Verdict.Do), result.Verdict.Why, nil)
	case len(result.Stages) == 0:
		t.settle(DeployCurrent, "live in "+t.conf.Name, nil) // the release is noted
	default:
		t.settle(DeployedOK, "", nil)
	}
	return nil
}

// deployed collects what became of all targets.
func (r *rollouts) deployed() *Deployed {
	d := &Deployed{Environments: []DeployedTo{}}
	for _, t := range r.targets {
		if t.result.Outcome == "" {
			continue // another error came before
		}
		d.Environments = append(d.Environments, t.result)
		d.Pending = d.Pending || slices.Contains([]string{DeployPlanned, DeployWaiting, DeployRefused}, t.result.Outcome)
	}
	return d
}
