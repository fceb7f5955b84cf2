package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/digest"
)

const (
	partSize     = 16 << 20
	maxParts     = 10_000 // docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
	maxPart      = 5 << 30
	partsAtOnce  = 4
	abortTimeout = 10 * time.Second
)

// upload is one multipart upload. The transfermanager of the SDK reads the
// source to its end only together with completing, which is too late to refuse
// wrong bytes; hence these calls by hand.
type upload struct {
	s    *Store
	name string
	id   *string
	size int64 // of a part
	over bool  // put over what is there

	mu   sync.Mutex
	done []types.CompletedPart
}

func (s *Store) putLarge(ctx context.Context, ref object.Ref, src store.Source) error {
	name := store.Path(ref)
	if src.Size > maxParts*maxPart {
		return diag.New(diag.Failed, "put: an S3 object cannot have %d bytes", src.Size).At(s.place(name))
	}
	if !src.Replace {
		if _, err := s.Stat(ctx, ref); !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	out, err := s.client.CreateMultipartUpload(ctx, &awss3.CreateMultipartUploadInput{
		Bucket: &s.bucket, Key: s.key(name), ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
		ServerSideEncryption: s.sse, SSEKMSKeyId: s.sseKey,
	})
	if err != nil {
		return s.mapped(ctx, "put", name, err)
	}
	u := &upload{s: s, name: name, id: out.UploadId, size: max(partSize, (src.Size+maxParts-1)/maxParts), over: src.Replace}
	if err := u.send(ctx, ref, src); err != nil {
		return errors.Join(err, u.abort(ctx))
	}
	if err := u.complete(ctx); err != nil {
		return s.settle(ctx, ref, u, err)
	}
	return nil
}

// send uploads all parts and returns nil only if they are the bytes of ref.
func (u *upload) send(ctx context.Context, ref object.Ref, src store.Source) error {
	r, err := src.Open()
	if err != nil {
		return fmt.Errorf("put %s: %w", ref, err)
	}
	h := digest.NewHasher()
	g, gctx := par.NewGroup(ctx, partsAtOnce)
	err = u.cut(gctx, g, io.TeeReader(store.Bounded(r, src.Size), h))
	if gerr := g.Wait(); gerr != nil {
		err = gerr // the reader was only told to stop
	} else if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("put %s: %w", ref, err)
	}
	if err = errors.Join(err, r.Close()); err != nil {
		return err
	}
	if got := h.Sum(); got != ref.Digest || h.Len() != src.Size {
		return u.s.corrupt(ref, src.Size, h.Len(), got)
	}
	return nil
}

// cut reads parts and starts their uploads.
func (u *upload) cut(ctx context.Context, g *par.Group, r io.Reader) error {
	for number := int32(1); ; number++ {
		give, err := u.s.memory.take(ctx, u.size)
		if err != nil {
			return err
		}
		buf := u.s.buffer(u.size)
		free := func() { u.s.free(buf); give() }
		n, err := io.ReadFull(r, *buf)
		last := err == io.EOF || err == io.ErrUnexpectedEOF
		if (err != nil && !last) || n == 0 {
			free()
			if last {
				err = nil
			}
			return err
		}
		g.Go(func() error {
			defer free()
			return u.part(ctx, number, (*buf)[:n])
		})
		if last {
			return nil
		}
	}
}

func (s *Store) buffer(size int64) *[]byte {
	if size == partSize {
		return s.parts.Get().(*[]byte)
	}
	b := make([]byte, size)
	return &b
}

func (s *Store) free(b *[]byte) {
	if len(*b) == partSize {
		s.parts.Put(b)
	}
}

func (u *upload) part(ctx context.Context, number int32, b []byte) error {
	sum := checksum(b)
	out, err := u.s.client.UploadPart(ctx, &awss3.UploadPartInput{
		Bucket: &u.s.bucket, Key: u.s.key(u.name), UploadId: u.id, PartNumber: &number,
		Body: bytes.NewReader(b), ContentLength: aws.Int64(int64(len(b))), ChecksumCRC32: sum,
	})
	if err != nil {
		return u.s.mapped(ctx, fmt.Sprintf("put part %d", number), u.name, err)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.done = append(u.done, types.CompletedPart{ETag: out.ETag, PartNumber: &number, ChecksumCRC32: sum})
	return nil
}

func (u *upload) complete(ctx context.Context) error {
	slices.SortFunc(u.done, func(a, b types.CompletedPart) int { return int(*a.PartNumber - *b.PartNumber) })
	in := &awss3.CompleteMultipartUploadInput{
		Bucket: &u.s.bucket, Key: u.s.key(u.name), UploadId: u.id,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: u.done},
	}
	if !u.over {
		in.IfNoneMatch = aws.String("*")
	}
	_, err := u.s.client.CompleteMultipartUpload(ctx, in, func(o *awss3.Options) { o.HTTPClient = u.s.patient })
	return err
}

// settle decides what a failed completion means: the object may be there, by
// another's hand or by a first request whose answer was lost. One that was to be
// replaced says nothing by being there.
func (s *Store) settle(ctx context.Context, ref object.Ref, u *upload, err error) error {
	aborted := u.abort(ctx)
	if _, serr := s.Stat(ctx, ref); serr == nil && !u.over {
		return nil
	}
	return errors.Join(s.mapped(ctx, "put", u.name, err), aborted)
}

// abort frees the parts on the server, even when ctx has ended.
func (u *upload) abort(ctx context.Context) error {
	actx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	_, err := u.s.client.AbortMultipartUpload(actx, &awss3.AbortMultipartUploadInput{
		Bucket: &u.s.bucket, Key: u.s.key(u.name), UploadId: u.id,
	})
	if err == nil || codeIs(err, 404) {
		return nil
	}
	return u.s.mapped(actx, "abort the upload", u.name, err)
}
