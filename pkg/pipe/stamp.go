package pipe

import (
	"cmp"
	"context"
	"os"

	"github.com/pipe-build/pipe/internal/ci"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// stamp says who runs pipe, where, and from which commit. It is for people who look at a
// record or an environment, and in no key. Missing parts stay empty.
func (p *Project) stamp(ctx context.Context) object.Stamp {
	s := object.Stamp{Project: p.spec.Name, Builder: p.job().URL, Commit: p.commit(ctx), Version: Build().Version}
	s.By, _ = os.Hostname()
	if user := cmp.Or(p.job().Actor, p.variable("USER")); user != "" {
		s.By = user + "@" + s.By
	}
	return s
}

// variable returns an environment variable; "" is not set.
func (p *Project) variable(name string) string {
	v, _ := shell.Getenv(p.env, name)
	return v
}

// job returns what the CI system says of this run.
func (p *Project) job() ci.Run {
	p.jobOnce.Do(func() { p.jobRun = ci.Detect(p.env) })
	return p.jobRun
}

// ci reports whether a CI system runs pipe.
func (p *Project) ci() bool { return p.job().Active }

// branch returns the branch that is checked out, as CI systems name it where git does not: they
// check out a commit. A pull request or a tag is of no branch.
func (p *Project) branch(ctx context.Context) string {
	j := p.job()
	told := j.Active && j.Event != ""
	switch {
	case told && j.Event != ci.OfBranch:
		return ""
	case p.repo == nil && told:
		return j.Branch
	case p.repo == nil:
		return ""
	}
	head, err := p.repo.Head(ctx)
	switch {
	case err != nil:
		return ""
	case !told:
		return head.Branch
	case head.Branch == "" && !p.runIsOf(ctx, head.Hash):
		return ""
	}
	return j.Branch
}

// runIsOf reports whether the CI system runs for a commit, or for the one before it, where only pipe.lock differs. A
// step may have checked out anything, for example a pull request that a comment asked to deploy: that is not
// the branch whose name the system tells.
func (p *Project) runIsOf(ctx context.Context, commit string) bool {
	at := p.job().Commit
	if len(at) != len(commit) || at == commit {
		return true // not told, or by another name
	}
	same, known, err := p.repo.Same(ctx, at, commit, repopath.Root, p.lockAt)
	return same && known && err == nil
}

// commit returns HEAD's hash, "" where there is none. In a run of CI it is the commit that was built,
// also when HEAD has pipe.lock's own commit by then.
func (p *Project) commit(ctx context.Context) string {
	if p.repo == nil || p.built != "" {
		return p.built
	}
	head, err := p.repo.Head(ctx)
	if err != nil {
		return ""
	}
	return head.Hash
}
