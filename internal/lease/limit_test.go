package lease_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pipe-build/pipe/internal/lease"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/mem"
)

// together counts how many are at work at once.
type together struct {
	mu        sync.Mutex
	now, most int
}

func (c *together) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now += n
	c.most = max(c.most, c.now)
}

func TestNoMoreHoldSlotsThanTheLimit(t *testing.T) {
	for _, most := range []int{1, 2, 3} {
		synctest.Test(t, func(t *testing.T) {
			var s store.Cells = mem.New()
			var at together
			err := par.Each(t.Context(), 12, 12, func(ctx context.Context, i int) error {
				slot, err := lease.Acquire(ctx, s, "limits/x", most, lease.Lease{By: fmt.Sprint(i), TTL: 120}, nil)
				if err != nil {
					return err
				}
				at.add(1)
				<-time.After(time.Minute)
				at.add(-1)
				return slot.Free(ctx)
			})
			if err != nil || at.most != most {
				t.Errorf("%d at once, want %d: %v", at.most, most, err)
			}
		})
	}
}
