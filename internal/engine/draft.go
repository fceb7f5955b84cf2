package engine

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/deploy"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Draft is the release that the workspace makes of its deploy stages once all that they need is
// built: what any number of environments can get.
type Draft struct {
	r *run

	mu       sync.Mutex
	supplied map[string]error // what became of the stages whose objects were published
}

// Draft gathers what the deploy stages of the options' targets are made of; without targets, all
// of them; those of Omit are not gathered, because the user leaves them out, or their condition is false in each
// environment. Builds and checks are taken as the lock has them.
func (e *Engine) Draft(ctx context.Context, lock *lockfile.File, opt Options) (*Draft, error) {
	selected := make([]bool, len(e.Project.Stages))
	for i := range e.Project.Stages {
		s := &e.Project.Stages[i]
		_, omitted := opt.Omit[s.Name]
		selected[i] = s.Deploy && !s.Frozen && !omitted && (len(opt.Targets) == 0 || slices.Contains(opt.Targets, s.Name))
	}
	if err := e.envRead(selected, opt.Dry); err != nil {
		return nil, err
	}
	r := &run{
		Engine: e, opt: opt, lock: lock, selected: selected, confirm: &question{}, live: &live{},
		answers: &answers{by: map[string]func() answer{}, taken: map[string]bool{}}, states: make([]state, len(e.Project.Stages)),
	}
	r.prepare()
	for i := range r.states {
		st := &r.states[i]
		if !selected[i] {
			if l := st.block(); l != nil {
				st.Outs, st.Key = l.Outs, l.Key
			}
			continue
		}
		in, err := r.gather(ctx, st)
		if o := (errOmitted{}); errors.As(err, &o) {
			st.Verdict = action.Verdict{Do: event.Omit, Because: []event.Reason{{Code: event.NeedOmitted, Path: o.stage}}}
			continue
		}
		if err == nil {
			err = r.asked(ctx, st, in, artifact.Asked{})
		}
		if err == nil {
			st.in, st.Deps = in, in.Deps
			err = r.checkedOut(ctx, st, in)
		}
		if err == nil {
			st.keep, err = r.private(ctx, st, in)
		}
		if err != nil {
			return nil, r.about(st, err)
		}
	}
	return &Draft{r: r, supplied: map[string]error{}}, nil
}

// For describes the deployment of the draft to an environment, and decides about each stage.
func (d *Draft) For(ctx context.Context, env *release.State, given map[string]string) (*deploy.Work, map[string]action.Verdict, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	verdicts := map[string]action.Verdict{}
	order, _ := d.r.Graph.Sort() // spec has refused cycles
	for _, i := range order {
		st := &d.r.states[i]
		_, omitted := d.r.opt.Omit[st.Stage.Name]
		if !d.r.selected[i] && !omitted {
			continue
		}
		if err := d.decide(ctx, st, env, given); err != nil {
			return nil, nil, err
		}
		verdicts[st.Stage.Name] = st.Verdict
	}
	w, err := d.r.work(ctx, env, given)
	return w, verdicts, err
}

// decide decides about a stage, as it would be in an environment.
func (d *Draft) decide(ctx context.Context, st *state, env *release.State, given map[string]string) error {
	live := env.StageNow(st.Stage.Name)
	why, omitted := d.r.opt.Omit[st.Stage.Name]
	switch {
	case omitted && why.Code == event.ByOption:
		st.Verdict = action.Verdict{Do: event.Omit, Because: []event.Reason{why}}
		return nil
	case st.in != nil:
		in := *st.in
		in.Env = d.r.declared(st.Stage, given)
		st.Key = action.KeyOf(st.Stage, in.Inputs)
		st.Verdict = action.DecideDeploy(st.Stage, st.Key, in.Inputs, live, d.r.wasLive(ctx, st, &in, live), d.r.opt.Force)
	case st.Verdict.Do == event.Omit && !st.whenFalse():
		return nil // it needs an output that nobody has made
	}
	err := d.r.unlessLive(ctx, st, live, given)
	st.parked = st.Verdict.Do == event.Run
	return err
}

// Supply publishes what the commands of the pending stages will see, and then the release itself.
func (d *Draft) Supply(ctx context.Context, env *release.Environment, w *deploy.Work, pending []string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, name := range pending {
		st := d.r.named(name)
		err, done := d.supplied[name]
		if !done {
			err = d.r.supply(ctx, st, w)
			d.supplied[name] = err
		}
		if restarts(err) {
			return diag.New(diag.Busy, "%s: %w", name, err).Hinted("run the command again")
		}
		if err != nil {
			return d.r.about(st, err)
		}
		if st.Stage.InRepo {
			w.Base[name] = d.r.inputsOf(st, st.in)
		}
	}
	return d.r.publish(ctx, env, w)
}

// named returns the state of a stage that the project has.
func (r *run) named(name string) *state {
	i, _ := r.Engine.stage(name)
	return &r.states[i]
}

// paths returns where the inputs of the deploy stages, and of all that they are made from, lie:
// in the project, and from the repository's top.
func (r *run) paths(w *deploy.Work) (in, top []repopath.Path) {
	var from []int
	for i := range r.Project.Stages {
		if _, ok := w.Stages[r.Project.Stages[i].Name]; ok {
			from = append(from, i)
		}
	}
	in = append(append(in, spec.FileName), r.Project.Files...)
	for i, ok := range r.Graph.Reach(from, r.Graph.Up) {
		if !ok {
			continue
		}
		s := &r.Project.Stages[i]
		for _, d := range s.Deps {
			if _, made := r.outs.holder(d.Base()); d.Top {
				top = append(top, d.Base())
			} else if !made {
				in = append(in, d.Base())
			}
		}
		for _, p := range s.Params {
			in = append(in, p.File)
		}
		for _, f := range s.EnvFiles {
			in = append(in, f.Path)
		}
	}
	slices.Sort(in)
	slices.Sort(top)
	return slices.Compact(in), slices.Compact(top)
}

// isDirty reports whether an input of the deployment, or of what it is made from, is not as in
// the commit: then the release is not the commit's.
func (r *run) isDirty(ctx context.Context, w *deploy.Work) (bool, error) {
	if r.Dirty == nil || w.Commit == "" {
		return false, nil
	}
	in, top := r.paths(w)
	return r.Dirty(ctx, in, top)
}
