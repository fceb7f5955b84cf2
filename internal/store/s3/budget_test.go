package s3

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhoWaitsForMemoryEndsWithTheContextAndKeepsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone, b := errors.New("gone"), newBudget()
		wait := func(what string, size int64) {
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, gone)
			defer cancel()
			if give, err := b.take(ctx, size); !errors.Is(err, gone) || give != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		give, err := b.take(t.Context(), tokenSize)
		if err != nil {
			t.Fatal(err)
		}
		wait("some is taken", maxTokens*tokenSize)
		b.turn <- struct{}{}
		wait("another collects", 1)
		<-b.turn
		give()
		all, err := b.take(t.Context(), 2*maxTokens*tokenSize)
		if err != nil || len(b.free) != 0 {
			t.Errorf("%d tokens are left, %v", len(b.free), err)
		}
		if all(); len(b.free) != maxTokens {
			t.Errorf("%d of %d tokens came back", len(b.free), maxTokens)
		}
	})
}
