// Package engine brings stages up to date.
//
// It asks package action what each stage must do, and sees that it is done. For that it
// gathers the facts: the hashes of all inputs, what lies at the outputs, what pipe.lock says
// and what records exist. An Engine holds the parts; Run makes passes over the stages, each a
// run with one state per stage. A Runner makes outputs, a Publisher shares them.
//
// What holds at every moment, so that a crash costs time but never makes an answer wrong:
//
//   - Objects come before the record that names them, and the record before pipe.lock.
//   - The first record of a RunID stays. Whoever comes second adopts its outputs.
//   - Where outputs are written is decided by pipe.yaml alone. A lock or a record that names
//     other paths counts as absent, because both come from outside.
//   - Only the collector changes the lock, so its bytes do not depend on which worker was
//     faster.
//   - A worker writes the state of its own stage and reads those of stages that it depends on,
//     which have ended: the scheduler starts a stage only after it has collected them.
//
// Whether a deploy stage is done is never read from the lock or from a cache, only from its
// environment.
package engine

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/dag"
	"github.com/pipe-build/pipe/internal/deploy"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/expr"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/runlog"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/statindex"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Engine holds the parts that a run works with. All fields but Unread, Remote, Others and Runs must be set;
// for a dry run Runner may be nil, too. Emit and Now are called from several workers at once.
type Engine struct {
	Project   *spec.Project    // with the variables of its env files
	Unread    map[string]error // what was wrong with these files, by stage
	Graph     *dag.Graph       // Project.Edges()
	Publisher                  // workspace, cache, and where records are published; its Stamp goes into new records
	Runner    action.Runner
	Runs      *runlog.Dir          // where this machine keeps what commands print; nil: nowhere
	Remote    store.Index          // where records are looked up; nil: no remote, or it is not to be asked
	Env       *release.Environment // where deploy stages act
	Deployer  *deploy.Deployer     // deploys there; nil for a dry run
	Given     map[string]string    // values of variables of deploy stages, as the environment has them
	Others    Others               // the other projects of the repository; nil: none
	At        repopath.Path        // the project's directory from the repository's top; Root without git
	Environ   []string             // pipe's own environment
	// World is what conditions ask for, but for what has changed. given are the values of a deploy stage's environment.
	World    func(ctx context.Context, given map[string]string) expr.World
	Platform string // what platform: auto stands for
	// Tracked returns which of the files, by their absolute names, git tracks; nil: there is no git.
	Tracked func(ctx context.Context, files []string) ([]string, error)
	// Ask runs a command whose output is an input. Its error wraps action.ErrNotAsked when it is
	// not run, because somebody only looks at the project.
	Ask      func(context.Context, action.Question) ([]byte, error)
	Upstream Upstream // nil: nobody is asked, because somebody only looks at the project
	// Past yields what pipe.yaml may have been at a commit or, without one, when the lock was
	// written, the likeliest first; it is asked only for a reason that cannot be told without.
	// nil: nothing is known.
	Past func(ctx context.Context, commit string) iter.Seq[*spec.Project]
	// Dirty reports whether one of the paths, or a file below one, is not as in the commit; top are those
	// from the repository's top. nil: there is no git.
	Dirty    func(ctx context.Context, paths, top []repopath.Path) (bool, error)
	Checkout Checkout // nil: there is no git
	Around   Checkout // of the whole repository, with paths from its top; nil: no stage reads anything outside the project
	Now      func() time.Time
	Emit     func(event.Event)
	// SaveLock writes pipe.lock, durably.
	SaveLock func(*lockfile.File) error
}

// Options say what a run is to do. The zero value brings every stage up to date, one at a time.
type Options struct {
	Targets    []string                // names of stages; with them, all that they need. Empty: all stages
	Omit       map[string]event.Reason // stages that the user leaves out, and why
	Narrow     bool                    // Omit is all but what the user has named: inputs that nothing else reads are left out, too
	Changed    []string                // stages that an earlier step of the same verb has changed
	Deploys    []string                // of the deploy stages these alone; nil: all that Targets select
	Downstream bool                    // the targets and all that needs them
	Pipeline   bool                    // the targets and all that is connected with them
	Single     bool                    // the targets alone, one after the other in their order
	Jobs       int                     // stages at once, at least 1
	KeepGoing  bool                    // after a failure, go on with what does not depend on it
	Push       bool                    // publish each stage when it is done
	// Known is a lock whose stages count as published. With Push, a stage that need not run and is as in it costs no
	// request; nil: each is looked up in the remote.
	Known *lockfile.File
	// Ready is asked before a command runs whose result is published: an hour of building must not end with
	// a remote that is not there. nil: there is nothing to ask.
	Ready          func(context.Context) error
	Force          bool // run the targets, changed or not; with Downstream or Pipeline, all that they select
	RebuildMissing bool // run a stage whose bytes are lost, though there is a remote
	TrustLock      bool // deploy what the lock names though a record of its key names other outputs
	NoDeploy       bool // leave deploy stages out, and what needs them
	Silent         bool // do not say what NoDeploy leaves out
	Replay         bool // tell what the commands printed that need not run
	Take           bool // take what lies at the inputs of the project, also what was added before
	Dry            bool // decide only: change nothing
	// Want is what the run's deployment is, but for the release and its stages.
	Want release.Want
	// Settled is called when the lock is written and nothing is left to build: before each deployment, and at the end
	// of a run that succeeded; nil: nobody waits for it. Its error ends the run.
	Settled func(context.Context) error
	// Confirm is asked once, before the first deploy command; nil: not asked.
	Confirm func(*Outcome) error
}

