package pipe

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/object"
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
	// A cone has directories only, and always the files of the root.
	if info, err := os.Stat(c.work.OS(p)); c.isFile(p) || err == nil && !info.IsDir() {
		at = at.Dir()
	}
	if at == repopath.Root {
		return git + " sparse-checkout disable"
	}
	return git + " sparse-checkout add " + quoted(string(at))
}

// isFile reports whether a file is left out at this very path.
func (c *checkout) isFile(p repopath.Path) bool {
	files, _ := c.leftOut()
	for _, f := range files {
		if f == p {
			return true
		}
	}
	return false
}

// quoted is a word of a shell.
func quoted(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("/._-+@%=:,", r) && (r < '0' || r > '9') && (r|0x20 < 'a' || r|0x20 > 'z')
	}) {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}

// What a Git LFS pointer begins with, and how long it is at most: git-lfs, docs/spec.md.
const (
	pointerPrefix = "version https://git-lfs.github.com/spec/v1"
	maxPointer    = 1024
)

// Pointers implements engine.Checkout: the content says that a file may be one, git's attributes
// whether it is. A file is read only where .gitattributes mentions LFS in a directory above it.
func (c *checkout) Pointers(ctx context.Context, files []object.Entry) (found []repopath.Path, err error) {
	uses := attributed{root: c.repo.Root(), known: map[repopath.Path]bool{}}
	if info, err := atomicfile.Read(filepath.Join(c.repo.CommonDir(), "info", "attributes"), maxAttributes); err == nil {
		uses.everywhere = mentionsLFS(info)
	}
	var maybe []repopath.Path
	for _, e := range files {
		if e.Size < int64(len(pointerPrefix)) || e.Size > maxPointer || !uses.lfs(c.top.Child(string(e.Path)).Dir()) {
			continue
		}
		// What cannot be read here was read a moment ago: it changed, which the run notices.
		if b, err := atomicfile.Read(c.work.OS(e.Path), maxPointer); err == nil && bytes.HasPrefix(b, []byte(pointerPrefix)) {
			maybe = append(maybe, e.Path)
		}
	}
	if len(maybe) == 0 {
		return nil, nil
	}
	var tracked []repopath.Path
	for _, p := range maybe {
		tracked = append(tracked, c.top.Child(string(p)))
	}
	filters, err := c.repo.Attributes(ctx, tracked, "filter")
	for i, f := range filters {
		if len(f) == 1 && f[0] == "lfs" {
			found = append(found, maybe[i])
		}
	}
	return found, err
}

// attributed remembers in which directories of a repository LFS is spoken of.
type attributed struct {
	root       string
	everywhere bool
	known      map[repopath.Path]bool
}

// maxAttributes is the largest .gitattributes in bytes that git reads: its own bound.
const maxAttributes = 100 << 20

// lfs reports whether .gitattributes in dir or above it mentions LFS.
func (a *attributed) lfs(dir repopath.Path) bool {
	if a.everywhere {
		return true
	}
	if known, ok := a.known[dir]; ok {
		return known
	}
	b, err := atomicfile.Read(filepath.Join(a.root, filepath.FromSlash(string(dir)), ".gitattributes"), maxAttributes)
	is := err == nil && mentionsLFS(b) || dir != repopath.Root && a.lfs(dir.Dir())
	a.known[dir] = is
	return is
}

func mentionsLFS(attributes []byte) bool { return bytes.Contains(attributes, []byte("lfs")) }
