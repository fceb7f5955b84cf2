package engine

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/expr"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

// Unless evaluates the condition of a stage. It returns why the stage is left out, nil when it is not.
func Unless(s *spec.Stage, w expr.World) ([]event.Reason, error) {
	if s.When == nil {
		return nil, nil
	}
	var facts []string
	note := func(fact string) {
		if !slices.Contains(facts, fact) {
			facts = append(facts, fact)
		}
	}
	is, err := s.Eval(expr.World{
		// Its value may be a secret.
		Env: func(name string) (string, bool) {
			v, set := w.Env(name)
			note(name + map[bool]string{true: " is set", false: " is not set"}[set])
			return v, set
		},
		Branch: func() string {
			b := w.Branch()
			if b == "" {
				note("no branch is checked out")
			} else {
				note("branch is " + b)
			}
			return b
		},
		Changed: func(name string) (bool, error) {
			is, err := w.Changed(name)
			note(name + map[bool]string{true: " changed", false: " is unchanged"}[is])
			return is, err
		},
	})
	if err != nil || is {
		return nil, err
	}
	return []event.Reason{{Code: event.WhenFalse, Path: s.When.Text, Note: strings.Join(facts, ", ")}}, nil
}

// atOnce reports whether the condition of a stage can be evaluated before the run begins.
func atOnce(s *spec.Stage) bool { return s.When == nil || len(s.When.Stages()) == 0 }

// omissions are the stages that are left out for what is known when the run begins: by the user, or
// because their condition is false.
type omissions struct {
	*Engine
	opt   *Options
	asked map[int][]event.Reason // nil: it is not left out
	wrong map[int]error          // conditions that have no answer
}

func (e *Engine) omissions(opt *Options) *omissions {
	return &omissions{e, opt, map[int][]event.Reason{}, map[int]error{}}
}

// why says why a stage is left out; nil: it is not.
func (o *omissions) why(ctx context.Context, i int) []event.Reason {
	if why, known := o.asked[i]; known {
		return why
	}
	s := &o.Project.Stages[i]
	var why []event.Reason
	if r, ok := o.opt.Omit[s.Name]; ok {
		why = []event.Reason{r}
	} else if atOnce(s) && s.When != nil {
		why, o.wrong[i] = Unless(s, o.World(ctx, o.givenTo(s)))
	}
	o.asked[i] = why
	return why
}

// givenTo returns the values that the environment gives to a stage.
func (e *Engine) givenTo(s *spec.Stage) map[string]string {
	if !s.Deploy {
		return nil
	}
	return e.Given
}

// up returns what a stage needs; nothing where it is left out, for then it needs nobody.
func (o *omissions) up(ctx context.Context) func(int) []int {
	return func(i int) []int {
		if o.why(ctx, i) != nil {
			return nil
		}
		return o.Graph.Up(i)
	}
}

// of returns the stages that are left out of the selected ones. Inputs that only such stages read are no
// longer selected where the user has named the stages to run.
func (o *omissions) of(ctx context.Context, selected []bool) (map[int][]event.Reason, error) {
	out := map[int][]event.Reason{}
	var wrong []error
	left, read := false, make([]bool, len(selected))
	for i := range selected {
		if !selected[i] {
			continue
		}
		if why := o.why(ctx, i); why != nil {
			out[i], left = why, left || why[0].Code != event.ByOption
			continue
		}
		wrong = append(wrong, o.wrong[i])
		left = left || !o.Project.Stages[i].Input
		for _, u := range o.Graph.Up(i) {
			read[u] = true
		}
	}
	if len(out) > 0 && !left { // that a condition leaves all of them out is no mistake
		return nil, diag.New(diag.Usage, "no stages are left to run").Hinted("pipe stage list shows the stages")
	}
	for i := range selected {
		if o.opt.Narrow && o.Project.Stages[i].Input {
			selected[i] = selected[i] && read[i]
		}
	}
	return out, errors.Join(wrong...)
}

// mayBegin refuses a run that could not come to its end, before anything of it begins. It returns the selected
// stages that are left out, of which nothing is asked.
func (e *Engine) mayBegin(ctx context.Context, selected []bool, o *omissions) (map[int][]event.Reason, error) {
	out, err := o.of(ctx, selected)
	if err != nil {
		return nil, err
	}
	active := slices.Clone(selected)
	for i := range out {
		active[i] = false
	}
	return out, errors.Join(e.envRead(active, o.opt.Dry), e.workdirs(ctx, active), e.environmentExists(ctx, active))
}

// errOmitted says that an input is made by a stage that is left out, and that nobody has made it before.
type errOmitted struct{ stage string }

func (e errOmitted) Error() string { return e.stage + " is left out and has no outputs in pipe.lock" }

// omit leaves a stage out. Its block in the lock stays as it is, and what reads its outputs gets those that
// are recorded there.
func (r *run) omit(st *state, why []event.Reason) {
	st.Verdict, st.Outs = action.Verdict{Do: event.Omit, Because: why}, lockedOuts(st)
	r.decided(st)
}

