package lease_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pipe-build/pipe/internal/lease"
	"github.com/pipe-build/pipe/internal/par"
)

// Runs come and go, die without a word, are cut off for a while, lose answers: never do two of
// them work at once, and nobody is shut out by a lease of its own.
func TestNoTwoHoldersAreEverAtWork(t *testing.T) {
	for _, most := range []int{1, 2} {
		for seed := range uint64(6) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{mute: seed == 5}
				var at together
				done := 0
				err := par.Each(t.Context(), 6, 6, func(ctx context.Context, i int) error {
					r := rand.New(rand.NewPCG(seed, uint64(i)))
					for n := range 20 {
						l := &line{server: s, delay: upTo(100 * time.Millisecond), fate: faults(r)}
						if err := visit(ctx, l, most, &at, r.IntN(4), time.Duration(r.IntN(200))*time.Second); err != nil {
							t.Errorf("seed %d, run %d-%d: %v", seed, i, n, err)
						}
						at.mu.Lock()
						done++
						at.mu.Unlock()
					}
					return nil
				})
				if err != nil || at.most > most || done != 120 {
					t.Errorf("seed %d: %d at once, want %d; %d visits: %v", seed, at.most, most, done, err)
				}
			})
		}
	}
}

// visit works under a lease for a while, and then gives it up, dies, or is cut off.
func visit(ctx context.Context, l *line, most int, at *together, end int, work time.Duration) error {
	slot, err := lease.Acquire(ctx, l, "limits/x", most, lease.Lease{TTL: 120}, nil)
	for tries := 0; err != nil && tries < 50; tries++ { // all answers in a row may be lost
		slot, err = lease.Acquire(ctx, l, "limits/x", most, lease.Lease{TTL: 120}, nil)
	}
	if err != nil {
		return err
	}
	at.add(1)
	wait, cancel := context.WithTimeout(slot.Context(), work)
	defer cancel()
	if end == 1 { // nothing gets through any more
		l.mu.Lock()
		l.fate = func(bool) fate { return swallowed }
		l.mu.Unlock()
		<-slot.Context().Done()
	} else {
		<-wait.Done()
	}
	at.add(-1)
	if end == 2 {
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		_ = slot.Free(ctx) // nobody waits for it: the lease may stay
		return nil
	}
	if err := slot.Free(ctx); end == 0 && err != nil && !errors.Is(err, lease.ErrLost) {
		return err
	}
	return nil
}
