package pipe

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/engine"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// ReproOptions say what Repro and Plan do. The zero value is right for all stages.
type ReproOptions struct {
	Targets        []string // stages or outs; with them, all that they need
	Jobs           int      // stages at once; 0: the number of CPUs
	KeepGoing      bool     // after a failure, go on with what does not depend on it
	Push           bool     // publish each stage as soon as it is done
	Force          bool     // run the targets, or all, changed or not
	Downstream     bool     // the targets and all that needs them
	Single         bool     // the targets alone
	NoPull         bool     // do not ask the remote for records and objects
	RebuildMissing bool     // run a stage whose recorded bytes are nowhere
	// Confirm is asked once, before the first deploy command runs; an error
	// stops it. nil: not asked.
	Confirm func(stage string, because []event.Reason) error
}

// StageResult is what became, or in a plan would become, of one stage.
type StageResult struct {
	Stage   string            `json:"stage"`
	Deploy  bool              `json:"deploy,omitempty"`
	Verb    event.Verb        `json:"verb"`
	Because []event.Reason    `json:"because"`
	Key     string            `json:"key,omitempty"` // empty when an input is not known yet
	Outs    []artifact.Output `json:"outs,omitempty"`
	Error   string            `json:"error,omitempty"`
	// Files are the very files that changed inside directories and globs among
	// the deps, where what they were is still known; only Why fills it in.
	Files []Change `json:"files,omitempty"`

	trees map[repopath.Path]*object.Tree
}

// Result is a whole run or plan, each stage after those that it needs.
type Result struct {
	Stages  []StageResult `json:"stages"`
	Counts  event.Counts  `json:"counts"`
	Pending bool          `json:"pending"` // something would run or be restored
}

// Repro brings the stages up to date: skips what is unchanged, restores what was
// built before, runs the rest, and deploys what is not live.
func (p *Project) Repro(ctx context.Context, opt ReproOptions) (result *Result, err error) {
	h, err := p.hold(ctx, "repro")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.release()) }()
	unlock, err := p.useCache(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	result, err = p.run(ctx, opt, h, false)
	if result != nil {
		p.emit(event.Event{Type: event.Summary, Counts: &result.Counts})
	}
	return result, err
}

// Plan decides what Repro would do now, and changes nothing.
func (p *Project) Plan(ctx context.Context, opt ReproOptions) (*Result, error) {
	return p.run(ctx, opt, nil, true)
}

// run makes an engine and lets it go.
func (p *Project) run(ctx context.Context, opt ReproOptions, h *hold, dry bool) (*Result, error) {
	lock, err := p.lock()
	if err != nil {
		return nil, err
	}
	e, err := p.engine(ctx, opt, h)
	if err != nil {
		return nil, err
	}
	if opt.Jobs < 0 {
		return nil, diag.New(diag.Usage, "%d stages at once", opt.Jobs).Hinted("pipe repro -j 4")
	}
	o := engine.Options{
		Targets: p.targets(opt.Targets), Downstream: opt.Downstream, Single: opt.Single, Jobs: opt.Jobs, KeepGoing: opt.KeepGoing,
		Push: opt.Push, Force: opt.Force, RebuildMissing: opt.RebuildMissing, Dry: dry,
	}
	if o.Jobs == 0 {
		o.Jobs = runtime.GOMAXPROCS(0)
	}
	if opt.Confirm != nil {
		o.Confirm = func(stage string, why action.Verdict) error { return opt.Confirm(stage, why.Because) }
	}
	if opt.Push {
		if _, err := p.needRemote(ctx); err != nil {
			return nil, err
		}
	}
	r, err := e.Run(ctx, lock, o)
	return results(r), transfer.Explained(err)
}

// targets returns stages as they are, and paths relative to the project.
func (p *Project) targets(names []string) []string {
	out := slices.Clone(names)
	for i, n := range out {
		if at, err := p.inside(n); p.spec.Stage(n) == nil && err == nil {
			out[i] = string(at)
		}
	}
	return out
}

