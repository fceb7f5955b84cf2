package pipe

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"slices"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/engine"
	"github.com/pipe-build/pipe/internal/local"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// ReproOptions say what Repro and Plan do. The zero value is right for all stages.
type ReproOptions struct {
	Targets        []string // stages, groups, globs or outs; with them, all that they need
	Only, Skip     []string // names, groups and globs of stages: run these alone, leave these out
	Jobs           int      // stages at once; 0: the number of CPUs
	KeepGoing      bool     // after a failure, go on with what does not depend on it
	Push           bool     // publish each stage as soon as it is done
	Force          bool     // run the targets, or all, changed or not; with Downstream or Pipeline, all that they select
	Downstream     bool     // the targets and all that needs them
	Pipeline       bool     // the targets and all that is connected with them
	Single         bool     // the targets alone, one after the other in their order
	NoPull         bool     // do not ask the remote for records and objects
	RebuildMissing bool     // run a stage whose recorded bytes are nowhere
	TrustLock      bool     // deploy what pipe.lock names though a record of the same inputs names other outputs
	CreateEnv      bool     // the environment may be a new one
	AllowOlder     bool     // in CI, deploy a commit although the environment has a later one
	NoDeploy       bool     // build only: leave deploy stages out, and what needs them
	// Sources are refs, for this run alone, of sources by their names: "api": "hotfix/x". Then nothing
	// is written to pipe.lock.
	Sources map[string]string
	// Params are values, for this run alone, of keys of params files and files of vars: "params.yaml:lr":
	// "0.2". Then nothing is written to pipe.lock either.
	Params map[string]string
	Replay bool // tell what the commands printed that need not run, as events of type replayed
	// Confirm is asked once, before the first deploy command runs; an error
	// stops the run. No event comes while it is asked. nil: nobody is asked.
	Confirm func(Deployment) error

	ask    asking         // which commands among the deps are run
	known  *lockfile.File // with Push: what it names counts as published; nil: nothing does
	silent bool           // do not say what NoDeploy leaves out
	// settled is called when pipe.lock is written and nothing is left to build; see engine.Options.
	settled func(context.Context) error
}

// Deployment is what a person is asked about: the first of a run.
type Deployment struct {
	Stage   string         // the deploy stage
	Env     string         // the environment
	Key     string         // of what would be live
	Because []event.Reason // they say what is live, and why that is to change
}

// StageResult is what became, or in a plan would become, of one stage.
type StageResult struct {
	Stage   string            `json:"stage"`            // the stage's name
	Deploy  bool              `json:"deploy,omitempty"` // a deploy stage
	Check   bool              `json:"check,omitempty"`  // a check
	Verb    event.Verb        `json:"verb"`             // what was done, or would be
	Because []event.Reason    `json:"because"`          // all reasons
	Key     string            `json:"key,omitempty"`    // empty when an input is not known yet
	Outs    []artifact.Output `json:"outs,omitempty"`   // its outputs, where they are known
	Error   string            `json:"error,omitempty"`  // why it failed
	// Old are its outputs by pipe.lock before the run, where others took their place.
	Old      []artifact.Output `json:"old,omitempty"`
	Seconds  float64           `json:"seconds,omitempty"`       // how long the command ran
	Attempts int               `json:"attempts,omitempty"`      // of the command; absent: one
	Saved    float64           `json:"saved_seconds,omitempty"` // how long it took earlier, if it need not run now
	// Files are the very files that changed inside directories and globs among
	// the deps, where what they were is still known; Why and Status fill it in.
	Files []lockfile.Change `json:"files,omitempty"`

	// Assumed are the commands, images and URLs among the deps that were not asked for: they count as unchanged.
	Assumed []string `json:"assumed,omitempty"`

	trees     map[string]*object.Tree
	deps, was []artifact.Input
	fresh     bool // pipe.lock did not have it
}

// Result is a whole run or plan, each stage after those that it needs.
type Result struct {
	Stages  []StageResult `json:"stages"`  // each after those that it needs
	Counts  event.Counts  `json:"counts"`  // how they ended
	Pending bool          `json:"pending"` // some stages are not up to date or be restored
}

// Repro brings the stages up to date: skips what is unchanged, restores what was built before,
// runs the rest, and deploys what is not live. The result is there beside an error, when
// stages were looked at.
//
// Where pipe.yaml has environments, stages are deployed only to the one that Options.Env names, as Deploy does.
func (p *Project) Repro(ctx context.Context, opt ReproOptions) (*Result, error) {
	undo, err := p.setParams(opt.Params)
	if err != nil {
		return nil, err
	}
	defer undo()
	run := p.repro
	if p.DeploysTo() != "" && !opt.NoDeploy {
		run = p.reproTo
	}
	result, err := run(ctx, opt)
	if result != nil {
		p.emit(event.Event{Type: event.Summary, Counts: &result.Counts})
	}
	return result, err
}

