package store

import (
	"slices"
	"strconv"
	"strings"

	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/pkg/digest"
)

// Path returns where ref lies below the root of any store, cache or remote. The
// last element is the whole digest: a file that somebody copies keeps it.
func Path(ref object.Ref) string {
	h := ref.Digest.Hex()
	return Prefix(ref.Shelf) + h[:2] + "/" + h
}

// Prefix returns what the paths of all objects on a shelf begin with.
func Prefix(s object.Shelf) string { return s.String() + "/blake3/" }

// RecordPath returns where a record lies below the root of any store.
func RecordPath(id object.RunID) string {
	name := id.Name()
	return RecordPrefix + name[:2] + "/" + name
}

// RecordPrefix is what the paths of all records begin with.
const RecordPrefix = "runs/k1/"

// RefAt is the inverse of Path; false for what is no object's path.
func RefAt(path string) (object.Ref, bool) {
	name, _, _ := strings.Cut(path, "/")
	shelf := object.Shelf(max(slices.Index(object.Shelves[:], name), 0))
	d, err := digest.ParseHex(path[strings.LastIndexByte(path, '/')+1:])
	ref := object.Ref{Shelf: shelf, Digest: d}
	return ref, err == nil && Path(ref) == path
}

// RunAt is the inverse of RecordPath; false for what is no record's path.
func RunAt(path string) (object.RunID, bool) {
	name, n, dotted := strings.Cut(path[strings.LastIndexByte(path, '/')+1:], ".")
	d, err := digest.ParseHex(name)
	id := object.RunID{Key: digest.Key(d)}
	if dotted && err == nil {
		id.Generation, err = strconv.Atoi(n)
	}
	return id, err == nil && RecordPath(id) == path
}
