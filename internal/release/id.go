package release

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/pkg/digest"
)

// ID names a release: the digest of its canonical bytes, written r- and 64 digits. It is another
// type than a digest, because no store has an object of that name on its shelves.
type ID digest.Digest

const idPrefix = "r-"

// ParseID reads the whole name of a release.
func ParseID(text string) (ID, error) {
	hex, ok := strings.CutPrefix(text, idPrefix)
	d, err := digest.ParseHex(hex)
	if !ok || err != nil {
		return ID{}, fmt.Errorf("%q is not the name of a release: %s and 64 hexadecimal digits", text, idPrefix)
	}
	return ID(d), nil
}

// IsPrefix reports whether text may be the beginning of a release's name: r- and at least four digits.
func IsPrefix(text string) bool {
	hex, ok := strings.CutPrefix(text, idPrefix)
	return ok && len(hex) >= 4 && len(hex) <= 64 && strings.Trim(hex, "0123456789abcdef") == ""
}

// String returns the whole name.
func (id ID) String() string { return idPrefix + digest.Digest(id).Hex() }

// Short returns as much of the name as people need.
func (id ID) Short() string { return id.String()[:len(idPrefix)+12] }

// Unique returns the names sorted, each once.
func Unique(ids []ID) []ID {
	slices.SortFunc(ids, func(a, b ID) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(ids)
}

// IsZero reports whether it names no release.
func (id ID) IsZero() bool { return digest.Digest(id).IsZero() }

// MarshalText implements encoding.TextMarshaler.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (id *ID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseID(string(b))
	return err
}