// repro is Repro without the summary.
func (p *Project) repro(ctx context.Context, opt ReproOptions) (result *Result, err error) {
	opt.ask = askAll
	began := p.opt.Now()
	h, err := p.hold(ctx, "repro")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.Release()) }()
	unlock, err := p.useCache(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if p.readOnly != nil {
		if err := p.nothingToDo(ctx, opt); err != nil {
			return nil, err
		}
	}
	result, err = p.run(ctx, opt, h, false)
	if result != nil {
		result.Counts.Seconds = p.opt.Now().Sub(began).Seconds()
	}
	return result, err
}

// nothingToDo refuses a run that would change a workspace which cannot be written.
func (p *Project) nothingToDo(ctx context.Context, opt ReproOptions) error {
	emit := p.opt.Emit
	p.opt.Emit = nil // the run itself says all this
	plan, err := p.run(ctx, opt, nil, true)
	p.opt.Emit = emit
	if err == nil && plan.Pending {
		err = p.cannotWrite(view.Count(plan.Counts.Ran+plan.Counts.Restored+plan.Counts.Added, "stage") + " to run or restore")
	}
	return err
}

// Plan decides what Repro would do now, and changes nothing. It takes no lock, so a build that
// goes on meanwhile may make its answer old. The stat index may be written when the project is
// closed; it is a memory of hashes, not a state. Beside an error the result has the verdicts
// that could be reached.
func (p *Project) Plan(ctx context.Context, opt ReproOptions) (*Result, error) {
	opt.KeepGoing = true
	undo, err := p.setParams(opt.Params)
	if err != nil {
		return nil, err
	}
	defer undo()
	r, err := p.run(ctx, opt, nil, true)
	p.noteInferred()
	return r, err
}

// run makes an engine and lets it go. h is nil when the run is dry: then nothing runs, and the
// engine has no runner.
func (p *Project) run(ctx context.Context, opt ReproOptions, h *local.Hold, dry bool) (*Result, error) {
	lock, err := p.lock()
	if err != nil {
		return nil, err
	}
	return p.runOn(ctx, lock, opt, h, dry)
}

// runOn is run with a lock that is read already. It leaves there what the run has made, also what is
// not written because it is for this run alone.
func (p *Project) runOn(ctx context.Context, lock *lockfile.File, opt ReproOptions, h *local.Hold, dry bool) (*Result, error) {
	if opt.Jobs < 0 {
		return nil, diag.New(diag.Usage, "-j must be 1 or more, not %d", opt.Jobs).Hinted("pipe repro -j 4")
	}
	targets, err := p.targets(opt.Targets)
	if err != nil {
		return nil, err
	}
	omit, err := p.omit(&opt)
	if err != nil {
		return nil, err
	}
	if err := p.readySources(ctx, lock, opt.Sources, dry); err != nil { // before any input is read
		return nil, err
	}
	e, err := p.engine(ctx, opt, h)
	if err != nil {
		return nil, err
	}
	o, err := p.runOptions(ctx, opt, e.Env)
	if err != nil {
		return nil, err
	}
	o.Targets, o.Dry, o.Omit, o.Narrow = targets, dry, omit, len(opt.Only) > 0
	if env := p.DeploysTo(); env != "" && dry { // status and why look at what pipe deploy would do there
		if e.Given, err = p.valuesOf(env); err != nil {
			return nil, err
		}
		o.Deploys = nil
	}
	// Before anything runs: a missing remote must not be found out after an hour of building.
	if opt.Push {
		r, err := p.needRemote(ctx)
		if err != nil {
			return nil, err
		}
		o.Known, o.Ready = opt.known, func(ctx context.Context) error { return store.Ready(ctx, r) }
		if opt.known == nil && !dry {
			err = o.Ready(ctx)
		}
		if err != nil {
			return nil, err
		}
	}
	p.noteSecrets(e.Project)
	r, err := e.Run(ctx, lock, o)
	if r != nil && !dry {
		p.countSaved(ctx, r)
	}
	result := results(r)
	if result != nil && o.Deploys != nil {
		p.listDeploys(opt, result)
	}
	p.planned = nil
	if dry && result != nil {
		p.planned = result.Stages
	}
	return result, transfer.Explained(err)
}

