package pipe

import (
	"maps"
	"slices"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/deploy"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/pkg/event"
)

// allOmitted is why nothing is deployed where conditions leave all stages out.
const allOmitted = "every deploy stage is left out"

// omitted returns the stages that have a verdict and no part in the deployment, sorted.
func omitted(w *deploy.Work, verbs map[string]action.Verdict) []string {
	names := slices.Sorted(maps.Keys(verbs))
	return slices.DeleteFunc(names, func(name string) bool { _, ok := w.Stages[name]; return ok })
}

// tell says what is decided about each stage.
func (r *rollouts) tell(t *target, v release.Verdict) {
	for _, name := range t.order {
		a, verdict := t.work.Stages[name], t.verbs[name]
		if code := map[release.Do]string{release.Superseded: event.Superseded, release.Held: event.Held}[v.Do]; code != "" && verdict.Do == event.Run {
			verdict = action.Verdict{Do: event.Skip, Because: []event.Reason{{Code: code, Path: t.conf.Name, Note: v.Why}}}
		}
		key := ""
		if !a.Key.IsZero() {
			key = a.Key.String()
		}
		r.emit(t, event.Event{Type: event.Decided, Stage: name, Deploy: true, Verb: verdict.Do, Because: verdict.Because, Key: key})
		t.result.Stages = append(t.result.Stages, StageResult{Stage: name, Deploy: true, Verb: verdict.Do, Because: verdict.Because, Key: key})
	}
}

// tellOmitted says of a dry run which stages --only and --skip leave out.
func (r *rollouts) tellOmitted(t *target, omit map[string]event.Reason) {
	for _, name := range slices.Sorted(maps.Keys(omit)) {
		why := []event.Reason{omit[name]}
		r.emit(t, event.Event{Type: event.Decided, Stage: name, Deploy: true, Verb: event.Omit, Because: why})
		t.result.Stages = append(t.result.Stages, StageResult{Stage: name, Deploy: true, Verb: event.Omit, Because: why})
	}
}

// emit sends an event of one target, which is named where there are several.
func (r *rollouts) emit(t *target, e event.Event) {
	if len(r.targets) > 1 {
		e.Env = t.conf.Name
	}
	r.p.emit(e)
}
