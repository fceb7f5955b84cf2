package engine

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/deploy"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// deploy deploys what is parked, and frees what waits for it. The lock is written before: what is about to
// be live is on record.
func (r *run) deploy(ctx context.Context, s *schedule) error {
	if err := r.flush(); err != nil {
		return errors.Join(err, r.unpark())
	}
	done, err := r.wave(ctx)
	for _, i := range done {
		r.states[i].Done = true
		r.done(s, i)
	}
	r.live = &live{} // the environment has moved
	return errors.Join(err, r.unpark())
}

// unpark leaves what is still parked as it is: not deployed.
func (r *run) unpark() error {
	for _, i := range r.parked() {
		r.states[i].parked = false
	}
	return nil
}

// foresee says what would become of the deployment of what is parked.
func (r *run) foresee(ctx context.Context) (release.Verdict, error) {
	env, err := r.environment(ctx)
	if err != nil {
		return release.Verdict{}, err
	}
	return r.Env.Judge(ctx, env, &r.work().Want)
}

// wave deploys what is parked: one deployment, for which the environment is held. It comes when
// nothing is left to build that does not need one of these stages. The order is the promise: a
// failure in any step before the deployment begins leaves the environment as it was.
func (r *run) wave(ctx context.Context) (done []int, err error) {
	env, err := r.environment(ctx)
	if err != nil {
		return nil, err
	}
	w := r.work()
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
	made := &release.Release{Schema: release.ReleaseSchema, Project: r.Project.Name, Stages: map[string]release.Part{}}
	for name, a := range w.Stages {
		made.Stages[name] = a.Part
	}
	if w.Release, err = r.Env.Publish(ctx, made, r.indexed(w)); err != nil {
		return nil, err
	}
	result, err := r.Deployer.Run(ctx, w)
	if err = errors.Join(failures, err); result.Verdict.Do != release.Go {
		return r.turnedDown(result.Verdict), err
	}
	r.deployment = result
	return r.deployed(result), err
}

// indexed returns the commit whose release this is; "" when it is that of none.
func (r *run) indexed(w *deploy.Work) string {
	if w.Dirty || w.Override || !w.Whole {
		return ""
	}
	return w.Commit
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

// work describes the deployment: all deploy stages that this run has decided about. Those that
// are live are part of the release, too.
func (r *run) work() *deploy.Work {
	w := &deploy.Work{Want: r.opt.Want, Values: map[string][]action.EnvValue{}, Base: map[string]*action.Job{}}
	w.Stages, w.Whole = map[string]release.Aim{}, !w.Override
	for i := range r.states {
		st := &r.states[i]
		switch {
		case !r.Project.Stages[i].Deploy:
		case r.Project.Stages[i].Frozen:
			w.Frozen = append(w.Frozen, r.Project.Stages[i].Name)
		case st.in == nil || st.Err != nil:
			w.Whole = false // it was not selected, or could not be decided
		case st.aim != nil:
			w.Stages[st.Stage.Name], w.Values[st.Stage.Name] = *st.aim, st.in.Env
		case !st.parked && !st.isLive():
			w.Whole = false // an earlier wave has not come to it, or was turned down
		default:
			a := release.Aim{Part: release.PartOf(st.Stage, st.in.Inputs), Key: st.Key}
			a.Again = st.parked && st.Verdict.Because[0].Code == event.ForcedRun
			a.Values, a.Outside = release.Known(st.in.Env)
			a.Part.Needs, a.Part.Artifacts, a.Part.Whole = r.deploysBefore(i), slices.Concat(st.in.made, st.in.above), st.in.wholes()
			if st.in.under != repopath.Root {
				a.Part.Dir = st.in.under
			}
			if !st.parked {
				live := r.live.state.Stages[st.Stage.Name]
				a.Part.Closure, a.Part.Size, a.Part.Files, a.Part.Local = live.Closure, live.Size, live.Files, live.Local
			}
			w.Stages[st.Stage.Name], w.Values[st.Stage.Name] = a, st.in.Env
		}
	}
	// A stage that is left out is needed by nobody in this release.
	w.Tidy()
	return w
}

// isLive reports whether the stage was found to be live as it is to be.
func (st *state) isLive() bool {
	return st.Verdict.Do == event.Skip && st.Verdict.Because[0].Code == event.LiveSame
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
	closure, _, err := r.closure(ctx, st, st.in, st.keep)
	if err != nil {
		return r.lostOr(err)
	}
	if st.keep.any() {
		r.note(st.Stage.Name, "only this machine can repeat this deployment; others will not have %s", strings.Join(st.keep.names, ", "))
	}
	a := w.Stages[st.Stage.Name]
	a.Part.Closure, a.Part.Size, a.Part.Files, a.Part.Local = closure.Digest, closure.Size, closure.Files, a.Part.Local || st.keep.any()
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
		st.parked, st.Seconds, st.Err = false, o.Seconds, o.Err
		if o.Ran && o.Err == nil {
			a := result.Work.Stages[st.Stage.Name]
			a.Done = true
			st.aim = &a
			done = append(done, i)
		}
	}
	return done
}
