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
	in := &awss3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: s.key(prefix)}
	for more := true; more; {
		var page *awss3.ListObjectsV2Output
		err := store.Again(ctx, func() (err error) {
			page, err = s.page(ctx, prefix, in)
			return err
		})
		if err != nil {
			return err
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
		in.ContinuationToken = page.NextContinuationToken
		more = aws.ToBool(page.IsTruncated) && in.ContinuationToken != nil
	}
	return nil
}

// page asks for one page of a list, and checks what can be checked: it has no sum, and the
// SDK takes any text for the empty list.
func (s *Store) page(ctx context.Context, prefix string, in *awss3.ListObjectsV2Input) (*awss3.ListObjectsV2Output, error) {
	page, err := s.client.ListObjectsV2(ctx, in)
	if err != nil {
		if codeIs(err, http.StatusForbidden) && ctx.Err() == nil {
			return nil, s.forbidden(&diag.Error{Place: s.place(prefix), What: "list: " + plain(err), Err: err})
		}
		return nil, s.mapped(ctx, "list", prefix, err)
	}
	foreign := slices.ContainsFunc(page.Contents, func(o types.Object) bool { return !strings.HasPrefix(aws.ToString(o.Key), *in.Prefix) })
	if page.Name == nil || foreign || page.KeyCount != nil && int(*page.KeyCount) != len(page.Contents)+len(page.CommonPrefixes) {
		return nil, diag.New(diag.Integrity, "list: %w: the answer is not a listing of this bucket", store.ErrCorrupt).
			At(s.place(prefix)).Hinted("check what answers there: aws s3 ls %s", s.URL())
	}
	return page, nil
}
