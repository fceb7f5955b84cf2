package store

import (
	"context"
	"io"

	"github.com/pipe-build/pipe/internal/object"
)

// listed is what every remote can do.
type listed interface {
	Remote
	Lister
	Adopter
}

// Watched wraps a remote behind a network: its calls end by w, and what it sends or
// receives it tells by w.Moved.
func Watched(r listed, w *Watch) Remote { return &watched{listed: r, w: w} }

type watched struct {
	listed
	w *Watch
}

// Unwrap returns the remote itself, for As.
func (s *watched) Unwrap() Remote { return s.listed }

// Adopt implements Adopter.
func (s *watched) Adopt(ctx context.Context, id object.RunID, value []byte) error {
	_, err := watch(ctx, s.w, none(func(ctx context.Context) error { return s.listed.Adopt(ctx, id, value) }))
	return err
}

// Stat implements Store.
func (s *watched) Stat(ctx context.Context, ref object.Ref) (int64, error) {
	return again(ctx, s.w, func(ctx context.Context) (int64, error) { return s.listed.Stat(ctx, ref) })
}

// again is watch for a call that only asks, which a mount may answer another time.
func again[T any](ctx context.Context, w *Watch, f func(ctx context.Context) (T, error)) (v T, err error) {
	if !w.leave {
		return watch(ctx, w, f)
	}
	err = Again(ctx, func() (err error) {
		v, err = watch(ctx, w, f)
		return err
	})
	return v, err
}

// Open implements Store. The context of the call lives as long as the reader.
func (s *watched) Open(ctx context.Context, ref object.Ref) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	x := &waiting{ctx: ctx, cancel: cancel}
	r, err := run(x, s.w, func(ctx context.Context) (io.ReadCloser, error) { return s.listed.Open(ctx, ref) })
	if err != nil {
		cancel(nil)
		return nil, err
	}
	return &watchedReader{r: r, w: s.w, x: x}, nil
}

type watchedReader struct {
	r   io.ReadCloser
	w   *Watch
	x   *waiting // of the Open that the reads belong to
	buf []byte   // of a store whose calls are left: nobody else may own what they write to
	err error    // after it the reader is not touched: a call may be in it still
}

// Read implements io.Reader.
func (r *watchedReader) Read(p []byte) (n int, err error) {
	if r.err != nil {
		return 0, r.err
	}
	if !r.w.leave {
		n, r.err = run(r.x, r.w, func(context.Context) (int, error) { return r.r.Read(p) })
		return n, r.err
	}
	if len(r.buf) < len(p) {
		r.buf = make([]byte, len(p))
	}
	buf := r.buf[:len(p)]
	n, r.err = run(r.x, r.w, func(context.Context) (int, error) { return r.r.Read(buf) })
	return copy(p, buf[:n]), r.err
}

// Close implements io.Closer.
func (r *watchedReader) Close() error {
	if r.w.leave && r.x.ctx.Err() != nil {
		return nil // a Read may be in it still
	}
	defer r.x.cancel(nil)
	return r.r.Close()
}

// Put implements Store. That the source is read is a sign of life: what is read is sent.
func (s *watched) Put(ctx context.Context, ref object.Ref, src Source) error {
	_, err := watch(ctx, s.w, none(func(ctx context.Context) error { return s.listed.Put(ctx, ref, s.w.source(src)) }))
	return err
}

func (w *Watch) source(src Source) Source {
	open := src.Open
	src.Open = func() (io.ReadCloser, error) {
		r, err := open()
		if err != nil {
			return nil, err
		}
		return movingReader{r, w}, nil
	}
	return src
}

type movingReader struct {
	io.ReadCloser
	w *Watch
}

// Read implements io.Reader.
func (r movingReader) Read(p []byte) (int, error) {
	r.w.Moved()
	return r.ReadCloser.Read(p)
}

// Lookup implements Index.
func (s *watched) Lookup(ctx context.Context, id object.RunID) ([]byte, error) {
	return again(ctx, s.w, func(ctx context.Context) ([]byte, error) { return s.listed.Lookup(ctx, id) })
}

// Record implements Index.
func (s *watched) Record(ctx context.Context, id object.RunID, value []byte) ([]byte, error) {
	return watch(ctx, s.w, func(ctx context.Context) ([]byte, error) { return s.listed.Record(ctx, id, value) })
}

// Load implements Cells.
func (s *watched) Load(ctx context.Context, name string) (value []byte, version string, err error) {
	type cell struct {
		value   []byte
		version string
	}
	c, err := again(ctx, s.w, func(ctx context.Context) (c cell, err error) {
		c.value, c.version, err = s.listed.Load(ctx, name)
		return c, err
	})
	return c.value, c.version, err
}

// Look implements Cells.
func (s *watched) Look(ctx context.Context, name, known string) (Cell, error) {
	return again(ctx, s.w, func(ctx context.Context) (Cell, error) { return s.listed.Look(ctx, name, known) })
}

// Swap implements Cells.
func (s *watched) Swap(ctx context.Context, name, old string, value []byte) (string, error) {
	return watch(ctx, s.w, func(ctx context.Context) (string, error) { return s.listed.Swap(ctx, name, old, value) })
}

// Probe implements Remote.
func (s *watched) Probe(ctx context.Context) error {
	_, err := watch(ctx, s.w, none(s.listed.Probe))
	return err
}

// List implements Lister.
func (s *watched) List(ctx context.Context, f func(Entry) error) error {
	return each(ctx, s.w, s.listed.List, f)
}

// Runs implements Lister.
func (s *watched) Runs(ctx context.Context, f func(object.RunID) error) error {
	return each(ctx, s.w, s.listed.Runs, f)
}

// Names implements Lister.
func (s *watched) Names(ctx context.Context, prefix string, f func(name string) error) error {
	return each(ctx, s.w, func(ctx context.Context, f func(string) error) error { return s.listed.Names(ctx, prefix, f) }, f)
}

// each lists to the end, and only then calls f: a list that is left, or begun again after an
// error, must not go on calling it, nor may the time that f takes count as silence.
func each[T any](ctx context.Context, w *Watch, list func(context.Context, func(T) error) error, f func(T) error) error {
	all, err := again(ctx, w, func(ctx context.Context) (all []T, err error) {
		err = list(ctx, func(v T) error {
			w.Moved()
			all = append(all, v)
			return nil
		})
		return all, err
	})
	if err != nil {
		return err
	}
	for _, v := range all {
		if err := f(v); err != nil {
			return err
		}
	}
	return nil
}
