package s3

import (
	"context"
	"errors"
	"io"
	"io/fs"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pipe-build/pipe/internal/store"
)

// OpenName opens what lies at a name below the prefix, whoever put it there. Nothing is verified: whoever
// reads it must know what it should be. What is not there is fs.ErrNotExist.
func (s *Store) OpenName(ctx context.Context, name string) (io.ReadCloser, error) {
	b, err := s.body(ctx, name)
	if err != nil {
		return nil, absent(err)
	}
	return b, nil
}

// HasName reports whether something lies at a name below the prefix.
func (s *Store) HasName(ctx context.Context, name string) (bool, error) {
	_, err := s.client.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: &s.bucket, Key: s.key(name)})
	if err == nil {
		return true, nil
	}
	err = absent(s.mapped(ctx, "stat", name, s.explain(ctx, name, err)))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return false, err
}

// absent turns the store's own word for what is not there into that of file systems.
func absent(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return fs.ErrNotExist
	}
	return err
}
