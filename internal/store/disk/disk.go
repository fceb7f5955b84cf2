// Package disk is a store in a directory: the cache, or a remote on a shared disk.
package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/digest"
)

// Store keeps objects as files below one directory, in the layout that every store has.
type Store struct {
	root  string
	files atomicfile.Files
	bufs  sync.Pool
	dirs  sync.Map // what is known of directories: made, found or durable
}

// bufSize is where read, hash and write of one file get no faster: BenchmarkSave.
const bufSize = 256 << 10

// Open returns the store in the directory root, which is made with the first
// object, if the directory above it is there.
func Open(root string) *Store { return OpenOn(atomicfile.Files{}, root) }

// OpenOn is Open on a file layer whose steps a test sees.
func OpenOn(files atomicfile.Files, root string) *Store {
	s := &Store{root: filepath.Clean(root), files: files} // walks up end there, and their steps are clean
	s.bufs.New = func() any { b := make([]byte, bufSize); return &b }
	return s
}

// URL returns the directory.
func (s *Store) URL() string { return s.root }

// Close does nothing.
func (s *Store) Close() error { return nil }

func (s *Store) path(rel string) string { return filepath.Join(s.root, filepath.FromSlash(rel)) }

func (s *Store) object(ref object.Ref) string { return s.path(store.Path(ref)) }

// Stat implements store.Store.
func (s *Store) Stat(ctx context.Context, ref object.Ref) (int64, error) {
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	info, err := os.Lstat(s.object(ref))
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist // it has no bytes, and Put takes its place
	}
	if err != nil {
		return 0, s.mapped(err, ref)
	}
	return info.Size(), nil
}

// Open implements store.Store.
func (s *Store) Open(ctx context.Context, ref object.Ref) (io.ReadCloser, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	f, err := s.open(ref)
	if err != nil {
		return nil, err
	}
	return store.Verified(ctx, f, ref), nil
}

// open opens an object. What is not a regular file has no bytes that could be right.
func (s *Store) open(ref object.Ref) (*os.File, error) {
	f, err := atomicfile.Open(s.object(ref))
	if errors.Is(err, atomicfile.ErrSpecial) {
		foreign := store.Foreign(s.object(ref), plain(err))
		foreign.Err = store.ErrCorrupt
		return nil, foreign
	}
	return f, s.mapped(err, ref)
}

// plain is an error's text without the path, for one that names it otherwise.
func plain(err error) string {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	return err.Error()
}

// Put implements store.Store.
func (s *Store) Put(ctx context.Context, ref object.Ref, src store.Source) error {
	b, err := s.Begin()
	if err != nil {
		return err
	}
	return errors.Join(first(b.Put(ctx, ref, src), b.Commit), b.Close())
}

func first(err error, then func() error) error {
	if err != nil {
		return err
	}
	return then()
}

// Fill implements store.Cache.
func (s *Store) Fill(ctx context.Context, ref object.Ref, dst *os.File) (err error) {
	src, err := s.open(ref)
	if errors.Is(err, store.ErrCorrupt) {
		return errors.Join(err, s.Quarantine(ref))
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	got, n, err := s.copy(ctx, dst, src)
	if err != nil {
		return s.mapped(err, ref)
	}
	if got != ref.Digest {
		err = store.Corrupt(s.object(ref), n, got)
		return errors.Join(err, s.Quarantine(ref))
	}
	return nil
}

// Quarantine implements store.Cache: the object goes to corrupt/ below the root, where a person may look at it.
func (s *Store) Quarantine(ref object.Ref) error { return s.quarantine(s.object(ref)) }

// QuarantineRecord implements store.Cache.
func (s *Store) QuarantineRecord(id object.RunID) error {
	return s.quarantine(s.path(store.RecordPath(id)))
}

func (s *Store) quarantine(path string) error {
	dir := s.path("corrupt")
	if err := s.files.Mkdir(dir); err != nil {
		return err
	}
	return s.files.Rename(path, filepath.Join(dir, filepath.Base(path)))
}

// Tidy removes what killed processes left in tmp/ and probe/ and what was last
// touched before the time, in Unix seconds.
func (s *Store) Tidy(before int64) (err error) {
	for _, dir := range []string{s.path("tmp"), s.path("probe")} {
		entries, rerr := os.ReadDir(dir)
		if !errors.Is(rerr, fs.ErrNotExist) {
			err = errors.Join(err, rerr)
		}
		for _, e := range entries {
			info, ierr := e.Info()
			if ierr == nil && info.ModTime().Unix() < before {
				err = errors.Join(err, s.files.Disk().RemoveAll(filepath.Join(dir, e.Name())))
			}
		}
	}
	return s.mapped(err, "tidy")
}

// Remove takes an object out of the store.
func (s *Store) Remove(ctx context.Context, ref object.Ref) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return s.mapped(s.files.Remove(s.object(ref)), ref)
}

// RemoveRecord takes a record out of the store.
func (s *Store) RemoveRecord(_ context.Context, id object.RunID) error {
	return s.files.Remove(s.path(store.RecordPath(id)))
}

// copy copies all of src into the empty dst and returns the digest and count of the bytes.
func (s *Store) copy(ctx context.Context, dst, src *os.File) (digest.Digest, int64, error) {
	buf := s.bufs.Get().(*[]byte)
	defer s.bufs.Put(buf)
	h := digest.NewHasher()
	if reflink(dst, src) {
		// The clone is what is delivered, so the clone is what is hashed.
		if _, err := dst.Seek(0, io.SeekStart); err != nil {
			return digest.Digest{}, 0, err
		}
		return h.Copy(ctx, nil, dst, *buf)
	}
	return h.Copy(ctx, dst, src, *buf)
}

// mapped gives an error of the operating system its kind and hint.
func (s *Store) mapped(err error, about any) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%v: %w in %s", about, store.ErrNotFound, s.root)
	case errors.Is(err, syscall.ENOTDIR):
		return diag.New(diag.Usage, "%v: %w", about, err).At(s.root).Hinted("use a directory; ls -ld %s shows what is there", s.root)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return diag.New(diag.Failed, "%v: %w", about, err).At(s.root).Hinted("free space on the disk; pipe gc shows how much the cache can free")
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return diag.New(diag.Auth, "%v: %w", about, err).At(s.root).Hinted("check its owner: ls -ld %s", s.root)
	}
	return err
}

// Lookup implements store.Index.
func (s *Store) Lookup(ctx context.Context, id object.RunID) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	b, err := small(s.path(store.RecordPath(id)))
	return b, s.mapped(err, "record "+id.Short())
}

// small reads a record or a cell, which must not be larger than these may be.
func small(path string) (b []byte, err error) {
	f, err := atomicfile.Open(path)
	if errors.Is(err, atomicfile.ErrSpecial) {
		return nil, store.Foreign(path, plain(err))
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return store.ReadBounded(f, path)
}
