package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/disk"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// watched is a directory store that notes its batches, and may fail to commit them.
type watched struct {
	*disk.Store
	fail    error
	broken  error // of Stat
	dry     bool  // objects are noted, not stored
	mu      sync.Mutex
	batches [][]object.Ref
	asked   int // calls of Stat
	open    int // batches that are not closed
}

type watchedBatch struct {
	store.Batch
	w *watched
}

func watch(t *testing.T) *watched {
	t.Helper()
	return &watched{Store: disk.Open(t.TempDir())}
}

func (w *watched) Begin() (store.Batch, error) {
	b, err := w.Store.Begin()
	w.batches = append(w.batches, nil)
	w.open++
	return &watchedBatch{b, w}, err
}

func (b *watchedBatch) Put(ctx context.Context, ref object.Ref, src store.Source) error {
	b.w.mu.Lock()
	last := len(b.w.batches) - 1
	b.w.batches[last] = append(b.w.batches[last], ref)
	b.w.mu.Unlock()
	if b.w.dry {
		return nil
	}
	return b.Batch.Put(ctx, ref, src)
}

func (w *watched) Stat(ctx context.Context, ref object.Ref) (int64, error) {
	w.mu.Lock()
	w.asked++
	w.mu.Unlock()
	if w.broken != nil {
		return 0, w.broken
	}
	return w.Store.Stat(ctx, ref)
}

func (b *watchedBatch) Close() error {
	b.w.open--
	return b.Batch.Close()
}

func (b *watchedBatch) Commit() error {
	if b.w.fail != nil {
		return b.w.fail
	}
	return b.Batch.Commit()
}

func (w *watched) sizes() (n []int) {
	for _, b := range w.batches {
		n = append(n, len(b))
	}
	return n
}

