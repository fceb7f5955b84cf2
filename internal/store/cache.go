package store

import (
	"context"
	"os"

	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/pkg/digest"
)

// Cache is a store on this machine, which takes files in and hands them out.
type Cache interface {
	Store
	Index
	// Begin starts a batch: many objects made durable at the price of one.
	Begin() (Batch, error)
	// Fill writes the verified bytes of ref into the empty file dst, sharing
	// blocks where the file system can. On ErrCorrupt the object is put out of
	// the way, so that a good copy can take its place.
	Fill(ctx context.Context, ref object.Ref, dst *os.File) error
	// Quarantine puts an object whose bytes are wrong out of the way.
	Quarantine(ref object.Ref) error
	// QuarantineRecord does so with a record that cannot be read.
	QuarantineRecord(id object.RunID) error
	Adopter // the remote's record is everybody's
}

// Batch collects objects; none is in the store before Commit. Put and Save may
// be called from many goroutines at once.
type Batch interface {
	// Put adds an object, as Store.Put.
	Put(ctx context.Context, ref object.Ref, src Source) error
	// Save adds the bytes of an open file, from its start, and returns their
	// digest and count.
	Save(ctx context.Context, f *os.File) (digest.Digest, int64, error)
	// Commit makes all objects durable, then names them.
	Commit() error
	// Close drops what was not committed.
	Close() error
}