// whyNot says why a stage is left out, when its turn has come; nil: it is not. A deploy stage whose condition
// asks what has changed is decided by its environment, too: see unlessLive.
func (r *run) whyNot(ctx context.Context, st *state) ([]event.Reason, error) {
	if why := r.omitted[st.index]; why != nil || atOnce(st.Stage) || st.Stage.Deploy {
		return why, nil
	}
	w := r.World(ctx, nil)
	w.Changed = r.changed
	return Unless(st.Stage, w)
}

// unlessLive decides by its condition about a deploy stage that has its verdict. There changed() is also true where
// this version is not live: a run that has failed before it came to the stage must not lose the deployment. What is
// live stays a part of the release, whatever changed() says.
func (r *run) unlessLive(ctx context.Context, st *state, live action.Live, given map[string]string) error {
	s := st.Stage
	if s.When == nil {
		return nil
	}
	w := r.World(ctx, given)
	w.Changed = func(name string) (bool, error) {
		if live.Status != action.StatusOK || live.Key != st.Key {
			return true, nil
		}
		return r.changed(name)
	}
	why, err := Unless(s, w)
	if err == nil && why != nil && (st.Verdict.Do != event.Skip || atOnce(s)) {
		st.Verdict = action.Verdict{Do: event.Omit, Because: why}
	}
	return err
}

// whenFalse reports whether the stage is left out by its condition. Its release is whole without it.
func (st *state) whenFalse() bool {
	return st.Verdict.Do == event.Omit && st.Verdict.Because[0].Code == event.WhenFalse
}

// changed reports whether a stage, or one of a group, is not as the lock had it when the run began, or was deployed.
func (r *run) changed(name string) (is bool, err error) {
	for _, i := range r.Project.Members(name) {
		one, oerr := r.changedAt(i)
		if err = errors.Join(err, oerr); one {
			return true, nil
		}
	}
	return false, err
}

func (r *run) changedAt(i int) (bool, error) {
	st, name := &r.states[i], r.Project.Stages[i].Name
	switch {
	case slices.Contains(r.opt.Changed, name):
		return true, nil
	case !r.selected[i] || st.Verdict.Do == event.Frozen: // what lies there without a block is no change
		return false, nil
	case st.Verdict.Do == event.Wait:
		return false, errUnknown{what: name}
	}
	return st.Verdict.Do == event.Run || !slices.EqualFunc(r.began[name], st.Outs, artifact.Output.Same), nil
}

// began returns the outputs in the lock of the stages that conditions ask about.
func (e *Engine) began(lock *lockfile.File) map[string][]artifact.Output {
	outs := map[string][]artifact.Output{}
	for i := range e.Project.Stages {
		if s := &e.Project.Stages[i]; !atOnce(s) {
			for _, name := range s.When.Stages() {
				for _, m := range e.Project.Members(name) {
					if l := lock.Stage(e.Project.Stages[m].Name); l != nil {
						outs[l.Name] = slices.Clone(l.Outs)
					}
				}
			}
		}
	}
	return outs
}

// kept are blocks that the lock gets later: as long as a build that asks whether a stage has changed is not done, the
// lock has that stage as it was. Should the run fail in between, the next one finds the stage changed
// again: it is restored, which costs no time, and whoever asks is told so.
type kept struct {
	asked  map[int][]int          // the stages that a stage asks about
	askers map[int]int            // how many ask about a stage and have not been told yet
	blocks map[int]lockfile.Stage // new ones that are kept
}

func (r *run) keep() kept {
	k := kept{map[int][]int{}, map[int]int{}, map[int]lockfile.Stage{}}
	for i := range r.Project.Stages {
		s := &r.Project.Stages[i]
		if !r.selected[i] || r.omitted[i] != nil || s.Deploy || atOnce(s) {
			continue
		}
		for _, name := range s.When.Stages() {
			for _, m := range r.Project.Members(name) {
				if m != i && r.selected[m] && !slices.Contains(k.asked[i], m) {
					k.asked[i] = append(k.asked[i], m)
					k.askers[m]++
				}
			}
		}
	}
	return k
}

// settleBlock puts the new block of a stage into the lock, or keeps it until all who ask about the stage are done.
func (r *run) settleBlock(i int, l *lockfile.Stage) {
	if r.kept.askers[i] > 0 {
		r.kept.blocks[i] = *l
		return
	}
	delete(r.kept.blocks, i)
	r.lock.Set(*l)
	r.dirty = true
}

// hasBeenTold takes a stage that is done off those that ask. What nobody asks about any more goes into the lock.
func (r *run) hasBeenTold(asker int) {
	for _, i := range r.kept.asked[asker] {
		r.kept.askers[i]--
		if l, ok := r.kept.blocks[i]; ok {
			r.settleBlock(i, &l)
		}
	}
}

// keepNothing puts all that is kept into the lock: what is about to be live is on record.
func (r *run) keepNothing() {
	clear(r.kept.asked)
	clear(r.kept.askers)
	for i, l := range r.kept.blocks {
		r.settleBlock(i, &l)
	}
}
