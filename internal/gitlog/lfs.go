package gitlog

import (
	"bytes"
	"context"
	"path/filepath"
	"slices"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// What a Git LFS pointer begins with, and how many bytes it has at most: git-lfs, docs/spec.md.
const (
	pointerPrefix = "version https://git-lfs.github.com/spec/v1"
	maxPointer    = 1024
)

// PointerSize reports whether a file of so many bytes may be a Git LFS pointer.
func PointerSize(n int64) bool { return n >= int64(len(pointerPrefix)) && n <= maxPointer }

// Pointers returns those of the files in the work tree that are Git LFS pointers: the content says
// that a file may be one, git's attributes whether it is. A file is read only where .gitattributes
// mentions LFS in a directory above it.
func (r *Repo) Pointers(ctx context.Context, files []repopath.Path) ([]repopath.Path, error) {
	uses := attributed{root: r.root, known: map[repopath.Path]bool{}}
	if info, err := atomicfile.Read(filepath.Join(r.commonDir, "info", "attributes"), maxAttributes); err == nil {
		uses.everywhere = mentionsLFS(info)
	}
	var maybe []repopath.Path
	for _, p := range files {
		if !uses.lfs(p.Dir()) {
			continue
		}
		// What cannot be read here was read a moment ago: it changed, which the run notices.
		if b, err := atomicfile.Read(filepath.Join(r.root, filepath.FromSlash(string(p))), maxPointer); err == nil && bytes.HasPrefix(b, []byte(pointerPrefix)) {
			maybe = append(maybe, p)
		}
	}
	if len(maybe) == 0 {
		return nil, nil
	}
	filters, err := r.Attributes(ctx, maybe, "filter")
	var found []repopath.Path
	for i, f := range filters {
		if slices.Equal(f, []string{"lfs"}) {
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
