package sweep

import (
	"context"
	"errors"
	"io"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/store"
)

// Readable is a store that can be verified.
type Readable interface {
	store.Store
	store.Index
}

// Report is what reading a store to its end found.
type Report struct {
	Objects, Records int
	Bytes            int64        // of the objects
	Damaged          []object.Ref // other bytes than the name says, or a tree that is too large
	// Incomplete are good trees that name a file which is damaged or missing. Who
	// finds a tree in a remote takes its files for granted, so it must go with them.
	Incomplete []object.Ref
	Broken     []object.RunID // records that no reader takes
}

// errIncomplete is the verdict on an incomplete tree.
var errIncomplete = errors.New("names a file that is damaged or missing")

// Verify reads every object of a store to its end, which hashes it, and every
// record. What goes while it is read is no damage, nor is what a newer pipe wrote.
func Verify(ctx context.Context, s Readable, l store.Lister, workers int) (*Report, error) {
	r, v := &Report{}, verifier{s, map[object.Ref]bool{}}
	trees, others, ids, err := r.list(ctx, l)
	if err != nil {
		return nil, err
	}
	verdicts, err := judge(ctx, others, workers, v.object)
	if err != nil {
		return nil, err
	}
	for i, e := range others {
		if v.good[e.Ref] = verdicts[i] == nil; !v.good[e.Ref] {
			r.Damaged = append(r.Damaged, e.Ref)
		}
	}
	// Trees come after their files, by which they are judged.
	if verdicts, err = judge(ctx, trees, workers, v.tree); err != nil {
		return nil, err
	}
	for i, e := range trees {
		switch verdicts[i] {
		case nil:
		case errIncomplete:
			r.Incomplete = append(r.Incomplete, e.Ref)
		default:
			r.Damaged = append(r.Damaged, e.Ref)
		}
	}
	if verdicts, err = judge(ctx, ids, workers, v.record); err != nil {
		return nil, err
	}
	for i, id := range ids {
		if verdicts[i] != nil {
			r.Broken = append(r.Broken, id)
		}
	}
	return r, nil
}

// list counts what there is.
func (r *Report) list(ctx context.Context, l store.Lister) (trees, others []store.Entry, ids []object.RunID, err error) {
	err = l.List(ctx, func(e store.Entry) error {
		r.Objects++
		r.Bytes += e.Size
		if e.Ref.Shelf == object.Trees {
			trees = append(trees, e)
		} else {
			others = append(others, e)
		}
		return nil
	})
	if err == nil {
		err = l.Runs(ctx, func(id object.RunID) error { ids = append(ids, id); return nil })
	}
	r.Records = len(ids)
	return trees, others, ids, err
}

// judge checks all and returns what is wrong with each. Other errors end it.
func judge[T any](ctx context.Context, all []T, workers int, check func(context.Context, T) error) ([]error, error) {
	verdicts := make([]error, len(all))
	err := par.Each(ctx, len(all), workers, func(ctx context.Context, i int) error {
		err := check(ctx, all[i])
		switch {
		case errors.Is(err, store.ErrCorrupt), errors.Is(err, object.ErrMalformed), err == errIncomplete, diag.Is(err, diag.Integrity):
			verdicts[i] = err
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
		return nil
	})
	return verdicts, err
}

type verifier struct {
	s    Readable
	good map[object.Ref]bool // of each object that was listed and is no tree
}

func (v *verifier) object(ctx context.Context, e store.Entry) error {
	return store.Again(ctx, func() error { return v.read(ctx, e.Ref) })
}

// read reads an object to its end.
func (v *verifier) read(ctx context.Context, ref object.Ref) error {
	r, err := v.s.Open(ctx, ref)
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

func (v *verifier) tree(ctx context.Context, e store.Entry) error {
	if e.Size > object.MaxTree {
		return store.ErrCorrupt
	}
	t, err := store.ReadTree(ctx, v.s, e.Ref.Digest)
	if diag.Is(err, diag.Policy) {
		return nil // its bytes are those of its name, and a newer pipe reads it
	}
	if err != nil {
		return err
	}
	for i := range t.Entries {
		e := &t.Entries[i]
		if e.Kind != object.File && e.Kind != object.Executable {
			continue
		}
		file := object.Ref{Digest: e.Digest}
		good, listed := v.good[file]
		if !listed { // it may have been put since
			_, err := v.s.Stat(ctx, file)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			good = err == nil
		}
		if !good {
			return errIncomplete
		}
	}
	return nil
}

func (v *verifier) record(ctx context.Context, id object.RunID) error {
	b, err := v.s.Lookup(ctx, id)
	if err == nil {
		_, err = object.ParseRecord(b, id)
	}
	if diag.Is(err, diag.Policy) {
		return nil // diag.Newer
	}
	return err
}
