package pipe

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/deploy"
	"github.com/pipe-build/pipe/internal/local"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/spec"
)

// liveValues returns the values of a stage's variables as its last deployment had them. Of those that
// came from outside, and of secrets, only hashes are on record: they are as they are now.
func (p *Project) liveValues(name string, part *release.Part, st release.Stage, d *spec.Environment) ([]action.EnvValue, error) {
	s, _ := part.Stage(name, nil)
	given := map[string]string{}
	for _, v := range s.Env {
		text, ok := "", false
		if d != nil {
			text, ok = d.Value(v.Name)
		}
		if was, known := st.Values[v.Name]; known {
			text, ok = was, true
		}
		if ok {
			given[v.Name] = text
		}
	}
	return p.valuesNow(s, given)
}

// supplied completes a Work whose commands belong to stages that are live: their variables, and
// where those run that have no directory of their own.
func (p *Project) supplied(w *deploy.Work, s *release.Sight, d *spec.Environment) (err error) {
	w.Values, w.Passed, w.Base = map[string][]action.EnvValue{}, map[string][]action.EnvValue{}, map[string]*action.Job{}
	for _, name := range slices.Sorted(maps.Keys(w.Stages)) {
		part := w.Stages[name].Part
		if w.Values[name], err = p.liveValues(name, &part, s.Stages[name], d); err != nil {
			return err
		}
		w.Passed[name] = p.passedNow(name)
		if part.InRepo {
			p.note(fmt.Sprintf("%s has workdir: repo, so its command runs in this checkout as it is", name))
			stage, _ := part.Stage(name, w.Values[name])
			w.Base[name] = &action.Job{Stage: stage}
		}
	}
	return nil
}

// withDeployer calls f with what runs the commands of w. Like a deployment it leaves the workspace free,
// unless a command runs there.
func (p *Project) withDeployer(ctx context.Context, verb string, e *release.Environment, w *deploy.Work, f func(*deploy.Deployer) error) (err error) {
	var h *local.Hold
	if len(w.Base) > 0 {
		if h, err = p.hold(ctx, verb); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, h.Release()) }()
	}
	unlock, err := p.useCache(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	d, err := p.deployer(ctx, e, h, runtime.GOMAXPROCS(0), true)
	if err != nil {
		return err
	}
	return f(d)
}
