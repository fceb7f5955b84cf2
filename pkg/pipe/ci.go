package pipe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/ci"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/event"
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

// LockPublished is what became of pipe.lock in a run of CI.
type LockPublished struct {
	Changed bool   `json:"changed"`          // it is not as in the commit that was built
	Commit  string `json:"commit,omitempty"` // that has it on the remote's branch
	Branch  string `json:"branch,omitempty"` // that got the commit
	URL     string `json:"url,omitempty"`    // of the pull request for it
	Cause   string `json:"cause,omitempty"`  // why it was not pushed: protected, forbidden, ...
	Why     string `json:"why,omitempty"`    // the same for people
	Fix     string `json:"fix,omitempty"`    // what to do about it
}

// ciRun is one call of CI.
type ciRun struct {
	p   *Project
	opt *CIOptions
	job ci.Run
	r   *CIResult

	branch  string // that is built; empty: of a pull request or a tag
	publish bool   // what is built goes into the remote
}

// CI does what a workflow does for a push: it builds and checks, publishes what is new, commits pipe.lock and
// pushes that commit, and deploys what is to be deployed automatically. It may run for every push, on every branch, in
// any number at once. The result is there beside an error, when stages were looked at.
//
// Of a pull request it only builds and checks, and says what would be deployed.
func (p *Project) CI(ctx context.Context, opt CIOptions) (*CIResult, error) {
	if opt.LockCommit != "" && !slices.Contains(spec.LockCommits(), opt.LockCommit) {
		return nil, diag.New(diag.Usage, "--lock-commit must be one of %s, not %s", strings.Join(spec.LockCommits(), ", "), opt.LockCommit)
	}
	if err := p.needGit(); err != nil {
		return nil, err
	}
	p.built = p.commit(ctx)
	c := &ciRun{p: p, opt: &opt, job: p.job(), branch: p.branch(ctx)}
	c.publish = c.job.Event != ci.OfPullRequest || opt.Push
	c.r = &CIResult{System: string(c.job.System), Event: string(c.job.Event), Branch: c.branch, Commit: p.built, Stages: []StageResult{}}
	err := c.run(ctx)
	return c.r, err
}

// run goes through the steps. pipe.lock is committed when all that it names is in the remote; it is
// pushed before anything is deployed, so that what is live has its lock in git, if git takes it.
func (c *ciRun) run(ctx context.Context) error {
	began := c.p.opt.Now()
	defer func() {
		c.r.Counts.Seconds = c.p.opt.Now().Sub(began).Seconds()
		c.p.emit(event.Event{Type: event.Summary, Counts: &c.r.Counts})
	}()
	if err := c.build(ctx); err != nil {
		return err
	}
	if err := c.commitLock(ctx); err != nil {
		return err
	}
	if err := c.deploy(ctx); err != nil {
		return err
	}
	// A build that comes after a deployment has made the lock another one.
	return c.commitLock(ctx)
}

// build builds and checks, and publishes each stage as soon as it is done.
func (c *ciRun) build(ctx context.Context) error {
	opt := c.repro()
	opt.NoDeploy = true
	shared, err := c.p.openRemote(ctx)
	if err != nil {
		return err
	}
	opt.Push = c.publish && shared != nil
	r, err := c.p.repro(ctx, opt)
	c.took(r)
	return err
}

// repro are the options of a build that the options of CI ask for.
func (c *ciRun) repro() ReproOptions {
	o := c.opt
	return ReproOptions{Jobs: o.Jobs, KeepGoing: o.KeepGoing, TrustLock: o.TrustLock, RebuildMissing: o.RebuildMissing, AllowOlder: o.AllowOlder}
}

// took adds what a run has done to the result.
func (c *ciRun) took(r *Result) {
	if r == nil {
		return
	}
	for _, s := range r.Stages {
		if i := slices.IndexFunc(c.r.Stages, func(o StageResult) bool { return o.Stage == s.Stage }); i < 0 {
			c.r.Stages = append(c.r.Stages, s)
		} else if s.Verb != event.Skip {
			c.r.Stages[i] = s
		}
	}
	c.r.Counts = c.r.Counts.Plus(r.Counts)
}

// deploy brings the environments to what was built: those that pipe.yaml has, as their auto: says;
// without environments, the one that the deploy stages have on the branch for it.
func (c *ciRun) deploy(ctx context.Context) error {
	p := c.p
	switch {
	case c.opt.NoDeploy || !p.spec.Deploys():
		return nil
	case c.job.Event == ci.OfPullRequest:
		return c.foresee(ctx)
	case p.spec.DeclaresEnvironments():
		d, err := p.Deploy(ctx, DeployOptions{
			Auto: true, Jobs: c.opt.Jobs, KeepGoing: c.opt.KeepGoing, TrustLock: c.opt.TrustLock, RebuildMissing: c.opt.RebuildMissing,
		})
		if d != nil {
			c.r.Environments = d.Environments
		}
		return err
	}
	on, err := c.deploysOn(ctx)
	if err != nil {
		return err
	}
	if on != c.branch || on == "" {
		p.note(c.notHere(on))
		return nil
	}
	r, err := p.repro(ctx, c.repro())
	c.took(r)
	return err
}

// notHere says why nothing is deployed from this branch.
func (c *ciRun) notHere(on string) string {
	switch {
	case on == "":
		return "nothing is deployed: neither the CI system nor git says which branch is the default one; write deploy_on: BRANCH in pipe.yaml"
	case c.branch == "":
		return fmt.Sprintf("nothing is deployed: only branch %s is, and no branch is checked out", on)
	}
	return fmt.Sprintf("nothing is deployed: branch %s is, not %s", on, c.branch)
}

// deploysOn returns the branch whose commits are deployed: that of pipe.yaml, else the default one.
func (c *ciRun) deploysOn(ctx context.Context) (string, error) {
	if b := c.p.spec.DeployOn; b != "" {
		return b, nil
	}
	if c.job.Default != "" {
		return c.job.Default, nil
	}
	return c.p.repo.DefaultBranch(ctx, upstream)
}

// upstream is the git remote that CI works with.
const upstream = "origin"

// foresee says what a pull request would deploy. What cannot be asked is said, and is no failure: a
// pull request from outside has no credentials.
func (c *ciRun) foresee(ctx context.Context) error {
	return errors.ErrUnsupported
}

// commitLock publishes pipe.lock.
func (c *ciRun) commitLock(ctx context.Context) error {
	return errors.ErrUnsupported
}
