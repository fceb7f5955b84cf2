// Package storetest holds every store to the promises on the interfaces of package store.
package storetest

import (
	"bytes"
	"context"
	crand "crypto/rand"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/digest"
)

// racers is how many goroutines a race has.
const racers = 16

// large is more than any store sends in one piece, and no multiple of a round number.
const large = 20<<20 + 5

// Run runs the suite. Each call of open returns a handle on one and the same
// store, which need not be empty; the suite closes the handles. The promises of
// store.Lister are tested when the handle has them.
func Run(t *testing.T, open func(t *testing.T) store.Remote) {
	s := &suite{open}
	t.Run("Put", s.puts)
	t.Run("Refuse", s.refusals)
	t.Run("Record", s.records)
	t.Run("Cells", s.cells)
	t.Run("List", s.lists)
	t.Run("Remote", s.remote)
	t.Run("ReadsEndWithTheirContext", s.readsEndWithTheirContext)
}

type suite struct {
	open func(t *testing.T) store.Remote
}

func (s *suite) handle(t *testing.T) store.Remote {
	t.Helper()
	h := s.open(t)
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return h
}

// Noise returns n bytes that no other call returns.
func Noise(t testing.TB, n int) []byte {
	t.Helper()
	var seed [32]byte
	if _, err := crand.Read(seed[:]); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(seed).Read(b)
	return b
}

// File returns the ref of b as a file.
func File(b []byte) object.Ref { return object.Ref{Digest: digest.Of(b)} }

// name returns a name that no other call returns.
func name(prefix string) string { return prefix + "/" + crand.Text() }

func key(t *testing.T) object.RunID {
	return object.RunID{Key: digest.Key(Noise(t, digest.Size))}
}

func put(t *testing.T, s store.Store, b []byte) object.Ref {
	t.Helper()
	ref := File(b)
	if err := s.Put(t.Context(), ref, store.Bytes(b)); err != nil {
		t.Fatalf("put %d bytes: %v", len(b), err)
	}
	return ref
}

func wantObject(t *testing.T, s store.Store, ref object.Ref, want []byte) {
	t.Helper()
	n, err := s.Stat(t.Context(), ref)
	if err != nil || n != int64(len(want)) {
		t.Errorf("stat: %d, %v; want %d", n, err, len(want))
	}
	got, err := store.ReadAll(t.Context(), s, ref, int64(len(want)))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("read: %d bytes, %v; want the %d bytes that were put", len(got), err, len(want))
	}
}

func wantMissing(t *testing.T, s store.Store, ref object.Ref) {
	t.Helper()
	if _, err := s.Stat(t.Context(), ref); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("stat: %v, want %v", err, store.ErrNotFound)
	}
	r, err := s.Open(t.Context(), ref)
	if err == nil {
		err = errors.Join(errors.New("no error"), r.Close())
	}
	if !errors.Is(err, store.ErrNotFound) {
		t.Errorf("open: %v, want %v", err, store.ErrNotFound)
	}
}

func wantError(t *testing.T, doing string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: %v, want %v", doing, got, want)
	}
}

