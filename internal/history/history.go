// Package history says when an artifact was current.
package history

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/gitlog"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// What a hit's hash is the hash of.
const (
	Out    = "out"    // an output
	Inside = "inside" // a file inside a directory output
	Dep    = "dep"    // an input
	Key    = "key"    // a stage's key: the outs of that run are the artifact
	Object = "object" // bytes that no lock names
)

// Hit is one place where a hash stands in a lock.
type Hit struct {
	What   string
	Stage  string
	Path   repopath.Path // of the artifact; for Key the stage's first out
	Ref    object.Ref    // the bytes
	Exec   bool
	Size   int64
	Key    digest.Key
	In     digest.Digest   // for Inside: the tree that holds it
	Commit []gitlog.Commit // those whose lock first named it, newest first; empty: only in the workspace
	Last   gitlog.Commit   // the newest that names it
	Now    bool            // the workspace's lock names it
}

// Tree reads a tree, to look inside directory outputs; nil is none.
type Tree func(ctx context.Context, at repopath.Path, d digest.Digest) (*object.Tree, error)

// Find returns the hits for a prefix of hexadecimal digits, newest first: those
// of the workspace's lock, then those of every commit that any branch or tag
// reaches. Each distinct lock is read once. A lock of the past that cannot be
// read is passed to bad and left out.
func Find(ctx context.Context, repo *gitlog.Repo, lockPath repopath.Path, now *lockfile.File, prefix string, tree Tree, bad func(error)) ([]*Hit, error) {
	f := &finder{ctx: ctx, prefix: prefix, tree: tree, seen: map[string]*Hit{}, trees: map[digest.Digest][]object.Entry{}}
	f.lock(now, nil)
	if repo == nil {
		return f.hits, nil
	}
	var versions []*version
	err := repo.Versions(ctx, lockPath, func(v *gitlog.Version) error {
		data, err := v.Data()
		if err != nil {
			return err
		}
		lock, err := lockfile.Parse(lockfile.FileName, data)
		if err != nil {
			bad(fmt.Errorf("commit %.12s: %w", v.Last.Hash, err))
			return nil
		}
		versions = append(versions, &version{v, f.lock(lock, &v.Last)})
		return nil
	})
	for _, v := range versions {
		for _, h := range v.hits {
			h.Commit = append(h.Commit, v.Introduced...)
		}
	}
	for _, h := range f.hits {
		slices.SortStableFunc(h.Commit, func(a, b gitlog.Commit) int { return b.When.Compare(a.When) })
	}
	return f.hits, err
}

type version struct {
	*gitlog.Version
	hits []*Hit
}

type finder struct {
	ctx    context.Context
	prefix string
	tree   Tree
	hits   []*Hit
	seen   map[string]*Hit
	trees  map[digest.Digest][]object.Entry
}

// lock adds the hits of one lock and returns them.
func (f *finder) lock(l *lockfile.File, last *gitlog.Commit) (hits []*Hit) {
	if l == nil {
		return nil
	}
	for i := range l.Stages {
		s := &l.Stages[i]
		hits = append(hits, f.stage(s)...)
	}
	for _, h := range hits {
		h.Now = h.Now || last == nil
		if last != nil && h.Last.Hash == "" {
			h.Last = *last
		}
	}
	return hits
}

func (f *finder) stage(s *lockfile.Stage) (hits []*Hit) {
	byKey := strings.HasPrefix(s.Key.Hex(), f.prefix)
	for _, o := range s.Outs {
		ref := object.Of(o)
		h := Hit{What: Out, Stage: s.Name, Path: o.Path, Ref: ref, Exec: o.Exec, Size: o.Size, Key: s.Key}
		switch {
		case f.match(o.Digest):
			hits = append(hits, f.add(h))
		case byKey:
			h.What = Key
			hits = append(hits, f.add(h))
		case o.Dir:
			hits = append(hits, f.inside(h)...)
		}
	}
	for _, d := range s.Deps {
		if f.match(d.Digest) {
			hits = append(hits, f.add(Hit{What: Dep, Stage: s.Name, Path: d.Path, Ref: object.OfInput(d), Exec: d.Exec, Size: d.Size, Key: s.Key}))
		}
	}
	return hits
}

// inside looks for files in a directory output, each distinct tree once.
func (f *finder) inside(dir Hit) (hits []*Hit) {
	if f.tree == nil {
		return nil
	}
	found, ok := f.trees[dir.Ref.Digest]
	if !ok {
		if t, err := f.tree(f.ctx, dir.Path, dir.Ref.Digest); err == nil {
			for _, e := range t.Entries {
				if (e.Kind == object.File || e.Kind == object.Executable) && f.match(e.Digest) {
					found = append(found, e)
				}
			}
		}
		f.trees[dir.Ref.Digest] = found
	}
	for _, e := range found {
		h := dir
		h.What, h.Path, h.Ref, h.Size = Inside, dir.Path.Child(string(e.Path)), object.Ref{Digest: e.Digest}, e.Size
		h.Exec, h.In = e.Kind == object.Executable, dir.Ref.Digest
		hits = append(hits, f.add(h))
	}
	return hits
}

func (f *finder) match(d digest.Digest) bool {
	return strings.HasPrefix(d.Hex(), f.prefix)
}

func (f *finder) add(h Hit) *Hit {
	id := h.What + "\x00" + h.Stage + "\x00" + string(h.Path) + "\x00" + h.Ref.String()
	if old := f.seen[id]; old != nil {
		return old
	}
	f.seen[id] = &h
	f.hits = append(f.hits, &h)
	return &h
}

// Locks calls f with every distinct lock that any branch, tag or worktree's HEAD
// reaches. A lock that cannot be read is an error: whoever collects garbage must
// not take it for one that names nothing.
func Locks(ctx context.Context, repo *gitlog.Repo, lockPath repopath.Path, f func(*lockfile.File) error) error {
	return repo.Versions(ctx, lockPath, func(v *gitlog.Version) error {
		data, err := v.Data()
		if err != nil {
			return err
		}
		lock, err := lockfile.Parse(fmt.Sprintf("%.12s:%s", v.Last.Hash, lockfile.FileName), data)
		if err != nil {
			return err
		}
		return f(lock)
	})
}
