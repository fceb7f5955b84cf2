// Package engine brings stages up to date.
package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/dag"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/inputs"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Carrier moves objects between cache and remote; transfer.Carrier is it. Bytes
// that are nowhere are an error that wraps store.ErrNotFound.
type Carrier interface {
	Fetch(ctx context.Context, outs []artifact.Output) error
	Publish(ctx context.Context, outs []artifact.Output, notes ...object.Ref) error
	Tree(ctx context.Context, at repopath.Path, d digest.Digest) (*object.Tree, error)
	// Has reports whether the remote has the object.
	Has(ctx context.Context, ref object.Ref) (bool, error)
}

// Environment is where deploy stages act.
type Environment interface {
	// Live says what is live of a deploy stage now.
	Live(ctx context.Context, stage string) (action.Live, error)
	// Begin writes "deploying" and returns what the command sees of the
	// deployment. No command runs when it fails; ErrLive says that none need.
	Begin(ctx context.Context, d Deployment) (token string, err error)
	// End writes how the deployment ended. It is called once after each Begin.
	End(ctx context.Context, d Deployment, token string, ok bool) error
}

// ErrLive says that another run has deployed this very version by now.
var ErrLive = errors.New("live already")

// Deployment is what is being deployed.
type Deployment struct {
	Stage     string
	Key       digest.Key
	Closure   digest.Digest // the tree of all files that the command gets
	Deps      []artifact.Input
	Artifacts []artifact.Output // stages' outs among them
	Again     bool              // deploy even if it is live
}

// Engine holds the parts that a run works with. All fields but Remote, Tracked
// and Hold must be set.
type Engine struct {
	Project *spec.Project
	Graph   *dag.Graph // Project.Edges()
	Work    *worktree.Work
	Inputs  *inputs.Reader // of Work
	Cache   store.Cache
	Remote  store.Index // nil: no remote, or it is not to be asked
	Records store.Index // where Push records; nil: no remote
	Shared  bool        // objects can be published
	Carrier Carrier
	Env     Environment
	EnvName string
	Environ []string // pipe's own environment
	Hold    *os.File // see shell.Command
	Now     func() time.Time
	Stamp   object.Stamp // of new records
	Emit    func(event.Event)
	// Tracked returns which of the paths git tracks.
	Tracked func(ctx context.Context, paths []repopath.Path) ([]repopath.Path, error)
	// SaveLock writes pipe.lock, durably.
	SaveLock func(*lockfile.File) error
	// Running notes the process group of a stage's command; 0: it ended.
	Running func(stage string, pgid int)
}

// Options say what a run is to do. The zero value brings every stage up to date, one at a time.
type Options struct {
	Targets        []string // stages; with them, all that they need. Empty: all stages
	Downstream     bool     // the targets and all that needs them
	Single         bool     // the targets alone
	Jobs           int      // stages at once, at least 1
	KeepGoing      bool     // after a failure, go on with what does not depend on it
	Push           bool     // publish each stage when it is done
	Force          bool     // run the targets, changed or not
	RebuildMissing bool     // run a stage whose bytes are lost, though there is a remote
	Dry            bool     // decide only: change nothing
	// Confirm is asked once, before the first deploy command; nil: not asked.
	Confirm func(stage string, why action.Verdict) error
}

// Outcome is what became of one stage.
type Outcome struct {
	Stage   *spec.Stage
	Verdict action.Verdict
	Key     digest.Key // zero when an input is not known yet (Dry)
	// Generation counts the deliberate rebuilds of Key: which of its records counts.
	Generation int
	Outs       []artifact.Output
	Err        error
	Done       bool // it is as it should be; in a dry run: decided
	// Trees are the manifests of directory and glob deps, by path or pattern.
	Trees map[repopath.Path]*object.Tree
}

// Result is a whole run.
type Result struct {
	Stages []Outcome // in an order in which each comes after what it needs; those selected
	Counts event.Counts
}

// Pending reports whether something would run or be restored.
func (r *Result) Pending() bool {
	return slices.ContainsFunc(r.Stages, func(o Outcome) bool {
		return o.Verdict.Do == event.Run || o.Verdict.Do == event.Wait || o.Verdict.Do == event.Restore
	})
}

