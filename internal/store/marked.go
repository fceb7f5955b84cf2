package store

import (
	"context"
	"errors"
	"sync"

	"github.com/pipe-build/pipe/internal/canon"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
)

// MarkerName is where a remote says which form its layout has.
const MarkerName = "pipe-store"

// markerSchema is the number of the layout that this version writes.
const markerSchema = 1

// marker is the value of MarkerName.
type marker struct {
	Schema int `json:"schema"`
}

// Marked wraps a remote so that the first write looks at the marker, and puts
// one where there is none: a later version may pack, encrypt or expire objects,
// and what it has marked must not be written to by this one. It costs one request
// per process that writes; readers need no marker, as each object says itself
// what it is.
func Marked(r Remote) Remote { return &marked{Remote: r} }

type marked struct {
	Remote
	mu    sync.Mutex
	known bool // the marker is ours
}

// Unwrap returns the remote itself, for As.
func (m *marked) Unwrap() Remote { return m.Remote }

// Put implements Store.
func (m *marked) Put(ctx context.Context, ref object.Ref, src Source) error {
	if err := m.look(ctx); err != nil {
		return err
	}
	return m.Remote.Put(ctx, ref, src)
}

// Record implements Index.
func (m *marked) Record(ctx context.Context, id object.RunID, value []byte) ([]byte, error) {
	if err := m.look(ctx); err != nil {
		return nil, err
	}
	return m.Remote.Record(ctx, id, value)
}

// Swap implements Cells.
func (m *marked) Swap(ctx context.Context, name, old string, value []byte) error {
	if err := m.look(ctx); err != nil {
		return err
	}
	return m.Remote.Swap(ctx, name, old, value)
}

// Probe implements Remote.
func (m *marked) Probe(ctx context.Context) error {
	if err := m.look(ctx); err != nil {
		return err
	}
	return m.Remote.Probe(ctx)
}

// look reads the marker once; the others wait for it. An error is no answer, and
// the next write looks again.
func (m *marked) look(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known {
		return nil
	}
	b, _, err := m.Load(ctx, MarkerName)
	if errors.Is(err, ErrNotFound) {
		b, err = m.mark(ctx)
	}
	if err == nil {
		err = m.check(b)
	}
	m.known = err == nil
	return err
}

// mark puts the marker and returns the one that is there then. A write that failed
// may be in all the same, and another process may have been faster.
func (m *marked) mark(ctx context.Context) ([]byte, error) {
	b, err := canon.Marshal(marker{markerSchema})
	if err != nil {
		return nil, err
	}
	failed := m.Remote.Swap(ctx, MarkerName, "", b)
	if failed == nil {
		return b, nil
	}
	if b, _, err = m.Load(ctx, MarkerName); err != nil {
		return nil, failed
	}
	return b, nil
}

func (m *marked) check(b []byte) error {
	if n := canon.Schema(b); n > markerSchema {
		return diag.Newer("the store", n).At(m.URL())
	}
	var got marker
	if err := canon.Unmarshal(b, &got); err != nil || got.Schema != markerSchema {
		return diag.New(diag.Integrity, "%s was not written by pipe", MarkerName).At(m.URL()).
			Hinted("another program uses this prefix; use another prefix, or delete the object %s", MarkerName)
	}
	return nil
}

// As finds an optional interface of a remote, behind whatever wraps it.
func As[T any](r Remote) (T, bool) {
	for r != nil {
		if t, ok := r.(T); ok {
			return t, true
		}
		w, ok := r.(interface{ Unwrap() Remote })
		if !ok {
			break
		}
		r = w.Unwrap()
	}
	var none T
	return none, false
}
