package source

import (
	"context"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/folder"
	"github.com/pipe-build/pipe/internal/ignore"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/statindex"
	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// lens is a worktree.View of certain files below a source's path, and of nothing else there.
type lens struct {
	top   repopath.Path
	files map[repopath.Path]bool // true; a directory that holds one is false
}

// lensOf sees the files of all the trees.
func lensOf(top repopath.Path, trees ...*object.Tree) lens {
	l := lens{top, map[repopath.Path]bool{}}
	for _, t := range trees {
		if t == nil {
			continue
		}
		for i := range t.Entries {
			p := t.Entries[i].Path
			l.files[p] = true
			for p = p.Dir(); p != repopath.Root; p = p.Dir() {
				if _, ok := l.files[p]; ok {
					break
				}
				l.files[p] = false
			}
		}
	}
	return l
}

// Enter implements worktree.View: no ignore rule counts.
func (l lens) Enter(repopath.Path, *ignore.Rules, func(string) bool) (*ignore.Rules, error) {
	return nil, nil
}

// Sees implements worktree.View.
func (l lens) Sees(p repopath.Path, k statindex.Kind) (bool, error) {
	file, known := l.files[l.top.Rel(p)]
	if known && k == statindex.IsOther {
		return false, diag.New(diag.Policy, "is not a file, and the source has one there").At(string(p)).Hinted("remove it")
	}
	return known && (file || k == statindex.IsDir), nil
}

// Link implements worktree.View: a symlink is what git has of it.
func (l lens) Link(_ context.Context, _ repopath.Path, target string) (object.Entry, bool, error) {
	return object.Link(target), true, nil
}

// look reads those files of the trees that are here.
func (k *Keeper) look(ctx context.Context, s spec.Source, trees ...*object.Tree) (*object.Tree, error) {
	in, err := k.Work.Holder(s.Path)
	var top folder.Dir
	if err == nil {
		defer func() { _ = in.Close() }()
		top, err = in.Enter(s.Path.Base()) // not by a symlink
	}
	if worktree.Gone(err) {
		return &object.Tree{}, nil
	}
	if err != nil {
		return nil, err
	}
	if err := top.Close(); err != nil {
		return nil, err
	}
	return k.Work.Scan(ctx, s.Path, lensOf(s.Path, trees...))
}

// same reports whether two entries are one file, as far as the file system can say.
func (k *Keeper) same(a, b object.Entry) bool {
	if k.Modeless && a.IsFile() {
		return b.IsFile() && a.Digest == b.Digest
	}
	return a.Kind == b.Kind && a.Digest == b.Digest
}

// edited is the error of files that somebody has changed.
func edited(s spec.Source, commit string, files []repopath.Path) error {
	var names []string
	for _, p := range files {
		names = append(names, string(p))
	}
	differ := "files differ"
	if len(files) == 1 {
		differ = "file differs"
	}
	return diag.New(diag.Policy, "%d %s from commit %.12s: %s", len(files), differ, commit, strings.Join(view.Few(names, 3), ", ")).At(string(s.Path)).
		Hinted("push the changes to its repository and run pipe update %s, or discard them: rm -r %s", s.Path, s.Path)
}
