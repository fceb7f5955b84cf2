// Package digest names content by its hash.
//
// A Digest names bytes: equal digests are equal bytes, wherever they lie. A Key names a
// question, a stage's definition with its inputs; what the answer was stands in a record. Both
// are 32 bytes of BLAKE3, and two types, so that one is never taken for the other; their texts
// differ, too ("blake3:" and "k1:"). The zero value of either means "not set"; no input is
// known that hashes to it.
//
// A Digest is plain, unkeyed BLAKE3, so that b3sum can check every object by hand. A Key is
// the hash of a Frame: salted with the name of its form, each field with its length.
package digest

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/zeebo/blake3"
)

// Prefix stands before the hexadecimal digits of a Digest in text.
const Prefix = "blake3:"

// Size is the length in bytes of a Digest and of a Key.
const Size = 32

// The errors that callers match.
var (
	ErrMalformed = errors.New("malformed digest")        // a text is neither a digest nor a key
	ErrNewer     = errors.New("written by a newer pipe") // a key of a form that this version does not know
)

// Digest is the BLAKE3-256 of a file's bytes, unkeyed: what b3sum prints.
type Digest [Size]byte

// Of returns the digest of b.
func Of(b []byte) Digest { return blake3.Sum256(b) }

// Parse reads the text form, "blake3:" and 64 lower-case hexadecimal digits.
// It fails with ErrMalformed.
func Parse(s string) (Digest, error) {
	h, ok := strings.CutPrefix(s, Prefix)
	if !ok {
		return Digest{}, fmt.Errorf("%w: %q does not start with %q", ErrMalformed, clip(s), Prefix)
	}
	return ParseHex(h)
}

// ParseHex reads 64 lower-case hexadecimal digits. It fails with ErrMalformed.
func ParseHex(s string) (Digest, error) {
	b, err := parse32(s)
	return Digest(b), err
}

// String returns "blake3:" and 64 hexadecimal digits.
func (d Digest) String() string { return Prefix + d.Hex() }

// Hex returns 64 lower-case hexadecimal digits, as b3sum prints them.
func (d Digest) Hex() string { return hex.EncodeToString(d[:]) }

// Short returns the first 12 hexadecimal digits, for people.
func (d Digest) Short() string { return hex.EncodeToString(d[:6]) }

// IsZero reports whether d was never set.
func (d Digest) IsZero() bool { return d == Digest{} }

// MarshalText implements encoding.TextMarshaler with String.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler with Parse.
func (d *Digest) UnmarshalText(b []byte) (err error) {
	*d, err = Parse(string(b))
	return err
}

// Key is the BLAKE3-256 of a stage's whole definition and input digests.
// It is never interchangeable with a Digest: it names a question, not content.
type Key [Size]byte

// KeyPrefix names the form of the key that this version computes. A change of the form gets
// another number, or keys of two forms would be compared.
const KeyPrefix = "k1:"

// ParseKey reads the text form, KeyPrefix and 64 lower-case hexadecimal digits. A key of
// another form fails with ErrNewer, all else with ErrMalformed. The two differ for callers: a
// newer key is not damage.
func ParseKey(s string) (Key, error) {
	h, ok := strings.CutPrefix(s, KeyPrefix)
	if !ok {
		if newerKey(s) {
			return Key{}, fmt.Errorf("%w: key %q", ErrNewer, clip(s))
		}
		return Key{}, fmt.Errorf("%w: %q does not start with %q", ErrMalformed, clip(s), KeyPrefix)
	}
	b, err := parse32(h)
	return Key(b), err
}

// newerKey reports whether s begins as keys do, with another number.
func newerKey(s string) bool {
	form, _, ok := strings.Cut(s, ":")
	number, isKey := strings.CutPrefix(form, "k")
	return ok && isKey && number != "" && strings.Trim(number, "0123456789") == ""
}

// String returns KeyPrefix and 64 hexadecimal digits.
func (k Key) String() string { return KeyPrefix + k.Hex() }

// Hex returns 64 lower-case hexadecimal digits.
func (k Key) Hex() string { return hex.EncodeToString(k[:]) }

// Short returns the first 12 hexadecimal digits, for people.
func (k Key) Short() string { return hex.EncodeToString(k[:6]) }

// IsZero reports whether k was never set.
func (k Key) IsZero() bool { return k == Key{} }

// MarshalText implements encoding.TextMarshaler with String.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler with ParseKey.
func (k *Key) UnmarshalText(b []byte) (err error) {
	*k, err = ParseKey(string(b))
	return err
}

// parse32 reads exactly 64 lower-case digits. encoding/hex would take upper case as well, and
// then one digest would have several texts.
func parse32(s string) (out [Size]byte, err error) {
	if len(s) != 2*Size {
		return out, fmt.Errorf("%w: %q has %d digits, not %d", ErrMalformed, clip(s), len(s), 2*Size)
	}
	for i := range len(s) {
		c := s[i]
		var v byte
		switch {
		case c >= '0' && c <= '9':
			v = c - '0'
		case c >= 'a' && c <= 'f':
			v = c - 'a' + 10
		default:
			return out, fmt.Errorf("%w: %q is not lower-case hexadecimal", ErrMalformed, clip(s))
		}
		out[i/2] = out[i/2]<<4 | v
	}
	return out, nil
}

// clip cuts a text from outside for an error, so that one bad line does not fill a log.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}

// Hasher computes a Digest from what is written to it. Its zero value is not usable; see
// NewHasher. It is for one goroutine.
type Hasher struct {
	h *blake3.Hasher
	n int64
}

// NewHasher returns an empty Hasher.
func NewHasher() *Hasher { return &Hasher{h: blake3.New()} }

// Write adds p. It never fails.
func (h *Hasher) Write(p []byte) (int, error) {
	h.n += int64(len(p))
	return h.h.Write(p)
}

// WriteString adds s. It never fails.
func (h *Hasher) WriteString(s string) (int, error) {
	h.n += int64(len(s))
	return h.h.WriteString(s)
}

// Len returns how many bytes were written.
func (h *Hasher) Len() int64 { return h.n }

// Sum returns the digest of what was written so far.
func (h *Hasher) Sum() (d Digest) {
	h.h.Sum(d[:0])
	return d
}

// Reset empties h for reuse.
func (h *Hasher) Reset() {
	h.h.Reset()
	h.n = 0
}

// Copy copies from r to w through buf, and returns the digest and count of the bytes. A nil w
// only hashes. An error of r or w is returned as it is, and the cause of ctx's end before the
// next read: a file may be larger than anybody waits for. buf must not be empty; its size is
// how much is read at once. What was hashed before is forgotten.
func (h *Hasher) Copy(ctx context.Context, w io.Writer, r io.Reader, buf []byte) (Digest, int64, error) {
	h.Reset()
	for {
		if ctx.Err() != nil {
			return Digest{}, h.n, context.Cause(ctx)
		}
		n, err := r.Read(buf)
		if n > 0 {
			_, _ = h.Write(buf[:n])
			if w != nil {
				if _, werr := w.Write(buf[:n]); werr != nil {
					return Digest{}, h.n, werr
				}
			}
		}
		if err == io.EOF {
			return h.Sum(), h.n, nil
		}
		if err != nil {
			return Digest{}, h.n, err
		}
	}
}
