package pipe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/deploy"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/event"
)

// stored is a release that exists: it is deployed as it is, and nothing is built.
type stored struct {
	p       *Project
	id      release.ID
	release *release.Release
	want    release.Want
	opt     *DeployOptions
	part    bool // the release has not all stages of its commit
}

// storedOrigin returns what gives a target the release that the options, or the environment's pin,
// name. Without one the target gets the workspace's own.
func (p *Project) storedOrigin(opt *DeployOptions) func(context.Context, *target) error {
	return func(ctx context.Context, t *target) error {
		id, commit, want := release.ID{}, "", release.Want{Kind: release.KindDeploy, MayGoBack: true}
		var err error
		switch {
		case t.origin != nil:
			return nil
		case opt.Release != "":
			id, err = p.findRelease(ctx, opt.Release)
		case opt.Commit != "":
			if commit, err = p.commitNamed(ctx, opt.Commit); err == nil {
				id, err = p.releaseOf(ctx, t.env, commit)
			}
		case opt.Auto && t.conf.Pin != "":
			id, err = p.pin(ctx, t.conf)
		case opt.Auto && t.conf.Promoted():
			var x *release.Entry
			if x, err = p.verifiedIn(ctx, t.conf.From[0]); err == nil {
				id, commit = x.Release, x.Commit
			}
			want.Kind, want.From, want.MayGoBack = release.KindPromote, t.conf.From[0], false
			if diag.Is(err, diag.NotFound) {
				t.settle(DeployCurrent, "nothing is verified in "+t.conf.From[0]+" yet", nil)
				return nil
			}
		default:
			return nil
		}
		if err != nil {
			return err
		}
		if want.Commit = commit; commit == "" {
			want.Commit, want.Dirty, err = p.commitOf(ctx, id)
		}
		if err == nil {
			t.origin, err = p.stored(ctx, t.env, id, want, opt)
		}
		return err
	}
}

// stored reads a release.
func (p *Project) stored(ctx context.Context, env *release.Environment, id release.ID, want release.Want, opt *DeployOptions) (*stored, error) {
	r, err := env.Release(ctx, id)
	if err != nil {
		return nil, err
	}
	if want.Commit != "" && p.repo != nil {
		want.Committed, _ = p.repo.Committed(ctx, want.Commit)
	}
	want.Release = id
	return &stored{p: p, id: id, release: r, want: want, opt: opt}, nil
}

// For implements origin.
func (s *stored) For(_ context.Context, env *release.State, given map[string]string) (*deploy.Work, map[string]action.Verdict, error) {
	chosen, omit, err := s.p.choose(s.opt, s.release.Names())
	if err != nil {
		return nil, nil, err
	}
	w := &deploy.Work{Want: s.want, Values: map[string][]action.EnvValue{}, Passed: map[string][]action.EnvValue{}}
	w.Stages, w.Whole = map[string]release.Aim{}, !s.part
	verbs := map[string]action.Verdict{}
	for name, why := range omit {
		verbs[name] = action.Verdict{Do: event.Omit, Because: []event.Reason{why}}
	}
	for _, name := range chosen {
		part := s.release.Stages[name]
		stage, in := part.Stage(name, nil)
		if in.Env, err = s.p.valuesNow(stage, given); err != nil {
			return nil, nil, err
		}
		a := release.Aim{Part: part, Key: action.KeyOf(stage, in), Again: s.opt.Force}
		a.Values, a.Outside = release.Known(in.Env)
		w.Stages[name], w.Values[name], w.Passed[name] = a, in.Env, s.p.passedNow(name)
		verbs[name] = known(action.DecideDeploy(stage, a.Key, in, env.StageNow(name), nil, s.opt.Force))
	}
	w.Frozen = s.p.conditional(func(name string) bool { _, ok := s.release.Stages[name]; return ok })
	// What --only and --skip leave out is not waited for; the release itself stays as it is.
	w.Tidy()
	return w, verbs, nil
}

// known drops the reason that says only that there may be others: the definition that is live would cost a
// request, and whoever promotes or goes back knows the release.
func known(v action.Verdict) action.Verdict {
	if len(v.Because) > 2 {
		v.Because = slices.DeleteFunc(slices.Clone(v.Because), func(r event.Reason) bool { return r.Code == event.RestChanged })
	}
	return v
}

// Supply implements origin: what the release names is fetched, which proves that it is there.
func (s *stored) Supply(ctx context.Context, env *release.Environment, w *deploy.Work, pending []string) error {
	d, err := s.p.deployer(ctx, env, nil, 1, false)
	if err != nil {
		return err
	}
	return d.Fetch(ctx, w, pending)
}

// commitNamed returns the full hash of a commit. A project outside of git takes full hashes alone.
func (p *Project) commitNamed(ctx context.Context, rev string) (string, error) {
	if p.repo != nil {
		if hash, err := p.repo.Resolve(ctx, rev); err == nil {
			return hash, nil
		}
	}
	if n := len(rev); (n == 40 || n == 64) && strings.Trim(rev, "0123456789abcdef") == "" {
		return rev, nil
	}
	return "", diag.New(diag.NotFound, "git has no commit %s", rev).Hinted("git fetch --all --tags, or write the whole hash")
}

