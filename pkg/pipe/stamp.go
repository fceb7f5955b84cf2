package pipe

import (
	"cmp"
	"context"
	"os"

	"github.com/pipe-build/pipe/internal/ci"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/shell"
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
	if j := p.job(); j.Active && j.Event != "" {
		if j.Event == ci.OfBranch {
			return j.Branch
		}
		return ""
	}
	if p.repo == nil {
		return ""
	}
	head, err := p.repo.Head(ctx)
	if err != nil {
		return ""
	}
	return head.Branch
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
