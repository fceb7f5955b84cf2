// Package par is the only place that starts goroutines for work.
//
// Three forms are enough for work: Each for a list of like items, a Group for work whose
// amount shows as it goes on, and Background for one helper beside the caller. (Await is
// for what may never end, and says what it leaves behind.) In all three the goroutines have ended when the call that waits for them
// returns, so nobody writes to a result that its owner reads already, and a test
// that ends leaves nothing behind. In Each and in a Group the first error
// cancels the context of the rest and is the one that is returned. archtest refuses
// a go statement elsewhere, except in shell, which waits for processes.
package par

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Group runs functions at once, at most limit of them, and cancels the rest when one fails.
type Group struct{ g *errgroup.Group }

// NewGroup returns a group of at most limit functions at once (0: no limit) and the
// context that ends when one of them fails or Wait returns.
func NewGroup(ctx context.Context, limit int) (*Group, context.Context) {
	g, ctx := errgroup.WithContext(ctx)
	if limit > 0 {
		g.SetLimit(limit)
	}
	return &Group{g}, ctx
}

// Go runs f in a goroutine, after waiting for a free place. So a function of the group
// must not call it on the same group when there is a limit: all places may be held by
// functions that wait for one.
func (g *Group) Go(f func() error) { g.g.Go(f) }

// Wait returns when all functions have, with the first error.
func (g *Group) Wait() error { return g.g.Wait() }

// Each calls f for 0..n-1 on at most workers goroutines and returns the first
// error; after it no new call starts. When ctx ends, the error is its cause. With
// workers below 2 or one item it stays on the caller's goroutine, which costs nothing
// and keeps the order. All calls have returned when Each returns, so f may write to
// element i of a slice without a lock.
func Each(ctx context.Context, n, workers int, f func(ctx context.Context, i int) error) error {
	if workers > n {
		workers = n
	}
	if workers <= 1 {
		for i := range n {
			if err := ctx.Err(); err != nil {
				return context.Cause(ctx)
			}
			if err := f(ctx, i); err != nil {
				return err
			}
		}
		return nil
	}
	g, gctx := errgroup.WithContext(ctx)
	// The workers take the next index from one counter: items differ in cost, and equal
	// shares would leave some workers idle.
	var next atomic.Int64
	for range workers {
		g.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return nil
				}
				if gctx.Err() != nil {
					return context.Cause(gctx)
				}
				if err := f(gctx, i); err != nil {
					return err
				}
			}
		})
	}
	return g.Wait()
}

// Background runs f in a goroutine and returns a function that cancels its
// context and waits until it has returned. stop may be called more than once, and from
// several goroutines; each call waits.
func Background(ctx context.Context, f func(ctx context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(ctx)
	}()
	var once sync.Once
	return func() {
		once.Do(cancel)
		<-done
	}
}

// grace is how long Await waits for a function whose context has ended. Most of them end
// with it, and then nothing is left behind.
const grace = time.Second

// Await runs f and returns what it returns. When ctx ends and f does not within a second,
// Await returns ctx's cause and leaves f to itself: for system calls on a mount whose
// server is gone, which nothing interrupts. Such an f must touch nothing of its caller's.
func Await[T any](ctx context.Context, f func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		v, err := f()
		done <- result{v, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
	}
	select {
	case r := <-done:
		return r.value, r.err
	case <-time.After(grace):
		var none T
		return none, context.Cause(ctx)
	}
}

// Sleep waits for a time, or until the context ends; then it fails with the context's cause.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