// Run brings the selected stages up to date, or with Dry decides about them.
// lock is what pipe.lock says; it is changed as stages are done. The error joins
// those of all stages that failed.
func (e *Engine) Run(ctx context.Context, lock *lockfile.File, opt Options) (*Result, error) {
	selected, err := e.choose(opt)
	if err != nil {
		return nil, err
	}
	lost := map[string][]repopath.Path{}
	question := &question{}
	var settled []*state
	for {
		r := &run{
			Engine: e, opt: opt, lock: lock, selected: selected, lost: lost, confirm: question,
			states: make([]state, len(e.Project.Stages)), settled: settled,
		}
		result, err := r.all(ctx)
		var l *lostError
		// A stage whose bytes are gone is run, and what was decided is decided anew.
		if !errors.As(err, &l) || lost[l.stage] != nil || opt.Dry {
			return result, err
		}
		lost[l.stage] = l.paths
		settled = r.settle(l.stage)
		e.note(l.stage, "%s: it runs again", l.Error())
	}
}

// settle returns the states that stand when a stage's bytes were found lost: what
// ran, or failed, is not run a second time, but for the stage and what needs it.
func (r *run) settle(lost string) []*state {
	again := make([]bool, len(r.states))
	for i := range r.states {
		if r.states[i].Stage.Name == lost {
			again = r.Graph.Reach([]int{i}, r.Graph.Down)
		}
	}
	out := make([]*state, len(r.states))
	for i := range r.states {
		st := &r.states[i]
		var l *lostError
		ran := st.Done && st.Verdict.Do == event.Run || st.Err != nil && !errors.As(st.Err, &l)
		if r.selected[i] && ran && !again[i] {
			out[i] = st
		}
	}
	return out
}

// question is asked once in a run, however many stages wait for the answer.
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

// choose returns which stages the options select.
func (e *Engine) choose(opt Options) ([]bool, error) {
	var roots []int
	for _, t := range opt.Targets {
		i, err := e.target(t)
		if err != nil {
			return nil, err
		}
		roots = append(roots, i)
	}
	if (opt.Single || opt.Downstream) && len(roots) == 0 {
		return nil, diag.New(diag.Usage, "--single and --downstream need the name of a stage").Hinted("pipe repro --single STAGE")
	}
	switch {
	case len(roots) == 0:
		for i := range e.Project.Stages {
			roots = append(roots, i)
		}
		return e.Graph.Reach(roots, e.Graph.Up), nil
	case opt.Single:
		return e.Graph.Reach(roots, func(int) []int { return nil }), nil
	case opt.Downstream:
		return e.Graph.Reach(roots, e.Graph.Down), nil
	}
	return e.Graph.Reach(roots, e.Graph.Up), nil
}

// target finds a stage by its name, or by a path that it makes.
func (e *Engine) target(name string) (int, error) {
	for i := range e.Project.Stages {
		if e.Project.Stages[i].Name == name {
			return i, nil
		}
	}
	if p, err := repopath.Join(repopath.Root, name); err == nil {
		for i := range e.Project.Stages {
			for _, o := range e.Project.Stages[i].Outs {
				if o.Path == p {
					return i, nil
				}
			}
		}
	}
	return 0, diag.New(diag.Usage, "no stage and no out is called %q", name).Hinted("pipe dag lists the stages")
}

// run is one pass over the selected stages.
type run struct {
	*Engine
	opt      Options
	lock     *lockfile.File
	selected []bool
	lost     map[string][]repopath.Path
	states   []state
	outs     made

	settled []*state // by an earlier pass; nil entries are decided now
	confirm *question

	dirty   bool // lock differs from the file
	flushed time.Time
}

// state is one stage in a run. The worker of the stage writes it; those of
// later stages read it after that.
type state struct {
	Outcome
	index   int
	unknown bool // Dry: its outs will be other ones, which nobody knows yet
	locked  *lockfile.Stage
	newLock *lockfile.Stage // what the collector puts into the lock
	mu      sync.Mutex      // held while the outs are put into the workspace
}

func (e *Engine) emit(ev event.Event) {
	ev.Schema = event.Schema
	e.Emit(ev)
}

func (e *Engine) note(stage, format string, args ...any) {
	e.emit(event.Event{Type: event.Note, Stage: stage, Text: fmt.Sprintf(format, args...)})
}
