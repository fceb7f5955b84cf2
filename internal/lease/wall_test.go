package lease

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pipe-build/pipe/internal/store/mem"
)

// A machine that slept must not go on with what it did under a lease: its timers stood still,
// and only the wall clock tells. A clock that is set back says nothing.
func TestAHolderThatSleptForTooLongHasLost(t *testing.T) {
	for jump, lost := range map[time.Duration]bool{-time.Hour: false, time.Minute: false, 90 * time.Second: true, time.Hour: true} {
		synctest.Test(t, func(t *testing.T) {
			var slept atomic.Int64
			d := Open(mem.New(), "doc")
			d.wall = func() time.Time { return time.Now().Add(time.Duration(slept.Load())) }
			n := byte('a')
			renew := func(Seen) ([]byte, error) { n++; return []byte{n}, nil }
			sent, err := d.Change(t.Context(), renew)
			if err != nil {
				t.Fatal(err)
			}
			h := d.Hold(t.Context(), 2*time.Minute, sent, renew)
			slept.Store(int64(jump))
			<-time.After(3 * time.Second)
			synctest.Wait()
			if err := context.Cause(h.Context()); errors.Is(err, ErrLost) != lost {
				t.Errorf("after a jump of %v: %v", jump, err)
			}
			_ = h.Free(t.Context(), nil) // it may be lost
		})
	}
}