// runOptions are the engine's options for a run that deploys, if at all, to env.
func (p *Project) runOptions(ctx context.Context, opt ReproOptions, env *release.Environment) (o engine.Options, err error) {
	o = engine.Options{
		Downstream: opt.Downstream, Pipeline: opt.Pipeline, Single: opt.Single, Jobs: opt.Jobs, KeepGoing: opt.KeepGoing,
		Push: opt.Push, Force: opt.Force, RebuildMissing: opt.RebuildMissing, NoDeploy: opt.NoDeploy, Silent: opt.silent, TrustLock: opt.TrustLock, Replay: opt.Replay, Settled: opt.settled,
		Want: p.deployment(ctx, opt), Changed: p.changed,
	}
	switch {
	case opt.NoDeploy:
	case p.spec.DeclaresEnvironments():
		o.Deploys = []string{} // pipe deploy does that
	default:
		if o.Want.Gate, err = p.pinnedRules(env); err != nil {
			return o, err
		}
	}
	if o.Jobs == 0 {
		o.Jobs = runtime.GOMAXPROCS(0)
	}
	if opt.Confirm != nil {
		o.Confirm = func(d *engine.Outcome) error {
			p.emitMu.Lock()
			defer p.emitMu.Unlock()
			return opt.Confirm(Deployment{Stage: d.Stage.Name, Env: p.opt.Env, Key: d.Key.String(), Because: d.Verdict.Because})
		}
	}
	return o, nil
}

// results turns the engine's result into the public one; nil stays nil.
func results(r *engine.Result) *Result {
	if r == nil {
		return nil
	}
	out := &Result{Counts: r.Counts, Pending: r.Pending()}
	for _, o := range r.Stages {
		s := StageResult{
			Stage: o.Stage.Name, Deploy: o.Stage.Deploy, Check: o.Stage.Check, Verb: o.Verdict.Do, Because: o.Verdict.Because, Outs: o.Outs,
			Assumed: o.Assumed, Saved: o.Saved, trees: o.Trees, deps: o.Deps, was: o.Was, fresh: len(o.Old) == 0 && len(o.Outs) > 0 && o.Verdict.Do != event.Skip && o.Verdict.Do != event.Frozen && o.Verdict.Do != event.Omit,
		}
		if o.Verdict.Do == event.Run {
			s.Seconds, s.Attempts = o.Seconds, o.Attempts
		}
		if o.Done && !slices.EqualFunc(o.Old, o.Outs, artifact.Output.Same) {
			s.Old = o.Old
		}
		if !o.Key.IsZero() {
			s.Key = o.Key.String()
		}
		if o.Err != nil {
			s.Error = o.Err.Error()
		}
		out.Stages = append(out.Stages, s)
	}
	return out
}

// engine puts the parts together for one run. With NoPull the remote is not asked while stages
// are decided, and nothing is fetched from it; Push still writes to it.
func (p *Project) engine(ctx context.Context, opt ReproOptions, h *local.Hold) (*engine.Engine, error) {
	carrier, err := p.carry(ctx)
	if err != nil {
		return nil, err
	}
	env, err := p.environment(ctx, p.opt.Env, opt.CreateEnv)
	if err != nil {
		return nil, err
	}
	carrier.NoFetch = opt.NoPull
	files := p.files(carrier)
	e := p.localEngine(ctx, files, opt.ask, h)
	e.Env, e.Repair = env, opt.RebuildMissing
	if len(opt.Sources) > 0 || p.set != nil {
		e.SaveLock = func(*lockfile.File) error { return nil }
	}
	if p.remote != nil {
		e.Records = p.remote
	}
	if p.remote != nil && !opt.NoPull {
		e.Remote = p.remote
	}
	if h != nil {
		e.Runner = p.runner(files, h)
		e.Deployer, err = p.deployer(ctx, env, h, cmp.Or(opt.Jobs, runtime.GOMAXPROCS(0)), opt.KeepGoing)
	}
	return e, err
}

// localEngine is an engine that knows of no remote and no environment: it can decide about what is built.
func (p *Project) localEngine(ctx context.Context, files *local.Workspace, ask asking, h *local.Hold) *engine.Engine {
	vars := p.withEnv()
	e := &engine.Engine{
		Project: vars.full, Unread: vars.unread, Graph: p.spec.Edges(), Publisher: engine.Publisher{Workspace: files, Stamp: p.stamp(ctx)},
		Others: &others{p: p, by: map[string]*Project{}, locks: map[*Project]*lockfile.File{}}, At: p.at(), Environ: p.env, World: p.world(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Ask: p.asker(files, ask, h), Upstream: upstreamOf(ask), Past: p.past().at, Now: p.opt.Now, Emit: p.emit, SaveLock: p.saveLock, Runs: p.runs(),
	}
	if p.repo != nil {
		e.Tracked, e.Checkout, e.Dirty = p.tracked, p.checkout(ctx, p.work, p.at()), p.dirty
	}
	if p.top != nil {
		e.Around = p.checkout(ctx, p.top.Work, repopath.Root)
	}
	return e
}

// deployment is what a deployment by repro is. Nobody asks for the very deployment when a CI system
// runs it, or pipe ci: a job that is started again must not take back what came after it.
func (p *Project) deployment(ctx context.Context, opt ReproOptions) release.Want {
	w := p.workspaceRelease(ctx)
	w.Automatic, w.MayGoBack, w.Newest, w.NoWait = p.ci() || p.built != "", opt.AllowOlder, true, p.opt.NoWait
	return w
}
