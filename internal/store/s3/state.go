package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
)

// Lookup implements store.Index.
func (s *Store) Lookup(ctx context.Context, id object.RunID) ([]byte, error) {
	c, err := s.small(ctx, "look up", store.RecordPath(id), "")
	return c.Value, err
}

// Record implements store.Index. A 412 may also come from an own first try whose
// answer was lost: reading the winner back settles both.
func (s *Store) Record(ctx context.Context, id object.RunID, value []byte) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	name := store.RecordPath(id)
	created, err := s.create(ctx, name, value)
	if err != nil {
		return nil, s.mapped(ctx, "record", name, err)
	}
	if created {
		return value, nil
	}
	return s.Lookup(ctx, id)
}

// Adopt implements store.Adopter. No condition, as a role that may only get and put
// can do it, too.
func (s *Store) Adopt(ctx context.Context, id object.RunID, value []byte) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	name := store.RecordPath(id)
	if _, err := s.client.PutObject(ctx, s.putInput(name, value)); err != nil {
		return s.mapped(ctx, "replace record", name, err)
	}
	return nil
}

// Load implements store.Cells. The version is the ETag.
func (s *Store) Load(ctx context.Context, name string) (value []byte, version string, err error) {
	if err := s.checkName(ctx, name); err != nil {
		return nil, "", err
	}
	c, err := s.small(ctx, "load", name, "")
	return c.Value, c.Version, err
}

// Look implements store.Cells, by the server's own clock: Date and Last-Modified of one answer.
func (s *Store) Look(ctx context.Context, name, known string) (store.Cell, error) {
	if err := s.checkName(ctx, name); err != nil {
		return store.Cell{}, err
	}
	c, err := s.small(ctx, "load", name, known)
	if codeIs(err, 304) {
		err = store.ErrUnchanged
	}
	return c, err
}

// small returns a record or a cell, unless it has the ETag that is known. A body that broke
// off or was damaged on the way is fetched again.
func (s *Store) small(ctx context.Context, doing, name, known string) (c store.Cell, err error) {
	for n := 1; ; n++ {
		err = store.Again(ctx, func() (err error) {
			c, err = s.whole(ctx, name, known)
			return err
		})
		var broken brokenBody
		if err == nil {
			return c, nil
		}
		if !errors.As(err, &broken) || n == maxAttempts {
			return store.Cell{}, s.mapped(ctx, doing, name, err)
		}
		if err := pause(ctx, n, err); err != nil {
			return store.Cell{}, s.mapped(ctx, doing, name, err)
		}
	}
}

// brokenBody is an answer that began well, which the SDK does not ask for again.
type brokenBody struct{ error }

func (b brokenBody) Unwrap() error { return b.error }

// whole asks once. The server's checksum stands in for the digest that a record has not.
func (s *Store) whole(ctx context.Context, name, known string) (store.Cell, error) {
	in := awss3.GetObjectInput{Bucket: &s.bucket, Key: s.key(name), ChecksumMode: types.ChecksumModeEnabled}
	if known != "" {
		in.IfNoneMatch = &known
	}
	out, err := s.client.GetObject(ctx, &in)
	if err != nil {
		return store.Cell{}, err
	}
	b, err := store.ReadBounded(out.Body, s.place(name))
	if err = errors.Join(err, out.Body.Close()); diag.Is(err, diag.Integrity) {
		return store.Cell{}, err
	}
	sum := aws.ToString(out.ChecksumCRC32)
	if int64(len(b)) == aws.ToInt64(out.ContentLength) && sum != "" && sum != *checksum(b) {
		return store.Cell{}, diag.New(diag.Integrity, "%w: the CRC-32 differs from the one stored with them", store.ErrCorrupt).
			At(s.place(name)).Hinted("inspect it: aws s3 cp %s -", s.place(name))
	}
	if err != nil {
		return store.Cell{}, brokenBody{err}
	}
	c := store.Cell{Value: b, Version: aws.ToString(out.ETag), Age: -1}
	if now, ok := awsmiddleware.GetServerTime(out.ResultMetadata); ok && out.LastModified != nil {
		c.Age, c.Now = store.Age(*out.LastModified, now), now
	}
	return c, nil
}

