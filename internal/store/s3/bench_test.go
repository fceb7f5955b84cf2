package s3_test

import (
	"context"
	"testing"

	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/s3server"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/s3"
	"github.com/pipe-build/pipe/internal/store/storetest"
)

const workers = 64

func benchStore(b *testing.B) (s *s3.Store, objects [][]byte) {
	use(b, s3server.Start(b, s3server.Options{}))
	s = open(b, s3.Config{})
	objects = make([][]byte, b.N)
	for i := range objects {
		objects[i] = storetest.Noise(b, 4096)
	}
	return s, objects
}

func putAll(b *testing.B, s *s3.Store, objects [][]byte) {
	err := par.Each(b.Context(), len(objects), workers, func(ctx context.Context, i int) error {
		return s.Put(ctx, storetest.File(objects[i]), store.Bytes(objects[i]))
	})
	if err != nil {
		b.Fatal(err)
	}
}

func BenchmarkPut4K(b *testing.B) {
	s, objects := benchStore(b)
	b.ReportAllocs()
	b.ResetTimer()
	putAll(b, s, objects)
}

func BenchmarkGet4K(b *testing.B) {
	s, objects := benchStore(b)
	putAll(b, s, objects)
	refs := make([]object.Ref, len(objects))
	for i := range objects {
		refs[i] = storetest.File(objects[i])
	}
	b.ReportAllocs()
	b.ResetTimer()
	err := par.Each(b.Context(), len(refs), workers, func(ctx context.Context, i int) error {
		_, err := store.ReadAll(ctx, s, refs[i], 4096)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
}
