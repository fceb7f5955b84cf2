package digest

import (
	"encoding/binary"

	"github.com/zeebo/blake3"
)

// Frame computes a Key over length-framed fields, so that no two different
// lists of fields share their bytes: ("ab","c") and ("a","bc") differ.
type Frame struct {
	h   *blake3.Hasher
	buf [binary.MaxVarintLen64]byte
}

// NewFrame starts a key with salt, which names the format and its version.
func NewFrame(salt string) *Frame {
	f := &Frame{h: blake3.New()}
	f.String(salt)
	return f
}

// String adds one field: its length as an unsigned varint, then its bytes.
func (f *Frame) String(s string) {
	f.Uint(uint64(len(s)))
	_, _ = f.h.WriteString(s)
}

// Bytes adds one field, framed as String does.
func (f *Frame) Bytes(b []byte) {
	f.Uint(uint64(len(b)))
	_, _ = f.h.Write(b)
}

// Uint adds a number as an unsigned varint.
func (f *Frame) Uint(n uint64) {
	k := binary.PutUvarint(f.buf[:], n)
	_, _ = f.h.Write(f.buf[:k])
}

// Bool adds 1 or 0.
func (f *Frame) Bool(b bool) {
	if b {
		f.Uint(1)
		return
	}
	f.Uint(0)
}

// Sum returns the key of what was added so far.
func (f *Frame) Sum() (k Key) {
	f.h.Sum(k[:0])
	return k
}
