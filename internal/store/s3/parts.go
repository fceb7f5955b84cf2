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
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/digest"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum returns the CRC-32C of b as S3 writes it. It goes as a header with
// every body, so that the server refuses what was damaged on the way, over http
// and https alike. The SDK's own go as trailers, which some servers break on.
func checksum(b []byte) *string {
	sum := binary.BigEndian.AppendUint32(nil, crc32.Checksum(b, castagnoli))
	return aws.String(base64.StdEncoding.EncodeToString(sum))
}

// putInput returns the request to store b if key's ETag is still old ("" = there is none).
func (s *Store) putInput(key, old string, b []byte) *s3.PutObjectInput {
	in := &s3.PutObjectInput{
		Bucket:         &s.bucket,
		Key:            &key,
		Body:           bytes.NewReader(b),
		ContentLength:  aws.Int64(int64(len(b))),
		ChecksumCRC32C: checksum(b),
	}
	in.ServerSideEncryption, in.SSEKMSKeyId = s.encryption()
	if old == "" {
		in.IfNoneMatch = aws.String("*")
	} else {
		in.IfMatch = &old
	}
	return in
}

func (s *Store) encryption() (types.ServerSideEncryption, *string) {
	sse := types.ServerSideEncryption(s.cfg.SSE)
	if s.cfg.SSEKey == "" {
		return sse, nil
	}
	if sse == "" {
		sse = types.ServerSideEncryptionAwsKms
	}
	return sse, &s.cfg.SSEKey
}

// upload is one large object on its way: parts of it, invisible until Complete.
type upload struct {
	s    *Store
	api  *s3.Client
	key  string
	id   *string
	size int64 // of each part but the last
	done []types.CompletedPart
}

func (s *Store) putParts(ctx context.Context, api *s3.Client, ref object.Ref, size int64, r io.Reader) error {
	key := s.key(store.Path(ref))
	in := &s3.CreateMultipartUploadInput{Bucket: &s.bucket, Key: &key, ChecksumAlgorithm: types.ChecksumAlgorithmCrc32c}
	in.ServerSideEncryption, in.SSEKMSKeyId = s.encryption()
	out, err := api.CreateMultipartUpload(ctx, in)
	if err != nil {
		return s.fail(ctx, "put", key, err)
	}
	u := &upload{s: s, api: api, key: key, id: out.UploadId, size: partFor(size)}
	err = u.run(ctx, ref, size, r)
	if err != nil {
		u.abort(ctx)
	}
	return err
}

// partFor returns the size of the parts of an object: partSize, or as many MiB
// as keep within the number of parts.
func partFor(size int64) int64 {
	const mib = 1 << 20
	least := (size + maxParts - 1) / maxParts
	return max(partSize, (least+mib-1)/mib*mib)
}

func (u *upload) run(ctx context.Context, ref object.Ref, size int64, r io.Reader) error {
	u.done = make([]types.CompletedPart, (size+u.size-1)/u.size)
	got, err := u.send(ctx, size, r)
	if err != nil {
		return u.s.sourceError(ref, err)
	}
	if got != ref.Digest {
		return u.s.sourceError(ref, fmt.Errorf("%w: %d bytes with digest %s", store.ErrCorrupt, size, got))
	}
	return u.complete(ctx)
}

// send reads and hashes the bytes in order, and uploads partsAtOnce parts at once.
func (u *upload) send(ctx context.Context, size int64, r io.Reader) (digest.Digest, error) {
	h := digest.NewHasher()
	g, gctx := par.NewGroup(ctx, partsAtOnce)
	readErr := u.read(gctx, g, size, io.TeeReader(r, h))
	if err := g.Wait(); err != nil {
		return digest.Digest{}, err
	}
	return h.Sum(), readErr
}

func (u *upload) read(ctx context.Context, g *par.Group, size int64, r io.Reader) error {
	for i := range u.done {
		n := min(u.size, size-int64(i)*u.size)
		give, err := u.s.memory.take(ctx, u.size)
		if err != nil {
			return err
		}
		buf := u.s.takeBuffer(u.size)
		release := func() { u.s.buffer.Put(buf); give() }
		if err := fill(r, (*buf)[:n], i == len(u.done)-1); err != nil {
			release()
			return err
		}
		g.Go(func() error {
			defer release()
			return u.part(ctx, i, (*buf)[:n])
		})
	}
	return nil
}

func (s *Store) takeBuffer(size int64) *[]byte {
	if b, ok := s.buffer.Get().(*[]byte); ok && int64(len(*b)) >= size {
		return b
	}
	b := make([]byte, size)
	return &b
}

func (u *upload) part(ctx context.Context, i int, b []byte) error {
	sum := checksum(b)
	number := aws.Int32(int32(i) + 1)
	out, err := u.api.UploadPart(ctx, &s3.UploadPartInput{
		Bucket:         &u.s.bucket,
		Key:            &u.key,
		UploadId:       u.id,
		PartNumber:     number,
		Body:           bytes.NewReader(b),
		ContentLength:  aws.Int64(int64(len(b))),
		ChecksumCRC32C: sum,
	})
	if err != nil {
		return u.s.fail(ctx, "put", u.key, err)
	}
	u.done[i] = types.CompletedPart{ETag: out.ETag, PartNumber: number, ChecksumCRC32C: sum}
	return nil
}

// complete makes the object appear. An error may hide a success whose answer was
// lost, or another's: presence decides.
func (u *upload) complete(ctx context.Context) error {
	_, err := u.api.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket:          &u.s.bucket,
		Key:             &u.key,
		UploadId:        u.id,
		IfNoneMatch:     aws.String("*"),
		MultipartUpload: &types.CompletedMultipartUpload{Parts: u.done},
	})
	if err == nil {
		return nil
	}
	if a := answerOf(err); a.lost() || a.code == codeNoUpload {
		_, statErr := u.s.stat(ctx, u.key)
		if statErr == nil {
			u.abort(ctx)
			return nil
		}
		err = errors.Join(err, statErr)
	}
	return u.s.fail(ctx, "put", u.key, err)
}

// abort frees the parts on the server, as well as it can: what stays is invisible,
// and the bucket's lifecycle rule for incomplete uploads is there for it.
func (u *upload) abort(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	_, _ = u.api.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &u.s.bucket, Key: &u.key, UploadId: u.id})
}
