package disk

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/digest"
)

// batch writes temporary files, syncs the file system once, then gives all of
// them their names: a crash leaves temporaries, never a name without its bytes.
type batch struct {
	s      *Store
	prefix string // of the temporary files' paths
	next   atomic.Int64

	mu      sync.Mutex
	pending map[object.Ref]string // where its bytes lie
}

// Begin implements store.Cache.
func (s *Store) Begin() (store.Batch, error) {
	if err := s.mkdir(s.path("tmp")); err != nil {
		return nil, err
	}
	// A directory for each batch would cost more than its files.
	prefix := filepath.Join(s.path("tmp"), "batch-"+rand.Text()+"-")
	return &batch{s: s, prefix: prefix, pending: map[object.Ref]string{}}, nil
}

func (b *batch) has(ref object.Ref, size int64) bool {
	b.mu.Lock()
	_, ok := b.pending[ref]
	b.mu.Unlock()
	if ok {
		return true
	}
	info, err := os.Lstat(b.s.object(ref))
	return err == nil && info.Mode().IsRegular() && info.Size() == size
}

func (b *batch) temp() (*os.File, error) {
	name := b.prefix + strconv.FormatInt(b.next.Add(1), 36)
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	return f, b.s.mapped(err, "write")
}

// Put implements store.Batch.
func (b *batch) Put(ctx context.Context, ref object.Ref, src store.Source) (err error) {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if b.has(ref, src.Size) {
		return nil
	}
	r, err := src.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	f, err := b.temp()
	if err != nil {
		return err
	}
	buf := b.s.bufs.Get().(*[]byte)
	defer b.s.bufs.Put(buf)
	got, n, err := digest.NewHasher().Copy(f, store.Bounded(r, src.Size), *buf)
	if err == nil && (got != ref.Digest || n != src.Size) {
		err = fmt.Errorf("%s: %w: %d bytes with digest %s, %d were announced", ref, store.ErrCorrupt, n, got, src.Size)
	}
	return b.add(f, ref, err)
}

// Save implements store.Batch.
func (b *batch) Save(_ context.Context, src *os.File) (digest.Digest, int64, error) {
	f, err := b.temp()
	if err != nil {
		return digest.Digest{}, 0, err
	}
	got, n, err := b.s.copy(f, src)
	ref := object.Ref{Digest: got}
	if err == nil && b.has(ref, n) {
		return got, n, errors.Join(f.Close(), os.Remove(f.Name()))
	}
	return got, n, b.add(f, ref, err)
}

// add closes f and keeps it for Commit, or removes it when err is set.
func (b *batch) add(f *os.File, ref object.Ref, err error) error {
	if err == nil {
		err = f.Chmod(0o444)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return errors.Join(b.s.mapped(err, ref), os.Remove(f.Name()))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.pending[ref]; ok {
		return os.Remove(f.Name()) // another goroutine had the same bytes
	}
	b.pending[ref] = f.Name()
	return nil
}

// Commit implements store.Batch.
func (b *batch) Commit() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.pending) == 0 {
		return nil
	}
	if err := syncAll(b.s.path("tmp"), b.pending); err != nil {
		return b.s.mapped(err, "sync")
	}
	// Files before trees: a tree's presence implies its files'.
	return first(b.name(false), func() error { return b.name(true) })
}

// name gives the pending trees, or the other objects, their names.
func (b *batch) name(trees bool) error {
	dirs := map[string]bool{}
	for ref, tmp := range b.pending {
		if (ref.Shelf == object.Trees) != trees {
			continue
		}
		to := b.s.object(ref)
		dir := filepath.Dir(to)
		if err := b.s.mkdir(dir); err != nil {
			return err
		}
		dirs[dir] = true
		if err := os.Rename(tmp, to); err != nil {
			return b.s.mapped(err, ref)
		}
		delete(b.pending, ref)
	}
	return syncNames(b.s.root, dirs)
}

// few files or directories are synced one by one; for more, one sync of the whole
// file system costs less, though it waits for everybody's bytes.
const few = 8

// syncNames makes the new names durable: directory by directory while there are few.
func syncNames(root string, dirs map[string]bool) error {
	if len(dirs) > few && syncFS(root) == nil {
		return nil
	}
	for d := range dirs {
		// The directory's own name may be new, too.
		if err := errors.Join(atomicfile.SyncDir(d), atomicfile.SyncDir(filepath.Dir(d))); err != nil {
			return err
		}
	}
	return nil
}

// syncAll makes the bytes of all pending files durable.
func syncAll(dir string, pending map[object.Ref]string) error {
	if len(pending) > few && syncFS(dir) == nil {
		return nil
	}
	for _, name := range pending {
		f, err := os.OpenFile(name, os.O_RDONLY, 0)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// Close implements store.Batch.
func (b *batch) Close() (err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for ref, name := range b.pending {
		err = errors.Join(err, os.Remove(name))
		delete(b.pending, ref)
	}
	return err
}
