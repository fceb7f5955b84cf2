package pipe

import (
	"context"
	"os/exec"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/gitlog"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/view"
)

// UnignoredOuts returns the outs that git does not ignore though pipe keeps their bytes.
func (p *Project) UnignoredOuts() ([]string, error) {
	if p.repo == nil {
		return nil, nil
	}
	return p.inputs.Unignored(p.spec)
}

// Check is one thing that Doctor looked at.
type Check struct {
	Name string `json:"name"`           // what was looked at
	OK   bool   `json:"ok"`             // nothing to do
	Text string `json:"text"`           // what was found
	Hint string `json:"hint,omitempty"` // the next step
}

// Doctor looks at everything that pipe needs, and really writes to the remote. It goes on
// after a failure, as far as the rest can be looked at, and returns no error: failures are
// checks that are not OK.
func Doctor(ctx context.Context, opt Options) []Check {
	var checks []Check
	add := func(name, text string, err error) {
		c := Check{Name: name, OK: err == nil, Text: text}
		if err != nil {
			all := Describe(err)
			c.Text, c.Hint = all[0].Message, all[0].Hint
			if all[0].Place != "" {
				c.Text = all[0].Place + ": " + c.Text
			}
		}
		checks = append(checks, c)
	}
	for _, program := range []string{"git", "sh", "bash"} {
		at, err := exec.LookPath(program)
		add(program, at, err)
	}
	p, err := Open(ctx, opt)
	if err != nil {
		add("pipe.yaml", "", err)
		return checks
	}
	add("pipe.yaml", p.path(spec.FileName)+", "+view.Count(len(p.spec.Stages), "stage"), nil)
	lock, err := p.lock()
	if err == nil {
		add("pipe.lock", view.Count(len(lock.Stages), "stage"), nil)
	} else {
		add("pipe.lock", "", err)
	}
	add("git repository", p.gitText(), p.gitError())
	outs, err := p.UnignoredOuts()
	if err == nil && len(outs) > 0 {
		err = diag.New(diag.Policy, "git does not ignore %s", strings.Join(outs, ", ")).Hinted("pipe init")
	}
	add("outputs ignored by git", "all", err)
	r, err := p.openRemote(ctx)
	if err != nil || r == nil {
		add("remote", "none; artifacts stay on this machine", err)
	} else {
		url, err := p.Probe(ctx)
		add("remote", url+": reads, writes and conditional writes work", err)
		if err == nil && lock != nil {
			text, err := p.pushedText(ctx, lock)
			add("outputs in the remote", text, err)
		}
	}
	add("cache", p.cache.URL(), nil)
	if err := p.Close(); err != nil {
		add("workspace", "", err)
	}
	return checks
}

// gitText names the repository, and warns of a shallow one.
func (p *Project) gitText() string {
	if p.repo == nil {
		return ""
	}
	if p.repo.Shallow() {
		return p.repo.Root() + " (shallow: pipe find sees only part of the history, and pipe gc needs all of it)"
	}
	return p.repo.Root()
}

// gitError is the failed check outside of a repository: pipe works there, but find and gc see
// no history.
func (p *Project) gitError() error {
	if p.repo == nil {
		return diag.New(diag.NotFound, "%w", gitlog.ErrNoRepo).At(p.root).Hinted("git init")
	}
	return nil
}
