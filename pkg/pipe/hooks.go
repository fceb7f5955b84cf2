package pipe

import (
	"context"
	"path/filepath"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/githook"
)

// HookOptions say how Hooks works.
type HookOptions struct {
	Remove bool // take pipe's lines out
}

// Hooked is what Hooks did.
type Hooked struct {
	Dir   string   `json:"dir"`   // from which git runs hooks
	Wrote []string `json:"wrote"` // hooks that were made, changed or deleted
}

// prePush is the hook that needs a remote.
const prePush = "pre-push"

// Hooks adds pipe's line to the hooks pre-push and post-checkout of git, or takes it out. It can
// be repeated. What else is in a hook stays; one that cannot hold the line is an error, and
// then none is changed.
func (p *Project) Hooks(ctx context.Context, opt HookOptions) (*Hooked, error) {
	if err := p.needGit(); err != nil {
		return nil, err
	}
	dir, bare, err := p.hooksDir(ctx)
	if err != nil {
		return nil, err
	}
	hooks, err := githook.Hooks(string(p.lockAt.Dir()))
	if err != nil {
		return nil, err
	}
	remote, err := p.chosen()
	if err != nil {
		return nil, err
	}
	var changes []*githook.Change
	var faults diag.List
	for _, h := range hooks {
		if h.Name == prePush && remote == nil && !opt.Remove {
			p.note("no " + prePush + " hook: the project has no remote. Run pipe remote add, then pipe init hooks again")
			continue
		}
		c, err := h.Change(dir, bare, opt.Remove)
		if err != nil {
			faults = append(faults, diag.All(err)...)
		} else if c != nil {
			changes = append(changes, c)
		}
	}
	if len(faults) > 0 {
		return nil, faults
	}
	r := &Hooked{Dir: dir, Wrote: []string{}}
	for _, c := range changes {
		if err := c.Write(); err != nil {
			return r, err
		}
		r.Wrote = append(r.Wrote, c.Name)
	}
	return r, nil
}

// hooksDir returns the directory of the hooks, and whether a shell reads them without looking
// at their first line and mode. One outside the repository serves other repositories, too. Of
// husky, which sets core.hooksPath to .husky/_ and makes the scripts there anew at each
// install, the scripts that people write are in the directory above.
func (p *Project) hooksDir(ctx context.Context) (dir string, bare bool, err error) {
	dir, err = p.repo.Hooks(ctx)
	if err != nil {
		return "", false, err
	}
	if filepath.Base(dir) == "_" && filepath.Base(filepath.Dir(dir)) == ".husky" {
		dir, bare = filepath.Dir(dir), true
	}
	for _, ours := range []string{p.repo.Root(), p.repo.GitDir(), p.repo.CommonDir()} {
		if below(ours, dir) {
			return dir, bare, nil
		}
	}
	return "", false, diag.New(diag.Policy, "git runs hooks from outside this repository, for other repositories, too (core.hooksPath)").At(dir).
		Hinted("git config core.hooksPath .git/hooks")
}

// below reports whether a path lies in a directory, both without symlinks. What does not exist
// yet lies where its name says.
func below(dir, path string) bool {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		real = dir
	}
	if to, err := filepath.EvalSymlinks(path); err == nil {
		path = to
	} else if to, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		path = filepath.Join(to, filepath.Base(path))
	}
	rel, err := filepath.Rel(real, path)
	return err == nil && filepath.IsLocal(rel)
}
