package worktree

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"unsafe"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/pkg/digest"
)

// stat is all of a file that tells a change without reading it. Times are in nanoseconds.
type stat struct {
	dev, ino     uint64
	size         int64
	mtime, ctime int64
	mode         uint32
}

func (s stat) exec() bool { return s.mode&0o111 != 0 }

type kind uint8

const (
	kindFile kind = iota + 1
	kindDir
	kindLink
	kindOther
)

// fileRec is what hashing a file found.
type fileRec struct {
	stat
	hashed int64 // when hashing began
	digest digest.Digest
}

// racy is git's rule: a file that changed within this time before it was hashed
// may change again without its times telling. 10 ms is more than the tick of
// the kernel's file clock (4 ms).
const racy = int64(10e6)

// fits reports whether the record still speaks of a file with this stat.
func (r *fileRec) fits(st stat) bool {
	return r.hashed != 0 && r.stat == st && max(st.mtime, st.ctime) < r.hashed-racy
}

// entry is one name of a listed directory.
type entry struct {
	name    string
	kind    kind
	ignored bool // under the directory's rules
	rec     fileRec
}

// dirRec is what reading a directory found. Once in the index it is not changed.
type dirRec struct {
	stat
	listed  int64 // when listing began
	rules   [32]byte
	entries []entry // sorted by name
}

func (r *dirRec) fits(st stat) bool {
	return r.listed != 0 && r.stat == st && max(st.mtime, st.ctime) < r.listed-racy
}

func (r *dirRec) find(name string) *entry {
	i, ok := slices.BinarySearchFunc(r.entries, name, func(e entry, n string) int { return strings.Compare(e.name, n) })
	if !ok {
		return nil
	}
	return &r.entries[i]
}

// index is the stat index: a flat file, read whole, its directories parsed when asked for.
type index struct {
	path string

	mu      sync.Mutex
	raw     map[string][]byte // directories of the file not yet parsed
	dirs    map[string]*dirRec
	singles map[string]fileRec // files asked for alone
	dirty   bool
}

const magic = "pipe-index 1\n"

// loadIndex reads an index; one that is missing or damaged is empty.
func loadIndex(path string) *index {
	x := &index{path: path, raw: map[string][]byte{}, dirs: map[string]*dirRec{}, singles: map[string]fileRec{}}
	b, err := os.ReadFile(path)
	if err != nil || len(b) < len(magic)+digest.Size || string(b[:len(magic)]) != magic {
		return x
	}
	body := b[len(magic)+digest.Size:]
	if digest.Of(body) != digest.Digest(b[len(magic):len(magic)+digest.Size]) {
		return x
	}
	r := reader{b: body}
	for n := r.uint(); n > 0 && !r.bad; n-- {
		name := r.string()
		x.singles[name] = r.file()
	}
	for n := r.uint(); n > 0 && !r.bad; n-- {
		name := r.string()
		x.raw[name] = r.bytes(int(r.uint()))
	}
	if r.bad {
		return &index{path: path, raw: map[string][]byte{}, dirs: map[string]*dirRec{}, singles: map[string]fileRec{}}
	}
	return x
}

func (x *index) single(name string, st stat) (digest.Digest, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	r, ok := x.singles[name]
	return r.digest, ok && r.fits(st)
}

func (x *index) setSingle(name string, r fileRec) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.singles[name] = r
	x.dirty = true
}

func (x *index) dir(name string) *dirRec {
	x.mu.Lock()
	defer x.mu.Unlock()
	if d := x.dirs[name]; d != nil {
		return d
	}
	b, ok := x.raw[name]
	if !ok {
		return nil
	}
	d := parseDir(b)
	if d != nil {
		x.dirs[name] = d
	}
	return d
}

func (x *index) setDir(name string, d *dirRec) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.dirs[name] = d
	delete(x.raw, name)
	x.dirty = true
}

func (x *index) save() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.dirty {
		return nil
	}
	body := binary.AppendUvarint(nil, uint64(len(x.singles)))
	for _, name := range sortedKeys(x.singles) {
		r := x.singles[name]
		body = appendFile(appendString(body, name), &r)
	}
	for name, d := range x.dirs {
		if _, ok := x.raw[name]; !ok {
			x.raw[name] = appendDir(nil, d)
		}
	}
	body = binary.AppendUvarint(body, uint64(len(x.raw)))
	for _, name := range sortedKeys(x.raw) {
		body = appendString(body, name)
		body = appendString(body, unsafeString(x.raw[name]))
	}
	sum := digest.Of(body)
	out := append(append(append(make([]byte, 0, len(magic)+len(sum)+len(body)), magic...), sum[:]...), body...)
	x.dirty = false
	err := atomicfile.Write(x.path, out, 0o666, filepath.Dir(x.path))
	if errors.Is(err, os.ErrPermission) {
		return nil // a read-only checkout: every run hashes anew
	}
	return err
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendStat(b []byte, s *stat) []byte {
	le := binary.LittleEndian
	b = le.AppendUint64(le.AppendUint64(b, s.dev), s.ino)
	b = le.AppendUint64(le.AppendUint64(b, uint64(s.size)), uint64(s.mtime))
	return le.AppendUint32(le.AppendUint64(b, uint64(s.ctime)), s.mode)
}

func appendFile(b []byte, r *fileRec) []byte {
	b = appendStat(b, &r.stat)
	b = binary.LittleEndian.AppendUint64(b, uint64(r.hashed))
	return append(b, r.digest[:]...)
}

func appendDir(b []byte, d *dirRec) []byte {
	b = appendStat(b, &d.stat)
	b = binary.LittleEndian.AppendUint64(b, uint64(d.listed))
	b = append(b, d.rules[:]...)
	b = binary.AppendUvarint(b, uint64(len(d.entries)))
	for i := range d.entries {
		e := &d.entries[i]
		flags := byte(e.kind)
		if e.ignored {
			flags |= 0x80
		}
		if e.rec.hashed != 0 {
			flags |= 0x40
		}
		b = appendString(append(b, flags), e.name)
		if e.rec.hashed != 0 {
			b = appendFile(b, &e.rec)
		}
	}
	return b
}

func parseDir(b []byte) *dirRec {
	r := reader{b: b}
	d := &dirRec{stat: r.stat(), listed: int64(r.fixed())}
	copy(d.rules[:], r.bytes(32))
	n := r.uint()
	if r.bad || n > uint64(len(b)) {
		return nil
	}
	d.entries = make([]entry, n)
	for i := range d.entries {
		e := &d.entries[i]
		flags := r.byte()
		e.kind, e.ignored = kind(flags&0x3f), flags&0x80 != 0
		e.name = r.string()
		if flags&0x40 != 0 {
			e.rec = r.file()
		}
	}
	if r.bad {
		return nil
	}
	return d
}

// reader takes an index apart. Its strings share the file's memory.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) bytes(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.bad, r.b = true, nil
		return make([]byte, min(max(n, 0), 64))
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

func (r *reader) stat() (s stat) {
	s.dev, s.ino = r.fixed(), r.fixed()
	s.size, s.mtime, s.ctime = int64(r.fixed()), int64(r.fixed()), int64(r.fixed())
	s.mode = binary.LittleEndian.Uint32(r.bytes(4))
	return s
}

func (r *reader) file() (f fileRec) {
	f.stat, f.hashed = r.stat(), int64(r.fixed())
	copy(f.digest[:], r.bytes(digest.Size))
	return f
}

// unsafeString shares memory that is never written again.
func unsafeString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
