// Package mem keeps a store in memory, for tests and for trying things out.
package mem

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/digest"
)

// Store is a store.Remote and a store.Lister that is gone with the process.
type Store struct {
	mu      sync.Mutex
	objects map[object.Ref]blob
	records map[object.RunID][]byte
	cells   map[string]cell
	writes  int // of cells, ever: the next version
}

type blob struct {
	bytes []byte
	unix  int64
}

type cell struct {
	value   []byte
	version string
	at      time.Time
}

var (
	_ store.Remote = (*Store)(nil)
	_ store.Lister = (*Store)(nil)
)

// New returns an empty store.
func New() *Store {
	return &Store{
		objects: map[object.Ref]blob{},
		records: map[object.RunID][]byte{},
		cells:   map[string]cell{},
	}
}

// Stat implements store.Store.
func (s *Store) Stat(ctx context.Context, ref object.Ref) (int64, error) {
	b, err := s.blob(ctx, ref)
	return int64(len(b.bytes)), err
}

// Open implements store.Store.
func (s *Store) Open(ctx context.Context, ref object.Ref) (io.ReadCloser, error) {
	b, err := s.blob(ctx, ref)
	if err != nil {
		return nil, err
	}
	return store.Verified(ctx, io.NopCloser(bytes.NewReader(b.bytes)), ref), nil
}

func (s *Store) blob(ctx context.Context, ref object.Ref) (blob, error) {
	if ctx.Err() != nil {
		return blob{}, context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.objects[ref]
	if !ok {
		return blob{}, missing(store.Path(ref))
	}
	return b, nil
}

// Put implements store.Store.
func (s *Store) Put(ctx context.Context, ref object.Ref, src store.Source) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	b, err := read(src)
	if err != nil {
		return fmt.Errorf("put %s: %w", ref, err)
	}
	if got := digest.Of(b); got != ref.Digest || int64(len(b)) != src.Size {
		return diag.New(diag.Integrity, "put: %w", store.Differs(src.Size, int64(len(b)), got)).At("mem:" + store.Path(ref))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.objects[ref]; !ok || src.Replace {
		s.objects[ref] = blob{b, time.Now().Unix()}
	}
	return nil
}

func read(src store.Source) ([]byte, error) {
	r, err := src.Open()
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }() // the bytes are verified: it can tell nothing more
	return io.ReadAll(store.Bounded(r, src.Size))
}

// Damage replaces the bytes of an object that is there, as a failing disk would.
func (s *Store) Damage(ref object.Ref, b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[ref] = blob{bytes.Clone(b), time.Now().Unix()}
}

// Remove forgets an object, as a careless hand would.
func (s *Store) Remove(ref object.Ref) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, ref)
}

// Lookup implements store.Index.
func (s *Store) Lookup(ctx context.Context, id object.RunID) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.records[id]
	if !ok {
		return nil, missing(store.RecordPath(id))
	}
	return bytes.Clone(b), nil
}

// Record implements store.Index.
func (s *Store) Record(ctx context.Context, id object.RunID, value []byte) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.records[id]; !ok {
		s.records[id] = bytes.Clone(value)
	}
	return bytes.Clone(s.records[id]), nil
}

// Adopt implements store.Adopter.
func (s *Store) Adopt(ctx context.Context, id object.RunID, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records[id] = bytes.Clone(value)
	return context.Cause(ctx)
}

// Load implements store.Cells.
func (s *Store) Load(ctx context.Context, name string) (value []byte, version string, err error) {
	c, err := s.Look(ctx, name, "")
	return c.Value, c.Version, err
}

// Look implements store.Cells.
func (s *Store) Look(ctx context.Context, name, known string) (store.Cell, error) {
	if err := check(ctx, name); err != nil {
		return store.Cell{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.cells[name]
	switch {
	case !ok:
		return store.Cell{}, missing(name)
	case c.version == known:
		return store.Cell{}, store.ErrUnchanged
	}
	return store.Cell{Value: bytes.Clone(c.value), Version: c.version, Age: time.Since(c.at), Now: time.Now()}, nil
}

// Swap implements store.Cells.
func (s *Store) Swap(ctx context.Context, name, old string, value []byte) (string, error) {
	if err := check(ctx, name); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cells[name].version != old {
		return "", &diag.Error{Kind: diag.Busy, Place: "mem:" + name, What: store.ErrConflict.Error(), Err: store.ErrConflict}
	}
	s.writes++
	c := cell{bytes.Clone(value), strconv.Itoa(s.writes), time.Now()}
	s.cells[name] = c
	return c.version, nil
}

func check(ctx context.Context, name string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if name == "." || !fs.ValidPath(name) {
		return diag.New(diag.Usage, "%q is not a valid cell name", name)
	}
	return nil
}

func missing(name string) error {
	return &diag.Error{Kind: diag.NotFound, Place: "mem:" + name, What: store.ErrNotFound.Error(), Err: store.ErrNotFound}
}

// List implements store.Lister.
func (s *Store) List(ctx context.Context, f func(store.Entry) error) error {
	s.mu.Lock()
	all := make([]store.Entry, 0, len(s.objects))
	for ref, b := range s.objects {
		all = append(all, store.Entry{Ref: ref, Size: int64(len(b.bytes)), Unix: b.unix})
	}
	s.mu.Unlock()
	for _, e := range all {
		if err := f(e); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// Runs implements store.Lister.
func (s *Store) Runs(ctx context.Context, f func(object.RunID) error) error {
	s.mu.Lock()
	ids := slices.Collect(maps.Keys(s.records))
	s.mu.Unlock()
	for _, id := range ids {
		if err := f(id); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// Names implements store.Lister.
func (s *Store) Names(ctx context.Context, prefix string, f func(name string) error) error {
	s.mu.Lock()
	var names []string
	for name := range s.cells {
		if prefix == "" || strings.HasPrefix(name, prefix+"/") {
			names = append(names, name)
		}
	}
	s.mu.Unlock()
	slices.Sort(names)
	for _, name := range names {
		if err := f(name); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// URL implements store.Remote.
func (s *Store) URL() string { return "mem:" }

// Probe implements store.Remote: a map under a mutex keeps its word.
func (s *Store) Probe(ctx context.Context) error { return context.Cause(ctx) }

// Close implements store.Remote; the content stays.
func (s *Store) Close() error { return nil }
