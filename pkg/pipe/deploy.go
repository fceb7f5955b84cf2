package pipe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"runtime"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/deploy"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/engine"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// DeployOptions say what Deploy does. With Envs alone it builds what is needed, and deploys that.
type DeployOptions struct {
	Envs           []string          // environments, and groups of them; empty with Auto: all
	Release        string            // deploy this release and build nothing: its name, or the beginning of it
	Commit         string            // deploy the release that this commit made, and build nothing
	Only, Skip     []string          // stages, as patterns with *
	Set            map[string]string // values of variables, before those of the environment
	Sources        map[string]string // refs of sources for this run alone, by their names
	Force          bool              // run the commands though this version is live
	Hold           bool              // keep a hold that is there, or set one
	Auto           bool              // as a CI system does: obey auto:, pins, holds and newer commits
	Dry            bool              // only say what would be done
	CreateEnv      bool              // without environments: in pipe.yaml, an environment may be new
	Jobs           int               // stages at once; 0: the number of CPUs
	KeepGoing      bool              // after a failure, go on with what does not depend on it
	TrustLock      bool              // as in ReproOptions
	RebuildMissing bool              // as in ReproOptions
	PastBarrier    bool              // a rollback may change a stage with barrier: true
	Reason         string            // for the history
}

// Deployed is what became of each environment.
type Deployed struct {
	Environments []DeployedTo `json:"environments"` // in the order in which they were named
	Pending      bool         `json:"pending"`      // something would be deployed; of a dry run
}

// The outcomes of a deployment to one environment.
const (
	DeployedOK    = "deployed"
	DeployCurrent = "current"    // all of it was live
	DeployHeld    = "held"       // a hold keeps it away
	DeployNewer   = "superseded" // a newer commit is there, or waits
	DeployFailed  = "failed"
	DeployRefused = "refused" // a rule does not allow it
	DeployOff     = "off"     // it is not automatic
	DeployPlanned = "planned" // of a dry run: it would be deployed
)

// DeployedTo is what became of one environment.
type DeployedTo struct {
	Env     string        `json:"env"`
	Outcome string        `json:"outcome"`           // one of the constants
	Why     string        `json:"why,omitempty"`     // for people
	N       uint64        `json:"n,omitempty"`       // number of the deployment
	Release string        `json:"release,omitempty"` // its name
	Commit  string        `json:"commit,omitempty"`  // that made it
	Stages  []StageResult `json:"stages,omitempty"`
}

// target is one environment that is deployed to.
type target struct {
	conf  *spec.Environment
	env   *release.Environment
	state *release.State
	given map[string]string // values of its variables

	source origin
	work   *deploy.Work
	verbs  map[string]action.Verdict
	order  []string // of stages, for people
	done   bool     // what is to say is said
	result DeployedTo
	err    error
}

// origin is where a release comes from: the workspace, or the store.
type origin interface {
	// For describes the deployment to an environment.
	For(ctx context.Context, s *release.State, given map[string]string) (*deploy.Work, map[string]action.Verdict, error)
	// Supply brings what the pending stages need to where their commands take it from.
	Supply(ctx context.Context, env *release.Environment, w *deploy.Work, pending []string) error
}

// environmentsAtOnce is how many environments are deployed to at the same time.
const environmentsAtOnce = 16

// Deploy brings environments to the release that the workspace makes, or to another one that
// exists. It builds what is needed first, and holds an environment only while its commands run. The
// result is there beside an error.
func (p *Project) Deploy(ctx context.Context, opt DeployOptions) (*Deployed, error) {
	if len(opt.Envs) == 0 && !opt.Auto {
		return nil, diag.New(diag.Usage, "name an environment to deploy to").Hinted("pipe deploy staging")
	}
	targets, err := p.targetsOf(ctx, &opt)
	if err != nil {
		return nil, err
	}
	r := &rollouts{p: p, opt: &opt, targets: targets}
	err = r.run(ctx)
	return r.deployed(), err
}

