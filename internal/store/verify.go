package store

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/pkg/digest"
)

// Verified wraps r so that it ends with ErrCorrupt in place of io.EOF when the
// bytes are not those that ref names, and with ctx: a damaged object may be
// larger than anybody waits for.
func Verified(ctx context.Context, r io.ReadCloser, ref object.Ref) io.ReadCloser {
	return &verified{ctx: ctx, r: r, ref: ref, h: digest.NewHasher()}
}

type verified struct {
	ctx context.Context // of the Open that the reads belong to
	r   io.ReadCloser
	ref object.Ref
	h   *digest.Hasher
}

func (v *verified) Read(p []byte) (int, error) {
	if v.ctx.Err() != nil {
		return 0, context.Cause(v.ctx)
	}
	n, err := v.r.Read(p)
	_, _ = v.h.Write(p[:n])
	if err == io.EOF {
		if got := v.h.Sum(); got != v.ref.Digest {
			err := Corrupt(v.ref, v.h.Len(), got)
			if f, ok := v.r.(interface{ Name() string }); ok {
				err = err.At(f.Name()) // a file that somebody can look at
			}
			return n, err
		}
	}
	return n, err
}

func (v *verified) Close() error { return v.r.Close() }

// Corrupt is the error for n bytes with another digest than their name says.
func Corrupt(name any, n int64, got digest.Digest) *diag.Error {
	return diag.New(diag.Integrity, "%v: %w: %s with digest %s", name, ErrCorrupt, count(n), got).
		Hinted("run pipe verify and pipe verify --remote --read to list damaged objects")
}

// Differs is an ErrCorrupt that says how n bytes with digest got differ from an
// object of which size bytes were announced. Of more, Bounded reads only one: neither
// their count nor their digest is known.
func Differs(size, n int64, got digest.Digest) error {
	if n > size {
		return fmt.Errorf("%w: more than %s", ErrCorrupt, count(size))
	}
	return fmt.Errorf("%w: %s with digest %s, expected %s", ErrCorrupt, count(n), got, count(size))
}

func count(n int64) string {
	if n == 1 {
		return "1 byte"
	}
	return fmt.Sprintf("%d bytes", n)
}

// Bytes is the source of bytes in memory.
func Bytes(b []byte) Source {
	return Source{Size: int64(len(b)), Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }}
}

// ReadAll returns the verified bytes of ref, which must not be more than limit.
func ReadAll(ctx context.Context, s Store, ref object.Ref, limit int64) (b []byte, err error) {
	err = Again(ctx, func() (err error) {
		b, err = readOnce(ctx, s, ref, limit)
		return err
	})
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s: more than %s", ref, count(limit))
	}
	return b, err
}

// readOnce returns at most one byte more than limit.
func readOnce(ctx context.Context, s Store, ref object.Ref, limit int64) ([]byte, error) {
	r, err := s.Open(ctx, ref)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }() // the bytes are verified: it can tell nothing more
	return io.ReadAll(Bounded(r, limit))
}

// ReadTree returns the tree that a digest names. One that breaks a rule of its form
// is of kind Integrity, however right its digest is; one of a newer pipe is of kind Policy.
func ReadTree(ctx context.Context, s Store, d digest.Digest) (*object.Tree, error) {
	return read(ctx, s, object.Ref{Shelf: object.Trees, Digest: d}, object.ParseTree)
}

// ReadList is ReadTree for a list of inputs.
func ReadList(ctx context.Context, s Store, d digest.Digest) (*object.Tree, error) {
	return read(ctx, s, object.Ref{Shelf: object.Inputs, Digest: d}, object.ParseInput)
}

func read(ctx context.Context, s Store, ref object.Ref, parse func([]byte) (*object.Tree, error)) (*object.Tree, error) {
	var b []byte
	err := Again(ctx, func() (err error) {
		b, err = readOnce(ctx, s, ref, object.MaxTree) // one byte too many is enough for parse to refuse it
		return err
	})
	if err != nil {
		return nil, err
	}
	t, err := parse(b)
	if diag.Is(err, diag.Policy) {
		return nil, err // a newer pipe wrote it
	}
	if err != nil {
		return nil, diag.New(diag.Integrity, "%s: %w", ref, err).Hinted("pipe did not write this object; delete it and build again with pipe repro --force")
	}
	return t, nil
}
