package pipe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/ci"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

// CIOptions say what CI does. The zero value is right in a workflow.
type CIOptions struct {
	LockCommit     string // push, pr, branch or off; empty: as pipe.yaml says, else push. Asked for, it counts in pull requests, too
	Push           bool   // publish what a pull request builds
	NoDeploy       bool   // build, publish and commit only
	Jobs           int    // as in ReproOptions
	KeepGoing      bool   // as in ReproOptions
	TrustLock      bool   // as in ReproOptions
	RebuildMissing bool   // as in ReproOptions
	AllowOlder     bool   // as in ReproOptions
}

// CIResult is a whole run of CI.
type CIResult struct {
	System       string        `json:"system,omitempty"`       // github, gitlab, circleci or buildkite; empty: another one
	Event        string        `json:"event,omitempty"`        // branch, tag or pull-request
	Branch       string        `json:"branch,omitempty"`       // that is built
	Commit       string        `json:"commit,omitempty"`       // that is built
	Stages       []StageResult `json:"stages"`                 // each after those that it needs
	Counts       event.Counts  `json:"counts"`                 // how they ended
	Lock         LockPublished `json:"lock"`                   // what became of pipe.lock
	Planned      []StageResult `json:"planned,omitempty"`      // of a pull request: the deploy stages, as its merge would find them
	Environments []DeployedTo  `json:"environments,omitempty"` // what became of each environment; of a pull request, what would
}

// ciRun is one call of CI.
type ciRun struct {
	p   *Project
	opt *CIOptions
	job ci.Run
	r   *CIResult

	branch  string         // that is built; empty: of a pull request or a tag
	known   *lockfile.File // of the commit that is built; nil: it has none
	shared  bool           // there is a remote
	publish bool           // what is built goes into the remote
	blind   bool           // the remote cannot be read
	settled []byte         // the lock that commitLock has dealt with
}

// CI does what a workflow does for a push: it builds and checks, publishes what is new, commits pipe.lock and
// pushes that commit, and deploys what is to be deployed automatically. It may run for every push, on every branch, in
// any number at once. The result is there beside an error, when stages were looked at.
//
// Of a pull request it only builds and checks, and says what would be deployed.
func (p *Project) CI(ctx context.Context, opt CIOptions) (*CIResult, error) {
	if opt.LockCommit != "" && !slices.Contains(spec.LockCommits(), opt.LockCommit) {
		return nil, diag.New(diag.Usage, "--lock-commit must be push, pr, branch or off, not %s", opt.LockCommit).Hinted("pipe ci --lock-commit off")
	}
	if err := p.needGit(); err != nil {
		return nil, err
	}
	if p.built = p.commit(ctx); p.built == "" {
		return nil, diag.New(diag.Usage, "there is no commit yet").At(p.repo.Root()).Hinted("git commit")
	}
	p.sealed = &release.Head{}
	c := &ciRun{p: p, opt: &opt, job: p.job(), branch: p.branch(ctx)}
	c.publish = c.job.Event != ci.OfPullRequest || opt.Push || opt.LockCommit != "" && opt.LockCommit != spec.LockOff
	c.r = &CIResult{System: string(c.job.System), Event: string(c.job.Event), Branch: c.branch, Commit: p.built, Stages: []StageResult{}}
	began := p.opt.Now()
	err := c.quietly(func() error { return c.run(ctx) })
	c.r.Counts.Seconds = p.opt.Now().Sub(began).Seconds()
	if len(c.r.Stages) > 0 {
		p.emit(event.Event{Type: event.Summary, Counts: &c.r.Counts})
	}
	return c.r, err
}

// run goes through the steps. pipe.lock is committed when all that it names is in the remote, and
// before anything is deployed, so that what is live has its lock in git, if git takes it.
func (c *ciRun) run(ctx context.Context) (err error) {
	if c.known, err = c.knownLock(ctx); err != nil {
		return err
	}
	opt, err := c.repro(ctx)
	if err != nil {
		return err
	}
	if unset := c.p.unsetSecrets(); len(unset) > 0 && c.job.Active && c.job.Event != ci.OfPullRequest { // which gets none
		c.p.note("secrets that are not set in this job: " + strings.Join(unset, ", "))
	}
	then := func(context.Context) error { return nil }
	switch {
	case c.opt.NoDeploy || !c.p.spec.Deploys():
		opt.NoDeploy = true
	case c.job.Event == ci.OfPullRequest:
		opt.NoDeploy, then = true, c.foresee
	case c.p.spec.DeclaresEnvironments():
		opt.NoDeploy, then = true, c.deploy
	default:
		opt.NoDeploy = !c.deploysHere(ctx)
	}
	if err := c.build(ctx, opt); err != nil {
		if c.p.spec.DeclaresEnvironments() && c.branch != "" && ctx.Err() == nil {
			c.p.note("nothing is deployed, because the build failed")
		}
		return err
	}
	return then(ctx)
}

