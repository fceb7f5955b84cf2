// Package deploy brings an environment to a release.
//
// A Deployer takes what package release has decided and sees that it is done: it holds the
// environment, runs the commands of the stages in the order of their needs, and tells the
// environment how each ended. It needs the release and its objects alone, so the same code
// deploys what was just built, what another environment has verified, and what was live a year
// ago.
//
// The order is the promise. What a command will see is in the cache before the environment is
// taken. No command runs before the state says "deploying". A command lives by the beats of the
// lease, and is dead before anybody else may take it. The log is kept before the history names
// it, and the history is written before the lease is given up.
package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/runlog"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/event"
)

// Deployer deploys to one environment. All fields but Limits, Mutexes and Runs must be set. Emit and Now
// are called from several goroutines at once.
type Deployer struct {
	Env     *release.Environment
	Runner  action.Runner
	Carrier *transfer.Carrier
	Runs    *runlog.Dir // where this machine keeps what commands print; nil: nowhere
	Limits  Limits
	Mutexes *Mutexes // of this process
	Stamp   object.Stamp
	Environ []string // pipe's own environment, which commands get
	Jobs    int      // stages at once; less than 1 counts as 1
	// KeepGoing goes on after a failure with what does not need the stage that failed.
	KeepGoing bool
	Now       func() time.Time
	Emit      func(event.Event)
}

// Limits bound how many stages with a mutex run at once, over all runs and environments.
type Limits struct {
	Cells store.Cells
	At    string         // what the names of the cells begin with
	Most  map[string]int // by mutex; one that is not here counts in this run alone
}

// Work is a deployment and what its commands need beside the release.
type Work struct {
	release.Want
	Values map[string][]action.EnvValue // of the variables of each stage
	Passed map[string][]action.EnvValue // what pass_env lets through beside its key; may be nil
	Places map[string]string            // where pipe.yaml declares the stages, as far as it is at hand; may be nil
	// Base is the job of a stage that runs in the project itself; the others get a fresh directory.
	Base map[string]*action.Job
}

func (w *Work) part(name string) *release.Part { p := w.Stages[name].Part; return &p }

// Result is what became of a Work.
type Result struct {
	Verdict release.Verdict
	Entry   *release.Entry // in the history; nil: nothing was deployed
	Work    *Work
	Stages  map[string]Outcome
}

// Outcome is what became of one stage.
type Outcome struct {
	Ran      bool
	Seconds  float64
	Attempts int // of the command, if it needed more than one
	Err      error
	Blocked  string // the stage that it needs, and that failed; empty: none
}

// Failed reports whether a command, or what verifies it, has failed; verify tells that nothing else has.
func (r *Result) Failed() (failed, verify bool) {
	verify = true
	for _, o := range r.Stages {
		if o.Err != nil {
			failed = true
			verify = verify && errors.Is(o.Err, action.ErrVerify)
		}
	}
	return failed, failed && verify
}

// Fetch brings into the cache all that the commands of the stages will see. What is nowhere is an
// error that names it. Who calls it before the environment is taken holds it shortly, and never for
// a deployment that cannot be.
func (d *Deployer) Fetch(ctx context.Context, w *Work, stages []string) error {
	var outs []artifact.Output
	for _, name := range stages {
		p := w.Stages[name].Part
		if w.Base[name] != nil {
			continue
		}
		if p.InRepo {
			return diag.New(diag.Policy, "%s has workdir: repo, so it can only be deployed from its checkout", name).
				Hinted("check the commit out and run pipe deploy %s, or remove workdir: repo", d.Env.Name())
		}
		outs = append(outs, p.Output())
	}
	err := transfer.Explained(d.Carrier.Fetch(ctx, outs))
	if err != nil && slices.ContainsFunc(stages, func(name string) bool { return w.Stages[name].Part.Local }) {
		return errors.Join(err, diag.New(diag.Policy, "the release has parts that never left the machine which built it (push: false)"))
	}
	return err
}

// Run deploys. Beside an error the result is there; it has no entry unless a deployment was begun. An error of a
// command is that of its stage's Outcome, joined with those of the others.
func (d *Deployer) Run(ctx context.Context, w *Work) (*Result, error) {
	w.First = d.first
	result := &Result{Work: w, Stages: map[string]Outcome{}}
	dep, verdict, err := d.Env.Begin(ctx, &w.Want)
	result.Verdict = verdict
	if err != nil || dep == nil {
		return result, err
	}
	r := &rollout{
		Deployer: d, work: w, dep: dep, ctx: dep.Context(), result: result, endings: make(chan ending),
		mutex: map[string]bool{}, begun: map[string]bool{}, ended: map[string]*release.End{}, causes: map[string]string{},
	}
	return result, r.run()
}

// first returns which of the stages that are ready begin with the deployment.
func (d *Deployer) first(w *release.Want, ready []string) (first []string) {
	taken := map[string]bool{}
	for _, name := range ready {
		m := w.Stages[name].Part.Mutex
		if len(first) < max(d.Jobs, 1) && (m == "" || !taken[m] || d.limited(m)) {
			first, taken[m] = append(first, name), true
		}
	}
	return first
}

// limited reports whether a mutex counts over all runs.
func (d *Deployer) limited(mutex string) bool { return d.Limits.Most[mutex] > 0 }

// ID is what a deployment's commands know it by.
type ID struct {
	Token string // PIPE_DEPLOYMENT
	Epoch uint64 // PIPE_FENCE
}

// environ is what a command sees: everything, credentials too, and which deployment it belongs to. A
// variable that it declares is what the key says, also when that is unset.
func (d *Deployer) environ(w *Work, name string, id ID) (env []string) {
	values := w.Values[name]
	for _, kv := range d.Environ {
		n, _, _ := strings.Cut(kv, "=")
		if !action.IsHashVariable(n) && !slices.ContainsFunc(values, func(e action.EnvValue) bool { return e.Name == n }) {
			env = append(env, kv)
		}
	}
	for _, e := range slices.Concat(w.Passed[name], values) {
		if e.Set {
			env = append(env, e.Name+"="+e.Value)
		}
	}
	env = append(env, w.part(name).Hashes()...)
	return append(env, "PIPE_STAGE="+name, "PIPE_ENV="+d.Env.Name(), "PIPE_DEPLOYMENT="+id.Token, fmt.Sprintf("PIPE_FENCE=%d", id.Epoch))
}