func results(r *engine.Result) *Result {
	if r == nil {
		return nil
	}
	out := &Result{Counts: r.Counts, Pending: r.Pending()}
	for _, o := range r.Stages {
		s := StageResult{Stage: o.Stage.Name, Deploy: o.Stage.Deploy, Verb: o.Verdict.Do, Because: o.Verdict.Because, trees: o.Trees, Outs: o.Outs}
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

func (p *Project) engine(ctx context.Context, opt ReproOptions, h *hold) (*engine.Engine, error) {
	carrier, err := p.carry(ctx)
	if err != nil {
		return nil, err
	}
	env, err := p.environment(ctx)
	if err != nil {
		return nil, err
	}
	e := &engine.Engine{
		Project: p.spec, Graph: p.spec.Edges(), Work: p.work, Inputs: p.inputs, Cache: p.cache, Carrier: carrier,
		Shared: p.remote != nil, Env: &deployments{p: p, env: env}, EnvName: env.Name(), Environ: p.env,
		Now: p.opt.Now, Stamp: p.stamp(ctx), Emit: p.emit, SaveLock: p.saveLock,
		Running: func(string, int) {},
	}
	if p.remote != nil {
		e.Records = p.remote
	}
	if p.remote != nil && !opt.NoPull {
		e.Remote = p.remote
	}
	if opt.NoPull {
		e.Carrier = offline{carrier, &transfer.Carrier{Cache: p.cache}}
	}
	if p.repo != nil {
		e.Tracked = p.tracked
	}
	if h != nil {
		e.Hold, e.Running = h.lock.File(), h.running
	}
	return e, nil
}

// offline is a carrier that fetches nothing from the remote, and still publishes
// what a deployment needs.
type offline struct {
	*transfer.Carrier
	local *transfer.Carrier
}

// Fetch implements engine.Carrier.
func (o offline) Fetch(ctx context.Context, outs []artifact.Output) error {
	return o.local.Fetch(ctx, outs)
}

// Tree implements engine.Carrier.
func (o offline) Tree(ctx context.Context, at repopath.Path, d digest.Digest) (*object.Tree, error) {
	return o.local.Tree(ctx, at, d)
}

// tracked returns which of the paths, relative to the project, git tracks.
func (p *Project) tracked(ctx context.Context, paths []repopath.Path) ([]repopath.Path, error) {
	top := p.lockAt.Dir()
	inGit := make([]repopath.Path, len(paths))
	for i, path := range paths {
		inGit[i] = top.Child(string(path))
	}
	found, err := p.repo.Tracked(ctx, inGit)
	if err != nil {
		return nil, err
	}
	var out []repopath.Path
	for i, g := range inGit {
		if found[g] {
			out = append(out, paths[i])
		}
	}
	return out, nil
}

// deployments is the engine's environment, kept by release.
type deployments struct {
	p   *Project
	env *release.Environment

	mu     sync.Mutex
	probed bool
}

// Live implements engine.Environment.
func (d *deployments) Live(ctx context.Context, stage string) (action.Live, error) {
	return d.env.Live(ctx, stage)
}

// Begin implements engine.Environment. The remote must honour conditional
// writes, or two runs could both believe that they deploy.
func (d *deployments) Begin(ctx context.Context, x engine.Deployment) (string, error) {
	if err := d.probe(ctx); err != nil {
		return "", err
	}
	stamp := d.p.stamp(ctx)
	s := release.Stage{Key: x.Key, Deps: x.Deps, Closure: x.Closure, Artifacts: x.Artifacts, By: stamp.By, Commit: stamp.Commit}
	token, err := d.env.Begin(ctx, x.Stage, s, x.Again)
	if errors.Is(err, release.ErrLive) {
		return "", engine.ErrLive
	}
	return token, err
}

func (d *deployments) probe(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.p.remote == nil {
		if !d.probed {
			d.p.note("no remote: what is live is noted in .pipe alone, and no other machine sees it")
		}
		d.probed = true
		return nil
	}
	if d.probed {
		return nil
	}
	if err := d.p.remote.Probe(ctx); err != nil {
		if diag.Is(err, diag.Policy) {
			return diag.New(diag.Policy, "the remote does not honour conditional writes, so nothing is deployed through it: %w", err).
				At(d.p.remote.URL()).Hinted("pipe remote probe shows the server's answers; take a store that passes, S3 or a directory")
		}
		return err
	}
	d.probed = true
	return nil
}

// End implements engine.Environment.
func (d *deployments) End(ctx context.Context, x engine.Deployment, token string, ok bool) error {
	return d.env.End(ctx, x.Stage, token, x.Key, ok)
}
