package store

import (
	"fmt"
	"io"
	"math"

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
		return nil, Foreign(name, fmt.Sprintf("larger than %d MiB", MaxSmall>>20))
	}
	return b, err
}

// Foreign is the error for something in a store that pipe cannot have written.
func Foreign(place, what string) *diag.Error {
	return diag.New(diag.Integrity, "%s", what).At(place).Hinted("pipe did not write this object; inspect it, then delete it")
}

// Bounded returns a reader of r that ends one byte after size: enough to see
// that there are too many, however many there are.
func Bounded(r io.Reader, size int64) io.Reader {
	return io.LimitReader(r, min(size, math.MaxInt64-1)+1)
}
