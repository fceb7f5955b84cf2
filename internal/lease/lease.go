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

// Doc is one document. The value is safe for many goroutines.
type Doc struct {
	cells store.Cells
	name  string
}

// Open returns the document with the name, which need not exist.
func Open(cells store.Cells, name string) *Doc { return &Doc{cells: cells, name: name} }

// Read reads the document; one that does not exist has neither value nor version.
func (d *Doc) Read(ctx context.Context) (Seen, error) { panic("not written") }

// Change replaces the document by what change makes of it. It first takes what was read last,
// if there is such a thing: when nobody has written since, Read and Change are two requests.
// Each value that change returns must be unlike any before it (a number that grows, a nonce),
// because after an answer that was lost Change looks whether its own value is in. change may be called again and
// again; an error of it is returned as it is, and nothing is written.
func (d *Doc) Change(ctx context.Context, change func(Seen) ([]byte, error)) error {
	panic("not written")
}

// Wait reads the document again and again, every five seconds or so, until it is not the one
// that known is, or until the lease in known may be taken over, and returns it. Requests for a document that has
// not changed have no body.
func (d *Doc) Wait(ctx context.Context, known Seen, l *Lease) (Seen, error) { panic("not written") }

// Dead reports whether a lease that stands in the document may be taken over: no beat has come
// for its time to live and Grace. Where the store does not tell ages, one that Wait has seen
// unchanged for that long is dead.
func (d *Doc) Dead(seen Seen, l *Lease) bool { panic("not written") }

// Age adds to all leases but the one with the nonce what a write by somebody else hides: the
// age of the document. It must be called on the leases of each value that Change writes.
func Age(seen Seen, nonce string, leases ...*Lease) { panic("not written") }

// Held is a document that this process holds: a goroutine beats until Free, or until it is lost.
type Held struct{}

// Hold begins to beat. sent is when the write that put the lease in was sent. renew makes the next value from the
// one that is there: it must find the lease with its nonce, count its beat up, set Aged to 0, and fail with ErrLost when the lease is
// not there.
func (d *Doc) Hold(ctx context.Context, ttl time.Duration, sent time.Time, renew func(Seen) ([]byte, error)) *Held {
	panic("not written")
}

// Change makes a change of the holder's; change has the duties of renew. All writes of a holder go
// through one goroutine, so that they never contend with one another, and each counts as a beat.
func (h *Held) Change(ctx context.Context, change func(Seen) ([]byte, error)) error {
	panic("not written")
}

// Context ends, with a cause that wraps ErrLost, when the lease is lost: another has it, or no beat was good
// for two thirds of its time to live.
func (h *Held) Context() context.Context { panic("not written") }

// Beats has an item for each good beat whose answer came in time; a keeper lives by them. Each
// call returns a channel of its own.
func (h *Held) Beats() <-chan time.Time { panic("not written") }

// Free makes the last change, which takes the lease out, and ends the beats. After an error it may
// or may not be out.
func (h *Held) Free(ctx context.Context, last func(Seen) ([]byte, error)) error {
	panic("not written")
}

// Slot is a place in a limit.
type Slot struct{}

// Acquire takes a place.
func Acquire(ctx context.Context, cells store.Cells, name string, most int, l Lease) (*Slot, error) {
	panic("not written")
}

// Free gives it back.
func (s *Slot) Free(ctx context.Context) error { panic("not written") }
