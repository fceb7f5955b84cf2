// Package history says when an artifact was current.
//
// The history of artifacts is the history of pipe.lock in git. Find looks a hash
// up in every lock of the past and answers with Hits: what has this hash, in which
// stage, and which commits brought a lock that names it. Builds does so with runs
// of stages. InCache and InRemote look for bytes that no lock names. Locks hands
// over every lock there ever was, for gc.
//
// The readers differ in what a damaged lock means. Find and Builds answer a person:
// they report that lock and go on, as the other answers are still true. Locks stops:
// a lock that was skipped would let gc delete what it names.
//
// package gitlog walks the commits; nothing here knows git's formats.
package history

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

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
	What  string
	Stage string
	Path  repopath.Path // of the artifact; for Key the stage's first out
	Ref   object.Ref    // the bytes
	Exec  bool
	Size  int64
	Key   digest.Key
	In    digest.Digest // for Inside: the tree that holds it
	Last  gitlog.Commit // the newest that names it
	Named
}

// Named says which locks name something.
type Named struct {
	Now    bool            // the workspace's
	Commit []gitlog.Commit // those that introduced such a lock, newest first; empty: none did
}

// Tree reads a tree, to look inside directory outputs; a nil Tree looks into none. An
// error means that the tree is not to be had, and its files are not found.
type Tree func(ctx context.Context, at repopath.Path, d digest.Digest) (*object.Tree, error)

// Past is what the locks say of a hash.
type Past struct {
	Hits     []*Hit
	Whole    bool     // git has the whole history here, but for KeptBack
	KeptBack []string // git's names of the locks that a partial clone has not fetched
}

// Find returns the hits for a prefix of hexadecimal digits, newest first: those
// of the workspace's lock, then those of every commit that any branch or tag
// reaches. Each distinct lock is read once. A lock of the past that cannot be
// read is passed to bad and left out.
func Find(ctx context.Context, repo *gitlog.Repo, lockPath repopath.Path, now *lockfile.File, prefix string, tree Tree, bad func(error)) (*Past, error) {
	f := &finder{ctx: ctx, prefix: prefix, tree: tree, seen: map[string]*Hit{}, trees: map[digest.Digest][]object.Entry{}}
	f.lock(now, nil)
	past := &Past{Whole: true}
	if repo == nil {
		past.Hits = f.hits
		return past, nil
	}
	var err error
	past.KeptBack, past.Whole, err = walk(ctx, repo, lockPath, func(l *lockfile.File, last *gitlog.Commit) (named []*Named) {
		for _, h := range f.lock(l, last) {
			named = append(named, &h.Named)
		}
		return named
	}, bad)
	past.Hits = f.hits
	return past, err
}

// walk calls read with each distinct lock that any branch or tag reaches and the newest commit that
// has it, newest first. What read returns gets the commits. kept are git's names of the locks that
// a partial clone has not fetched; whole says that git has all of the history here but for them.
func walk(ctx context.Context, repo *gitlog.Repo, lockPath repopath.Path, read func(*lockfile.File, *gitlog.Commit) []*Named, bad func(error)) (kept []string, whole bool, err error) {
	type version struct {
		*gitlog.Version
		named []*Named
	}
	var versions []version
	var parser lockfile.Parser
	whole, err = repo.Versions(ctx, lockPath, func(v *gitlog.Version) error {
		data, err := v.Data()
		if errors.Is(err, gitlog.ErrKeptBack) {
			kept = append(kept, v.Blob)
			return nil
		}
		if err != nil {
			return err
		}
		lock, err := parser.Parse(lockfile.FileName, data)
		if err != nil {
			bad(fmt.Errorf("commit %.12s: %w", v.Last.Hash, err))
			return nil
		}
		versions = append(versions, version{v, read(lock, &v.Last)})
		return nil
	})
	// Only now: Introduced grows until the walk has ended.
	all := map[*Named]bool{}
	for _, v := range versions {
		for _, n := range v.named {
			n.Commit, all[n] = append(n.Commit, v.Introduced...), true
		}
	}
	for n := range all {
		slices.SortStableFunc(n.Commit, func(a, b gitlog.Commit) int { return b.When.Compare(a.When) })
	}
	return kept, whole, err
}

// finder collects the hits of all locks. It lives for one call of Find, so it may keep
// the context.
type finder struct {
	ctx    context.Context
	prefix string
	tree   Tree
	hits   []*Hit
	seen   map[string]*Hit                  // by what makes a hit distinct: see add
	trees  map[digest.Digest][]object.Entry // the matching files of each tree that was asked for
}

// lock adds the hits of one lock and returns them. last is the newest commit that has
// it, nil for the workspace's. Locks come newest first, so the first one that gives a
// hit also gives its Last.
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

// stage adds the hits of one stage. An output gives one hit: by its own digest, else by
// the stage's key, else by what is inside.
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
			hits = append(hits, f.add(Hit{What: Dep, Stage: s.Name, Path: repopath.Path(d.Name()), Ref: object.OfInput(d), Exec: d.Exec, Size: d.Size, Key: s.Key}))
		}
	}
	return hits
}

// inside looks for files in a directory output, each distinct tree once: most locks name
// the trees of the one before. A tree that could not be read is not asked for again,
// either, as each try may be a request to a remote.
func (f *finder) inside(dir Hit) (hits []*Hit) {
	if f.tree == nil {
		return nil
	}
	found, ok := f.trees[dir.Ref.Digest]
	if !ok {
		if t, err := f.tree(f.ctx, dir.Path, dir.Ref.Digest); err == nil {
			for _, e := range t.Entries {
				if e.IsFile() && f.match(e.Digest) {
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

// match reports whether a digest begins with the digits that are looked for.
func (f *finder) match(d digest.Digest) bool {
	return strings.HasPrefix(d.Hex(), f.prefix)
}

// add returns the hit for the same bytes at the same place in the same stage, if an
// earlier lock gave one, else it adds h. The key is not part of that: it changes with
// inputs that do not change the output, and the newest stands.
func (f *finder) add(h Hit) *Hit {
	id := h.What + "\x00" + h.Stage + "\x00" + string(h.Path) + "\x00" + h.Ref.String()
	if old := f.seen[id]; old != nil {
		return old
	}
	f.seen[id] = &h
	f.hits = append(f.hits, &h)
	return &h
}

// Locks calls f with every distinct lock that git keeps: in any branch, tag, worktree's
// HEAD or index, in stashes, in what is unfinished, and in what the reflogs say of the time
// since. A lock that cannot be read is an error: whoever collects garbage must not take it
// for one that names nothing.
func Locks(ctx context.Context, repo *gitlog.Repo, lockPath repopath.Path, since time.Time, f func(*lockfile.File) error) error {
	var parser lockfile.Parser
	return repo.Kept(ctx, lockPath, since, func(v *gitlog.Version) error {
		data, err := v.Data()
		if err != nil {
			return err
		}
		// Without a commit this is git's name for what is staged, ":pipe.lock".
		lock, err := parser.Parse(fmt.Sprintf("%.12s:%s", v.Last.Hash, lockfile.FileName), data)
		if err != nil {
			return err
		}
		return f(lock)
	})
}
