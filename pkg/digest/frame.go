package digest

import (
	"encoding/binary"
)

// Frame collects length-framed fields, so that no two different lists of fields share their
// bytes: ("ab","c") and ("a","bc") differ. The fields are not named here, so both sides must
// add the same ones in the same order; Field adds a name where a form is to grow. All of it
// stays in memory: frames are for descriptions, not for files.
type Frame struct{ b []byte }

// NewFrame starts a frame with salt, which names the form and its version.
func NewFrame(salt string) *Frame {
	f := &Frame{}
	f.String(salt)
	return f
}

// String adds one field: its length as an unsigned varint, then its bytes.
func (f *Frame) String(s string) {
	f.Uint(uint64(len(s)))
	f.b = append(f.b, s...)
}

// Bytes adds one field, framed as String does.
func (f *Frame) Bytes(b []byte) {
	f.Uint(uint64(len(b)))
	f.b = append(f.b, b...)
}

// Uint adds a number as an unsigned varint. The varint is that of encoding/binary, little end
// first: no number has two forms here.
func (f *Frame) Uint(n uint64) {
	f.b = binary.AppendUvarint(f.b, n)
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
func (f *Frame) Sum() Key { return Key(Of(f.b)) }

// Field adds a name, and as one more field what value frames. A reader, or an auditor, can
// tell which fields are there, and one that is left out leaves no trace.
func (f *Frame) Field(name string, value func(*Frame)) {
	var inner Frame
	value(&inner)
	f.String(name)
	f.Bytes(inner.b)
}