// releaseOf returns the newest release that a commit made.
func (p *Project) releaseOf(ctx context.Context, env *release.Environment, commit string) (release.ID, error) {
	ids, err := env.Of(ctx, commit)
	if err == nil && len(ids) == 0 {
		// The index has no commit for which an automatic run found all live: that would be a request for each run.
		err = p.eachState(ctx, func(s *release.State) {
			if h := s.Head; h != nil && h.Commit == commit && !h.Release.IsZero() {
				ids = []release.ID{h.Release}
			}
		})
	}
	if err == nil && len(ids) == 0 {
		err = diag.New(diag.NotFound, "commit %.12s has no release", commit).Hinted("check the commit out and run pipe deploy, which makes one")
	}
	if err != nil {
		return release.ID{}, err
	}
	return ids[len(ids)-1], nil
}

// stateOf reads the state of an environment.
func (p *Project) stateOf(ctx context.Context, name string) (*release.State, error) {
	env, err := p.environment(ctx, name, true)
	if err != nil {
		return nil, err
	}
	return env.Read(ctx)
}

// verifiedIn returns the deployment that brought the newest release that an environment has verified, and was
// not rolled back from.
func (p *Project) verifiedIn(ctx context.Context, name string) (*release.Entry, error) {
	env, err := p.environment(ctx, name, true)
	if err != nil {
		return nil, err
	}
	s, err := env.Read(ctx)
	if err != nil {
		return nil, err
	}
	id := s.Newest()
	if id.IsZero() {
		return nil, diag.New(diag.NotFound, "no release is verified in %s", name).Hinted("pipe deploy %s", name)
	}
	if n, commit := s.NumberOf(id), s.CommitOf(id); n > 0 && commit != "" {
		return &release.Entry{N: n, Release: id, Commit: commit}, nil
	}
	b := &back{t: &target{env: env, conf: &spec.Environment{Name: name}}, s: s}
	return b.first(ctx, id.Short(), func(x *release.Entry) (bool, error) { return x.Release == id, nil })
}

// commitOf returns the commit of a release, as far as an environment knows it, and whether it counts
// as made of other files than the commit's: nobody has verified it.
func (p *Project) commitOf(ctx context.Context, id release.ID) (commit string, dirty bool, err error) {
	dirty = true
	err = p.eachState(ctx, func(s *release.State) {
		if c := s.CommitOf(id); c != "" {
			commit = c
		}
		if slices.Contains(s.Verified, id) {
			dirty = false
		}
	})
	return commit, dirty, err
}

// eachState reads the states of all environments that this project may have.
func (p *Project) eachState(ctx context.Context, f func(*release.State)) error {
	cells, o, err := p.environments(ctx)
	if err != nil {
		return err
	}
	states, err := release.All(ctx, cells, o)
	for _, s := range states {
		f(s.State)
	}
	return err
}

// findRelease returns the release with a name, or the one whose name begins so and that an
// environment has.
func (p *Project) findRelease(ctx context.Context, text string) (release.ID, error) {
	if id, err := release.ParseID(text); err == nil {
		return id, nil
	}
	none := release.ID{}
	if !release.IsPrefix(text) {
		return none, diag.New(diag.Usage, "%q is not the name of a release: write r- and at least four of its digits", text).Hinted("pipe env history ENV")
	}
	found := map[release.ID]bool{}
	err := p.eachState(ctx, func(s *release.State) {
		for _, id := range s.Releases() {
			if strings.HasPrefix(id.String(), text) {
				found[id] = true
			}
		}
	})
	switch {
	case err != nil && len(found) == 0:
		return none, err
	case len(found) == 0:
		return none, diag.New(diag.NotFound, "no environment has a release %s", text).Hinted("pipe env history ENV lists releases; or write the whole name")
	case len(found) > 1:
		return none, diag.New(diag.Usage, "%s matches %d releases", text, len(found)).Hinted("write more of its digits")
	}
	for id := range found {
		none = id
	}
	return none, nil
}

// pin returns the release that an environment's pin names.
func (p *Project) pin(ctx context.Context, c *spec.Environment) (release.ID, error) {
	from := "FROM"
	if len(c.From) > 0 {
		from = c.From[0]
	}
	hint := fmt.Sprintf("pipe promote %s %s --pin writes it", from, c.Name)
	b, err := atomicfile.Read(p.path(string(c.Pin)), maxPin)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return release.ID{}, diag.New(diag.NotFound, "nothing is pinned for %s yet", c.Name).At(string(c.Pin)).Hinted("%s", hint)
	case err != nil:
		return release.ID{}, diag.New(diag.Failed, "cannot read the pin of %s: %w", c.Name, err)
	}
	for line := range strings.Lines(string(b)) {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line != "" {
			id, err := p.findRelease(ctx, line)
			if diag.Is(err, diag.NotFound) || diag.Is(err, diag.Usage) {
				err = diag.New(diag.NotFound, "the pin of %s names no release: %w", c.Name, err).At(string(c.Pin)).Hinted("%s", hint)
			}
			return id, err
		}
	}
	return release.ID{}, diag.New(diag.NotFound, "the pin of %s is empty", c.Name).At(string(c.Pin)).Hinted("%s", hint)
}

// maxPin is the largest pin in bytes.
const maxPin = 64 << 10
