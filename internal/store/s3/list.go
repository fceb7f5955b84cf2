package s3

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
)

// List implements store.Lister.
func (s *Store) List(ctx context.Context, f func(store.Entry) error) error {
	for i := range object.Shelves {
		err := s.each(ctx, store.Prefix(object.Shelf(i)), func(name string, o types.Object) error {
			ref, ok := store.RefAt(name)
			if !ok {
				return nil // not ours
			}
			e := store.Entry{Ref: ref, Size: aws.ToInt64(o.Size)}
			if o.LastModified != nil {
				e.Unix = o.LastModified.Unix()
			}
			return f(e)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Runs implements store.Lister.
func (s *Store) Runs(ctx context.Context, f func(object.RunID) error) error {
	return s.each(ctx, store.RecordPrefix, func(name string, _ types.Object) error {
		if id, ok := store.RunAt(name); ok {
			return f(id)
		}
		return nil
	})
}

// Names implements store.Lister. It sorts by itself, as not every server does.
func (s *Store) Names(ctx context.Context, prefix string, f func(name string) error) error {
	if prefix != "" {
		prefix += "/"
	}
	var names []string
	err := s.each(ctx, prefix, func(name string, _ types.Object) error {
		names = append(names, name)
		return nil
	})
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		if err := f(name); err != nil {
			return err
		}
	}
	return nil
}

// each calls f for each object below prefix, a page at a time.
func (s *Store) each(ctx context.Context, prefix string, f func(name string, o types.Object) error) error {
	pages := awss3.NewListObjectsV2Paginator(s.client, &awss3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: s.key(prefix)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			if codeIs(err, http.StatusForbidden) && ctx.Err() == nil {
				return s.forbidden(&diag.Error{Place: s.place(prefix), What: "list: " + plain(err), Err: err})
			}
			return s.mapped(ctx, "list", prefix, err)
		}
		for _, o := range page.Contents {
			name := strings.TrimPrefix(aws.ToString(o.Key), s.prefix)
			if name == "" || strings.HasSuffix(name, "/") {
				continue // a folder marker of some other tool
			}
			if err := f(name, o); err != nil {
				return err
			}
		}
	}
	return nil
}