// readsEndWithTheirContext: an object may be larger than anybody waits for.
func (s *suite) readsEndWithTheirContext(t *testing.T) {
	h := s.handle(t)
	ref, gone := put(t, h, Noise(t, 4096)), errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	r, err := h.Open(ctx, ref)
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Read(make([]byte, 1))
	wantError(t, "before", err, nil)
	cancel(gone)
	_, err = io.Copy(io.Discard, r)
	wantError(t, "after", err, gone)
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func (s *suite) puts(t *testing.T) {
	for _, c := range []struct {
		name string
		size int
	}{{"Empty", 0}, {"OneByte", 1}, {"Small", 4096}, {"Medium", 3 << 20}, {"Large", large}} {
		t.Run(c.name, func(t *testing.T) {
			h, b := s.handle(t), Noise(t, c.size)
			wantObject(t, h, put(t, h, b), b)
			wantObject(t, s.handle(t), File(b), b)
		})
	}
	t.Run("TwiceIsOnce", func(t *testing.T) {
		h, b := s.handle(t), Noise(t, 100)
		put(t, h, b)
		wantObject(t, h, put(t, h, b), b)
	})
	t.Run("LargeTwiceIsOnce", func(t *testing.T) {
		h, b := s.handle(t), Noise(t, large)
		put(t, h, b)
		wantObject(t, h, put(t, h, b), b)
	})
	t.Run("Replace", s.replace)
	t.Run("ClosesItsSource", s.closes)
	t.Run("TreesLieApartFromFiles", s.trees)
	t.Run("AtOnceByMany", s.putRace)
	t.Run("ReadInPart", s.readInPart)
}

// replace: whatever is put over an object, the right bytes are there afterwards. A store
// may find that they are there, and not look at what is put.
func (s *suite) replace(t *testing.T) {
	for _, size := range []int{4096, large} {
		h, b := s.handle(t), Noise(t, size)
		ref, src := put(t, h, b), store.Bytes(b)
		src.Replace = true
		wantError(t, "put over", h.Put(t.Context(), ref, src), nil)
		wantObject(t, h, ref, b)
		wrong := bytes.Clone(b)
		wrong[size-1] ^= 1
		src = store.Bytes(wrong)
		src.Replace = true
		if err := h.Put(t.Context(), ref, src); err != nil {
			wantError(t, "put wrong bytes over", err, store.ErrCorrupt)
		}
		wantObject(t, h, ref, b)
	}
}

// source counts its readers that are open.
type source struct {
	io.Reader
	open *int
}

func (s source) Close() error { *s.open--; return nil }

func (s *suite) closes(t *testing.T) {
	h, b, opened, open := s.handle(t), Noise(t, 100), 0, 0
	src := store.Source{Size: 100, Open: func() (io.ReadCloser, error) {
		opened++
		open++
		return source{bytes.NewReader(b), &open}, nil
	}}
	if err := h.Put(t.Context(), File(b), src); err != nil || opened == 0 || open != 0 {
		t.Errorf("%v; %d of %d readers are open", err, open, opened)
	}
	if err := h.Put(t.Context(), File([]byte("other bytes")), src); !errors.Is(err, store.ErrCorrupt) || open != 0 {
		t.Errorf("other bytes: %v; %d of %d readers are open", err, open, opened)
	}
}

func (s *suite) trees(t *testing.T) {
	h, b := s.handle(t), Noise(t, 50)
	file := File(b)
	tree := object.Ref{Shelf: object.Trees, Digest: file.Digest}
	put(t, h, b)
	wantMissing(t, h, tree)
	if err := h.Put(t.Context(), tree, store.Bytes(b)); err != nil {
		t.Fatal(err)
	}
	wantObject(t, h, tree, b)
	wantObject(t, h, file, b)
}

func (s *suite) putRace(t *testing.T) {
	a, b, data := s.handle(t), s.handle(t), Noise(t, 70_000)
	race(t, func(ctx context.Context, i int) error {
		return pick(i, a, b).Put(ctx, File(data), store.Bytes(data))
	})
	wantObject(t, a, File(data), data)
}

// readInPart closes readers before their end: that must neither fail nor hurt the next.
func (s *suite) readInPart(t *testing.T) {
	h, b := s.handle(t), Noise(t, 2<<20)
	ref := put(t, h, b)
	for range 3 {
		r, err := h.Open(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(r, make([]byte, 1000)); err != nil {
			t.Error(err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	wantObject(t, h, ref, b)
}

func (s *suite) refusals(t *testing.T) {
	t.Run("MissingObject", func(t *testing.T) {
		h := s.handle(t)
		wantMissing(t, h, File(Noise(t, 10)))
		wantMissing(t, h, object.Ref{Shelf: object.Trees, Digest: digest.Of(Noise(t, 10))})
	})
	for _, size := range []int{32, 4096, large} { // of one byte, another test may have put the same
		t.Run("WrongBytes", func(t *testing.T) {
			h, b := s.handle(t), Noise(t, size)
			ref := File(b)
			b[len(b)-1] ^= 1
			wantError(t, "put", h.Put(t.Context(), ref, store.Bytes(b)), store.ErrCorrupt)
			wantMissing(t, h, ref)
		})
		for _, more := range []int64{-1, 1} {
			t.Run("WrongSize", func(t *testing.T) {
				h, b := s.handle(t), Noise(t, size)
				src := store.Bytes(b)
				src.Size += more
				wantError(t, "put", h.Put(t.Context(), File(b), src), store.ErrCorrupt)
				wantMissing(t, h, File(b))
			})
		}
		t.Run("EndlessSource", func(t *testing.T) { s.endlessSource(t, int64(size)) })
		t.Run("BrokenSource", func(t *testing.T) { s.brokenSource(t, Noise(t, size)) })
	}
	t.Run("SizeNobodyHas", func(t *testing.T) {
		h, b := s.handle(t), Noise(t, 10)
		src := store.Bytes(b)
		src.Size = math.MaxInt64
		if err := h.Put(t.Context(), File(b), src); err == nil || strings.Contains(err.Error(), " 0 bytes") {
			t.Errorf("put: %v", err)
		}
		wantMissing(t, h, File(b))
	})
	t.Run("SourceThatDoesNotOpen", func(t *testing.T) {
		h, b, gone := s.handle(t), Noise(t, 10), errors.New("source is gone")
		err := h.Put(t.Context(), File(b), store.Source{Size: 10, Open: func() (io.ReadCloser, error) { return nil, gone }})
		wantError(t, "put", err, gone)
		wantMissing(t, h, File(b))
	})
	t.Run("CancelledContext", s.cancelled)
}

// brokenSource fails after all bytes but the last.
func (s *suite) brokenSource(t *testing.T, b []byte) {
	h, broken := s.handle(t), errors.New("source broke")
	src := store.Source{Size: int64(len(b)), Open: func() (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(bytes.NewReader(b[:len(b)-1]), failing{broken})), nil
	}}
	wantError(t, "put", h.Put(t.Context(), File(b), src), broken)
	wantMissing(t, h, File(b))
}

// endlessSource announces size bytes and has no end: one byte more is read, no other.
func (s *suite) endlessSource(t *testing.T, size int64) {
	h, ref, r := s.handle(t), File(Noise(t, 10)), &endless{}
	src := store.Source{Size: size, Open: func() (io.ReadCloser, error) { return io.NopCloser(r), nil }}
	wantError(t, "put", h.Put(t.Context(), ref, src), store.ErrCorrupt)
	wantMissing(t, h, ref)
	if r.read > size+1 {
		t.Errorf("%d bytes were read of a source that announced %d", r.read, size)
	}
}

type endless struct{ read int64 }

func (e *endless) Read(p []byte) (int, error) {
	e.read += int64(len(p))
	if e.read > 1<<30 {
		return 0, errors.New("nobody stops reading")
	}
	return len(p), nil
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func (s *suite) cancelled(t *testing.T) {
	h, b := s.handle(t), Noise(t, 10)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := h.Stat(ctx, File(b))
	wantError(t, "stat", err, context.Canceled)
	_, err = h.Open(ctx, File(b))
	wantError(t, "open", err, context.Canceled)
	wantError(t, "put", h.Put(ctx, File(b), store.Bytes(b)), context.Canceled)
	_, err = h.Lookup(ctx, key(t))
	wantError(t, "lookup", err, context.Canceled)
	_, err = h.Record(ctx, key(t), b)
	wantError(t, "record", err, context.Canceled)
	_, _, err = h.Load(ctx, name("cancelled"))
	wantError(t, "load", err, context.Canceled)
	_, err = h.Swap(ctx, name("cancelled"), "", b)
	wantError(t, "swap", err, context.Canceled)
	wantError(t, "probe", h.Probe(ctx), context.Canceled)
	wantMissing(t, h, File(b))
}
