package pipe

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/spec"
)

// RollbackOptions say what Rollback goes back to.
type RollbackOptions struct {
	DeployOptions
	To            string // number of a deployment, release, commit, or hash of an artifact; empty: the one before
	CurrentValues bool   // use the environment's values of now, not those of the deployment
}

// Rollback brings an environment back to a release that was live there, with the values that it had, and keeps automatic
// deployments away. It builds nothing.
func (p *Project) Rollback(ctx context.Context, name string, opt RollbackOptions) (*Deployed, error) {
	opt.Envs = []string{name}
	targets, err := p.targetsOf(ctx, &opt.DeployOptions)
	if err != nil {
		return nil, err
	}
	if len(targets) != 1 {
		return nil, diag.New(diag.Usage, "%s is a group; name one of its environments", name)
	}
	t := targets[0]
	s, err := t.env.Read(ctx)
	if err != nil {
		return nil, err
	}
	b := &back{p: p, t: t, s: s}
	x, err := b.find(ctx, opt.To)
	if err != nil {
		return nil, err
	}
	if !opt.CurrentValues {
		given := map[string]string{}
		for _, a := range x.Stages {
			maps.Copy(given, a.Values)
		}
		maps.Copy(given, opt.Set)
		t.given = given
	}
	if x.Status == release.EndOK {
		t.worked = x.Stages
	}
	want := release.Want{
		Kind: release.KindRollback, Commit: x.Commit, Dirty: x.Dirty, Override: x.Override, MayGoBack: true,
		Hold: p.newHold(ctx, opt.Reason),
	}
	want.Hold.Veto = b.veto(x.Release)
	if t.conf.After == spec.AfterNext {
		want.Hold.Until = release.UntilNext
	}
	stored, err := p.stored(ctx, t.env, x.Release, want, &opt.DeployOptions)
	if err != nil {
		return nil, err
	}
	stored.part = madeInPart(x, stored.release)
	t.origin = stored
	r := &rollouts{p: p, opt: &opt.DeployOptions, targets: targets}
	return p.rollout(ctx, r)
}

// madeInPart reports whether a release has only the stages that --only or --skip left of a build: others are
// as live as before.
func madeInPart(x *release.Entry, r *release.Release) bool {
	narrowed := slices.ContainsFunc(x.Options, func(o string) bool { return strings.HasPrefix(o, "--only ") || strings.HasPrefix(o, "--skip ") })
	return narrowed && !slices.ContainsFunc(r.Names(), func(name string) bool { _, ok := x.Stages[name]; return !ok })
}

// newHold is a hold by this user, that lasts until somebody ends it.
func (p *Project) newHold(ctx context.Context, reason string) *release.Hold {
	return &release.Hold{By: p.stamp(ctx).By, At: p.opt.Now().UTC().Truncate(time.Second), Reason: reason, Until: release.UntilResume}
}

// back looks for what to go back to.
type back struct {
	p *Project
	t *target
	s *release.State
}

// find returns the deployment that to names.
func (b *back) find(ctx context.Context, to string) (*release.Entry, error) {
	switch n, err := strconv.ParseUint(strings.TrimPrefix(to, "#"), 10, 64); {
	case to == "":
		return b.before(ctx)
	case err == nil && len(to) < 7:
		x, err := b.t.env.Entry(ctx, b.s, n)
		if err == nil && x.Release.IsZero() {
			err = diag.New(diag.NotFound, "deployment #%d of %s has no release", n, b.t.conf.Name).Hinted("pipe env history %s", b.t.conf.Name)
		}
		return x, err
	case release.IsPrefix(to):
		return b.first(ctx, to, func(x *release.Entry) (bool, error) { return strings.HasPrefix(x.Release.String(), to), nil })
	}
	if commit, err := b.p.commitNamed(ctx, to); err == nil {
		return b.first(ctx, to, func(x *release.Entry) (bool, error) { return x.Commit == commit, nil })
	}
	return b.first(ctx, to, func(x *release.Entry) (bool, error) {
		if len(to) >= 7 && strings.HasPrefix(x.Commit, to) {
			return true, nil
		}
		return b.has(ctx, x, strings.TrimPrefix(to, "blake3:"))
	})
}

// before returns the deployment of the newest verified release that is neither live nor the one
// that was tried last, nor one that was rolled away from.
func (b *back) before(ctx context.Context) (*release.Entry, error) {
	ids := b.s.Verified
	if i := slices.Index(ids, b.s.Live); i >= 0 {
		ids = ids[i+1:] // what is newer was left for a reason
	}
	for _, id := range ids {
		if id == b.s.Live || id == b.s.Tried() || b.s.Hold != nil && slices.Contains(b.s.Hold.Veto, id) {
			continue
		}
		return b.first(ctx, id.Short(), func(x *release.Entry) (bool, error) { return x.Release == id, nil })
	}
	return nil, diag.New(diag.NotFound, "%s has no earlier release that worked", b.t.conf.Name).Hinted("pipe env history %s, then pipe rollback %s --to N", b.t.conf.Name, b.t.conf.Name)
}

// first returns the newest successful deployment that fits, else the newest that fits.
func (b *back) first(ctx context.Context, what string, fits func(*release.Entry) (bool, error)) (found *release.Entry, err error) {
	err = b.t.env.Chain(ctx, b.s, func(x *release.Entry) error {
		if x.Release.IsZero() || found != nil && found.Status == release.EndOK {
			return nil
		}
		ok, err := fits(x)
		if ok && (found == nil || x.Status == release.EndOK) {
			found = x
		}
		if found != nil && found.Status == release.EndOK {
			return errFound
		}
		return err
	})
	if errors.Is(err, errFound) {
		err = nil
	}
	if err == nil && found == nil {
		err = diag.New(diag.NotFound, "%s was never deployed to %s", what, b.t.conf.Name).Hinted("pipe env history %s", b.t.conf.Name)
	}
	return found, err
}

// errFound ends a walk.
var errFound = errors.New("found")

// has reports whether a deployment's release has an artifact with the hash.
func (b *back) has(ctx context.Context, x *release.Entry, prefix string) (bool, error) {
	if len(prefix) < 4 || strings.Trim(prefix, "0123456789abcdef") != "" {
		return false, nil
	}
	r, err := b.t.env.Release(ctx, x.Release)
	if err != nil {
		return false, err
	}
	for _, part := range r.Stages {
		for _, o := range part.Artifacts {
			if strings.HasPrefix(o.Digest.Hex(), prefix) {
				return true, nil
			}
		}
	}
	return false, nil
}

// veto returns the releases that are rolled away from: the one that is live, and the one that was tried last. An
// older one, which has brought a stage that no later release changed, stays good to go back to.
func (b *back) veto(to release.ID) []release.ID {
	ids := []release.ID{b.s.Live, b.s.Tried()}
	ids = slices.DeleteFunc(ids, func(id release.ID) bool { return id.IsZero() || id == to })
	return release.Unique(ids)
}

// barrier refuses to go back over a stage that cannot be undone, such as a migration, unless that
// is asked for.
func (p *Project) barrier(s *release.State, w *release.Want) error {
	for _, name := range w.Pending(s) {
		declared := p.spec.Stage(name)
		if st, ok := s.Stages[name]; ok && st.Key != w.Stages[name].Key && (w.Stages[name].Part.Barrier || declared != nil && declared.Barrier) {
			return diag.New(diag.Policy, "the rollback would change %s, which is a barrier", name).
				Hinted("--past-barrier does it; --skip %s leaves the stage as it is", name)
		}
	}
	return nil
}