// targetsOf opens the environments that the options name. No network.
func (p *Project) targetsOf(ctx context.Context, opt *DeployOptions) (targets []*target, err error) {
	all, err := p.declared()
	if err != nil {
		return nil, err
	}
	var confs []*spec.Environment
	for _, name := range opt.Envs {
		if slices.Contains(all.Groups, name) {
			confs = append(confs, all.Members(name)...)
			continue
		}
		e, err := all.Find(name)
		if err != nil {
			return nil, err
		}
		confs = append(confs, e)
	}
	for i := range all.All {
		if len(opt.Envs) == 0 && !all.All[i].IsPattern() {
			confs = append(confs, &all.All[i])
		}
	}
	seen := map[string]bool{}
	for _, c := range confs {
		if seen[c.Name] {
			continue
		}
		seen[c.Name] = true
		t, err := p.target(ctx, c, opt)
		if err != nil {
			return nil, err
		}
		targets = append(targets, t)
	}
	return targets, p.knownValues(opt)
}

// knownValues refuses values of variables that no deploy stage lists: a typing error would go
// unseen.
func (p *Project) knownValues(opt *DeployOptions) error {
	var names []string
	for i := range p.spec.Stages {
		if s := &p.spec.Stages[i]; s.Deploy {
			for _, e := range s.Env {
				names = append(names, e.Name)
			}
		}
	}
	for _, k := range slices.Sorted(maps.Keys(opt.Set)) {
		if !slices.Contains(names, k) {
			return unknownName("--set "+k+": no deploy stage has this variable in env:", k, names)
		}
	}
	return nil
}

// unknownName is a usage error with the nearest name.
func unknownName(what, name string, names []string) error {
	e := diag.New(diag.Usage, "%s", what)
	slices.Sort(names)
	names = slices.Compact(names)
	if near := yamldoc.Nearest(name, names); near != "" {
		return e.Hinted("did you mean %s?", near)
	}
	if len(names) > 0 {
		return e.Hinted("known: %s", strings.Join(names, ", "))
	}
	return e
}

// declared reads the environments that pipe.yaml and its each: files declare.
func (p *Project) declared() (*spec.Environments, error) {
	return p.spec.Expand(func(at repopath.Path) ([]byte, error) { return atomicfile.Read(p.path(string(at)), yamldoc.MaxSize) })
}

func (p *Project) target(ctx context.Context, c *spec.Environment, opt *DeployOptions) (*target, error) {
	env, err := p.environment(ctx, c.Name, opt.CreateEnv || p.spec.DeclaresEnvironments())
	if err != nil {
		return nil, err
	}
	t := &target{conf: c, env: env, given: map[string]string{}, result: DeployedTo{Env: c.Name}}
	for _, v := range c.Env {
		t.given[v.Name] = v.Value
	}
	maps.Copy(t.given, opt.Set)
	return t, nil
}

// rollouts is a call of Deploy.
type rollouts struct {
	p       *Project
	opt     *DeployOptions
	targets []*target
	failed  error // that concerns no single environment
}

// run deploys to all targets: those that wait for another one's verified release come after it.
func (r *rollouts) run(ctx context.Context) error {
	if r.opt.Auto {
		r.automatic(ctx)
	}
	for {
		now := r.next()
		if len(now) == 0 {
			break
		}
		if err := r.level(ctx, now); err != nil {
			return errors.Join(append(r.errors(), err)...)
		}
	}
	return errors.Join(r.errors()...)
}

func (r *rollouts) errors() (errs []error) {
	for _, t := range r.targets {
		errs = append(errs, t.err)
	}
	return errs
}

// automatic leaves out the environments that this run is not to deploy to by itself. It asks
// nobody.
func (r *rollouts) automatic(ctx context.Context) {
	branch := r.p.branch(ctx)
	for _, t := range r.targets {
		if t.conf.Auto == "" || !t.conf.Promoted() && t.conf.Auto != branch {
			why := "auto is off"
			if t.conf.Auto != "" {
				why = "deployed from branch " + t.conf.Auto
			}
			t.settle(DeployOff, why, nil)
		}
	}
}

// next returns the targets that wait for none of the others.
func (r *rollouts) next() (now []*target) {
	waits := func(t *target) bool {
		return t.conf.Promoted() && r.opt.Auto && slices.ContainsFunc(r.targets, func(o *target) bool { return !o.done && slices.Contains(t.conf.From, o.conf.Name) })
	}
	for _, t := range r.targets {
		if !t.done && !waits(t) {
			now = append(now, t)
		}
	}
	return now
}

