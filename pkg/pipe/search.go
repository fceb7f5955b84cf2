package pipe

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/gitlog"
	"github.com/pipe-build/pipe/internal/history"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// search is one call of Find.
type search struct {
	p       *Project
	c       *transfer.Carrier // its Remote is nil when there is none or it is not to be asked
	prefix  string
	lock    *lockfile.File
	offline bool
	found   *Found
	dvc     *dvcSearch // nil: the query is not a name of DVC's, or pipe has answered
}

// mostPlaces artifacts get their places looked up: each costs a walk over the references and a
// request to the remote. The others are listed without.
const mostPlaces = 20

// here looks through what this machine has. Locks that a partial clone has kept back are
// fetched for that, all at once.
func (s *search) here(ctx context.Context) error {
	cached := &transfer.Carrier{Cache: s.p.cache}
	past, err := history.Find(ctx, s.p.repo, s.p.lockAt, s.lock, s.prefix, cached.Tree, s.p.leftOut)
	if err == nil && len(past.KeptBack) > 0 && s.fetch(ctx, past.KeptBack) {
		past, err = history.Find(ctx, s.p.repo, s.p.lockAt, s.lock, s.prefix, cached.Tree, func(error) {})
	}
	if err != nil {
		return err
	}
	s.found.Incomplete = !past.Whole || len(past.KeptBack) > 0
	hits := past.Hits
	if len(hits) == 0 {
		if hits, err = history.InCache(ctx, s.p.cache, s.prefix); err != nil {
			return err
		}
	}
	return s.take(ctx, hits)
}

// fetch brings older locks, and reports whether it did.
func (s *search) fetch(ctx context.Context, locks []string) bool {
	if s.offline {
		return false
	}
	s.p.note("fetching " + view.Count(len(locks), "older version") + " of " + lockfile.FileName + ", which this partial clone lacks")
	err := s.p.repo.Fetch(ctx, locks)
	if err != nil {
		s.unasked("git", err)
	}
	return err == nil
}

// take describes hits: whether the cache has the bytes, and which branches have the commits.
func (s *search) take(ctx context.Context, hits []*history.Hit) error {
	for i, h := range hits {
		a := described(h)
		if i < mostPlaces {
			_, err := s.p.cache.Stat(ctx, a.ref)
			there := err == nil
			a.Cache = &there
			if a.Refs, err = h.Refs(ctx, s.p.repo); err != nil {
				return err
			}
		}
		s.found.Artifacts = append(s.found.Artifacts, a)
	}
	return nil
}

// described turns a hit into an answer, its commits from the newest to the oldest.
func described(h *history.Hit) Artifact {
	a := Artifact{
		What: h.What, Hash: h.Ref.Digest, Dir: h.Ref.Shelf == object.Trees, Stage: h.Stage, Path: string(h.Path), Size: h.Size,
		Now: h.Now, ref: h.Ref, in: h.In, exec: h.Exec,
	}
	if !h.Key.IsZero() {
		a.Key = h.Key.String()
	}
	if n := len(h.Commit); n > 0 {
		a.Last, a.First = commitOf(h.Commit[0]), commitOf(h.Commit[n-1])
	}
	return a
}

// commitOf is a commit as the answer has it.
func commitOf(c gitlog.Commit) *Commit {
	return &Commit{Hash: c.Hash, When: c.When, Author: c.Author, Subject: c.Subject}
}

// there asks the remote: for what this machine did not find, then where all that was found
// is, and is live.
func (s *search) there(ctx context.Context) error {
	if s.c.Remote != nil {
		for _, r := range s.p.stores() {
			if err := store.Present(ctx, r); err != nil {
				s.unasked(r.URL(), err)
			}
		}
	}
	if len(s.found.Artifacts) == 0 && s.c.Remote != nil {
		if err := s.deeper(ctx); err != nil {
			return err
		}
	}
	if len(s.found.Artifacts) > 0 {
		if err := s.live(ctx); err != nil {
			return err
		}
		s.stored(ctx)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx) // what was not answered since was not asked
	}
	return nil
}

