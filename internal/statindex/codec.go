package statindex

import (
	"encoding/binary"
	"maps"
	"math"
	"slices"
	"unsafe"

	"github.com/pipe-build/pipe/pkg/digest"
)

// The file is magic, the digest of the body, and the body. The digest tells a
// damaged file; one of another version has another magic. Both are read as an empty
// index. Numbers of fixed size are little endian, counts and lengths are uvarints. A
// directory's record has its length in front, so that it can be passed over.
const magic = "pipe-index 1\n"

// decode takes the file apart, but for its directories; nil when it is damaged.
func decode(b []byte) (files map[string]File, raw map[string][]byte) {
	if len(b) < len(magic)+digest.Size || string(b[:len(magic)]) != magic {
		return nil, nil
	}
	body := b[len(magic)+digest.Size:]
	if digest.Of(body) != digest.Digest(b[len(magic):len(magic)+digest.Size]) {
		return nil, nil
	}
	r := reader{b: body}
	files, raw = map[string]File{}, map[string][]byte{}
	for n := r.uint(); n > 0 && !r.bad; n-- {
		name := r.string()
		files[name] = r.file()
	}
	for n := r.uint(); n > 0 && !r.bad; n-- {
		name := r.string()
		raw[name] = r.bytes(int(r.uint()))
	}
	if r.bad {
		return nil, nil
	}
	return files, raw
}

// encode writes the whole file. Names are sorted, so one index has one form.
func encode(files map[string]File, raw map[string][]byte) []byte {
	body := binary.AppendUvarint(nil, uint64(len(files)))
	for _, name := range slices.Sorted(maps.Keys(files)) {
		r := files[name]
		body = appendFile(appendString(body, name), &r)
	}
	body = binary.AppendUvarint(body, uint64(len(raw)))
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		body = appendString(appendString(body, name), unsafeString(raw[name]))
	}
	sum := digest.Of(body)
	return slices.Concat([]byte(magic), sum[:], body)
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendStat(b []byte, s *Stat) []byte {
	le := binary.LittleEndian
	b = le.AppendUint64(le.AppendUint64(b, s.Dev), s.Ino)
	b = le.AppendUint64(le.AppendUint64(b, uint64(s.Size)), uint64(s.Mtime))
	return le.AppendUint32(le.AppendUint64(b, uint64(s.Ctime)), s.Mode)
}

func appendFile(b []byte, r *File) []byte {
	b = appendStat(b, &r.Stat)
	b = binary.LittleEndian.AppendUint64(b, uint64(r.Read))
	return append(b, r.Digest[:]...)
}

// appendDir writes a directory's record. An entry's first byte is its kind, with 0x80
// for ignored and 0x40 for a digest that follows the name.
func appendDir(b []byte, d *Dir) []byte {
	b = appendStat(b, &d.Stat)
	b = binary.LittleEndian.AppendUint64(b, uint64(d.Read))
	b = append(b, d.Rules[:]...)
	b = binary.AppendUvarint(b, uint64(len(d.Entries)))
	for i := range d.Entries {
		e := &d.Entries[i]
		flags := byte(e.Kind)
		if e.Ignored {
			flags |= 0x80
		}
		if e.File.Read != 0 {
			flags |= 0x40
		}
		b = appendString(append(b, flags), e.Name)
		if e.File.Read != 0 {
			b = appendFile(b, &e.File)
		}
	}
	return b
}

// parseDir reads what appendDir wrote; nil when it is damaged, or when there is none.
// Each entry takes at least a byte, so a count beyond the length is damage; it must not
// decide how much memory is asked for.
func parseDir(b []byte) *Dir {
	r := reader{b: b}
	d := &Dir{Stat: r.stat(), Read: int64(r.fixed())}
	copy(d.Rules[:], r.bytes(32))
	n := r.uint()
	if r.bad || n > uint64(len(b)) {
		return nil
	}
	d.Entries = make([]Entry, n)
	for i := range d.Entries {
		e := &d.Entries[i]
		flags := r.byte()
		e.Kind, e.Ignored = Kind(flags&0x3f), flags&0x80 != 0
		e.Name = r.string()
		if flags&0x40 != 0 {
			e.File = r.file()
		}
	}
	if r.bad {
		return nil
	}
	return d
}

// reader takes an index apart. Its strings share the file's memory. After the first
// thing that does not fit, bad is set and every answer is zero, so callers check once,
// at the end.
type reader struct {
	b   []byte
	bad bool
}

// bytes returns the next n bytes. When they are not there it returns zeros, enough for
// the fixed sizes below, which need no check of their own then.
func (r *reader) bytes(n int) []byte {
	if n > len(r.b) {
		r.bad, r.b = true, nil
		return make([]byte, min(n, 64))
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.bytes(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

// uint reads a count or a length. One beyond 2 GiB is damage, so every answer fits an int.
func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > math.MaxInt32 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) fixed() uint64 { return binary.LittleEndian.Uint64(r.bytes(8)) }

func (r *reader) string() string { return unsafeString(r.bytes(int(r.uint()))) }

func (r *reader) stat() (s Stat) {
	s.Dev, s.Ino = r.fixed(), r.fixed()
	s.Size, s.Mtime, s.Ctime = int64(r.fixed()), int64(r.fixed()), int64(r.fixed())
	s.Mode = binary.LittleEndian.Uint32(r.bytes(4))
	return s
}

func (r *reader) file() (f File) {
	f.Stat, f.Read = r.stat(), int64(r.fixed())
	copy(f.Digest[:], r.bytes(digest.Size))
	return f
}

// unsafeString shares memory that is never written again, which saves a copy of every
// name.
func unsafeString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
