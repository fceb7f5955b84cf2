package pipe

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/pipe-build/pipe/internal/atomicfile"
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
	var changes []hookChange
	var faults diag.List
	for _, h := range hooks {
		if h.Name == prePush && remote == nil && !opt.Remove {
			p.note("no " + prePush + " hook: the project has no remote. Run pipe remote add, then pipe init hooks again")
			continue
		}
		c, err := changeHook(filepath.Join(dir, h.Name), h, bare, opt.Remove)
		if err != nil {
			faults = append(faults, diag.All(err)...)
		} else if c != nil {
			changes = append(changes, *c)
		}
	}
	if len(faults) > 0 {
		return nil, faults
	}
	r := &Hooked{Dir: dir, Wrote: []string{}}
	for _, c := range changes {
		if err := c.write(); err != nil {
			return r, err
		}
		r.Wrote = append(r.Wrote, filepath.Base(c.path))
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

// hookChange is a hook with its new text; nil deletes it.
type hookChange struct {
	path string
	text []byte
}

// changeHook returns what has to be written; nil: nothing.
func changeHook(path string, h githook.Hook, bare, remove bool) (*hookChange, error) {
	info, err := os.Lstat(path)
	absent := errors.Is(err, fs.ErrNotExist)
	if err != nil && !absent {
		return nil, err
	}
	switch {
	case absent && remove:
		return nil, nil
	case absent:
	case runtime.GOOS != "windows" && !bare && !remove && info.Mode().Perm()&0o111 == 0:
		return nil, diag.New(diag.Policy, "the hook is not executable, so git does not run it").At(path).Hinted("chmod +x it, or delete it; then pipe init hooks")
	}
	old, err := atomicfile.Read(path, atomicfile.MaxNote)
	if err != nil && !absent {
		return nil, err
	}
	text := h.Remove(old)
	if !remove {
		if text, err = h.Add(old, bare); err != nil {
			return nil, diag.All(err)[0].At(path)
		}
	}
	switch {
	case !absent && bytes.Equal(text, old):
		return nil, nil
	case !absent && info.Mode()&fs.ModeSymlink != 0:
		e := diag.New(diag.Policy, "the hook is a symlink, so pipe does not change it").At(path)
		if remove {
			return nil, e.Hinted("delete the line that names pipe init hooks from it")
		}
		return nil, e.Hinted("add this line to it: %s", h.Line)
	}
	return &hookChange{path, text}, nil
}

// write replaces or deletes a hook. Its mode stays; a new one may be run.
func (c *hookChange) write() error {
	if len(c.text) == 0 {
		return os.Remove(c.path)
	}
	if err := os.MkdirAll(filepath.Dir(c.path), 0o777); err != nil {
		return err
	}
	return atomicfile.Write(c.path, c.text, 0o777, "")
}
