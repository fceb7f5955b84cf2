package store

import (
	"context"
	"os"
	"sync"

	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/pkg/digest"
)

// Directory is a remote in a directory, which may be a mount.
type Directory interface {
	Adopter
	Remote
	Lister
	Tidier
	// Begin starts a batch, as Cache.Begin.
	Begin() (Batch, error)
	// Alive asks the file system something that it does not answer from memory.
	Alive() error
}

// Mounted wraps a remote in a directory. Where a server behind a mount is gone, system
// calls never return and nothing interrupts them: they are left behind. What a mount
// answers wrongly now (ESTALE, EIO) is asked for again.
func Mounted(d Directory, w *Watch) Remote {
	w.leave, w.alive = true, d.Alive
	return &mounted{watched{listed: d, w: w}, d}
}

type mounted struct {
	watched
	d Directory
}

// Tidy implements Tidier. It is called without a context, and by those who have written a
// moment ago.
func (m *mounted) Tidy(before int64) error { return m.d.Tidy(before) }

// Begin returns a batch under the same watch.
func (m *mounted) Begin() (Batch, error) {
	return &mountedBatch{w: m.w, begin: m.d.Begin}, nil
}

// mountedBatch begins with the first Put, whose context is that of the whole batch.
type mountedBatch struct {
	w     *Watch
	begin func() (Batch, error)

	mu  sync.Mutex
	ctx context.Context
	b   Batch
}

// Put implements Batch.
func (b *mountedBatch) Put(ctx context.Context, ref object.Ref, src Source) error {
	batch, err := b.batch(ctx)
	if err != nil {
		return err
	}
	_, err = watch(ctx, b.w, none(func(ctx context.Context) error { return batch.Put(ctx, ref, b.w.source(src)) }))
	return err
}

// Save implements Batch.
func (b *mountedBatch) Save(ctx context.Context, f *os.File) (d digest.Digest, n int64, err error) {
	batch, err := b.batch(ctx)
	if err != nil {
		return d, 0, err
	}
	return batch.Save(ctx, f)
}

func (b *mountedBatch) batch(ctx context.Context) (Batch, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.b != nil {
		return b.b, nil
	}
	batch, err := watch(ctx, b.w, func(context.Context) (Batch, error) { return b.begin() })
	if err == nil {
		b.b, b.ctx = batch, context.WithoutCancel(ctx)
	}
	return batch, err
}

// Commit implements Batch. A disk may take minutes to write what it holds.
func (b *mountedBatch) Commit() error {
	if b.b == nil {
		return nil
	}
	_, err := watchSlow(b.ctx, b.w, true, none(func(context.Context) error { return b.b.Commit() }))
	return err
}

// Close implements Batch.
func (b *mountedBatch) Close() error {
	if b.b == nil {
		return nil
	}
	_, err := watch(b.ctx, b.w, none(func(context.Context) error { return b.b.Close() }))
	return err
}
