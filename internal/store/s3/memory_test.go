package s3_test

import (
	"io"
	"runtime"
	"testing"

	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/s3server"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/s3"
	"github.com/pipe-build/pipe/pkg/digest"
)

// pattern is size bytes that need no memory; it notes the largest heap seen while read.
type pattern struct {
	size, at int64
	heap     *uint64
}

func (p *pattern) Read(b []byte) (int, error) {
	if p.at == p.size {
		return 0, io.EOF
	}
	b = b[:min(int64(len(b)), p.size-p.at, 1<<20)]
	for i := range b {
		b[i] = byte((p.at + int64(i)) >> 12)
	}
	p.at += int64(len(b))
	if p.heap != nil {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		*p.heap = max(*p.heap, m.HeapAlloc)
	}
	return len(b), nil
}

func TestLargePutHoldsLittleMemory(t *testing.T) {
	const size = 200 << 20
	start(t, s3server.Options{})
	s := open(t, s3.Config{})
	h := digest.NewHasher()
	if _, err := io.Copy(h, &pattern{size: size}); err != nil {
		t.Fatal(err)
	}
	var heap uint64
	src := store.Source{Size: size, Open: func() (io.ReadCloser, error) {
		return io.NopCloser(&pattern{size: size, heap: &heap}), nil
	}}
	runtime.GC()
	if err := s.Put(t.Context(), object.Ref{Digest: h.Sum()}, src); err != nil {
		t.Fatal(err)
	}
	if heap > 100<<20 {
		t.Errorf("the heap reached %d MiB", heap>>20)
	}
	t.Logf("the heap reached %d MiB", heap>>20)
}
