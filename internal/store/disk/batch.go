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
	there   map[string]bool       // directories of objects that were in the store already
}

// Begin implements store.Cache.
func (s *Store) Begin() (store.Batch, error) {
	if err := s.mkdir(s.path("tmp")); err != nil {
		return nil, err
	}
	// A directory for each batch would cost more than its files.
	prefix := filepath.Join(s.path("tmp"), "batch-"+rand.Text()+"-")
	return &batch{s: s, prefix: prefix, pending: map[object.Ref]string{}, there: map[string]bool{}}, nil
}

// has reports whether the object is in the batch, or whole in the store. There it is
// read: good bytes are at hand, and what is wrong must not outlive them. Who puts an
// object has asked for its size before, so this is seldom, and less than a write.
func (b *batch) has(ctx context.Context, ref object.Ref, size int64) bool {
	b.mu.Lock()
	_, ok := b.pending[ref]
	b.mu.Unlock()
	if ok {
		return true
	}
	if !b.s.intact(ctx, ref, size) {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.there[filepath.Dir(b.s.object(ref))] = true
	return true
}

// intact reports whether the store has the object and its bytes are right. One that
// cannot be read is not.
func (s *Store) intact(ctx context.Context, ref object.Ref, size int64) bool {
	f, err := s.open(ref)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil || info.Size() != size {
		return false
	}
	buf := s.bufs.Get().(*[]byte)
	defer s.bufs.Put(buf)
	got, _, err := digest.NewHasher().Copy(ctx, nil, f, *buf)
	return err == nil && got == ref.Digest
}

func (b *batch) temp() (*os.File, error) {
	f, err := b.s.files.Create(b.prefix+strconv.FormatInt(b.next.Add(1), 36), 0o666)
	if err != nil {
		return nil, b.s.mapped(err, "write")
	}
	if err := b.s.files.At(atomicfile.OpWrite, f.Name()); err != nil {
		return nil, errors.Join(err, b.drop(f))
	}
	return f, nil
}

// drop closes and removes a temporary file.
func (b *batch) drop(f *os.File) error {
	return errors.Join(f.Close(), b.s.files.Remove(f.Name()))
}

// Put implements store.Batch.
func (b *batch) Put(ctx context.Context, ref object.Ref, src store.Source) (err error) {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if b.has(ctx, ref, src.Size) {
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
	got, n, err := digest.NewHasher().Copy(ctx, f, store.Bounded(r, src.Size), *buf)
	if err == nil && (got != ref.Digest || n != src.Size) {
		err = fmt.Errorf("%s: %w", ref, store.Differs(src.Size, n, got))
	}
	return b.add(f, ref, err)
}

// Save implements store.Batch.
func (b *batch) Save(ctx context.Context, src *os.File) (digest.Digest, int64, error) {
	f, err := b.temp()
	if err != nil {
		return digest.Digest{}, 0, err
	}
	got, n, err := b.s.copy(ctx, f, src)
	ref := object.Ref{Digest: got}
	if err == nil && b.has(ctx, ref, n) {
		return got, n, b.drop(f)
	}
	return got, n, b.add(f, ref, err)
}

// add closes f and keeps it for Commit, or removes it when err is set.
func (b *batch) add(f *os.File, ref object.Ref, err error) error {
	if err != nil {
		return errors.Join(b.s.mapped(err, ref), b.drop(f))
	}
	if err := f.Close(); err != nil {
		return errors.Join(b.s.mapped(err, ref), b.s.files.Remove(f.Name()))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.pending[ref]; ok {
		return b.s.files.Remove(f.Name()) // another goroutine had the same bytes
	}
	b.pending[ref] = f.Name()
	return nil
}

// Commit implements store.Batch. After an error the batch can only be closed:
// bytes whose sync failed may be gone from memory, and a second sync would not
// say so. The retry is a new batch, which writes them anew.
func (b *batch) Commit() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	// Another batch may have named what was there, and have failed or been killed
	// before the names were durable; or it is at it.
	if len(b.there) > 0 && b.s.marked("") {
		if err := b.s.settle(b.there, ""); err != nil {
			return b.s.mapped(err, "sync")
		}
	}
	if len(b.pending) == 0 {
		return nil
	}
	if err := b.syncAll(); err != nil {
		return b.s.mapped(err, "sync")
	}
	mark, err := b.s.mark()
	if err != nil {
		return err
	}
	// Files before trees: a tree's presence implies its files', after a power cut too.
	if err := first(b.name(false, mark), func() error { return b.name(true, mark) }); err != nil {
		return err
	}
	return b.s.files.Remove(mark)
}

// name gives the pending trees, or the other objects, their names.
func (b *batch) name(trees bool, mark string) error {
	dirs := map[string]bool{}
	for ref, tmp := range b.pending {
		if (ref.Shelf == object.Trees) != trees {
			continue
		}
		to := b.s.object(ref)
		dir := filepath.Dir(to)
		dirs[dir] = true
		// Read-only against careless hands; nobody trusts the mode, so it needs no sync.
		err := errors.Join(b.s.mkdir(dir), b.s.files.Chmod(tmp, 0o444))
		if err == nil {
			err = b.s.rename(tmp, to)
		}
		if err != nil {
			return b.s.mapped(err, ref)
		}
		delete(b.pending, ref)
	}
	return b.s.mapped(b.s.settle(dirs, mark), "sync")
}

// rename gives a file its name, from which a directory that stands there is moved away:
// it can be no object, and nothing replaces a directory but a hand.
func (s *Store) rename(tmp, to string) error {
	err := s.files.Rename(tmp, to)
	if info, lerr := os.Lstat(to); err == nil || lerr != nil || !info.IsDir() {
		return err
	}
	// It may not be the first of this name.
	away := filepath.Join(s.path("corrupt"), filepath.Base(to)+"-"+rand.Text())
	if err := errors.Join(s.files.Mkdir(filepath.Dir(away)), s.files.Rename(to, away)); err != nil {
		return err
	}
	return s.files.Rename(tmp, to)
}

// few files or directories are synced one by one; for more, one sync of the whole
// file system costs less, though it waits for everybody's bytes.
const few = 8

// syncAll makes the bytes of all pending files durable.
func (b *batch) syncAll() error {
	// When the sync of all fails, there is no such call, or the bytes that were
	// lost may be somebody else's: the files' own syncs tell.
	if len(b.pending) > few && b.s.files.SyncFS(b.s.path("tmp")) == nil {
		return nil
	}
	for _, name := range b.pending {
		f, err := b.s.files.Disk().OpenFile(name, os.O_WRONLY, 0) // Windows syncs no file that is open for reading alone
		if err != nil {
			return err
		}
		if err := errors.Join(b.s.files.Sync(f), f.Close()); err != nil {
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
		err = errors.Join(err, b.s.files.Remove(name))
		delete(b.pending, ref)
	}
	return err
}
