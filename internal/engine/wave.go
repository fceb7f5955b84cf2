package engine

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/deploy"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// deploy deploys what is parked, and frees what waits for it. The lock is written before: what is about to
// be live is on record.
func (r *run) deploy(ctx context.Context, s *schedule) error {
	defer r.unpark()
	r.keepNothing()
	if err := r.flush(); err != nil {
		return err
	}
	if err := r.settledLock(ctx); err != nil {
		return err
	}
	done, err := r.wave(ctx)
	for _, i := range done {
		r.states[i].Done = true
		r.done(s, i)
	}
	r.live = &live{} // the environment has moved
	return err
}

// settledLock tells that the lock is written.
func (r *run) settledLock(ctx context.Context) error {
	if r.opt.Settled == nil {
		return nil
	}
	return r.opt.Settled(ctx)
}

// see notes that all was live already for this run's commit, where it was.
func (r *run) see(ctx context.Context) error {
	w, all := r.opt.Want, false
	w.Stages = map[string]release.Aim{}
	for i := range r.states {
		st := &r.states[i]
		if s := &r.Project.Stages[i]; !s.Deploy || s.Frozen || st.whenFalse() {
			continue
		}
		if all = st.Done && st.Verdict.Do == event.Skip && st.Verdict.Because[0].Code == event.LiveSame; !all {
			return nil
		}
		w.Stages[st.Stage.Name] = release.Aim{Key: st.Key}
	}
	if !all {
		return nil
	}
	return r.Env.See(ctx, &w)
}

// unpark leaves what is still parked as it is: not deployed.
func (r *run) unpark() {
	for _, i := range r.parked() {
		r.states[i].parked = false
	}
}

// foresee says what would become of the deployment of what is parked. While some of it waits for
// a build it is not known what would be deployed: then a hold and the like is told, but no rule is asked.
func (r *run) foresee(ctx context.Context) (*deploy.Work, release.Verdict, error) {
	env, err := r.environment(ctx)
	if err != nil {
		return nil, release.Verdict{}, err
	}
	w, err := r.work(ctx, env, r.Given)
	if err != nil {
		return nil, release.Verdict{}, err
	}
	waits := slices.ContainsFunc(r.states, func(st state) bool { return r.selected[st.index] && st.Stage.Deploy && st.Verdict.Do == event.Wait })
	if waits {
		w.Gate = nil
	}
	v, err := r.Env.Judge(ctx, env, &w.Want)
	if waits {
		w = nil
	}
	return w, v, err
}

// wave deploys what is parked: one deployment, for which the environment is held. It comes when
// nothing is left to build that does not need one of these stages. The order is the promise: a
// failure in any step before the deployment begins leaves the environment as it was.
func (r *run) wave(ctx context.Context) (done []int, err error) {
	env, err := r.environment(ctx)
	if err != nil {
		return nil, err
	}
	w, err := r.work(ctx, env, r.Given)
	if err != nil {
		return nil, r.lostOr(err)
	}
	verdict, err := r.Env.Judge(ctx, env, &w.Want)
	if err != nil {
		return nil, err
	}
	if verdict.Do != release.Go {
		return r.turnedDown(verdict), nil
	}
	parked := r.parked()
	if err := r.confirmed(&r.states[parked[0]]); err != nil {
		return nil, err
	}
	var failures error
	for _, i := range parked {
		if err := r.supply(ctx, &r.states[i], w); err != nil {
			r.states[i].parked = false
			r.fail(&r.states[i], err)
			if failures = errors.Join(failures, r.states[i].Err); !r.opt.KeepGoing || restarts(err) {
				return nil, failures
			}
			w.Without(r.states[i].Stage.Name)
		}
	}
	if len(r.parked()) == 0 {
		return nil, failures
	}
	if err := r.publish(ctx, r.Env, w); err != nil {
		return nil, errors.Join(failures, err)
	}
	result, err := r.Deployer.Run(ctx, w)
	if err = errors.Join(failures, err); result.Verdict.Do != release.Go {
		return r.turnedDown(result.Verdict), err
	}
	r.deployment = result
	return r.deployed(result), err
}

