//go:build !windows

package local_test

import (
	"context"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/local"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/worktree"
)

// The first who has the lock removes what others have begun to write before it.
func TestManyMayBeginInANewProjectAtOnce(t *testing.T) {
	for range 30 {
		dir := t.TempDir()
		must(t, par.Each(t.Context(), 8, 8, func(ctx context.Context, _ int) error {
			w, err := worktree.Open(dir, worktree.Options{})
			if err != nil {
				return err
			}
			defer func() { _ = w.Close() }()
			h, err := local.Acquire(ctx, w, local.Wanted{Verb: "repro", Say: func(string) {}})
			if diag.Is(err, diag.Busy) {
				return nil // in one process, who comes second cannot wait
			}
			if err != nil {
				return err
			}
			if h.ReadOnly() != nil {
				t.Errorf("taken for a project that cannot be written: %v", h.ReadOnly())
			}
			return h.Release()
		}))
	}
}
