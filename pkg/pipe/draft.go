package pipe

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/engine"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/pkg/event"
)

// draft builds what the targets need that get the workspace's own release. The workspace is locked
// until free is called.
func (r *rollouts) draft(ctx context.Context, targets []*target) (free func() error, err error) {
	free = func() error { return nil }
	mine := slices.DeleteFunc(slices.Clone(targets), func(t *target) bool { return t.origin != nil })
	if len(mine) == 0 {
		return free, nil
	}
	stages, omit, err := r.p.choose(r.opt, r.p.deployStages())
	if err != nil {
		return free, err
	}
	if err := r.p.nowhere(ctx, stages, mine, omit); err != nil {
		return free, err
	}
	free, d, err := r.p.draft(ctx, r.opt, stages, omit)
	if err != nil {
		return free, errors.Join(err, free())
	}
	for _, t := range mine {
		t.origin = d
	}
	return free, nil
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

// draft builds what the deploy stages need, but for those that no environment gets, and describes the release. The
// workspace is locked until free is called.
func (p *Project) draft(ctx context.Context, opt *DeployOptions, stages []string, omit map[string]event.Reason) (free func() error, d *engine.Draft, err error) {
	free = func() error { return nil }
	h, err := p.hold(ctx, "deploy")
	if err != nil {
		return free, nil, err
	}
	free = sync.OnceValue(h.Release)
	ropt := ReproOptions{Sources: opt.Sources, Jobs: opt.Jobs, KeepGoing: opt.KeepGoing, TrustLock: opt.TrustLock, RebuildMissing: opt.RebuildMissing, NoDeploy: true, ask: askAll}
	ropt.Targets, err = p.needed(slices.DeleteFunc(slices.Clone(stages), func(name string) bool { _, ok := omit[name]; return ok }))
	if err != nil {
		return free, nil, err
	}
	lock, err := p.lock()
	if err != nil {
		return free, nil, err
	}
	// With other refs of sources, what is built stands in this lock alone.
	if len(ropt.Targets) > 0 {
		r, err := p.runOn(ctx, lock, ropt, h, false)
		if err != nil {
			return free, nil, err
		}
		p.changed = append(p.changed, changedBy(r)...)
	}
	e, err := p.engine(ctx, ropt, h)
	if err != nil {
		return free, nil, err
	}
	if len(ropt.Targets) == 0 { // else that run has said it
		p.noteSecrets(e.Project)
	}
	e.Env = nil
	d, err = e.Draft(ctx, lock, engine.Options{Targets: stages, Omit: omit, Changed: p.changed, Force: opt.Force, TrustLock: opt.TrustLock, Want: p.workspaceRelease(ctx)})
	return free, d, err
}

// workspaceRelease begins the deployment of what the workspace has.
func (p *Project) workspaceRelease(ctx context.Context) release.Want {
	w := release.Want{Kind: release.KindDeploy, Commit: p.commit(ctx), Sealed: p.sealed}
	if w.Commit != "" {
		w.Committed, _ = p.repo.Committed(ctx, w.Commit)
	}
	return w
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
				return nil, diag.New(diag.Usage, "%s runs after %s and before other deploy stages, so they cannot be one release", s.Name, p.spec.Stages[u].Name).
					At(s.Place).Hinted("write it as verify: of %s", p.spec.Stages[u].Name)
			}
		}
		targets = append(targets, s.Name)
	}
	return targets, nil
}
