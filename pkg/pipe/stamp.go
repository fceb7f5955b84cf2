package pipe

import (
	"context"
	"os"

	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/shell"
)

// stamp says who runs pipe, where, and from which commit. It is for people who look at a
// record or an environment, and in no key. Missing parts stay empty.
func (p *Project) stamp(ctx context.Context) object.Stamp {
	s := object.Stamp{Project: p.spec.Name, Builder: p.builder(), Commit: p.commit(ctx), Version: Build().Version}
	s.By, _ = os.Hostname()
	if user := p.firstOf("GITHUB_ACTOR", "GITLAB_USER_LOGIN", "CIRCLE_USERNAME", "BUILDKITE_BUILD_CREATOR", "USER"); user != "" {
		s.By = user + "@" + s.By
	}
	return s
}

// builder returns the address of the CI's run, "" outside CI. The variables are
// the ones that each system documents.
func (p *Project) builder() string {
	if server, id := p.firstOf("GITHUB_SERVER_URL"), p.firstOf("GITHUB_RUN_ID"); server != "" && id != "" {
		return server + "/" + p.firstOf("GITHUB_REPOSITORY") + "/actions/runs/" + id
	}
	return p.firstOf("CI_JOB_URL", "CIRCLE_BUILD_URL", "BUILDKITE_BUILD_URL")
}

// firstOf returns the first of the variables that is not empty.
func (p *Project) firstOf(names ...string) string {
	for _, n := range names {
		if v, _ := shell.Getenv(p.env, n); v != "" {
			return v
		}
	}
	return ""
}

// commit returns HEAD's hash, "" where there is none.
func (p *Project) commit(ctx context.Context) string {
	if p.repo == nil {
		return ""
	}
	head, err := p.repo.Head(ctx)
	if err != nil {
		return ""
	}
	return head.Hash
}
