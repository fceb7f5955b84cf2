package disk

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/digest"
)

// Load implements store.Cells. The version is the value's digest: values carry
// a number that grows, so none comes twice.
func (s *Store) Load(ctx context.Context, name string) ([]byte, string, error) {
	if err := check(ctx, name); err != nil {
		return nil, "", err
	}
	path := s.path(name)
	b, err := small(path)
	if errors.Is(err, fs.ErrNotExist) {
		// Some file systems (exFAT by FUSE) replace a file in two steps, and it is not there in
		// between. A writer at work has the lock, which stays beside every cell.
		if info, lerr := os.Lstat(path + lockSuffix); lerr == nil && info.Mode().IsRegular() {
			return s.loadAlone(ctx, name)
		}
	}
	return s.loaded(b, err, name)
}

// loadAlone is Load while no writer is at work.
func (s *Store) loadAlone(ctx context.Context, name string) (b []byte, version string, err error) {
	lock, err := s.files.Acquire(ctx, s.path(name)+lockSuffix, atomicfile.Shared, nil)
	if err != nil {
		return nil, "", s.mapped(err, name)
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	b, err = small(s.path(name))
	return s.loaded(b, err, name)
}

func (s *Store) loaded(b []byte, err error, name string) ([]byte, string, error) {
	if err != nil {
		return nil, "", s.mapped(err, name)
	}
	return b, digest.Of(b).Hex(), nil
}

// Look implements store.Cells. The clock is that of the file system, which may be a server's:
// a file that is made now tells the time. A value has the time at which its bytes were written,
// before the disk made them durable and they got their name, so it may seem a little too old.
func (s *Store) Look(ctx context.Context, name, known string) (c store.Cell, err error) {
	if err := check(ctx, name); err != nil {
		return c, err
	}
	if _, err := os.Lstat(s.path(name) + lockSuffix); err != nil {
		return c, s.mapped(err, name)
	}
	// Alone, so that the time is that of these very bytes.
	lock, err := s.files.Acquire(ctx, s.path(name)+lockSuffix, atomicfile.Shared, nil)
	if err != nil {
		return c, s.mapped(err, name)
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	b, err := small(s.path(name))
	if c.Value, c.Version, err = s.loaded(b, err, name); err != nil {
		return store.Cell{}, err
	}
	if c.Version == known {
		return store.Cell{}, store.ErrUnchanged
	}
	c.Age, c.Now = s.age(s.path(name))
	return c, nil
}

// age returns how long ago a file was written, negative where that cannot be told, and what time it is.
func (s *Store) age(path string) (age time.Duration, now time.Time) {
	info, err := os.Stat(path)
	if err != nil {
		return -1, now
	}
	clock, err := os.CreateTemp(s.path("tmp"), "clock-")
	if err != nil {
		return -1, now
	}
	defer func() { _ = errors.Join(clock.Close(), os.Remove(clock.Name())) }()
	made, err := clock.Stat()
	if err != nil {
		return -1, now
	}
	return store.Age(info.ModTime(), made.ModTime()), made.ModTime()
}

// Swap implements store.Cells: compare and replace under a file lock.
func (s *Store) Swap(ctx context.Context, name, old string, value []byte) (version string, err error) {
	if err := check(ctx, name); err != nil {
		return "", err
	}
	path := s.path(name)
	if err := s.room(filepath.Dir(path)); err != nil {
		return "", err
	}
	lock, err := s.files.Acquire(ctx, path+lockSuffix, atomicfile.Exclusive, nil)
	if err != nil {
		return "", s.mapped(err, name)
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	b, err := small(path)
	_, now, err := s.loaded(b, err, name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return "", err
	}
	if now != old {
		return "", fmt.Errorf("%s: %w", name, store.ErrConflict)
	}
	return digest.Of(value).Hex(), s.mapped(s.files.Write(path, value, 0o666, s.path("tmp")), name)
}

// check refuses a name that could lead out of the store.
func check(ctx context.Context, name string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if name == "." || !fs.ValidPath(name) {
		return diag.New(diag.Usage, "%q is not a valid cell name", name)
	}
	return nil
}

const lockSuffix = ".lock"

// Probe implements store.Remote.
func (s *Store) Probe(ctx context.Context) error { return s.probe(ctx, s.files.TryAcquire) }

// locker is TryAcquire, or what a file system makes of it.
type locker func(path string, m atomicfile.Mode) (*atomicfile.Lock, error)

func (s *Store) probe(ctx context.Context, try locker) (err error) {
	name := "probe/" + rand.Text()
	defer func() {
		for _, path := range []string{s.path(name), s.path(name) + lockSuffix} {
			if rerr := s.files.Remove(path); !errors.Is(rerr, fs.ErrNotExist) { // it may have failed before it made them
				err = errors.Join(err, rerr)
			}
		}
	}()
	steps := []struct {
		what, version string
		want          error
	}{
		{"create", "", nil},
		{"create again", "", store.ErrConflict},
		{"replace by a stale version", digest.Of(nil).Hex(), store.ErrConflict},
	}
	for _, st := range steps {
		_, err := s.Swap(ctx, name, st.version, []byte("probe\n"))
		if err != nil && !errors.Is(err, store.ErrConflict) {
			return err // it did not get so far: that says nothing about conditions
		}
		if !errors.Is(err, st.want) {
			return diag.New(diag.Policy, "%s: got %v, want %v", st.what, err, st.want).At(s.root)
		}
	}
	return s.excludes(s.path(name)+lockSuffix, try)
}

// excludes proves that of two open files one alone gets the lock. The swaps of
// one process, one after the other, also succeed on a share that takes every
// lock and holds nobody off. What it cannot see is a share whose locks hold on
// each machine by itself (NFS mounted with nolock).
func (s *Store) excludes(path string, try locker) error {
	first, err := try(path, atomicfile.Exclusive)
	if err != nil {
		return s.mapped(err, "probe")
	}
	if first == nil {
		return diag.New(diag.Policy, "cannot take a free lock").At(s.root)
	}
	second, err := try(path, atomicfile.Exclusive)
	if second != nil {
		err = errors.Join(second.Release(), diag.New(diag.Policy, "the file system grants the same lock twice").At(s.root).
			Hinted("use a file system with working locks (flock), or S3; otherwise two deployments could both win"))
	}
	return errors.Join(err, first.Release())
}

// Names implements store.Lister.
func (s *Store) Names(ctx context.Context, prefix string, f func(string) error) error {
	return s.walk(ctx, prefix, func(path string, d fs.DirEntry) error {
		if strings.HasSuffix(path, lockSuffix) || strings.HasPrefix(d.Name(), ".tmp-") {
			return nil
		}
		return f(path)
	})
}

// List implements store.Lister.
func (s *Store) List(ctx context.Context, f func(store.Entry) error) error {
	for i := range object.Shelves {
		err := s.walk(ctx, store.Prefix(object.Shelf(i)), func(path string, d fs.DirEntry) error {
			ref, ok := store.RefAt(path)
			if !ok {
				return nil // not ours
			}
			info, err := d.Info()
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			return f(store.Entry{Ref: ref, Size: info.Size(), Unix: info.ModTime().Unix()})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Runs implements store.Lister.
func (s *Store) Runs(ctx context.Context, f func(object.RunID) error) error {
	return s.walk(ctx, store.RecordPrefix, func(path string, _ fs.DirEntry) error {
		if id, ok := store.RunAt(path); ok {
			return f(id)
		}
		return nil
	})
}

// walk calls f for each file below prefix with its path in the store, in order.
func (s *Store) walk(ctx context.Context, prefix string, f func(path string, d fs.DirEntry) error) error {
	err := filepath.WalkDir(s.path(prefix), func(path string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(s.root, path)
		if err != nil {
			return err
		}
		return f(filepath.ToSlash(rel), d)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