// settle says what became of a target.
func (t *target) settle(outcome, why string, err error) {
	t.done, t.result.Outcome, t.result.Why, t.err = true, outcome, why, err
	if err != nil && why == "" {
		t.result.Why = diag.All(err)[0].What
	}
}

// refuse settles a target by an error.
func (t *target) refuse(err error) {
	outcome := DeployFailed
	if diag.Is(err, diag.Policy) {
		outcome = DeployRefused
	}
	t.settle(outcome, "", err)
}

// unsettled returns the targets that are not settled.
func unsettled(targets []*target) []*target {
	return slices.DeleteFunc(slices.Clone(targets), func(t *target) bool { return t.done })
}

// each calls f for the targets that are not settled, several at once; an error settles a target.
func (r *rollouts) each(ctx context.Context, targets []*target, f func(context.Context, *target) error) error {
	targets = unsettled(targets)
	return par.Each(ctx, len(targets), environmentsAtOnce, func(ctx context.Context, i int) error {
		if err := f(ctx, targets[i]); err != nil {
			if ctx.Err() != nil {
				return err
			}
			targets[i].refuse(err)
		}
		return nil
	})
}

// level deploys to some targets at the same time.
func (r *rollouts) level(ctx context.Context, targets []*target) error {
	err := r.each(ctx, targets, func(ctx context.Context, t *target) (err error) {
		if t.state, err = t.env.Read(ctx); err != nil {
			return err
		}
		// A held environment costs no build.
		if h := t.state.Hold; r.opt.Auto && h != nil && h.Until == release.UntilResume && !r.opt.Hold {
			t.settle(DeployHeld, t.env.HeldWhy(h), nil)
		}
		return nil
	})
	if err != nil || len(unsettled(targets)) == 0 {
		return err
	}
	if err := r.each(ctx, targets, r.p.storedSource(r.opt)); err != nil {
		return err
	}
	free, err := r.draft(ctx, unsettled(targets))
	if err != nil {
		return err
	}
	defer func() { _ = free() }()
	if err := r.each(ctx, targets, r.judge); err != nil {
		return err
	}
	if r.opt.Dry {
		for _, t := range unsettled(targets) {
			t.settle(DeployPlanned, "", nil)
		}
		return nil
	}
	if err := r.each(ctx, targets, r.supply); err != nil {
		return err
	}
	return r.each(ctx, targets, r.deploy)
}

// draft builds what the targets need that get the workspace's own release. The workspace is locked until free is
// called.
func (r *rollouts) draft(ctx context.Context, targets []*target) (free func() error, err error) {
	free = func() error { return nil }
	mine := slices.DeleteFunc(slices.Clone(targets), func(t *target) bool { return t.source != nil })
	if len(mine) == 0 {
		return free, nil
	}
	stages, err := r.chosen(r.p.deployStages())
	if err != nil {
		return free, err
	}
	free, d, err := r.p.draft(ctx, r.opt, stages)
	for _, t := range mine {
		t.source = d
	}
	return free, err
}

// chosen returns those of the stages that --only and --skip choose. A pattern that fits none is a
// typing error.
func (r *rollouts) chosen(names []string) ([]string, error) { return choose(r.opt, names) }

func choose(opt *DeployOptions, names []string) (chosen []string, err error) {
	fits := func(flag string, patterns []string, name string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool { ok, _ := path.Match(p, name); return ok })
	}
	for flag, patterns := range map[string][]string{"--only": opt.Only, "--skip": opt.Skip} {
		for _, pat := range patterns {
			if !slices.ContainsFunc(names, func(n string) bool { return fits(flag, []string{pat}, n) }) {
				err = errors.Join(err, unknownName(fmt.Sprintf("%s %s fits no deploy stage", flag, pat), pat, slices.Clone(names)))
			}
		}
	}
	for _, n := range names {
		if (len(opt.Only) == 0 || fits("--only", opt.Only, n)) && !fits("--skip", opt.Skip, n) {
			chosen = append(chosen, n)
		}
	}
	if err == nil && len(chosen) == 0 {
		err = diag.New(diag.Usage, "there is no stage to deploy").Hinted("pipe dag lists the stages")
	}
	return chosen, err
}

