package transfer

import (
	"context"
	"errors"
	"slices"

	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/artifact"
)

// Lost returns an error that has a *Missing for each file of an output whose bytes are
// nowhere: neither in the cache nor, with its size, in the remote. It reads the tree, in
// the remote if need be, and asks for all else. nil: everything is somewhere.
func (c *Carrier) Lost(ctx context.Context, o artifact.Output) error {
	w, err := c.expand(ctx, []artifact.Output{o}, nil)
	if err != nil {
		return err
	}
	if err := w.lost[object.Of(o)]; errors.Is(err, store.ErrCorrupt) {
		return c.missing(o.Path, object.Of(o)) // the tree of the remote is damaged, and the cache has none
	} else if err != nil {
		return err
	}
	blobs := w.blobs.all
	gone := make([]error, len(blobs))
	err = par.Each(ctx, len(blobs), c.Workers, func(ctx context.Context, i int) error {
		it := blobs[i]
		size, err := c.Cache.Stat(ctx, it.ref)
		if err == nil && size == it.size || err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		there := false
		if c.Remote != nil && !c.NoFetch {
			if there, err = c.has(ctx, it.ref, it.size); err != nil {
				return err
			}
		}
		if !there {
			gone[i] = c.missing(it.path, it.ref)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return firstFew(gone)
}

// Mend puts the cache's objects into the remote over whatever lies there, trees after all
// else, and returns those of which the cache has no good bytes. Its own damaged ones are
// put out of the way. A tree that names one of them stays behind, too: in a remote its
// presence implies its files'.
func (c *Carrier) Mend(ctx context.Context, refs []object.Ref) (lost []object.Ref, err error) {
	isTree := func(r object.Ref) bool { return r.Shelf == object.Trees }
	trees := slices.DeleteFunc(slices.Clone(refs), func(r object.Ref) bool { return !isTree(r) })
	others := slices.DeleteFunc(slices.Clone(refs), isTree)
	for _, some := range [][]object.Ref{others, trees} {
		gone := make([]bool, len(some))
		without := map[object.Ref]bool{}
		for _, r := range lost {
			without[r] = true
		}
		err := par.Each(ctx, len(some), c.Workers, func(ctx context.Context, i int) (err error) {
			if gone[i], err = c.names(ctx, some[i], without); err == nil && !gone[i] {
				gone[i], err = c.mend(ctx, some[i])
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		for i, r := range some {
			if gone[i] {
				lost = append(lost, r)
			}
		}
	}
	return lost, nil
}

// names reports whether a tree of the cache names one of the files.
func (c *Carrier) names(ctx context.Context, tree object.Ref, files map[object.Ref]bool) (bool, error) {
	if tree.Shelf != object.Trees || len(files) == 0 {
		return false, nil
	}
	t, err := store.ReadTree(ctx, c.Cache, tree.Digest)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrCorrupt) {
		return false, nil // mend says the same
	}
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(t.Entries, func(e object.Entry) bool {
		return files[object.Ref{Digest: e.Digest}]
	}), nil
}

// mend puts one object, and reports whether the cache has no good bytes of it.
func (c *Carrier) mend(ctx context.Context, ref object.Ref) (gone bool, err error) {
	size, err := c.Cache.Stat(ctx, ref)
	if errors.Is(err, store.ErrNotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	course := c.course("push", []item{{size: size}})
	defer course.end()
	passage := course.passage(item{size: size})
	src := passage.of(c.cached(ctx, ref, size))
	src.Replace = true
	err = c.Remote.Put(ctx, ref, src)
	if errors.Is(err, store.ErrCorrupt) {
		return true, c.Cache.Quarantine(ref)
	}
	if err != nil {
		return false, err
	}
	passage.over()
	c.learn(ref, true)
	c.moved("push", size)
	return false, nil
}
