package dvc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
)

// Raw is a place where bytes lie under names with slashes. Neither method changes anything; what is not there
// is fs.ErrNotExist.
type Raw interface {
	OpenName(ctx context.Context, name string) (io.ReadCloser, error)
	HasName(ctx context.Context, name string) (bool, error)
}

// Folder is a directory as a Raw: DVC's cache, or a remote on a disk.
type Folder string

// OpenName implements Raw.
func (d Folder) OpenName(_ context.Context, name string) (io.ReadCloser, error) {
	return atomicfile.Open(filepath.Join(string(d), filepath.FromSlash(name)))
}

// HasName implements Raw.
func (d Folder) HasName(_ context.Context, name string) (bool, error) {
	_, err := os.Stat(filepath.Join(string(d), filepath.FromSlash(name)))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Store is where DVC's objects lie: its cache, and then a remote. They are only read.
type Store struct {
	Places []Raw
}

// ErrNowhere says that an object is in no place that was looked into.
var ErrNowhere = errors.New("not in DVC's cache or remote")

// names returns where an object may lie, the likeliest first: DVC 3 has another layout than DVC 2, and
// reads both.
func names(s Sum) []string {
	older := s.MD5[:2] + "/" + s.String()[2:]
	newer := "files/md5/" + older
	if s.Legacy {
		return []string{older, newer}
	}
	return []string{newer, older}
}

// Open opens an object without a look at its bytes: whoever reads them hashes them.
func (s *Store) Open(ctx context.Context, sum Sum) (io.ReadCloser, error) {
	for _, place := range s.Places {
		for _, name := range names(sum) {
			r, err := place.OpenName(ctx, name)
			if err == nil || !errors.Is(err, fs.ErrNotExist) {
				return r, err
			}
		}
	}
	return nil, fmt.Errorf("%s: %w", sum, ErrNowhere)
}

// Local returns the file that has an object, where it lies in a directory; "": it does not.
func (s *Store) Local(sum Sum) string {
	for _, place := range s.Places {
		dir, ok := place.(Folder)
		if !ok {
			continue
		}
		for _, name := range names(sum) {
			at := filepath.Join(string(dir), filepath.FromSlash(name))
			if _, err := os.Stat(at); err == nil {
				return at
			}
		}
	}
	return ""
}

// Has reports whether an object lies in one of the places.
func (s *Store) Has(ctx context.Context, sum Sum) (bool, error) {
	for _, place := range s.Places {
		for _, name := range names(sum) {
			if ok, err := place.HasName(ctx, name); ok || err != nil {
				return ok, err
			}
		}
	}
	return false, nil
}

// Copy writes an object's bytes to w and returns what they are. Bytes that are not what their name
// says are an error of kind Integrity.
func (s *Store) Copy(ctx context.Context, sum Sum, w io.Writer) (h Hashed, err error) {
	r, err := s.Open(ctx, sum)
	if err != nil {
		return h, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if h, err = Hash(ctx, r, w); err != nil {
		return h, err
	}
	if want := (Sum{MD5: sum.MD5, Legacy: sum.Legacy}); !h.Is(want) {
		return h, diag.New(diag.Integrity, "DVC's object %s has other bytes than its name says (md5 %s)", sum, h.of(sum.Legacy)).
			Hinted("remove it from DVC's cache and run dvc pull, then pipe import dvc")
	}
	return h, nil
}

// maxList is the largest list of a directory that is read: about two million files.
const maxList = 256 << 20

// List reads the list of a directory.
func (s *Store) List(ctx context.Context, sum Sum) (all []Entry, err error) {
	b := &bounded{}
	if _, err := s.Copy(ctx, sum, b); err != nil {
		return nil, err
	}
	if all, err = parseList(b.data); err != nil {
		return nil, diag.New(diag.Integrity, "DVC's object %s: %w", sum, err).Hinted("run dvc repro or dvc add again, which writes it anew")
	}
	return all, nil
}

// bounded takes what a list may have.
type bounded struct{ data []byte }

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	if len(b.data)+len(p) > maxList {
		return 0, diag.New(diag.Integrity, "the list of a directory is larger than %d bytes", maxList)
	}
	b.data = append(b.data, p...)
	return len(p), nil
}