// quietly leaves out of the events what an earlier step of f has said: notes, and builds of which there is
// nothing to do.
func (c *ciRun) quietly(f func() error) error {
	p, all := c.p, c.p.opt.Emit
	if all == nil {
		return f()
	}
	defer func() { p.opt.Emit = all }()
	said := map[string]bool{}
	p.opt.Emit = func(e event.Event) { // one at a time: see emit
		once := ""
		switch {
		case e.Type == event.Note:
			once = "note " + e.Stage + " " + e.Text
		case e.Type == event.Decided && !e.Deploy && (e.Verb == event.Skip || e.Verb == event.Frozen || e.Verb == event.Omit):
			once = "skip " + e.Stage
		case e.Type == event.Done && e.Verb == event.Restore, e.Type == event.Done && e.Verb == event.Run:
			said["skip "+e.Stage] = true
		}
		if once == "" || !said[once] {
			all(e)
		}
		said[once] = true
	}
	return f()
}

// build builds and checks, publishes each stage as soon as it is done, and commits pipe.lock. Without
// environments in pipe.yaml it deploys, too.
func (c *ciRun) build(ctx context.Context, opt ReproOptions) error {
	r, err := c.p.repro(ctx, opt)
	if r != nil {
		c.r.Stages, c.r.Counts = r.Stages, r.Counts
		c.p.changed = changedBy(r) // the deployments that follow are of the same run
	}
	return err
}

// repro returns the options of the build.
func (c *ciRun) repro(ctx context.Context) (ReproOptions, error) {
	o := c.opt
	opt := ReproOptions{
		Jobs: o.Jobs, KeepGoing: o.KeepGoing, TrustLock: o.TrustLock, RebuildMissing: o.RebuildMissing, AllowOlder: o.AllowOlder,
		silent: true, settled: c.commitLock,
	}
	shared, err := c.p.openRemote(ctx)
	if c.job.Event == ci.OfPullRequest && errors.Is(err, store.ErrNoRegion) {
		// The step that logs in to AWS sets the region, and it is left out for forks.
		c.p.alone = true
		c.unreadable(err)
		opt.RebuildMissing = true
		return opt, nil
	}
	if err != nil {
		return opt, err
	}
	if shared == nil {
		if c.job.Active {
			c.p.note("pipe.yaml has no remote, so what this job builds is lost with its machine: pipe remote add NAME URL")
		}
		return opt, nil
	}
	c.shared = true
	if c.job.Event == ci.OfPullRequest {
		if err := c.reachable(ctx, shared); err != nil {
			return opt, err
		}
	}
	// Whoever cannot read the remote can still build everything: the code may come from anybody, with no
	// credentials.
	opt.NoPull, opt.RebuildMissing = c.blind, o.RebuildMissing || c.blind
	if opt.Push = c.publish; opt.Push {
		opt.known = cmp.Or(c.known, &lockfile.File{})
	}
	return opt, nil
}

// reachable finds out whether a pull request can read the remote.
func (c *ciRun) reachable(ctx context.Context, shared store.Remote) error {
	_, _, err := shared.Load(ctx, store.MarkerName)
	if err == nil || errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if ctx.Err() != nil {
		return err
	}
	c.unreadable(err)
	return nil
}

// unreadable notes that the pull request goes without what is in the remote.
func (c *ciRun) unreadable(err error) {
	c.blind, c.publish = true, false
	c.p.note("the remote cannot be read, so nothing is restored from it: " + diag.All(err)[0].What)
}

