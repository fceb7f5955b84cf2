package s3

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/digest"
)

// maxCell is the largest cell in bytes that is read.
const maxCell = 16 << 20

// Lookup implements store.Index.
func (s *Store) Lookup(ctx context.Context, key digest.Key) ([]byte, error) {
	b, _, err := s.small(ctx, s.key(store.RecordPath(key)), object.MaxRecord)
	return b, err
}

// Record implements store.Index. A retried write whose first answer was lost is
// told that there is a record already: its own. Reading the winner settles both.
func (s *Store) Record(ctx context.Context, key digest.Key, value []byte) ([]byte, error) {
	api, err := s.api(ctx)
	if err != nil {
		return nil, err
	}
	name := s.key(store.RecordPath(key))
	_, err = api.PutObject(ctx, s.putInput(name, "", value))
	if err == nil {
		s.access.settled.Store(true)
		return value, nil
	}
	if !answerOf(err).lost() {
		return nil, s.fail(ctx, "record", name, err)
	}
	winner, _, err := s.small(ctx, name, object.MaxRecord)
	return winner, err
}

// Load implements store.Cells. The version is the ETag.
func (s *Store) Load(ctx context.Context, name string) (value []byte, version string, err error) {
	if err := s.checkName(name); err != nil {
		return nil, "", err
	}
	return s.small(ctx, s.key(name), maxCell)
}

// Swap implements store.Cells.
func (s *Store) Swap(ctx context.Context, name, old string, value []byte) error {
	if err := s.checkName(name); err != nil {
		return err
	}
	key := s.key(name)
	err := s.swap(ctx, key, old, value)
	if err == nil {
		s.access.settled.Store(true)
		return nil
	}
	if a := answerOf(err); a.lost() || (old != "" && a.absent()) {
		return &diag.Error{Kind: diag.Busy, Place: s.place(key), What: store.ErrConflict.Error(), Err: store.ErrConflict}
	}
	return s.fail(ctx, "write", key, err)
}

// swap sends one conditional write, once: a repetition by the SDK would be
// refused because of its own first try.
func (s *Store) swap(ctx context.Context, key, old string, value []byte) error {
	api, err := s.api(ctx)
	if err != nil {
		return err
	}
	_, err = api.PutObject(ctx, s.putInput(key, old, value), func(o *s3.Options) { o.Retryer = aws.NopRetryer{} })
	return err
}

func (s *Store) checkName(name string) error {
	if name == "." || !fs.ValidPath(name) {
		return diag.New(diag.Usage, "%q is not the name of a cell", name).At(s.URL())
	}
	return nil
}

// Probe implements store.Remote.
func (s *Store) Probe(ctx context.Context) error {
	name := "probe/" + rand.Text()
	defer s.remove(ctx, s.key(name))
	steps := []struct {
		what string
		do   func(c *probe) error
	}{
		{"a conditional create", func(c *probe) error { return c.must("", "one") }},
		{"a second conditional create", func(c *probe) error { return c.mustNot("", "two") }},
		{"a swap of the current version", func(c *probe) error { return c.must(c.load("one"), "three") }},
		{"a swap of a stale version", func(c *probe) error { return c.mustNot(c.first, "four") }},
		{"reading back what was swapped", func(c *probe) error { c.load("three"); return c.err }},
	}
	c := &probe{s: s, ctx: ctx, name: name}
	for _, step := range steps {
		c.what = step.what
		if err := step.do(c); err != nil {
			return err
		}
	}
	return nil
}

// probe is one round of conditional writes on a scratch cell.
type probe struct {
	s     *Store
	ctx   context.Context
	name  string
	what  string // the step
	first string // the version that is stale in the end
	err   error  // of load
}

// load returns the cell's version and remembers the first one.
func (c *probe) load(want string) string {
	value, version, err := c.s.Load(c.ctx, c.name)
	switch {
	case errors.Is(err, store.ErrNotFound) || (err == nil && string(value) != want):
		c.err = c.refusal("%s gave %q, not %q", c.what, value, want)
	default:
		c.err = err
	}
	if c.first == "" {
		c.first = version
	}
	return version
}

func (c *probe) must(old, value string) error {
	if c.err != nil {
		return c.err
	}
	err := c.s.swap(c.ctx, c.s.key(c.name), old, []byte(value))
	if a := answerOf(err); a.lost() || a.status == http.StatusNotImplemented || a.code == "NotImplemented" {
		return c.refusal("the server refuses %s (%s)", c.what, a)
	}
	if err != nil {
		return c.s.fail(c.ctx, "probe", c.s.key(c.name), err)
	}
	return nil
}

func (c *probe) mustNot(old, value string) error {
	err := c.s.swap(c.ctx, c.s.key(c.name), old, []byte(value))
	switch {
	case err == nil:
		return c.refusal("the server let %s win (HTTP %d)", c.what, http.StatusOK)
	case !answerOf(err).lost():
		return c.s.fail(c.ctx, "probe", c.s.key(c.name), err)
	}
	return nil
}

func (c *probe) refusal(format string, args ...any) error {
	e := diag.New(diag.Policy, "conditional writes are not honoured: %s", fmt.Sprintf(format, args...))
	return e.At(c.s.place(c.s.key(c.name))).
		Hinted("use AWS S3 or a server that honours If-Match and If-None-Match, or a directory as the remote")
}

// remove deletes the scratch of a probe, as well as it can: a role without
// s3:DeleteObject leaves a few bytes behind.
func (s *Store) remove(ctx context.Context, key string) {
	if ctx.Err() != nil {
		return
	}
	if api, err := s.api(ctx); err == nil {
		_, _ = api.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: &key})
	}
}
