package store

import (
	"context"
	"errors"
	"io"
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

// Past is what this clone knows of a remote from earlier commands.
type Past struct {
	Used  bool   // its marker was there
	Use   func() // called when the marker is seen; nil: nobody remembers
	Name  string // that a person calls the remote
	Mount bool   // it is a directory, and may be mounted or not
}

// Marked wraps a remote so that the first write looks at the marker, and puts
// one where there is none: a later version may pack, encrypt or expire objects,
// and what it has marked must not be written to by this one. It costs one request
// per process that writes; readers need no marker, as each object says itself
// what it is.
//
// But where a marker was before and is none, readers and writers alike take the remote for
// one that is not there: an empty mount point must not pass for a store without objects,
// nor be filled. In a directory the first call looks, which costs nothing; elsewhere the
// first that finds nothing.
func Marked(r Remote, past Past) Remote { return &marked{Remote: r, past: past} }

type marked struct {
	Remote
	past  Past
	mu    sync.Mutex
	known bool // the marker is ours
	read  bool // a reader has looked
}

// Unwrap returns the remote itself, for As.
func (m *marked) Unwrap() Remote { return m.Remote }

// Stat implements Store.
func (m *marked) Stat(ctx context.Context, ref object.Ref) (size int64, err error) {
	err = m.reading(ctx, func() (err error) {
		size, err = m.Remote.Stat(ctx, ref)
		return err
	})
	return size, err
}

// Open implements Store.
func (m *marked) Open(ctx context.Context, ref object.Ref) (r io.ReadCloser, err error) {
	err = m.reading(ctx, func() (err error) {
		r, err = m.Remote.Open(ctx, ref)
		return err
	})
	return r, err
}

// Lookup implements Index.
func (m *marked) Lookup(ctx context.Context, id object.RunID) (b []byte, err error) {
	err = m.reading(ctx, func() (err error) {
		b, err = m.Remote.Lookup(ctx, id)
		return err
	})
	return b, err
}

// Load implements Cells.
func (m *marked) Load(ctx context.Context, name string) (b []byte, version string, err error) {
	err = m.reading(ctx, func() (err error) {
		b, version, err = m.Remote.Load(ctx, name)
		return err
	})
	return b, version, err
}

// Look implements Cells.
func (m *marked) Look(ctx context.Context, name, known string) (c Cell, err error) {
	err = m.reading(ctx, func() (err error) {
		c, err = m.Remote.Look(ctx, name, known)
		return err
	})
	return c, err
}

// reading runs a call that only asks.
func (m *marked) reading(ctx context.Context, ask func() error) error {
	if m.past.Mount {
		if err := m.look(ctx, false); err != nil {
			return err
		}
	}
	err := ask()
	if errors.Is(err, ErrNotFound) && m.past.Used {
		if gone := m.look(ctx, false); gone != nil {
			return gone
		}
	}
	return err
}

// Put implements Store.
func (m *marked) Put(ctx context.Context, ref object.Ref, src Source) error {
	if err := m.look(ctx, true); err != nil {
		return err
	}
	return m.Remote.Put(ctx, ref, src)
}

// Record implements Index.
func (m *marked) Record(ctx context.Context, id object.RunID, value []byte) ([]byte, error) {
	if err := m.look(ctx, true); err != nil {
		return nil, err
	}
	return m.Remote.Record(ctx, id, value)
}

// Swap implements Cells.
func (m *marked) Swap(ctx context.Context, name, old string, value []byte) (string, error) {
	if err := m.look(ctx, true); err != nil {
		return "", err
	}
	return m.Remote.Swap(ctx, name, old, value)
}

// Probe implements Remote.
func (m *marked) Probe(ctx context.Context) error {
	if err := m.look(ctx, true); err != nil {
		return err
	}
	return m.Remote.Probe(ctx)
}

// Ready looks at the marker of a remote that a command is about to write to: one
// that turns out to have nothing to write must not call another's store up to date.
func Ready(ctx context.Context, r Remote) error {
	if m, ok := As[*marked](r); ok {
		return m.look(ctx, true)
	}
	return nil
}

// Present looks whether a remote is there that a command is about to list, if this clone
// has used it before: a list of nothing is no error.
func Present(ctx context.Context, r Remote) error {
	if m, ok := As[*marked](r); ok && m.past.Used {
		return m.look(ctx, false)
	}
	return nil
}

// look reads the marker once; the others wait for it. An error is no answer, and
// the next call looks again.
func (m *marked) look(ctx context.Context, write bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known || m.read && !write {
		return nil
	}
	b, _, err := m.Remote.Load(ctx, MarkerName)
	absent := errors.Is(err, ErrNotFound)
	switch {
	case absent && m.past.Used:
		return m.gone()
	case absent && !write:
		m.read = true
		return nil
	case absent:
		b, err = m.mark(ctx)
	}
	if err == nil {
		err = m.check(b)
	}
	if m.known = err == nil; m.known && !m.past.Used && m.past.Use != nil {
		m.past.Use()
	}
	if !write && (diag.Is(err, diag.Integrity) || diag.Is(err, diag.Policy)) {
		m.read, err = true, nil // it is there, and what is wrong with it concerns only those who write
	}
	return err
}

// gone says that the marker is not there any more.
func (m *marked) gone() error {
	e := diag.New(diag.Network, "the marker %s is gone: this remote was emptied, or it is another one", MarkerName)
	forget := "if it was emptied on purpose, run pipe remote forget " + m.past.Name
	if m.past.Mount {
		e = diag.New(diag.Network, "unreachable: the marker %s is gone; is the directory mounted?", MarkerName)
		forget = "mount it; " + forget
	}
	return e.At(m.URL()).Hinted("%s", forget)
}

// mark puts the marker and returns the one that is there then. A write that failed
// may be in all the same, and another process may have been faster.
func (m *marked) mark(ctx context.Context) ([]byte, error) {
	b, err := canon.Marshal(marker{markerSchema})
	if err != nil {
		return nil, err
	}
	_, failed := m.Remote.Swap(ctx, MarkerName, "", b)
	if failed == nil {
		return b, nil
	}
	if b, _, err = m.Remote.Load(ctx, MarkerName); err != nil {
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