// publish puts the release into the store, once all that it names is there.
func (e *Engine) publish(ctx context.Context, env *release.Environment, w *deploy.Work) (err error) {
	w.Release, err = env.Publish(ctx, w.Made(e.Project.Name), w.MadeBy())
	return err
}

// parked returns the deploy stages that are ready to be deployed, by index.
func (r *run) parked() (all []int) {
	for i := range r.states {
		if r.states[i].parked {
			all = append(all, i)
		}
	}
	return all
}

// work describes the deployment to an environment of all deploy stages that this run has decided
// about. Those that are live are part of the release, too. given are the values of the
// environment.
func (r *run) work(ctx context.Context, env *release.State, given map[string]string) (*deploy.Work, error) {
	w := &deploy.Work{Want: r.opt.Want, Values: map[string][]action.EnvValue{}, Passed: map[string][]action.EnvValue{}, Places: map[string]string{}, Base: map[string]*action.Job{}}
	w.Stages, w.Whole = map[string]release.Aim{}, !w.Override
	for i := range r.states {
		st := &r.states[i]
		s := &r.Project.Stages[i]
		switch {
		case !s.Deploy:
		case s.Frozen || st.whenFalse():
			w.Frozen = append(w.Frozen, s.Name)
		case st.in == nil || st.Err != nil || st.Verdict.Do == event.Omit:
			w.Whole = false // it was not selected, or could not be decided
		case st.left():
			w.Whole = false // an earlier wave has not come to it, or was turned down
		default:
			values := r.declared(s, given)
			a, err := r.aim(ctx, st, env, values)
			if err != nil {
				return nil, err
			}
			w.Stages[s.Name], w.Values[s.Name], w.Places[s.Name] = a, values, s.Place
			w.Passed[s.Name] = action.Passed(s, r.Environ)
		}
	}
	w.Tidy()
	var err error
	if w.Dirty, err = r.isDirty(ctx, w); err == nil && !unknown(w) {
		_, w.Release, err = w.Made(r.Project.Name).Encode()
	}
	return w, err
}

// unknown reports whether a part of the release is not known yet.
func unknown(w *deploy.Work) bool {
	for _, a := range w.Stages {
		if a.Part.Closure.IsZero() {
			return true
		}
	}
	return false
}

// aim describes one stage as it is to be live in an environment.
func (r *run) aim(ctx context.Context, st *state, env *release.State, values []action.EnvValue) (a release.Aim, err error) {
	in := st.in.Inputs
	in.Env = values
	a = release.Aim{Part: release.PartOf(st.Stage, in), Key: action.KeyOf(st.Stage, in), Again: r.forced(st.Stage), Done: st.Done && !st.parked}
	a.Values, a.Outside = release.Known(values)
	p := &a.Part
	p.Needs, p.Artifacts, p.Whole = r.deploysBefore(st.index), slices.Concat(st.in.made, st.in.above), st.in.wholes()
	if st.in.under != repopath.Root {
		p.Dir = st.in.under
	}
	live, known := env.Stages[st.Stage.Name]
	switch {
	case st.closure != nil:
		p.Closure, p.Size, p.Files = st.closure.Digest, st.closure.Size, st.closure.Files
	case known && live.Key == a.Key && live.Dir == p.Dir && !live.Closure.IsZero():
		p.Closure, p.Size, p.Files = live.Closure, live.Size, live.Files
	default:
		tree, err := r.closureTree(ctx, st.Stage, st.in)
		if errors.Is(err, store.ErrNotFound) && len(st.in.above) > 0 && !r.opt.Dry {
			// What another project has made may lie in its directory alone.
			if err = r.saveOthers(ctx, st); err == nil {
				tree, err = r.closureTree(ctx, st.Stage, st.in)
			}
		}
		if r.opt.Dry && errors.Is(err, store.ErrNotFound) {
			break // whoever only looks brings nothing, and the release has no name yet
		}
		if err != nil {
			return a, err
		}
		o := tree.Output(release.ClosureAt)
		p.Closure, p.Size, p.Files, st.closure = o.Digest, o.Size, o.Files, &o
	}
	p.Local = p.Local || st.keep.any() || st.keep == nil && live.Local
	return a, nil
}

