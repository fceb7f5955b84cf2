package transfer

import (
	"context"
	"errors"
	"slices"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/artifact"
)

// Fetch brings the outputs' bytes and trees into the cache, what is there already excepted.
// An object that neither side has, or has wrong, stops only the outputs that need it: all
// else is fetched, and the error is a *Partial. A tree in the cache implies its files, so
// the tree of such an output stays out.
func (c *Carrier) Fetch(ctx context.Context, outs []artifact.Output) error {
	w, err := c.expand(ctx, outs, nil)
	if err != nil {
		return err
	}
	if err := c.fetch(ctx, w.blobs.all, w.lost); err != nil {
		return err
	}
	trees := slices.DeleteFunc(w.trees, func(it item) bool { return len(w.reasons(it.out, it.ref)) > 0 })
	if err := c.fetch(ctx, trees, w.lost); err != nil {
		return err
	}
	return w.partial(outs)
}

// fetch brings what the cache lacks, and notes in lost what it cannot get.
func (c *Carrier) fetch(ctx context.Context, items []item, lost map[object.Ref]error) error {
	items, err := c.lacking(ctx, items, lost)
	if err != nil {
		return err
	}
	course := c.course("pull", items)
	defer course.end()
	return batches(items, func(some []item) error {
		gone, err := c.copyBatch(ctx, some, c.Cache, c.Remote, course)
		for i, why := range gone {
			if why != nil {
				lost[some[i].ref] = why
			}
		}
		return err
	})
}

// lacking returns the items that the cache has not, and the remote may have.
func (c *Carrier) lacking(ctx context.Context, items []item, lost map[object.Ref]error) ([]item, error) {
	var out []item
	for _, it := range items {
		size, err := c.Cache.Stat(ctx, it.ref)
		if err == nil && size != it.size {
			err = c.otherSize(ctx, it, size)
		}
		switch {
		case err == nil:
		case diag.Is(err, diag.Integrity):
			lost[it.ref] = err
		case !errors.Is(err, store.ErrNotFound):
			return nil, err
		case c.Remote == nil || c.NoFetch:
			lost[it.ref] = c.missing(it.path, it.ref)
		default:
			out = append(out, it)
		}
	}
	return out, nil
}