// deployStages returns the names of the project's deploy stages.
func (p *Project) deployStages() (names []string) {
	for i := range p.spec.Stages {
		if s := &p.spec.Stages[i]; s.Deploy && !s.Frozen {
			names = append(names, s.Name)
		}
	}
	return names
}

// draft builds what the deploy stages need, and describes the release. The workspace is locked until
// free is called.
func (p *Project) draft(ctx context.Context, opt *DeployOptions, stages []string) (free func() error, d *engine.Draft, err error) {
	free = func() error { return nil }
	h, err := p.hold(ctx, "deploy")
	if err != nil {
		return free, nil, err
	}
	unlock, err := p.useCache(ctx)
	if err != nil {
		return free, nil, errors.Join(err, h.Release())
	}
	free = func() error { return errors.Join(unlock(), h.Release()) }
	ropt := ReproOptions{Jobs: opt.Jobs, KeepGoing: opt.KeepGoing, TrustLock: opt.TrustLock, RebuildMissing: opt.RebuildMissing, NoDeploy: true, ask: askAll}
	ropt.Targets, err = p.needed(stages)
	if err == nil && len(ropt.Targets) > 0 && !opt.Dry {
		_, err = p.run(ctx, ropt, h, false)
	}
	if err != nil {
		return free, nil, err
	}
	lock, err := p.lock()
	if err != nil {
		return free, nil, err
	}
	e, err := p.engine(ctx, ropt, h)
	if err != nil {
		return free, nil, err
	}
	want := release.Want{Kind: release.KindDeploy, Commit: p.commit(ctx)}
	if want.Commit != "" {
		want.Committed, _ = p.repo.Committed(ctx, want.Commit)
	}
	e.Env = nil
	d, err = e.Draft(ctx, lock, engine.Options{Targets: stages, Force: opt.Force, TrustLock: opt.TrustLock, Want: want})
	return free, d, err
}

// needed returns the builds and checks that the deploy stages need. One that itself needs a deploy
// stage cannot be done before.
func (p *Project) needed(stages []string) (targets []string, err error) {
	g := p.spec.Edges()
	var from []int
	for i := range p.spec.Stages {
		if slices.Contains(stages, p.spec.Stages[i].Name) {
			from = append(from, i)
		}
	}
	for i, ok := range g.Reach(from, g.Up) {
		s := &p.spec.Stages[i]
		if !ok || s.Deploy {
			continue
		}
		for _, u := range g.Up(i) {
			if p.spec.Stages[u].Deploy {
				return nil, diag.New(diag.Usage, "%s runs after %s and before other deploy stages, so there is no one release of them all", s.Name, p.spec.Stages[u].Name).
					At(s.Place).Hinted("write it as verify: of %s", p.spec.Stages[u].Name)
			}
		}
		targets = append(targets, s.Name)
	}
	return targets, nil
}

// judge describes a target's deployment, says what would be done, and settles the target when nothing is.
func (r *rollouts) judge(ctx context.Context, t *target) error {
	w, verbs, err := t.source.For(ctx, t.state, t.given)
	if err != nil {
		return err
	}
	t.work, t.verbs = w, verbs
	if err := r.describe(ctx, t); err != nil {
		return err
	}
	v, err := t.env.Judge(ctx, t.state, &w.Want)
	t.order = (&release.Release{Stages: parts(w)}).Names()
	r.tell(t, v)
	t.result.Release, t.result.Commit = w.Release.String(), w.Commit
	if err != nil {
		return err
	}
	if v.Do != release.Go && t.state.Lease == nil {
		t.settle(outcomeOf(v.Do), v.Why, nil)
	}
	return nil
}

func parts(w *deploy.Work) map[string]release.Part {
	all := map[string]release.Part{}
	for name, a := range w.Stages {
		all[name] = a.Part
	}
	return all
}

func outcomeOf(d release.Do) string {
	return map[release.Do]string{release.Nothing: DeployCurrent, release.Superseded: DeployNewer, release.Held: DeployHeld}[d]
}