// deploy brings the environments that pipe.yaml has to what was built, as their auto: says.
func (c *ciRun) deploy(ctx context.Context) error {
	o := c.opt
	if c.p.spec.DeployOn != "" {
		c.p.note("deploy_on has no effect where pipe.yaml has environments: each names its branch with auto: BRANCH")
	}
	d, err := c.p.Deploy(ctx, DeployOptions{Auto: true, Jobs: o.Jobs, KeepGoing: o.KeepGoing, TrustLock: o.TrustLock, RebuildMissing: o.RebuildMissing})
	if d != nil {
		c.r.Environments = d.Environments
	}
	return err
}

// deploysHere reports whether deploy stages run on this branch, where pipe.yaml has no environments, and
// says so if they do not.
func (c *ciRun) deploysHere(ctx context.Context) bool {
	on := c.deploysOn(ctx)
	if on != "" && on == c.branch {
		return true
	}
	c.p.note(c.notHere(on))
	return false
}

// notHere says why nothing is deployed from this branch.
func (c *ciRun) notHere(on string) string {
	switch {
	case on == "":
		return "nothing is deployed: neither the CI system nor git says which branch is the default one; write deploy_on: BRANCH in pipe.yaml"
	case c.job.Event == ci.OfTag:
		return fmt.Sprintf("nothing is deployed: deploy stages run on branch %s, not on tag %s", on, c.job.Tag)
	case c.branch == "" && c.job.Event == ci.OfBranch:
		return fmt.Sprintf("nothing is deployed: this run is of branch %s, but another commit is checked out", c.job.Branch)
	case c.branch == "":
		return fmt.Sprintf("nothing is deployed: deploy stages run on branch %s, and no branch is checked out", on)
	}
	return fmt.Sprintf("nothing is deployed: deploy stages run on branch %s, not on %s", on, c.branch)
}

// deploysOn returns the branch whose commits are deployed: that of pipe.yaml, else the default one; "" if
// nobody knows.
func (c *ciRun) deploysOn(ctx context.Context) string {
	if on := c.p.spec.DeployOn; on != "" {
		return on
	}
	on, err := c.p.usualBranch(ctx)
	if err != nil {
		c.p.note("git does not say which branch is the default one: " + diag.All(err)[0].What)
	}
	return on
}

// usualBranch returns the repository's default branch, as the CI system says, else git; "" if neither does.
func (p *Project) usualBranch(ctx context.Context) (string, error) {
	if usual := p.job().Default; usual != "" {
		return usual, nil
	}
	return p.repo.DefaultBranch(ctx, upstream)
}

// upstream is the git remote that CI works with.
const upstream = "origin"

// foresee says what a pull request would deploy. What cannot be found out is said, and is no failure: a
// pull request from outside has no credentials.
func (c *ciRun) foresee(ctx context.Context) error {
	if c.blind {
		c.p.note("what would be deployed is not known: the remote cannot be read")
		return nil
	}
	foresee := c.foreseeDefault
	if c.p.spec.DeclaresEnvironments() {
		foresee = c.foreseeEnvironments
	}
	emit := c.p.opt.Emit
	if emit != nil {
		c.p.opt.Emit = func(e event.Event) {
			if e.Type == event.Decided && e.Deploy {
				e.Type = event.Planned
			}
			if e.Type == event.Planned || e.Type == event.Note { // of builds all is said
				emit(e)
			}
		}
		defer func() { c.p.opt.Emit = emit }()
	}
	err := foresee(ctx)
	if err == nil || ctx.Err() != nil {
		return err
	}
	c.p.note("what would be deployed is not known: " + diag.All(err)[0].What)
	return nil
}

// foreseeDefault is foresee without environments: in pipe.yaml.
func (c *ciRun) foreseeDefault(ctx context.Context) error {
	p := c.p
	if c.job.Base != "" && c.deploysOn(ctx) != c.job.Base {
		return nil
	}
	r, err := p.Plan(ctx, ReproOptions{Jobs: c.opt.Jobs})
	if r != nil {
		c.r.Planned = slices.DeleteFunc(r.Stages, func(s StageResult) bool { return !s.Deploy })
	}
	return err
}

// foreseeEnvironments is foresee for those that the branch deploys to that the pull request goes to.
func (c *ciRun) foreseeEnvironments(ctx context.Context) error {
	base := c.job.Base
	if base == "" {
		base = c.deploysOn(ctx)
	}
	all, err := c.p.declared()
	if err != nil {
		return err
	}
	c.r.Environments, err = c.p.planEach(ctx, all, func(e *spec.Environment) bool { return e.Auto == base && !e.Promoted() })
	return err
}
