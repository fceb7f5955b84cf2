package sweep

import (
	"context"
	"errors"
	"io"

	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/store"
)

// Verify reads every object of a store to its end, which hashes it, and returns
// all of them and those whose content does not match its hash. One that goes
// while it is read is no damage.
func Verify(ctx context.Context, s store.Store, l store.Lister, workers int) (all, damaged []store.Entry, err error) {
	if err := l.List(ctx, func(e store.Entry) error { all = append(all, e); return nil }); err != nil {
		return nil, nil, err
	}
	bad := make([]bool, len(all))
	err = par.Each(ctx, len(all), workers, func(ctx context.Context, i int) error {
		err := readThrough(ctx, s, all[i].Ref)
		bad[i] = errors.Is(err, store.ErrCorrupt)
		if bad[i] || errors.Is(err, store.ErrNotFound) {
			return nil
		}
		return err
	})
	for i, e := range all {
		if bad[i] {
			damaged = append(damaged, e)
		}
	}
	return all, damaged, err
}

func readThrough(ctx context.Context, s store.Store, ref object.Ref) error {
	r, err := s.Open(ctx, ref)
	if err != nil {
		return err
	}
	buf := make([]byte, 64<<10)
	for err == nil {
		_, err = r.Read(buf)
	}
	if cerr := r.Close(); errors.Is(err, io.EOF) {
		return cerr
	}
	return err
}