// Run brings the selected stages up to date, or with Dry decides about them. lock is what
// pipe.lock says; it is changed as stages are done, and saved through SaveLock. The error
// joins those of all stages that failed. The Result is there beside an error, unless the
// options are wrong.
//
// A pass may find out that it was decided on false premises: bytes that the lock promises are
// gone, or another machine has recorded other outputs first. Then Run makes another pass, in
// which what ran stays as it is. This ends: a stage is declared lost at most once, and a
// record that was adopted never changes again.
func (e *Engine) Run(ctx context.Context, lock *lockfile.File, opt Options) (*Result, error) {
	omissions := e.omissions(&opt)
	selected, err := e.choose(opt, omissions.up(ctx))
	if err != nil {
		return nil, err
	}
	e.withInputs(selected)
	if opt.NoDeploy {
		if names := e.leaveOut(selected, nil); len(names) > 0 && !opt.Silent {
			e.note("", "not deployed, as you asked: %s", strings.Join(names, ", "))
		}
	}
	if opt.Deploys != nil {
		names := slices.DeleteFunc(e.leaveOut(selected, opt.Deploys), func(name string) bool { return e.Project.Stage(name).Deploy })
		if len(names) > 0 {
			e.note("", "left out, because they need a deploy stage that is left out: %s", strings.Join(names, ", "))
		}
	}
	omitted, err := e.mayBegin(ctx, selected, omissions)
	if err != nil {
		return nil, err
	}
	began := e.began(lock)
	lost := map[string][]repopath.Path{}
	question := &question{}
	asked := &answers{by: map[string]func() answer{}, taken: map[string]bool{}}
	var settled []*state
	for {
		r := &run{
			Engine: e, opt: opt, lock: lock, selected: selected, omitted: omitted, began: began, lost: lost, confirm: question, answers: asked, live: &live{},
			states: make([]state, len(e.Project.Stages)), settled: settled,
		}
		result, err := r.all(ctx)
		var l *lostError
		var a *adoptedError
		switch {
		case opt.Dry:
			return result, err
		case errors.As(err, &l) && lost[l.stage] == nil:
			// The stage runs again, and what needs it is decided again.
			lost[l.stage] = l.paths
			settled = r.settle(l.stage, true)
			e.note(l.stage, "%s: running it again", l.Error())
		case errors.As(err, &a):
			// What needs the stage used outputs that no other machine has: decided again.
			settled = r.settle(a.stage, false)
			settled[a.index].Outs, settled[a.index].newLock = a.block.Outs, a.block
		default:
			for i := range result.Stages {
				if o := &result.Stages[i]; o.Verdict.Do == event.Blocked {
					e.emit(told(o, event.Decided))
				}
			}
			return result, err
		}
	}
}

// workdirs reports working directories that are not there, all of them and before anything
// runs: an hour of building should not end with a typing error. One that another stage makes
// comes with the dep that names it, and only then. One that is the place of an output, or an
// output of the stage itself, is made for the command; in a fresh directory it is in any case.
func (e *Engine) workdirs(ctx context.Context, selected []bool) error {
	outs := e.index()
	var faults diag.List
	for i := range e.Project.Stages {
		s := &e.Project.Stages[i]
		out, made := outs.holder(s.Wdir)
		if !selected[i] || s.Frozen || s.Deploy && !s.InRepo || s.Wdir == repopath.Root {
			continue
		}
		if made {
			if outs.by[out] != i && !dependsOn(s, out) {
				faults = append(faults, diag.New(diag.Usage, "%s: the working directory %s is in an output of stage %s, which is not among the deps", s.Name, s.Wdir, e.Project.Stages[outs.by[out]].Name).
					At(s.Place).Hinted("write deps: [.]"))
			}
			continue
		}
		k, err := e.Work.Kind(s.Wdir)
		switch {
		case errors.Is(err, worktree.ErrAbsent) && len(outs.inside(s.Wdir)) > 0:
		case errors.Is(err, worktree.ErrAbsent):
			fault := diag.New(diag.Usage, "%s: the working directory %s does not exist", s.Name, s.Wdir).At(s.Place).Hinted("mkdir -p %s", s.Wdir)
			if err := e.orSparse(ctx, fault, s.Place, s.Wdir); !errors.Is(err, fault) {
				return err
			}
			faults = append(faults, fault)
		case err != nil:
			return err
		case k != statindex.IsDir:
			faults = append(faults, diag.New(diag.Usage, "%s: the working directory %s is not a directory", s.Name, s.Wdir).At(s.Place))
		}
	}
	if len(faults) > 0 {
		return faults
	}
	return nil
}

