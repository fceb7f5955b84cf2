package engine

import (
	"slices"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/deploy"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/event"
)

// Outcome is what became of one stage.
type Outcome struct {
	Stage   *spec.Stage
	Verdict action.Verdict
	Key     digest.Key // zero when an input is not known yet (Dry)
	// Generation counts the deliberate rebuilds of Key: which of its records counts. The lock
	// names it, so that two clones with one lock mean the same record even when a third has
	// rebuilt since.
	Generation int
	Outs       []artifact.Output
	Old        []artifact.Output // its outputs by pipe.lock, before the run
	Seconds    float64           // how long the command took, now or when its record was made, if that was read; 0: not known
	Attempts   int               // of the command in this run, if it needed more than one
	Saved      float64           // of a stage that need not run: how long the command took when it ran; 0: not known
	Err        error
	Done       bool     // it is as it should be; in a dry run: decided
	Assumed    []string // what its deps did not ask for, commands, images and URLs: it counts as unchanged
	// Trees are the manifests of directory and glob deps, by the names of these.
	Trees map[string]*object.Tree
	Deps  []artifact.Input // as they are; empty while they are not known
	Was   []artifact.Input // as they were, by pipe.lock or in the environment
}

// Result is a whole run.
type Result struct {
	Stages []Outcome // in an order in which each comes after what it needs; those selected
	Counts event.Counts
	// Deployment is the last one; nil: there was none.
	Deployment *deploy.Result
	// Turned says in a dry run what would become of the deployment, and Refused why it would fail.
	Turned  release.Verdict
	Refused error
	// Work is that deployment; nil where there is none, or a build must end before it is known.
	Work *deploy.Work
}

// Pending reports whether something would run or be restored. A stage that waits for another
// counts: the other will run.
func (r *Result) Pending() bool {
	return slices.ContainsFunc(r.Stages, func(o Outcome) bool {
		return o.Verdict.Do == event.Run || o.Verdict.Do == event.Wait || o.Verdict.Do == event.Restore || o.Verdict.Do == event.Add
	})
}