// Swap implements store.Cells. An answer that is lost does not say whether the value was
// stored, and the server would refuse our own value when it is sent again: so each try but
// the first is preceded by a look. Values never come twice, as Cells says, so to find
// ours is to have won; and while the old version is there, a first try that arrives late
// and the next one exclude each other.
func (s *Store) Swap(ctx context.Context, name, old string, value []byte) (version string, err error) {
	if err := s.checkName(ctx, name); err != nil {
		return "", err
	}
	for n := 1; ; n++ {
		out, err := s.client.PutObject(ctx, s.swapInput(name, old, value), func(o *awss3.Options) { o.Retryer = aws.NopRetryer{} })
		if err == nil {
			return aws.ToString(out.ETag), nil
		}
		lost := codeIs(err, 412) || codeIs(err, 409) || (old != "" && missing(err))
		if lost && n == 1 {
			return "", s.conflict(name)
		}
		if !lost && (n == maxAttempts || !s.client.Options().Retryer.IsErrorRetryable(err)) {
			return "", s.mapped(ctx, "swap", name, err)
		}
		if err := pause(ctx, n, err); err != nil {
			return "", s.mapped(ctx, "swap", name, err)
		}
		now, rerr := s.small(ctx, "load", name, "")
		switch {
		case rerr != nil && !errors.Is(rerr, store.ErrNotFound):
			return "", s.mapped(ctx, "swap", name, err)
		case rerr == nil && bytes.Equal(now.Value, value):
			return now.Version, nil
		case lost || now.Version != old:
			return "", s.conflict(name)
		}
	}
}

func (s *Store) conflict(name string) error {
	return &diag.Error{Kind: diag.Busy, Place: s.place(name), What: store.ErrConflict.Error(), Err: store.ErrConflict}
}

func (s *Store) checkName(ctx context.Context, name string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if name == "." || !fs.ValidPath(name) {
		return diag.New(diag.Usage, "%q is not a valid cell name", name).At(s.URL())
	}
	return nil
}

// noETag has the form of a version and is none.
const noETag = `"00000000000000000000000000000000"`

// Probe implements store.Remote.
func (s *Store) Probe(ctx context.Context) error {
	name := "probe/" + rand.Text()
	err := s.probe(ctx, name)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	_, _ = s.client.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: &s.bucket, Key: s.key(name)}) // best effort
	return err
}

func (s *Store) probe(ctx context.Context, name string) error {
	if _, err := s.Swap(ctx, name, "", []byte("probe 1\n")); err != nil {
		return s.expect(name, err, nil, "the server refused a conditional create of a new object")
	}
	_, again := s.Swap(ctx, name, "", []byte("probe 2\n"))
	if err := s.expect(name, again, store.ErrConflict, "the server accepted a second conditional create"); err != nil {
		return err
	}
	_, stale := s.Swap(ctx, name, noETag, []byte("probe 3\n"))
	if err := s.expect(name, stale, store.ErrConflict, "the server accepted a write with a stale If-Match"); err != nil {
		return err
	}
	_, version, err := s.Load(ctx, name)
	if err != nil {
		return err
	}
	last := []byte("probe 4\n")
	_, good := s.Swap(ctx, name, version, last)
	if err := s.expect(name, good, nil, "the server refused a write with the current If-Match"); err != nil {
		return err
	}
	got, _, err := s.Load(ctx, name)
	if err == nil && !bytes.Equal(got, last) {
		return s.refused(name, fmt.Sprintf("the server returned %q for what it had just stored as %q", got, last))
	}
	return err
}

// expect returns nil when got is want, a refusal when the server answered
// otherwise, and got itself when it did not get so far.
func (s *Store) expect(name string, got, want error, complaint string) error {
	switch {
	case want == nil && got == nil, want != nil && errors.Is(got, want):
		return nil
	case got == nil:
		return s.refused(name, complaint+" (it answered 200, not 412)")
	case errors.Is(got, store.ErrConflict):
		return s.refused(name, complaint+" (it answered 412, not 200)")
	}
	return got
}

func (s *Store) refused(name, what string) error {
	return diag.New(diag.Policy, "%s", what).At(s.place(name)).
		Hinted("use a server that honours If-None-Match and If-Match on PUT; otherwise two deployments could both win")
}
