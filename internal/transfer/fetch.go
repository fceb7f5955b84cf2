package transfer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/artifact"
)

// Fetch brings the outputs' bytes and trees into the cache, what is there already excepted.
// An object that neither side has, or has wrong, stops only the outputs that need it, and so
// does an output's own remote that cannot be asked: all else is fetched, and the error is a
// *Partial.
func (c *Carrier) Fetch(ctx context.Context, outs []artifact.Output) error {
	var all *Partial
	for _, l := range c.lanes(outs) {
		some, err := l.partial(ctx)
		if err != nil {
			return err
		}
		all = all.and(some)
	}
	if all == nil {
		return nil
	}
	return all
}

// partial fetches the outputs of a lane. Where their own remote cannot be asked, they are what the
// cache has, and the reason stops the others.
func (l load) partial(ctx context.Context) (p *Partial, err error) {
	err = l.fetchAll(ctx, l.outs)
	if l.own() && unasked(err) {
		here := lane{Carrier: l.Carrier}
		var why *diag.Error
		if errors.As(err, &why) && errors.As(here.fetchAll(ctx, l.outs), &p) {
			var stopped []string
			for _, o := range l.outs {
				if p.Stops(o) {
					stopped = append(stopped, string(o.Path))
				}
			}
			p.reasons = []error{fmt.Errorf("%s: %w", strings.Join(stopped, ", "), why)}
			return p, nil
		}
	}
	if errors.As(err, &p) {
		return p, nil
	}
	return nil, err
}

// unasked reports whether a remote did not answer, or is not to be asked.
func unasked(err error) bool {
	return diag.Is(err, diag.Network) || diag.Is(err, diag.Auth) || diag.Is(err, diag.Policy)
}

// fetchAll brings outputs out of one remote. A tree in the cache implies its files, so the tree of
// an output that cannot be had stays out.
func (c lane) fetchAll(ctx context.Context, outs []artifact.Output) error {
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
func (c lane) fetch(ctx context.Context, items []item, lost map[object.Ref]error) error {
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
func (c lane) lacking(ctx context.Context, items []item, lost map[object.Ref]error) ([]item, error) {
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