func has(t *testing.T, s store.Store, ref object.Ref) bool {
	t.Helper()
	_, err := s.Stat(t.Context(), ref)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

var errDiskFull = errors.New("disk full")

func TestAPushWhoseBatchIsNotCommittedFailsAndIsSentAgain(t *testing.T) {
	p, remote := newProject(t), watch(t)
	c := &transfer.Carrier{Cache: p.cache, Remote: remote, Workers: 2}
	remote.fail = errDiskFull
	if err := c.Publish(t.Context(), p.outs); !errors.Is(err, errDiskFull) {
		t.Errorf("the first: %v", err)
	}
	if has(t, remote, p.tree) || len(remote.batches) != 1 {
		t.Errorf("the tree was sent after its files had failed: %d batches", len(remote.batches))
	}
	if remote.open != 0 {
		t.Error("the failed batch was not closed")
	}
	remote.fail = nil
	if err := c.Publish(t.Context(), p.outs); err != nil {
		t.Fatal(err)
	}
	remote.asked = 0
	if err := c.Publish(t.Context(), p.outs); err != nil || remote.asked != 0 {
		t.Errorf("what was sent is asked for: %d times, %v", remote.asked, err)
	}
	for _, r := range []object.Ref{ref("app"), ref("inside a"), ref("inside b"), p.tree} {
		if !has(t, remote, r) {
			t.Errorf("%s was taken for sent", r)
		}
	}
}

func TestAPullWhoseBatchIsNotCommittedFails(t *testing.T) {
	p, cache := newProject(t), watch(t)
	if err := p.carrier().Publish(t.Context(), p.outs); err != nil {
		t.Fatal(err)
	}
	c := &transfer.Carrier{Cache: cache, Remote: p.remote, Workers: 2}
	cache.fail = errDiskFull
	if err := c.Fetch(t.Context(), p.outs); !errors.Is(err, errDiskFull) {
		t.Errorf("the first: %v", err)
	}
	if len(cache.batches) != 1 || slices.Contains(cache.batches[0], p.tree) {
		t.Errorf("the tree does not wait for its files: %v", cache.batches)
	}
	cache.fail = nil
	if err := c.Fetch(t.Context(), p.outs); err != nil || !has(t, cache, p.tree) || !has(t, cache, ref("inside b")) {
		t.Errorf("the second: %v", err)
	}
}

// A tree's presence implies its files', so it may not come in the same batch: the
// batches that end in time are the files'.
func TestAFetchedTreeComesAfterItsFiles(t *testing.T) {
	p, cache := newProject(t), watch(t)
	if err := p.carrier().Publish(t.Context(), p.outs); err != nil {
		t.Fatal(err)
	}
	c := &transfer.Carrier{Cache: cache, Remote: p.remote, Workers: 2}
	if err := c.Fetch(t.Context(), p.outs); err != nil {
		t.Fatal(err)
	}
	if len(cache.batches) != 2 || !slices.Equal(cache.batches[1], []object.Ref{p.tree}) {
		t.Errorf("%v", cache.batches)
	}
}

func TestADamagedTreeOfTheCacheIsReplacedByTheRemotes(t *testing.T) {
	p := newProject(t)
	if err := p.carrier().Publish(t.Context(), p.outs); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(p.root, store.Path(p.tree))
	if err := errors.Join(os.Remove(path), os.WriteFile(path, []byte("pipe-tree 1\n"), 0o444)); err != nil {
		t.Fatal(err)
	}
	if err := p.carrier().Fetch(t.Context(), p.outs); err != nil {
		t.Fatal(err)
	}
	if _, err := store.ReadTree(t.Context(), p.cache, p.tree.Digest); err != nil {
		t.Errorf("the cache's tree: %v", err)
	}
	if _, err := os.Stat(filepath.Join(p.root, "corrupt", p.tree.Digest.Hex())); err != nil {
		t.Errorf("nothing was kept to look at: %v", err)
	}
}

// outs returns n outputs of a size, which nobody has.
func outs(n int, size int64) (all []artifact.Output) {
	for i := range n {
		path := fmt.Sprintf("o%d", i)
		all = append(all, artifact.Output{Path: repopath.Path(path), Digest: digest.Of([]byte(path)), Size: size})
	}
	return all
}

func TestABatchEndsAt1000ObjectsOr256MiB(t *testing.T) {
	for name, c := range map[string]struct {
		outs []artifact.Output
		want []int
	}{
		"small ones":  {outs(2001, 10), []int{1000, 1000, 1}},
		"large ones":  {outs(5, 128<<20), []int{2, 2, 1}},
		"larger ones": {outs(2, 300<<20), []int{1, 1}},
	} {
		p := newProject(t)
		remote, cache := watch(t), watch(t)
		remote.dry, cache.dry = true, true
		push := &transfer.Carrier{Cache: p.cache, Remote: remote, Workers: 2}
		pull := &transfer.Carrier{Cache: cache, Remote: p.remote, Workers: 2}
		if err := errors.Join(push.Publish(t.Context(), c.outs), pull.Fetch(t.Context(), c.outs)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !slices.Equal(remote.sizes(), c.want) || !slices.Equal(cache.sizes(), c.want) {
			t.Errorf("%s: pushed %d, pulled %d, want %d", name, remote.sizes(), cache.sizes(), c.want)
		}
	}
}

func TestManyMissingObjectsAreNamedAndCounted(t *testing.T) {
	p := newProject(t)
	c := &transfer.Carrier{Cache: p.cache, Remote: watch(t), Workers: 2}
	err := c.Publish(t.Context(), outs(13, 1))
	if !errors.Is(err, store.ErrNotFound) || strings.Count(err.Error(), "is neither") != 10 || !strings.HasSuffix(err.Error(), "and 3 more") {
		t.Errorf("%v", err)
	}
	if err := c.Publish(t.Context(), outs(10, 1)); strings.Count(err.Error(), "is neither") != 10 || strings.Contains(err.Error(), "more") {
		t.Errorf("ten: %v", err)
	}
}

// Each batch is bounded, whatever sizes a lock or a tree announces.
func TestSizesThatOverflowTogetherStillEndABatch(t *testing.T) {
	cache, remote := disk.Open(t.TempDir()), watch(t)
	remote.dry = true
	c := &transfer.Carrier{Cache: cache, Remote: remote, Workers: 1}
	var outs []artifact.Output
	for i, size := range []int64{1, math.MaxInt64, 1} {
		outs = append(outs, artifact.Output{Path: repopath.Path(fmt.Sprint(i)), Digest: digest.Digest{byte(i)}, Size: size})
	}
	if err := c.Publish(t.Context(), outs); err != nil {
		t.Fatal(err)
	}
	if len(remote.batches) != 2 || len(remote.batches[0]) != 2 {
		t.Errorf("%v", remote.batches)
	}
}

func TestADirectoryBehindItsMarkerTakesBatches(t *testing.T) {
	p, remote := newProject(t), watch(t)
	c := &transfer.Carrier{Cache: p.cache, Remote: store.Marked(remote, store.Past{}), Workers: 2}
	if err := c.Publish(t.Context(), p.outs); err != nil {
		t.Fatal(err)
	}
	if len(remote.batches) != 2 {
		t.Errorf("%d batches, want one of files and one of trees", len(remote.batches))
	}
	if _, _, err := remote.Load(t.Context(), store.MarkerName); err != nil {
		t.Errorf("the marker: %v", err)
	}
	foreign := watch(t)
	if _, err := foreign.Swap(t.Context(), store.MarkerName, "", []byte("hello")); err != nil {
		t.Fatal(err)
	}
	c = &transfer.Carrier{Cache: p.cache, Remote: store.Marked(foreign, store.Past{}), Workers: 2}
	if err := c.Publish(t.Context(), p.outs); err == nil || len(foreign.batches) != 0 {
		t.Errorf("%v, %d batches in another program's store", err, len(foreign.batches))
	}
}