// describe fills in what the options say of a deployment.
func (r *rollouts) describe(ctx context.Context, t *target) error {
	w, o := t.work, r.opt
	w.Automatic, w.Newest, w.NoWait, w.Reason, w.Held = o.Auto, t.conf.Queue == spec.QueueNewest, r.p.opt.NoWait, o.Reason, o.Hold
	w.MayGoBack = w.MayGoBack || !o.Auto
	w.Override = w.Override || len(o.Set)+len(o.Sources) > 0
	w.Whole = w.Whole && len(o.Only)+len(o.Skip) == 0
	for flag, list := range map[string][]string{"--only": o.Only, "--skip": o.Skip} {
		for _, v := range list {
			w.Options = append(w.Options, flag+" "+v)
		}
	}
	for k := range o.Set {
		w.Options = append(w.Options, "--set "+k)
	}
	for k, v := range o.Sources {
		w.Options = append(w.Options, "--source "+k+"="+v)
	}
	if o.Force {
		w.Options = append(w.Options, "--force")
	}
	slices.Sort(w.Options)
	if o.Hold {
		w.Hold = &release.Hold{By: r.p.stamp(ctx).By, At: r.p.opt.Now().UTC().Truncate(1e9), Reason: o.Reason, Until: release.UntilResume}
	}
	w.Gate = r.p.gate(t.conf, w)
	return nil
}

// tell says what is decided about each stage.
func (r *rollouts) tell(t *target, v release.Verdict) {
	for _, name := range t.order {
		a, verdict := t.work.Stages[name], t.verbs[name]
		if code := map[release.Do]string{release.Superseded: event.Superseded, release.Held: event.Held}[v.Do]; code != "" && verdict.Do == event.Run {
			verdict = action.Verdict{Do: event.Skip, Because: []event.Reason{{Code: code, Path: t.conf.Name, Note: v.Why}}}
		}
		r.emit(t, event.Event{Type: event.Decided, Stage: name, Deploy: true, Verb: verdict.Do, Because: verdict.Because, Key: a.Key.String()})
		t.result.Stages = append(t.result.Stages, StageResult{Stage: name, Deploy: true, Verb: verdict.Do, Because: verdict.Because, Key: a.Key.String()})
	}
}

// emit sends an event of one target, which is named where there are several.
func (r *rollouts) emit(t *target, e event.Event) {
	if len(r.targets) > 1 {
		e.Env = t.conf.Name
	}
	r.p.emit(e)
}

// supply brings what the commands need to where they take it from, and publishes the release.
func (r *rollouts) supply(ctx context.Context, t *target) error {
	return t.source.Supply(ctx, t.env, t.work, t.work.Pending(t.state))
}

// deploy runs the deployment of a target.
func (r *rollouts) deploy(ctx context.Context, t *target) error {
	d, err := r.p.deployer(ctx, t.env, nil, cmp.Or(r.opt.Jobs, runtime.GOMAXPROCS(0)), r.opt.KeepGoing)
	if err != nil {
		return err
	}
	d.Emit = func(e event.Event) { r.emit(t, e) }
	result, err := d.Run(ctx, t.work)
	if x := result.Entry; x != nil {
		t.result.N = x.N
	}
	for i := range t.result.Stages {
		s := &t.result.Stages[i]
		if o := result.Stages[s.Stage]; o.Err != nil {
			s.Error = o.Err.Error()
		} else if o.Blocked != "" {
			s.Verb, s.Because = event.Blocked, []event.Reason{{Code: event.NeedFailed, Path: o.Blocked}}
		}
	}
	switch {
	case err != nil:
		t.settle(DeployFailed, "", transfer.Explained(err))
	case result.Verdict.Do != release.Go:
		t.settle(outcomeOf(result.Verdict.Do), result.Verdict.Why, nil)
	default:
		t.settle(DeployedOK, "", nil)
	}
	return nil
}

// deployed collects what became of all targets.
func (r *rollouts) deployed() *Deployed {
	d := &Deployed{Environments: []DeployedTo{}}
	for _, t := range r.targets {
		d.Environments = append(d.Environments, t.result)
		d.Pending = d.Pending || t.result.Outcome == DeployPlanned
	}
	return d
}
