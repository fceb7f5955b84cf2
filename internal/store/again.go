package store

import (
	"context"
	"errors"
	"time"
)

// tries is how often bytes are fetched before they are called damaged: what was harmed on
// the way arrives whole another time, what is damaged in the store never does.
const tries = 3

// Again calls f, which fetches something from its start and keeps nothing of it after an
// error, up to three times in all: while what came was damaged, or ErrUnsteady.
func Again(ctx context.Context, f func() error) (err error) {
	for n := range tries {
		err = f()
		unsteady := errors.Is(err, ErrUnsteady)
		if !errors.Is(err, ErrCorrupt) && !unsteady || ctx.Err() != nil {
			return err
		}
		if unsteady && n < tries-1 {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(50 * time.Millisecond << n):
			}
		}
	}
	return err
}
