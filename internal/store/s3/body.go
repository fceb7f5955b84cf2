package s3

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
)

// Open implements store.Store.
func (s *Store) Open(ctx context.Context, ref object.Ref) (io.ReadCloser, error) {
	b, err := s.body(ctx, store.Path(ref))
	if err != nil {
		return nil, err
	}
	return store.Verified(ctx, b, ref), nil
}

// body opens what lies at a name.
func (s *Store) body(ctx context.Context, name string) (*body, error) {
	out, err := s.client.GetObject(ctx, &awss3.GetObjectInput{Bucket: &s.bucket, Key: s.key(name)})
	if err != nil {
		return nil, s.mapped(ctx, "open", name, err)
	}
	b := &body{ctx: ctx, s: s, name: name, etag: out.ETag, size: aws.ToInt64(out.ContentLength), r: out.Body}
	if out.ContentLength == nil {
		b.size = -1
	}
	return b, nil
}

// progress is so many bytes that a break after them is the first again.
const progress = 1 << 20

// body reads an object and, when the connection breaks, goes on where it was.
type body struct {
	ctx    context.Context // of the Open that the reads belong to
	s      *Store
	name   string
	etag   *string
	size   int64 // -1 when the server did not say
	off    int64
	r      io.ReadCloser
	breaks int   // in a row
	last   int64 // off at the last break
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	for {
		if b.size >= 0 && b.off > b.size {
			return 0, io.EOF // a rest that is longer than announced: its digest is wrong already
		}
		n, err := b.r.Read(p)
		b.off += int64(n)
		if err == nil || (err == io.EOF && (b.size < 0 || b.off >= b.size)) {
			return n, err
		}
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err = b.resume(err); err != nil || n > 0 {
			return n, err
		}
	}
}

// resume opens the rest of the body after cause. A rest that cannot be opened has been
// asked for often enough.
func (b *body) resume(cause error) error {
	if b.off-b.last >= progress {
		b.breaks = 0
	}
	b.last = b.off
	b.breaks++
	err := cause
	if b.breaks < maxAttempts {
		err = pause(b.ctx, b.breaks, cause)
	}
	if err == nil {
		var r io.ReadCloser
		if r, err = b.rest(); err == nil {
			_ = b.r.Close() // it is broken already
			b.r = r
			return nil
		}
	}
	return b.s.mapped(b.ctx, fmt.Sprintf("read from byte %d", b.off), b.name, err)
}

func (b *body) rest() (io.ReadCloser, error) {
	out, err := b.s.client.GetObject(b.ctx, &awss3.GetObjectInput{
		Bucket: &b.s.bucket, Key: b.s.key(b.name),
		Range: aws.String(fmt.Sprintf("bytes=%d-", b.off)), IfMatch: b.etag,
	})
	if err != nil {
		return nil, err
	}
	if b.off > 0 && !strings.HasPrefix(aws.ToString(out.ContentRange), fmt.Sprintf("bytes %d-", b.off)) {
		_ = out.Body.Close()
		return nil, fmt.Errorf("the server answered a request for bytes from %d with range %q", b.off, aws.ToString(out.ContentRange))
	}
	return out.Body, nil
}

// Close implements io.Closer.
func (b *body) Close() error { return b.r.Close() }
