package store

import (
	"io"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
)

// MaxSmall is the most bytes of a record, a cell or the marker that a store
// reads: whoever can write to a remote must not fill the memory of all others.
const MaxSmall = object.MaxRecord

// ReadBounded returns all bytes of r, of which there may be at most MaxSmall.
// It ends at the bound and does not believe any size that was announced; name
// stands in the error.
func ReadBounded(r io.Reader, name string) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxSmall+1))
	if err == nil && len(b) > MaxSmall {
		return nil, diag.New(diag.Integrity, "larger than %d MiB", MaxSmall>>20).At(name).
			Hinted("pipe did not write this object; inspect it, then delete it")
	}
	return b, err
}

// Bounded returns a reader of r that ends one byte after size: enough to see
// that there are too many, however many there are.
func Bounded(r io.Reader, size int64) io.Reader { return io.LimitReader(r, size+1) }
