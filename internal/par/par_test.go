package par_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pipe-build/pipe/internal/par"
)

func TestEachCallsForEveryItemOnce(t *testing.T) {
	for _, workers := range []int{0, 1, 3, 100} {
		const n = 50
		var calls [n]atomic.Int32
		err := par.Each(t.Context(), n, workers, func(_ context.Context, i int) error { calls[i].Add(1); return nil })
		if err != nil {
			t.Error(err)
		}
		for i := range calls {
			if got := calls[i].Load(); got != 1 {
				t.Errorf("%d workers: item %d was called %d times", workers, i, got)
			}
		}
	}
	if err := par.Each(t.Context(), 0, 4, func(context.Context, int) error { return errors.New("called") }); err != nil {
		t.Error(err)
	}
}

func TestEachReturnsTheErrorAndStartsNoMore(t *testing.T) {
	bad := errors.New("bad")
	for _, workers := range []int{1, 4} {
		var after atomic.Int32
		err := par.Each(t.Context(), 1000, workers, func(ctx context.Context, i int) error {
			if i == 0 {
				return bad
			}
			if workers > 1 {
				<-ctx.Done() // the others end because the first failed
			}
			after.Add(1)
			return nil
		})
		if !errors.Is(err, bad) || int(after.Load()) > workers {
			t.Errorf("%d workers: %v, %d calls after it", workers, err, after.Load())
		}
	}
}

func TestEachWorksAtOnce(t *testing.T) {
	const workers = 4
	var all sync.WaitGroup
	all.Add(workers)
	err := par.Each(t.Context(), workers, workers, func(context.Context, int) error {
		all.Done()
		all.Wait() // hangs unless all are there
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestEachEndsWithTheContextsCause(t *testing.T) {
	gone := errors.New("gone")
	for _, workers := range []int{1, 3} {
		ctx, cancel := context.WithCancelCause(t.Context())
		err := par.Each(ctx, 100, workers, func(context.Context, int) error { cancel(gone); return nil })
		if !errors.Is(err, gone) {
			t.Errorf("%d workers: %v", workers, err)
		}
	}
}

func TestAGroupKeepsItsLimitAndItsFirstError(t *testing.T) {
	g, ctx := par.NewGroup(t.Context(), 2)
	var now, most atomic.Int32
	bad := errors.New("bad")
	for range 20 {
		g.Go(func() error {
			n := now.Add(1)
			for {
				m := most.Load()
				if n <= m || most.CompareAndSwap(m, n) {
					break
				}
			}
			now.Add(-1)
			return nil
		})
	}
	g.Go(func() error { return bad })
	if err := g.Wait(); !errors.Is(err, bad) || ctx.Err() == nil || most.Load() > 2 {
		t.Errorf("%v, context %v, %d at once", err, ctx.Err(), most.Load())
	}
}

func TestStopWaitsForTheBackground(t *testing.T) {
	ended := false
	started := make(chan struct{})
	stop := par.Background(t.Context(), func(ctx context.Context) {
		close(started)
		<-ctx.Done()
		ended = true
	})
	<-started
	stop()
	if !ended {
		t.Error("stop returned before the function did")
	}
	stop()
}

func TestAwaitLeavesWhatDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone, hung := errors.New("gone"), make(chan struct{})
		defer close(hung)
		if v, err := par.Await(t.Context(), func() (int, error) { return 7, gone }); v != 7 || err != gone {
			t.Errorf("%d, %v", v, err)
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, gone)
		defer cancel()
		if v, err := par.Await(ctx, func() (int, error) { <-hung; return 7, nil }); v != 0 || err != gone {
			t.Errorf("hung: %d, %v", v, err)
		}
		// What ends with its context has ended when Await returns.
		if v, err := par.Await(ctx, func() (int, error) { <-ctx.Done(); return 8, nil }); v != 8 || err != nil {
			t.Errorf("ended late: %d, %v", v, err)
		}
	})
}