// unasked notes who did not answer, each cause once. A remote that cannot be reached may be
// asked again: it fails at once then, see store.Watch.
func (s *search) unasked(where string, err error) {
	for _, e := range diag.All(err) {
		u := Unasked{Where: where, Why: e.Error(), Hint: e.Hint, kind: e.Kind}
		if where == "git" || e.Place == where {
			u.Where, u.Why = e.Place, e.What
		}
		known := func(old Unasked) bool { return old.Where == u.Where && old.Why == u.Why }
		if !slices.ContainsFunc(s.found.Unasked, known) {
			s.found.Unasked = append(s.found.Unasked, u)
		}
	}
}

// deeper looks inside directories whose trees are not in this cache, then for bytes that no
// lock names.
func (s *search) deeper(ctx context.Context) error {
	tree := func(ctx context.Context, at repopath.Path, d digest.Digest) (*object.Tree, error) {
		t, err := s.c.Tree(ctx, at, d)
		if err != nil && !errors.As(err, new(*transfer.Missing)) {
			s.unasked(s.c.From(at).URL(), err)
		}
		return t, err
	}
	past, err := history.Find(ctx, s.p.repo, s.p.lockAt, s.lock, s.prefix, tree, func(error) {})
	if err != nil {
		return err
	}
	hits := past.Hits
	for _, r := range s.p.stores() {
		if len(hits) > 0 {
			break
		}
		if hits, err = history.InRemote(ctx, r, s.prefix); err != nil {
			s.unasked(r.URL(), err)
		}
	}
	return s.take(ctx, hits)
}

// stored asks the remotes whether they have the artifacts' bytes: that of the project, then those
// that outputs name, as an older commit may have named another one. Of bytes that were not found
// while a remote could not be asked, nothing is said.
func (s *search) stored(ctx context.Context) {
	if s.c.Remote == nil {
		return
	}
	some := s.found.Artifacts[:min(mostPlaces, len(s.found.Artifacts))]
	all := true
	for _, r := range s.p.stores() {
		for i := range some {
			a := &some[i]
			if a.from != nil || a.Hash.IsZero() {
				continue
			}
			_, err := r.Stat(ctx, a.ref)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				s.unasked(r.URL(), err)
				all = false
				break
			}
			if err == nil {
				a.from = r
			}
		}
	}
	for i := range some {
		if there := some[i].from != nil; (there || all) && !some[i].Hash.IsZero() {
			some[i].Remote = &there
		}
	}
}

// notFound says where was looked, and what would widen the search. It is no answer when
// somebody who may know the hash could not be asked.
func (s *search) notFound() error {
	f := s.found
	if len(f.Unasked) > 0 {
		u := f.Unasked[0]
		return diag.New(u.kind, "%s was not found on this machine; it may be in %s, which could not be asked: %s", f.Query, u.Where, u.Why).
			Hinted("%s", cmp.Or(u.Hint, "pipe find "+f.Query))
	}
	e := diag.New(diag.NotFound, "%s is in no pipe.lock, environment, cache or remote", f.Query).Hinted("run git fetch --all --tags, then try again")
	if s.offline {
		e = diag.New(diag.NotFound, "%s is in no pipe.lock or cache on this machine; nobody else was asked", f.Query).
			Hinted("run pipe find without --offline, or git fetch --all --tags")
	}
	if f.Incomplete && s.p.repo.Shallow() && !s.offline {
		return e.Hinted("the clone is shallow; run git fetch --unshallow --tags, then try again")
	}
	if _, err := os.Lstat(s.p.here(f.Query)); err == nil && s.prefix == f.Query {
		return e.Hinted("pipe find .%c%s looks for the content of the file with this name", filepath.Separator, f.Query)
	}
	return e
}
