package pipe

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/gitlog"
	"github.com/pipe-build/pipe/internal/remote"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/lockfile"
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
	p, err := open(ctx, opt)
	if err != nil {
		add("workspace", "", err)
		return checks
	}
	add("workspace", p.root, p.writable())
	add("cache", p.cache.URL(), writable(p.cache.URL(), 3)) // runs/k1/ab
	if err := p.read(ctx); err != nil {
		add("pipe.yaml", "", err)
		return checks
	}
	add("pipe.yaml", p.path(spec.FileName)+", "+view.Count(len(p.spec.Stages)-len(p.spec.Inputs()), "stage"), nil)
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
	p.trySources(ctx, lock, add)
	p.tryRemotes(ctx, lock, add)
	if err := p.Close(); err != nil {
		add("workspace", "", err)
	}
	return checks
}

// tryRemotes looks at the main remote, and at those that outputs have of their own.
func (p *Project) tryRemotes(ctx context.Context, lock *lockfile.File, add func(name, text string, err error)) {
	const works = ": reads, writes and conditional writes work"
	_, err := p.own(ctx, p.spec) // opens all
	if err != nil || p.remote == nil {
		add("remote", "none; artifacts stay on this machine", err)
		return
	}
	err = remote.Try(ctx, p.remote)
	add("remote", p.remote.URL()+works, err)
	for _, o := range p.owned {
		tried := remote.Try(ctx, o)
		add("remote "+o.of.Name, o.URL()+works, tried)
		err = errors.Join(err, tried)
	}
	if err == nil && lock != nil {
		text, err := p.pushedText(ctx, lock)
		add("outputs in the remote", text, err)
	}
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

// writable reports by its error why a run could not keep its own files.
func (p *Project) writable() error {
	own := p.path(worktree.Dir)
	err := writable(own, 0)
	for _, name := range []string{"tmp", "aside", "partial", "env"} {
		if err == nil {
			err = writable(filepath.Join(own, name), 1)
		}
	}
	if err != nil {
		return err
	}
	// Another user's lock file need not be writable, but must be readable.
	f, err := atomicfile.Open(filepath.Join(own, "lock"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = f.Close()
	}
	return err
}

// writable reports by its error why nothing could be written in a directory, or why it could
// not be made. Directories below it, down to so many levels, are looked at, too: one run with
// sudo leaves some of them that are root's.
func writable(dir string, levels int) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist) && dir != filepath.Dir(dir):
		return writable(filepath.Dir(dir), 0)
	case err != nil:
		return err
	case !info.IsDir():
		return diag.New(diag.Failed, "must be a directory").At(dir).Hinted("remove it")
	}
	if err := atomicfile.Probe(dir); err != nil || levels == 0 {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		// Another process may have removed it meanwhile.
		if err := writable(filepath.Join(dir, e.Name()), levels-1); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