// left reports whether the stage was decided about in this run, and is not live in the end.
func (st *state) left() bool {
	v := &st.Verdict
	return !st.parked && (v.Do == event.Run && !st.Done || v.Do == event.Skip && v.Because[0].Code != event.LiveSame)
}

// deploysBefore returns the deploy stages that a stage needs, directly or through builds and checks.
func (r *run) deploysBefore(i int) (names []string) {
	seen := map[int]bool{}
	var visit func(i int)
	visit = func(i int) {
		for _, u := range r.Graph.Up(i) {
			if seen[u] {
				continue
			}
			seen[u] = true
			if s := &r.Project.Stages[u]; s.Deploy {
				names = append(names, s.Name)
				continue
			}
			visit(u)
		}
	}
	visit(i)
	slices.Sort(names)
	return names
}

// wholes returns the outputs that count as a whole, by where they lie in the closure.
func (g *gathered) wholes() (paths []repopath.Path) {
	for at, o := range g.outputs {
		if g.isWhole(at, o) {
			paths = append(paths, o.Path)
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// supply puts all that a stage's command will see where the deployment takes it from, and
// anyone can fetch it again: what goes live is what its records say.
func (r *run) supply(ctx context.Context, st *state, w *deploy.Work) error {
	if err := errors.Join(r.crossCheck(ctx, st), r.crossCheckOthers(ctx, st.in)); err != nil {
		return err
	}
	if err := r.publishMakers(ctx, st); err != nil {
		return r.lostOr(err)
	}
	closure, err := r.closure(ctx, st, st.in, st.keep)
	if err != nil {
		return r.lostOr(err)
	}
	if st.keep.any() {
		r.note(st.Stage.Name, "only this machine can repeat this deployment; others will not have %s", strings.Join(st.keep.names, ", "))
	}
	a := w.Stages[st.Stage.Name]
	a.Part.Closure, a.Part.Size, a.Part.Files = closure.Digest, closure.Size, closure.Files
	w.Stages[st.Stage.Name] = a
	if st.Stage.InRepo {
		w.Base[st.Stage.Name] = r.inputsOf(st, st.in)
	}
	return nil
}

// turnedDown settles the parked stages of a deployment that does not come, and is no failure. What
// needs one of them goes on only when it is live: a check must not pass for what is not there.
func (r *run) turnedDown(v release.Verdict) (done []int) {
	code := map[release.Do]string{release.Nothing: event.LiveSame, release.Superseded: event.Superseded, release.Held: event.Held}[v.Do]
	for _, i := range r.parked() {
		st := &r.states[i]
		if v.Do == release.Nothing {
			r.note(st.Stage.Name, "another run has deployed this version in the meantime")
		}
		st.parked, st.Verdict = false, action.Verdict{Do: event.Skip, Because: []event.Reason{{Code: code, Path: r.Env.Name(), Note: v.Why}}}
		r.decided(st)
		if st.Done = true; v.Do == release.Nothing {
			done = append(done, i)
		}
	}
	return done
}

// deployed takes over what became of the parked stages.
func (r *run) deployed(result *deploy.Result) (done []int) {
	for _, i := range r.parked() {
		st := &r.states[i]
		o := result.Stages[st.Stage.Name]
		st.parked, st.Seconds, st.Attempts, st.Err = false, o.Seconds, o.Attempts, o.Err
		if o.Ran && o.Err == nil {
			done = append(done, i)
		}
	}
	return done
}
