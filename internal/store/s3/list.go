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
	"github.com/pipe-build/pipe/pkg/digest"
)

// List implements store.Lister.
func (s *Store) List(ctx context.Context, f func(store.Entry) error) error {
	for _, tree := range []bool{false, true} {
		top, _, _ := strings.Cut(store.Path(object.Ref{Tree: tree}), "/00/")
		err := s.each(ctx, top+"/", func(name string, o types.Object) error {
			fan, rest, _ := strings.Cut(name[len(top)+1:], "/")
			d, err := digest.ParseHex(fan + rest)
			if err != nil || len(fan) != 2 {
				return nil // not ours
			}
			e := store.Entry{Ref: object.Ref{Tree: tree, Digest: d}, Size: aws.ToInt64(o.Size)}
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
