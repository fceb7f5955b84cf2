package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
)

const (
	resumes     = 6                     // in a row, without progress worth the name
	resumeAfter = 50 * time.Millisecond // doubled each time
	progress    = 1 << 20
)

// Open implements store.Store. A body that breaks off or falls silent is resumed
// where it stopped; the whole is held to its digest.
func (s *Store) Open(ctx context.Context, ref object.Ref) (io.ReadCloser, error) {
	b := &body{s: s, ctx: ctx, key: s.key(store.Path(ref))}
	if err := b.open(); err != nil {
		return nil, s.fail(ctx, "read", b.key, s.readReason(err))
	}
	s.access.settled.Store(true)
	return store.Verified(b, ref), nil
}

// body reads one object over as many requests as it takes.
type body struct {
	s    *Store
	ctx  context.Context // of Open: reading is part of that call
	key  string
	etag *string
	r    io.ReadCloser
	at   int64 // bytes delivered so far
	mark int64 // at, when failures were last forgotten
	bad  int   // failures since
}

// open asks for the bytes from at on, of the very object that the first answer was about.
func (b *body) open() error {
	api, err := b.s.api(b.ctx)
	if err != nil {
		return err
	}
	in := &s3.GetObjectInput{Bucket: &b.s.bucket, Key: &b.key, IfMatch: b.etag}
	if b.at > 0 {
		in.Range = aws.String(fmt.Sprintf("bytes=%d-", b.at))
	}
	out, err := api.GetObject(b.ctx, in)
	if err != nil {
		return err
	}
	b.r, b.etag = out.Body, out.ETag
	if b.at > 0 && out.ContentRange == nil { // a server without ranges sends all of it again
		if _, err := io.CopyN(io.Discard, b.r, b.at); err != nil {
			return errors.Join(err, b.r.Close())
		}
	}
	return nil
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.at += int64(n)
	if err == nil || err == io.EOF {
		return n, err
	}
	return n, b.resume(err)
}

// resume opens the rest, or returns why it cannot.
func (b *body) resume(err error) error {
	_ = b.r.Close() // it is broken
	b.r = http.NoBody
	if b.at-b.mark >= progress {
		b.mark, b.bad = b.at, 0
	}
	for ; b.bad < resumes; b.bad++ {
		if werr := b.wait(); werr != nil {
			return b.s.fail(b.ctx, "read", b.key, werr)
		}
		openErr := b.open()
		if openErr == nil {
			b.bad++
			return nil
		}
		if answerOf(openErr).status == http.StatusPreconditionFailed {
			return &diag.Error{
				Kind: diag.Integrity, Place: b.s.place(b.key), Err: store.ErrCorrupt,
				What: fmt.Sprintf("%v: the object was replaced while it was read", store.ErrCorrupt),
			}
		}
		err = openErr
	}
	return b.s.fail(b.ctx, fmt.Sprintf("read, broken off after %d bytes", b.at), b.key, err)
}

func (b *body) wait() error {
	d := resumeAfter << b.bad
	t := time.NewTimer(d/2 + rand.N(d))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-b.ctx.Done():
		return context.Cause(b.ctx)
	}
}

// Close implements io.Closer.
func (b *body) Close() error { return b.r.Close() }

// small reads a record or a cell whole, with its ETag. The server's checksum
// stands in for the digest that these have not.
func (s *Store) small(ctx context.Context, key string, limit int64) (value []byte, etag string, err error) {
	for try := 0; ; try++ {
		value, etag, err = s.smallOnce(ctx, key, limit)
		var broken *brokenBody
		if !errors.As(err, &broken) || try == resumes || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return nil, "", s.fail(ctx, "read", key, s.readReason(err))
	}
	s.access.settled.Store(true)
	return value, etag, nil
}

// brokenBody is an answer that began well and broke off, which the SDK does not repeat.
type brokenBody struct{ error }

func (b *brokenBody) Unwrap() error         { return b.error }
func (b *brokenBody) ConnectionError() bool { return true }

func (s *Store) smallOnce(ctx context.Context, key string, limit int64) (value []byte, etag string, err error) {
	api, err := s.api(ctx)
	if err != nil {
		return nil, "", err
	}
	out, err := api.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: &key, ChecksumMode: types.ChecksumModeEnabled})
	if err != nil {
		return nil, "", err
	}
	defer func() {
		if cerr := out.Body.Close(); err == nil {
			err = cerr
		}
	}()
	value, err = io.ReadAll(io.LimitReader(out.Body, limit+1))
	if err != nil {
		return nil, "", &brokenBody{err}
	}
	if int64(len(value)) > limit {
		return nil, "", diag.New(diag.Integrity, "more than %d bytes", limit).At(s.place(key))
	}
	return value, aws.ToString(out.ETag), nil
}
