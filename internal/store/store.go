// Package store is the one interface that every cache and remote meets, and its decorators.
package store

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/pipe-build/pipe/internal/object"
)

// The errors that callers match. Others are the store's own, mapped to a diag kind.
var (
	ErrNotFound  = errors.New("not in the store")                // no such object, record or cell
	ErrCorrupt   = errors.New("content does not match its hash") // content and digest differ
	ErrConflict  = errors.New("changed by another run")          // a compare-and-swap lost
	ErrUnchanged = errors.New("not changed since it was read")   // a cell has the version that is known
	ErrUnsteady  = errors.New("cannot be read now")              // the next try may succeed
	ErrNoRegion  = errors.New("no region is set for the bucket") // nor does the environment have one
)

// Source opens the bytes of an object that is put. It may be called more than
// once, each time from the start, because an upload may be repeated.
type Source struct {
	Size int64
	Open func() (io.ReadCloser, error)
	// Replace has the object put also where one lies already, because that one is
	// damaged. It needs no condition: whatever is put has the digest of its name, so
	// two who repair at once, or one who puts the good object meanwhile, do no harm.
	Replace bool
}

// Store keeps immutable objects by digest. All methods may be called at once
// from many goroutines and processes.
type Store interface {
	// Stat returns the object's size in bytes, or ErrNotFound. It does not
	// read the bytes: presence is not proof of content.
	Stat(ctx context.Context, ref object.Ref) (int64, error)
	// Open returns the bytes, or ErrNotFound. The reader returns ErrCorrupt in
	// place of io.EOF when the bytes read are not those of ref; nothing read
	// before a clean io.EOF may be delivered to anybody. The caller closes it.
	Open(ctx context.Context, ref object.Ref) (io.ReadCloser, error)
	// Put stores the object unless it is there already (see Source.Replace). The bytes are hashed on
	// the way: others than ref's fail with ErrCorrupt and store nothing. After
	// a nil error the object survives a power cut; after any error it is there
	// whole or not at all.
	Put(ctx context.Context, ref object.Ref, src Source) error
}

// Index keeps records by key: the first of a key wins, for ever.
type Index interface {
	// Lookup returns the record's bytes, or ErrNotFound.
	Lookup(ctx context.Context, id object.RunID) ([]byte, error)
	// Record stores value as the record of id unless there is one, and returns
	// the record that id has then: value, or an earlier one. Two callers at
	// once get the same winner. A store that can only get and put may let the
	// last win on servers without conditional writes; Probe tells.
	Record(ctx context.Context, id object.RunID, value []byte) (winner []byte, err error)
}

// Cells keeps small mutable values, each changed by compare-and-swap. A name is a
// clean slash-separated path such as projects/shop/env/default/state.
type Cells interface {
	// Load returns the value and an opaque version of it, or ErrNotFound.
	Load(ctx context.Context, name string) (value []byte, version string, err error)
	// Look is Load for those who wait for a change: it also tells the value's age, and fails
	// with ErrUnchanged while the cell's version is known.
	Look(ctx context.Context, name, known string) (Cell, error)
	// Swap stores value if the cell's version is still old ("" = there is none), and returns
	// the version that the cell has then ("" = the store does not tell), else it fails with
	// ErrConflict. After any other error the caller must Load again and look whether its own
	// value is in.
	Swap(ctx context.Context, name, old string, value []byte) (version string, err error)
}

// Cell is a small mutable value as it was read.
type Cell struct {
	Value   []byte
	Version string
	// Age is how long ago the value was written, by the store's own clock alone, so that it
	// is the same for all who look, whatever their clocks say. It is right to a second or
	// two; negative: the store does not tell.
	Age time.Duration
	// Now is what the store's clock said when the value was read; zero: the store does not tell.
	Now time.Time
}

// Age returns how long before now a value was written, by two times that one clock has told.
// A server may tell an older time than that of its last write, because it rounds, or looks at
// its clock once in a second; but not by more than slack.
func Age(written, now time.Time) time.Duration {
	const slack = 2 * time.Second
	if age := now.Sub(written); age >= -slack {
		return max(age, 0)
	}
	return -1
}

// Remote is all that a shared store can do.
type Remote interface {
	Store
	Index
	Cells
	// URL names the store for people: no credentials in it.
	URL() string
	// Probe really creates a scratch cell, creates it again and swaps it by a
	// stale version: an error says that the store does not honour conditional
	// writes, or cannot be written, with its own answer. The scratch is left
	// overwritten or removed.
	Probe(ctx context.Context) error
	// Close frees connections.
	Close() error
}

// Lister is a store that can name what it holds; only gc, verify and find need it.
type Lister interface {
	// List calls f for each object, in no order, until f fails.
	List(ctx context.Context, f func(Entry) error) error
	// Runs calls f for each record, in no order.
	Runs(ctx context.Context, f func(object.RunID) error) error
	// Names calls f for each cell below prefix (a clean path), in order.
	Names(ctx context.Context, prefix string, f func(name string) error) error
}

// Wide is a store behind a network, whose latency many requests at once hide.
type Wide interface {
	// Workers returns how many requests are best made at once.
	Workers() int
}

// Adopter is a store that can replace a record. In a remote only one that no reader
// takes may be: the first good one stands for ever.
type Adopter interface {
	// Adopt makes value the record of id, whatever was recorded there.
	Adopt(ctx context.Context, id object.RunID, value []byte) error
}

// Tidier is a store where a killed process may leave something behind.
type Tidier interface {
	// Tidy removes what was last touched before the time, in Unix seconds.
	Tidy(before int64) error
}

// Entry is one listed object.
type Entry struct {
	Ref  object.Ref
	Size int64
	Unix int64 // when it was last written, in seconds
}
