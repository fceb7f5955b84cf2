package transfer_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/disk"
	"github.com/pipe-build/pipe/internal/transfer"
)

// shaky is a remote that delivers each object wrongly so many times.
type shaky struct {
	*disk.Store
	times int
	how   func(r io.ReadCloser, ref object.Ref) io.ReadCloser

	mu   sync.Mutex
	seen map[object.Ref]int
}

func (s *shaky) Open(ctx context.Context, ref object.Ref) (io.ReadCloser, error) {
	r, err := s.Store.Open(ctx, ref)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen[ref]++; err != nil || s.seen[ref] > s.times {
		return r, err
	}
	return s.how(r, ref), nil
}

// after is what comes when r is at its end.
type after struct {
	io.ReadCloser
	err error
}

func (a after) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	if err == io.EOF {
		err = a.err
	}
	return n, err
}

func TestWhatIsDeliveredWronglyIsFetchedThreeTimes(t *testing.T) {
	for name, how := range map[string]struct {
		f    func(r io.ReadCloser, ref object.Ref) io.ReadCloser
		kind diag.Kind
	}{
		"damaged": {func(_ io.ReadCloser, ref object.Ref) io.ReadCloser {
			return store.Verified(t.Context(), io.NopCloser(strings.NewReader("xxx")), ref)
		}, diag.Integrity},
		"short": {func(_ io.ReadCloser, ref object.Ref) io.ReadCloser {
			return store.Verified(t.Context(), io.NopCloser(strings.NewReader("")), ref)
		}, diag.Integrity},
		"EIO":    {func(r io.ReadCloser, _ object.Ref) io.ReadCloser { return after{r, syscall.EIO} }, diag.Network},
		"ESTALE": {func(r io.ReadCloser, _ object.Ref) io.ReadCloser { return after{r, syscall.ESTALE} }, diag.Network},
	} {
		p, dir := newProject(t), t.TempDir()
		full := &transfer.Carrier{Cache: p.cache, Remote: disk.Open(dir), Workers: 2}
		if err := full.Publish(t.Context(), p.outs); err != nil {
			t.Fatal(err)
		}
		for times := range 4 {
			cache := t.TempDir()
			s := &shaky{Store: disk.Open(dir), times: times, how: how.f, seen: map[object.Ref]int{}}
			c := &transfer.Carrier{Cache: disk.Open(cache), Remote: store.Mounted(s, store.NewWatch(dir, store.Patience{})), Workers: 2}
			err := c.Fetch(t.Context(), p.outs)
			if times < 3 && err != nil {
				t.Errorf("%s, %d times: %v", name, times, err)
			}
			if times == 3 && (!diag.Is(err, how.kind) || !strings.Contains(err.Error(), "dist/")) {
				t.Errorf("%s: %v", name, err)
			}
			if rest, rerr := os.ReadDir(filepath.Join(cache, "tmp")); len(rest) > 0 || rerr != nil && !errors.Is(rerr, os.ErrNotExist) {
				t.Errorf("%s, %d times: %v is left, %v", name, times, rest, rerr)
			}
		}
	}
}
