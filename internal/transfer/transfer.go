// Package transfer copies objects between stores, names last.
package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Carrier moves objects between the cache of this machine and a remote.
type Carrier struct {
	Cache   store.Cache
	Remote  store.Remote // nil: there is none
	Workers int          // requests at once
	NoFetch bool         // nothing is fetched from the remote, though what a deployment needs is published
	Moved   func(where string, bytes int64)
	Meter   *event.Meter // counts the bytes while they go; nil: nobody looks

	mu      sync.Mutex
	present map[object.Ref]bool // known to be in the remote: whole, or (false) with another size
}

func (c *Carrier) moved(where string, n int64) {
	if c.Moved != nil {
		c.Moved(where, n)
	}
}

func (c *Carrier) knows(ref object.Ref) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.present[ref]
}

// damaged reports whether the remote is known to have an object in another size.
func (c *Carrier) damaged(ref object.Ref) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	whole, known := c.present[ref]
	return known && !whole
}

func (c *Carrier) learn(ref object.Ref, whole bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.present == nil {
		c.present = map[object.Ref]bool{}
	}
	c.present[ref] = whole
}

// Tree returns a directory's tree from the cache, else from the remote. It does
// not put it into the cache, where a tree implies its files. Nowhere is a *Missing.
func (c *Carrier) Tree(ctx context.Context, p repopath.Path, d digest.Digest) (*object.Tree, error) {
	ref := object.Ref{Shelf: object.Trees, Digest: d}
	t, err := store.ReadTree(ctx, c.Cache, d)
	if err == nil || !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrCorrupt) {
		return t, err
	}
	if errors.Is(err, store.ErrCorrupt) {
		if err := c.Cache.Quarantine(ref); err != nil {
			return nil, err
		}
	}
	if c.Remote == nil || c.NoFetch {
		return nil, c.missing(p, ref)
	}
	if t, err = store.ReadTree(ctx, c.Remote, d); errors.Is(err, store.ErrNotFound) {
		return nil, c.missing(p, ref)
	}
	if errors.Is(err, object.ErrMalformed) {
		return nil, diag.New(diag.Integrity, "%s: %w", p, err).At(c.Remote.URL()).Hinted("pipe did not write this object; delete it and build again with pipe repro --force")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p, err)
	}
	c.moved("pull", int64(len(t.Encode())))
	c.learn(ref, true)
	return t, nil
}

// List returns a list of inputs from the cache, else from the remote; nowhere is
// store.ErrNotFound.
func (c *Carrier) List(ctx context.Context, d digest.Digest) (*object.Tree, error) {
	t, err := store.ReadList(ctx, c.Cache, d)
	if errors.Is(err, store.ErrNotFound) && c.Remote != nil && !c.NoFetch {
		t, err = store.ReadList(ctx, c.Remote, d)
	}
	return t, err
}

// Log returns what a command printed, from the cache, else from the remote; nowhere is
// store.ErrNotFound.
func (c *Carrier) Log(ctx context.Context, d digest.Digest) ([]byte, error) {
	ref := object.Ref{Shelf: object.Logs, Digest: d}
	b, err := store.ReadAll(ctx, c.Cache, ref, maxLog)
	if (errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrCorrupt)) && c.Remote != nil && !c.NoFetch {
		b, err = store.ReadAll(ctx, c.Remote, ref, maxLog)
	}
	return b, err
}

// maxLog is the largest log in bytes that is read; what pipe keeps of one run is far less.
const maxLog = 64 << 20

// Content returns the bytes of the file at p, which is an output or lies inside it,
// from the cache, else from the remote; it puts them nowhere. A file that the
// output does not have is store.ErrNotFound, bytes that are nowhere a *Missing.
func (c *Carrier) Content(ctx context.Context, o artifact.Output, p repopath.Path, limit int64) ([]byte, error) {
	ref := object.Of(o)
	if o.Dir {
		t, err := c.Tree(ctx, o.Path, o.Digest)
		if err != nil {
			return nil, err
		}
		e, ok := t.Find(o.Path.Rel(p))
		if !ok || !e.IsFile() {
			return nil, fmt.Errorf("%s: %w", p, store.ErrNotFound)
		}
		ref = object.Ref{Digest: e.Digest}
	}
	b, err := store.ReadAll(ctx, c.Cache, ref, limit)
	if errors.Is(err, store.ErrNotFound) && c.Remote != nil && !c.NoFetch {
		b, err = store.ReadAll(ctx, c.Remote, ref, limit)
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil, c.missing(p, ref)
	}
	return b, err
}

