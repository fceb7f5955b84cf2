// Package sweep frees what nothing names, and verifies what something does.
package sweep

import (
	"context"
	"errors"

	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

// Cache is a cache that can be swept.
type Cache interface {
	store.Cache
	store.Lister
	Remove(ctx context.Context, ref object.Ref) error
	RemoveRecord(ctx context.Context, id object.RunID) error
}

// Roots are the objects that must stay.
type Roots struct{ keep map[object.Ref]bool }

// Add keeps an output, and all files of a directory whose tree the cache has.
func (r *Roots) Add(ctx context.Context, c store.Cache, ref object.Ref) error {
	if r.keep == nil {
		r.keep = map[object.Ref]bool{}
	}
	if r.keep[ref] {
		return nil
	}
	r.keep[ref] = true
	if ref.Shelf != object.Trees {
		return nil
	}
	t, err := store.ReadTree(ctx, c, ref.Digest)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range t.Entries {
		r.keep[object.Ref{Digest: e.Digest}] = true
	}
	return nil
}

// AddLock keeps what a lock names: its outputs, the lists of its inputs, and the
// logs that the cache's records of its stages name.
func (r *Roots) AddLock(ctx context.Context, c store.Cache, l *lockfile.File) error {
	for i := range l.Stages {
		s := &l.Stages[i]
		var refs []object.Ref
		for _, o := range s.Outs {
			refs = append(refs, object.Of(o))
		}
		for _, d := range s.Deps {
			refs = append(refs, object.OfInput(d))
		}
		id := object.RunID{Key: s.Key, Generation: s.Generation}
		b, err := c.Lookup(ctx, id)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if rec, perr := object.ParseRecord(b, id); err == nil && perr == nil && !rec.Log.IsZero() {
			refs = append(refs, object.Ref{Shelf: object.Logs, Digest: rec.Log})
		}
		for _, ref := range refs {
			if err := r.Add(ctx, c, ref); err != nil {
				return err
			}
		}
	}
	return nil
}

// Keeps reports whether ref must stay.
func (r *Roots) Keeps(ref object.Ref) bool { return r.keep[ref] }

// Plan returns the objects that may go: those that no root names and that are
// older than the grace period, before being a time in Unix seconds.
func Plan(ctx context.Context, c Cache, roots *Roots, before int64) (doomed []store.Entry, err error) {
	err = c.List(ctx, func(e store.Entry) error {
		if !roots.Keeps(e.Ref) && e.Unix < before {
			doomed = append(doomed, e)
		}
		return nil
	})
	return doomed, err
}

// Sweep removes the records that name any of the doomed objects, and then those, trees
// before files: what names others goes first. A sweep that is killed leaves garbage
// that the next one finds; a record without its bytes would be believed for ever.
func Sweep(ctx context.Context, c Cache, doomed []store.Entry) error {
	goes := map[object.Ref]bool{}
	for _, e := range doomed {
		goes[e.Ref] = true
	}
	err := c.Runs(ctx, func(id object.RunID) error {
		b, err := c.Lookup(ctx, id)
		if err != nil {
			return err
		}
		rec, err := object.ParseRecord(b, id)
		if err != nil {
			return nil //nolint:nilerr // not ours to judge; verify names it
		}
		for _, o := range rec.Outs {
			if goes[object.Of(o)] {
				return c.RemoveRecord(ctx, id)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, trees := range []bool{true, false} {
		for _, e := range doomed {
			if (e.Ref.Shelf == object.Trees) != trees {
				continue
			}
			if err := c.Remove(ctx, e.Ref); err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
	}
	return nil
}
