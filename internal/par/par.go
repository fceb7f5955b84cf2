// Package par is the only place that starts goroutines for work.
package par

import (
	"context"
	"sync"
	"sync/atomic"

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

// Go runs f in a goroutine, after waiting for a free place.
func (g *Group) Go(f func() error) { g.g.Go(f) }

// Wait returns when all functions have, with the first error.
func (g *Group) Wait() error { return g.g.Wait() }

// Each calls f for 0..n-1 on at most workers goroutines and returns the first
// error; after it no new call starts. With one worker or one item it stays on
// the caller's goroutine. All calls have returned when Each returns.
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
// context and waits until it has returned. It may be called more than once.
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