// dependsOn reports whether a stage has an output, all of it or a part, among its deps.
func dependsOn(s *spec.Stage, out repopath.Path) bool {
	return slices.ContainsFunc(s.Deps, func(d spec.Dep) bool {
		return d.Glob == "" && (d.Path.Holds(out) || out.Holds(d.Path))
	})
}

// told begins an event about a stage.
func told(o *Outcome, t event.Type) event.Event {
	return event.Event{
		Type: t, Stage: o.Stage.Name, Deploy: o.Stage.Deploy, Check: o.Stage.Check,
		Verb: o.Verdict.Do, Because: o.Verdict.Because, Key: keyText(o.Key), Outs: o.Outs,
	}
}

// settle returns the states that stand when a stage is decided again: what ran, or
// failed, is not run a second time, but for what needs the stage, and with itself
// the stage too.
func (r *run) settle(stage string, itself bool) []*state {
	again := make([]bool, len(r.states))
	for i := range r.states {
		if r.states[i].Stage.Name == stage {
			again = r.Graph.Reach([]int{i}, r.Graph.Down)
			again[i] = itself
		}
	}
	out := make([]*state, len(r.states))
	for i := range r.states {
		st := &r.states[i]
		ran := st.Done && (st.Verdict.Do == event.Run || st.Verdict.Do == event.Add) || st.Err != nil && !restarts(st.Err)
		if r.selected[i] && ran && !again[i] {
			out[i] = st
		}
	}
	return out
}

// restarts reports whether an error makes Run decide again instead of failing.
func restarts(err error) bool {
	var l *lostError
	var a *adoptedError
	return errors.As(err, &l) || errors.As(err, &a)
}

// question is asked once in a run, however many stages wait for the answer. It is shared by
// all passes: a user who has said yes is not asked again because a pass was repeated.
type question struct {
	sync.Once
	refused error
}

// lostError says that outs of a stage are needed and their bytes are nowhere,
// and that the stage may run to make them again.
type lostError struct {
	stage string
	paths []repopath.Path
	err   error
}

func (l *lostError) Error() string { return l.err.Error() }
func (l *lostError) Unwrap() error { return l.err }

// adoptedError says that a stage's outputs were replaced, before a deployment, by
// those that another machine had published first.
type adoptedError struct {
	index int
	stage string
	block *lockfile.Stage // what the lock says of it now
}

func (a *adoptedError) Error() string {
	return a.stage + ": another machine built the same inputs first"
}

// run is one pass over the selected stages. selected, lost and settled are fixed while it goes
// on; lock, dirty and flushed belong to the collector.
type run struct {
	*Engine
	opt      Options
	lock     *lockfile.File
	selected []bool
	omitted  map[int][]event.Reason       // of the selected ones, those that are left out, and why
	began    map[string][]artifact.Output // of stages that conditions ask about, by the lock when the run began
	kept     kept
	lost     map[string][]repopath.Path
	states   []state
	outs     made

	settled []*state // by an earlier pass; nil entries are decided now
	confirm *question
	live    *live

	deployment *deploy.Result // the last one
	answers    *answers

	dirty   bool // lock differs from the file
	flushed time.Time
}

// state is one stage in a run. The worker of the stage writes it; those of later stages read
// it after that. No lock is needed: the worker's result goes through a channel to the
// collector, and only then does the collector start the later stages. index and locked are set
// before the first worker starts and may be read by any of them.
type state struct {
	Outcome
	index   int
	unknown bool            // Dry: its outs will change, and their hashes are not known yet
	before  *lockfile.Stage // what the lock says of it, whether it fits or not: for reasons alone
	locked  *lockfile.Stage // the same if it fits, else nil
	newLock *lockfile.Stage // what the collector puts into the lock

	// Of a deploy stage:
	in      *gathered
	parked  bool             // it is to be deployed
	told    bool             // the deploy stages that need it know that it is parked
	keep    *private         // what of it stays on this machine; nil: it is live
	closure *artifact.Output // all that its command will see, once that is known
}

// block returns what the lock says of the stage after this run; nil: nothing.
func (st *state) block() *lockfile.Stage {
	if st.newLock != nil {
		return st.newLock
	}
	return st.locked
}

// emit sends an event with the schema's name, which every event on the wire must have.
func (e *Engine) emit(ev event.Event) {
	ev.Schema = event.Schema
	e.Emit(ev)
}
