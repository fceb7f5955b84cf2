package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/digest"
)

// access is what the answers so far have told about our standing with the server.
type access struct {
	settled  atomic.Bool // bucket and credentials are good: a bare 404 means no object
	blind    atomic.Bool // without s3:ListBucket AWS answers 403 for what is absent
	endpoint string      // of a server that is not AWS
}

// Stat implements store.Store.
func (s *Store) Stat(ctx context.Context, ref object.Ref) (int64, error) {
	return s.stat(ctx, s.key(store.Path(ref)))
}

func (s *Store) stat(ctx context.Context, key string) (int64, error) {
	api, err := s.api(ctx)
	if err != nil {
		return 0, err
	}
	out, err := api.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: &key})
	if err == nil {
		s.access.settled.Store(true)
		return aws.ToInt64(out.ContentLength), nil
	}
	if ctx.Err() != nil {
		return 0, s.fail(ctx, "look for", key, err)
	}
	return 0, s.fail(ctx, "look for", key, s.headReason(ctx, api, key, err))
}

// headReason returns the error that a HEAD would have told if it had a body: 404
// may be no object, no bucket or, on some servers, no such user. The first time a
// GET asks which; what it learns holds for the process.
func (s *Store) headReason(ctx context.Context, api *s3.Client, key string, err error) error {
	switch a := answerOf(err); {
	case a.status == http.StatusNotFound && s.access.settled.Load():
		return errAbsent
	case a.status == http.StatusForbidden && s.access.blind.Load():
		return errAbsent
	case a.status < 400 || a.status >= 500:
		return err
	}
	out, getErr := api.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: &key, Range: aws.String("bytes=0-0")})
	if getErr == nil {
		_ = out.Body.Close() // it appeared since, or HEAD alone is forbidden: the first answer stands
		return err
	}
	return s.readReason(getErr)
}

// readReason learns from a GET's error, and returns errAbsent for what AWS says
// of absent objects to those who may not list.
func (s *Store) readReason(err error) error {
	a := answerOf(err)
	switch {
	case a.absent():
		s.access.settled.Store(true)
		return errAbsent
	case a.status == http.StatusForbidden && a.code == codeDenied && strings.Contains(a.message, "s3:ListBucket"):
		s.access.blind.Store(true)
		return errAbsent
	}
	return err
}

// errAbsent has the one answer that means no such object.
var errAbsent error = absentError{}

type absentError struct{}

func (absentError) Error() string        { return store.ErrNotFound.Error() }
func (absentError) HTTPStatusCode() int  { return http.StatusNotFound }
func (absentError) ErrorCode() string    { return codeNoKey }
func (absentError) ErrorMessage() string { return "" }

// Put implements store.Store. The bytes are sent from memory that was hashed, in
// one request up to partSize and in parts above it; all uploads of a store share
// maxMemory.
func (s *Store) Put(ctx context.Context, ref object.Ref, src store.Source) (err error) {
	key := s.key(store.Path(ref))
	api, err := s.api(ctx)
	if err != nil {
		return err
	}
	if src.Size > partSize {
		if _, err := s.stat(ctx, key); !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	r, err := src.Open()
	if err != nil {
		return fmt.Errorf("put %s: %w", ref, err)
	}
	defer func() {
		if cerr := r.Close(); err == nil {
			err = cerr
		}
	}()
	if src.Size > partSize {
		return s.putParts(ctx, api, ref, src.Size, r)
	}
	return s.putWhole(ctx, api, ref, src.Size, r)
}

func (s *Store) putWhole(ctx context.Context, api *s3.Client, ref object.Ref, size int64, r io.Reader) error {
	give, err := s.memory.take(ctx, size)
	if err != nil {
		return err
	}
	defer give()
	b := make([]byte, max(size, 0))
	if err := fill(r, b, true); err != nil {
		return s.sourceError(ref, err)
	}
	if got := digest.Of(b); got != ref.Digest {
		return s.sourceError(ref, fmt.Errorf("%w: %d bytes with digest %s", store.ErrCorrupt, len(b), got))
	}
	key := s.key(store.Path(ref))
	_, err = api.PutObject(ctx, s.putInput(key, "", b))
	return s.settle(ctx, key, err)
}

// settle judges the answer to a put-if-absent of an object: that it is there
// already is as good.
func (s *Store) settle(ctx context.Context, key string, err error) error {
	if err == nil || answerOf(err).status == http.StatusPreconditionFailed {
		s.access.settled.Store(true)
		return nil
	}
	return s.fail(ctx, "put", key, err)
}

// fill reads exactly len(b) bytes, and with last nothing may follow.
func fill(r io.Reader, b []byte, last bool) error {
	n, err := io.ReadFull(r, b)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("%w: the bytes end %d too early", store.ErrCorrupt, len(b)-n)
	}
	if err != nil || !last {
		return err
	}
	var more [1]byte
	switch n, err := io.ReadFull(r, more[:]); {
	case n > 0:
		return fmt.Errorf("%w: more bytes than were announced", store.ErrCorrupt)
	case err != io.EOF:
		return err
	}
	return nil
}

// sourceError says that the bytes to be put are not ref's, or cannot be read.
func (s *Store) sourceError(ref object.Ref, err error) error {
	if errors.Is(err, store.ErrCorrupt) {
		return &diag.Error{Kind: diag.Integrity, Place: s.place(s.key(store.Path(ref))), What: "put: " + err.Error(), Err: err}
	}
	return fmt.Errorf("put %s: %w", ref, err)
}
