package pipe

import (
	"context"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/pipe-build/pipe/internal/gitlog"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// checkout is the engine's view of git's work tree, for one run.
type checkout struct {
	*Project
	work    *worktree.Work // what lies in top
	top     repopath.Path  // from git's root; paths are relative to it
	leftOut func() ([]repopath.Path, error)
}

// checkout looks at the index once, when it is first asked.
func (p *Project) checkout(ctx context.Context, work *worktree.Work, top repopath.Path) *checkout {
	return &checkout{p, work, top, sync.OnceValues(func() (files []repopath.Path, err error) {
		all, err := p.repo.LeftOut(ctx)
		for _, f := range all {
			if !top.Holds(f) {
				continue
			}
			at := top.Rel(f)
			if _, err := os.Lstat(work.OS(at)); worktree.Gone(err) {
				files = append(files, at)
			}
		}
		return files, err
	})}
}

// LeftOut implements engine.Checkout.
func (c *checkout) LeftOut(context.Context) ([]repopath.Path, error) { return c.leftOut() }

// Widen implements engine.Checkout. Git takes the path from where it is called in some modes and
// from its root in others, so it is called at its root.
func (c *checkout) Widen(p repopath.Path) string {
	git, at := "git", c.top.Child(string(p))
	if p == repopath.Root {
		at = c.top
	}
	if up := strings.Count(string(c.lockAt), "/"); up > 0 {
		git += " -C " + strings.TrimSuffix(strings.Repeat("../", up), "/")
	}
	files, _ := c.leftOut()
	// A cone has directories only, and always the files of the root.
	if info, err := os.Stat(c.work.OS(p)); slices.Contains(files, p) || err == nil && !info.IsDir() {
		at = at.Dir()
	}
	if at == repopath.Root {
		return git + " sparse-checkout disable"
	}
	return git + " sparse-checkout add " + shell.Word(string(at))
}

// Pointers implements engine.Checkout.
func (c *checkout) Pointers(ctx context.Context, files []object.Entry) ([]repopath.Path, error) {
	var maybe []repopath.Path
	for _, e := range files {
		if gitlog.PointerSize(e.Size) {
			maybe = append(maybe, c.top.Child(string(e.Path)))
		}
	}
	found, err := c.repo.Pointers(ctx, maybe)
	for i := range found {
		found[i] = c.top.Rel(found[i])
	}
	return found, err
}
