package s3

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/digest"
)

// Stat implements store.Store.
func (s *Store) Stat(ctx context.Context, ref object.Ref) (int64, error) {
	name := store.Path(ref)
	out, err := s.client.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: &s.bucket, Key: s.key(name)})
	if err != nil {
		return 0, s.mapped(ctx, "stat", name, s.explain(ctx, name, err))
	}
	return aws.ToInt64(out.ContentLength), nil
}

// explain returns the error of a GET in place of that of a HEAD, which has no
// body and so no reason: 404 may be a missing bucket or an unknown user, too.
// Once the bucket has proved to be there, 404 is a missing object.
func (s *Store) explain(ctx context.Context, name string, head error) error {
	status, _ := statusOf(head)
	s.mu.Lock()
	proved := s.proved
	s.mu.Unlock()
	if status < 400 || status >= 500 || (status == 404 && proved) {
		return head
	}
	out, err := s.client.GetObject(ctx, &awss3.GetObjectInput{Bucket: &s.bucket, Key: s.key(name), Range: aws.String("bytes=0-0")})
	if err == nil {
		return errors.Join(head, out.Body.Close())
	}
	if codeIs(err, 404) && codeOf(err) == "NoSuchKey" {
		s.mu.Lock()
		s.proved = true
		s.mu.Unlock()
	}
	return err
}

// Put implements store.Store.
func (s *Store) Put(ctx context.Context, ref object.Ref, src store.Source) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if src.Size > partSize {
		return s.putLarge(ctx, ref, src)
	}
	give, err := s.memory.take(ctx, src.Size)
	if err != nil {
		return err
	}
	defer give()
	b, err := read(src)
	if err != nil {
		return fmt.Errorf("put %s: %w", ref, err)
	}
	if got := digest.Of(b); got != ref.Digest || int64(len(b)) != src.Size {
		return s.corrupt(ref, src.Size, int64(len(b)), got)
	}
	name := store.Path(ref)
	if src.Replace {
		_, err = s.client.PutObject(ctx, s.putInput(name, b))
	} else {
		_, err = s.create(ctx, name, b)
	}
	if err != nil {
		return s.mapped(ctx, "put", name, err)
	}
	return nil
}

// read returns the bytes of src, or one more than its size when it has too many.
func read(src store.Source) (b []byte, err error) {
	r, err := src.Open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	b = make([]byte, src.Size+1)
	n, err := io.ReadFull(r, b)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = nil
	}
	return b[:n], err
}

func (s *Store) corrupt(ref object.Ref, want, size int64, got digest.Digest) error {
	return diag.New(diag.Integrity, "put: %w", store.Differs(want, size, got)).At(s.place(store.Path(ref))).
		Hinted("the file changed while pipe read it; run the command again")
}

// conflicts is how often a server may answer that two creations met.
const conflicts = 8

// create puts b unless there is something already, and reports which it was.
func (s *Store) create(ctx context.Context, name string, b []byte) (created bool, err error) {
	for n := range conflicts {
		_, err = s.client.PutObject(ctx, s.swapInput(name, "", b))
		switch {
		case err == nil:
			return true, nil
		case codeIs(err, 412):
			return false, nil
		case !codeIs(err, 409):
			return false, err
		}
		if err := pause(ctx, n+1, err); err != nil {
			return false, err
		}
	}
	return false, err
}

// putInput is a PUT that replaces whatever is there.
func (s *Store) putInput(name string, b []byte) *awss3.PutObjectInput {
	return &awss3.PutObjectInput{
		Bucket: &s.bucket, Key: s.key(name), Body: bytes.NewReader(b), ContentLength: aws.Int64(int64(len(b))),
		ChecksumCRC32: checksum(b), ServerSideEncryption: s.sse, SSEKMSKeyId: s.sseKey,
	}
}

// swapInput is a PUT that replaces the version old, or creates when old is empty.
func (s *Store) swapInput(name, old string, b []byte) *awss3.PutObjectInput {
	in := s.putInput(name, b)
	if old == "" {
		in.IfNoneMatch = aws.String("*")
	} else {
		in.IfMatch = &old
	}
	return in
}

// checksum is the value of the x-amz-checksum-crc32 header. Sent by ourselves it
// is a plain header on http and https alike, where the SDK would send a trailer.
func checksum(b []byte) *string {
	return aws.String(base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(b))))
}