// Publish puts the outputs into the remote: files first, then the trees that
// name them, so that a tree's presence implies its files'. What the remote has
// is not sent. An object that neither side has is a *Missing. Notes are what the
// cache knows beside: logs and lists of inputs; one that it lacks is left out.
func (c *Carrier) Publish(ctx context.Context, outs []artifact.Output, notes ...object.Ref) error {
	if c.Remote == nil {
		return nil
	}
	w, err := c.expand(ctx, outs, c.HasOutput)
	if err == nil {
		err = w.partial(outs)
	}
	if err != nil {
		return err
	}
	blobs := w.blobs.all
	for _, ref := range notes {
		switch size, err := c.Cache.Stat(ctx, ref); {
		case err == nil:
			blobs = append(blobs, item{path: "note", ref: ref, size: size})
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
	}
	course := c.course("push", blobs, w.trees)
	defer course.end()
	send := func(items []item) error {
		return par.Each(ctx, len(items), c.Workers, func(ctx context.Context, i int) error { return c.send(ctx, items[i], course) })
	}
	if err := c.sendBatched(ctx, blobs, course, send); err != nil {
		return err
	}
	return c.sendBatched(ctx, w.trees, course, send)
}

// HasOutput reports whether the remote has an output's object, of a directory the tree.
// The size of a tree is known where the cache has it; else its presence must do.
func (c *Carrier) HasOutput(ctx context.Context, o artifact.Output) (bool, error) {
	ref, size := object.Of(o), o.Size
	if o.Dir {
		var err error
		if size, err = c.Cache.Stat(ctx, ref); err != nil {
			size = anySize
		}
	}
	return c.has(ctx, ref, size)
}

// anySize is the size of an object of which nobody says it.
const anySize = -1

// has reports whether the remote has the object, in its size: another one is as good as
// none. A good answer is remembered, and so is a wrong size, over which must be put.
func (c *Carrier) has(ctx context.Context, ref object.Ref, size int64) (bool, error) {
	if c.knows(ref) {
		return true, nil
	}
	got, err := c.Remote.Stat(ctx, ref)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	whole := size == anySize || got == size
	c.learn(ref, whole)
	return whole, nil
}

// askFirst is the size from which asking whether the remote has an object costs
// less than sending it in vain; below, put-if-absent alone is one request.
const askFirst = 16 << 10

func (c *Carrier) send(ctx context.Context, it item, course *course) error {
	passage := course.passage(it)
	if c.knows(it.ref) {
		passage.spared()
		return nil
	}
	size, err := c.Cache.Stat(ctx, it.ref)
	here := err == nil
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if !here || size >= askFirst {
		if there, err := c.has(ctx, it.ref, it.size); err != nil || there {
			passage.spared()
			return err
		}
	}
	if !here {
		return c.missing(it.path, it.ref)
	}
	if size != it.size {
		return announced(it, bytesOf(it.size), bytesOf(size))
	}
	src := passage.of(c.cached(ctx, it.ref, size))
	src.Replace = c.damaged(it.ref)
	if err := c.Remote.Put(ctx, it.ref, src); errors.Is(err, store.ErrCorrupt) {
		return corrupt(it.path, err)
	} else if err != nil {
		return fmt.Errorf("push %s: %w", it.path, err)
	}
	passage.over()
	c.learn(it.ref, true)
	c.moved("push", size)
	return nil
}

// cached is the source of an object of the cache.
func (c *Carrier) cached(ctx context.Context, ref object.Ref, size int64) store.Source {
	return store.Source{Size: size, Open: func() (io.ReadCloser, error) { return c.Cache.Open(ctx, ref) }}
}

// batcher is a store that takes many objects at the price of one.
type batcher interface {
	Begin() (store.Batch, error)
}

// A batch ends with so many objects, or as soon as it has so many bytes: it
// bounds the work that a crash undoes, and the temporary files.
const (
	batchObjects = 1000
	batchBytes   = 256 << 20
)

// batches calls f for one batch of the items after the other, until it fails.
func batches(items []item, f func([]item) error) error {
	for len(items) > 0 {
		n, room := 0, int64(batchBytes)
		for n < len(items) && n < batchObjects && room > 0 {
			room -= min(items[n].size, room) // sizes are others' words: their sum may be none
			n++
		}
		if err := f(items[:n]); err != nil {
			return err
		}
		items = items[n:]
	}
	return nil
}

// sendBatched sends through batches where the remote has them (a directory), else one by one.
func (c *Carrier) sendBatched(ctx context.Context, items []item, course *course, send func([]item) error) error {
	b, ok := store.As[batcher](c.Remote)
	if !ok || len(items) == 0 {
		return send(items)
	}
	if err := store.Ready(ctx, c.Remote); err != nil {
		return err // a batch goes past what wraps the remote
	}
	return batches(items, func(some []item) error {
		gone, err := c.copyBatch(ctx, some, b, c.Cache, course)
		if err != nil {
			return err
		}
		return firstFew(gone)
	})
}

// copyBatch copies items that the batch's store lacks out of from, and commits. It returns for
// each item why it could not be had; the others were copied.
func (c *Carrier) copyBatch(ctx context.Context, items []item, to batcher, from store.Store, course *course) (gone []error, err error) {
	where := course.where
	batch, err := to.Begin()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, batch.Close()) }()
	gone = make([]error, len(items))
	err = par.Each(ctx, len(items), c.Workers, func(ctx context.Context, i int) error {
		it, passage := items[i], course.passage(items[i])
		if where == "push" {
			if there, err := c.has(ctx, it.ref, it.size); err != nil || there {
				passage.spared()
				return err
			}
		}
		src := store.Source{Size: it.size, Open: func() (io.ReadCloser, error) {
			r, err := from.Open(ctx, it.ref)
			return it.checked(r), err
		}}
		if it.tree != nil {
			src = store.Bytes(it.tree)
		}
		// A batch keeps nothing of a Put that failed.
		err := store.Again(ctx, func() error { return batch.Put(ctx, it.ref, passage.of(src)) })
		switch {
		case err == nil:
			passage.over()
			c.moved(where, it.size)
		case errors.Is(err, store.ErrNotFound):
			gone[i] = c.missing(it.path, it.ref)
		case errors.Is(err, store.ErrCorrupt) && where == "push":
			return corrupt(it.path, err)
		case errors.Is(err, store.ErrCorrupt):
			gone[i] = c.wrong(ctx, it, from, err)
		case diag.Is(err, diag.Integrity):
			gone[i] = err
		default:
			return err
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := batch.Commit(); err != nil {
		return nil, err
	}
	// Only now: what is learned is not sent again, and a tree that is put next relies on it.
	for i, it := range items {
		if gone[i] == nil {
			c.learn(it.ref, true)
		}
	}
	return gone, nil
}
