package release

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/store"
)

// tries is how many writers may be ahead of us, one after the other.
const tries = 100

// mutate replaces a cell's value by what change makes of it; old is nil when
// there is none. Each value that change returns must be unlike any before it (a
// number that grows, a nonce), because after an answer that was lost mutate
// looks whether its own value is in. change may be called again and again. An
// error of change is returned as it is, and nothing is written.
func mutate(ctx context.Context, cells store.Cells, name string, change func(old []byte) ([]byte, error)) error {
	var lost []byte // a value that may or may not have been written
	for try := range tries {
		old, version, err := cells.Load(ctx, name)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("read %s: %w", name, err)
		}
		if lost != nil && bytes.Equal(old, lost) {
			return nil
		}
		value, err := change(old)
		if err != nil {
			return err
		}
		_, err = cells.Swap(ctx, name, version, value)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !errors.Is(err, store.ErrConflict) {
			const failures = 3
			if try >= failures || !diag.Is(err, diag.Network) {
				return fmt.Errorf("write %s: %w", name, err)
			}
		}
		lost = value
		if err := pause(ctx, try); err != nil {
			return err
		}
	}
	return diag.New(diag.Busy, "changed %d times by other runs", tries).At(name).Hinted("run the command again")
}

// pause waits a random time that grows with each try, up to a second.
func pause(ctx context.Context, try int) error {
	most := min(time.Second, 5*time.Millisecond<<min(try, 8))
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(rand.N(most)):
		return nil
	}
}
