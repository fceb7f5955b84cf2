package pipe

import (
	"cmp"
	"context"
	"fmt"

	"github.com/pipe-build/pipe/internal/ci"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/github"
	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

// github returns a client for a repository. Of two tokens it takes the one that GitHub's own command line would take.
func (p *Project) github(repository string) (*github.Client, error) {
	token := cmp.Or(p.variable("GH_TOKEN"), p.variable("GITHUB_TOKEN"))
	if token == "" {
		return nil, diag.New(diag.Auth, "no token for GitHub: GITHUB_TOKEN is not set").Hinted("in the workflow, give the step env: {GITHUB_TOKEN: \"${{ github.token }}\"}")
	}
	return github.New(github.Options{URL: p.job().API, Token: token, Repository: repository, Agent: "pipe/" + Build().Version})
}

// lockPullRequest has an open pull request from branch head, which has the lock's commit already, to branch base, and returns
// its address. An error says why there is none, with the fix; the commit is on head all the same, so the caller
// warns and goes on. On other systems than GitHub it only says how to open one.
func (p *Project) lockPullRequest(ctx context.Context, head, base, title, body string) (url string, err error) {
	if p.job().System != ci.GitHub {
		p.note(fmt.Sprintf("pipe opens pull requests on GitHub only; open one from %s to %s to bring pipe.lock there", head, base))
		return "", nil
	}
	c, err := p.github(p.job().Repository)
	if err != nil {
		return "", err
	}
	defer c.Close()
	return c.KeepPullRequest(ctx, head, base, title, body)
}

// lockPullText is the title and the body of a pull request that brings the entries of stages to pipe.lock. The
// title has nothing from outside: a merge may make a commit message of it, where code spans mean nothing.
func (p *Project) lockPullText(stages []string) (title, body string) {
	body = "Updates pipe.lock with what `pipe ci` has built and published.\n\n"
	const most = 300 // of less than 100 bytes each: far from GitHub's limit
	for _, name := range stages[:min(len(stages), most)] {
		body += "- " + view.Markdown(name) + "\n"
	}
	if n := len(stages) - most; n > 0 {
		body += fmt.Sprintf("- and %d more\n", n)
	}
	if at := p.job().URL; at != "" {
		body += "\nBuilt by " + view.Link("this run", at) + "\n"
	}
	return lockTitle + lockfile.FileName, body
}
