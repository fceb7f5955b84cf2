package gitlog

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// errForeignIndex says that only the git program can handle the index: a split
// or sparse one, or one of a later version.
var errForeignIndex = errors.New("an index that only the git program can handle")

// index is git's index (gitformat-index(5)), with its entries as bytes, so that
// what is not understood is kept. go-git's own codec drops the assume-unchanged
// bit and all extensions.
type index struct {
	version    uint32
	entries    []indexEntry
	extensions []extension
}

// indexEntry is one entry: what stands before the name, and the name.
type indexEntry struct {
	fixed []byte // 62 bytes, or 64 with the extended flags
	name  string
}

type extension struct {
	sign string
	data []byte
}

const (
	statLen      = 40     // times, device, inode, mode, owner, size
	modeAt       = 24     // of the entry's mode
	flagsAt      = 60     // after the hash
	flagExtended = 0x4000 // two more bytes of flags
	flagStage    = 0x3000 // of a merge
	flagName     = 0xfff  // the name's length, as far as it fits
	modeFile     = 0o100644
)

func (e indexEntry) stage() uint16 { return binary.BigEndian.Uint16(e.fixed[flagsAt:]) & flagStage }

// readIndex returns an empty index when there is no file.
func (r *Repo) readIndex() (*index, error) {
	b, err := os.ReadFile(filepath.Join(r.gitDir, "index"))
	if absent(err) {
		return &index{version: 2}, nil
	}
	if err != nil {
		return nil, err
	}
	x, err := parseIndex(b)
	if err != nil {
		return nil, fmt.Errorf("read git's index: %w", err)
	}
	return x, nil
}

var errBadIndex = &diag.Error{Kind: diag.Integrity, What: "the index is damaged", Hint: "git read-tree HEAD"}

func parseIndex(b []byte) (*index, error) {
	if len(b) < 32 || string(b[:4]) != "DIRC" {
		return nil, errBadIndex
	}
	x := &index{version: binary.BigEndian.Uint32(b[4:])}
	if x.version < 2 || x.version > 4 {
		return nil, errForeignIndex
	}
	n := binary.BigEndian.Uint32(b[8:])
	end := len(b) - sha1.Size
	if sum := sha1.Sum(b[:end]); !bytes.Equal(sum[:], b[end:]) && !bytes.Equal(b[end:], make([]byte, sha1.Size)) {
		return nil, errBadIndex // all zero: index.skipHash
	}
	rest := b[12:end]
	if uint64(n)*(flagsAt+2) > uint64(len(rest)) {
		return nil, errBadIndex
	}
	x.entries = make([]indexEntry, n)
	last := ""
	for i := range x.entries {
		size := 0
		if x.entries[i], size = parseEntry(rest, x.version, last); size == 0 {
			return nil, errBadIndex
		}
		rest, last = rest[size:], x.entries[i].name
	}
	for len(rest) >= 8 {
		size := binary.BigEndian.Uint32(rest[4:])
		if uint64(size) > uint64(len(rest)-8) {
			return nil, errBadIndex
		}
		x.extensions = append(x.extensions, extension{string(rest[:4]), rest[8 : 8+size]})
		rest = rest[8+size:]
	}
	return x, x.own()
}

// own refuses extensions that change what the entries mean: their names begin with a small letter.
func (x *index) own() error {
	for _, e := range x.extensions {
		if e.sign[0] < 'A' || e.sign[0] > 'Z' {
			return errForeignIndex
		}
	}
	return nil
}

// parseEntry returns an entry and its length in b, 0 when it is damaged. Since
// version 4 a name is said by what it shares with the last one.
func parseEntry(b []byte, version uint32, last string) (indexEntry, int) {
	if len(b) < flagsAt+2 {
		return indexEntry{}, 0
	}
	fixed := flagsAt + 2
	if binary.BigEndian.Uint16(b[flagsAt:])&flagExtended != 0 {
		fixed += 2
	}
	prefix, at := "", fixed
	if version == 4 {
		drop, n := offsetVarint(b[min(at, len(b)):])
		if n == 0 || drop > uint64(len(last)) {
			return indexEntry{}, 0
		}
		prefix, at = last[:len(last)-int(drop)], at+n
	}
	end := bytes.IndexByte(b[min(at, len(b)):], 0)
	if end < 0 {
		return indexEntry{}, 0
	}
	e := indexEntry{b[:fixed], prefix + string(b[at:at+end])}
	size := at + end + 1
	if version < 4 {
		size = (at + end + 8) &^ 7
	}
	if size > len(b) {
		return indexEntry{}, 0
	}
	return e, size
}

// offsetVarint reads the variable-length number of pack offsets, and its length.
func offsetVarint(b []byte) (v uint64, n int) {
	for n < len(b) && n < 9 {
		c := b[n]
		n++
		v = v<<7 | uint64(c&0x7f)
		if c&0x80 == 0 {
			return v, n
		}
		v++
	}
	return 0, 0
}

func appendOffsetVarint(b []byte, v uint64) []byte {
	var buf [10]byte
	i := len(buf) - 1
	buf[i] = byte(v & 0x7f)
	for v >>= 7; v > 0; v >>= 7 {
		v--
		i--
		buf[i] = 0x80 | byte(v&0x7f)
	}
	return append(b, buf[i:]...)
}

func (x *index) encode() []byte {
	size := 32
	for _, e := range x.entries {
		size += len(e.fixed) + len(e.name) + 8
	}
	for _, e := range x.extensions {
		size += len(e.data) + 8
	}
	b := append(make([]byte, 0, size), "DIRC"...)
	b = binary.BigEndian.AppendUint32(b, x.version)
	b = binary.BigEndian.AppendUint32(b, uint32(len(x.entries)))
	last := ""
	for _, e := range x.entries {
		start := len(b)
		b = append(b, e.fixed...)
		if x.version == 4 {
			same := shared(last, e.name)
			b = appendOffsetVarint(b, uint64(len(last)-same))
			b = append(append(b, e.name[same:]...), 0)
		} else {
			b = append(b, e.name...)
			b = append(b, make([]byte, 8-(len(b)-start)%8)...)
		}
		last = e.name
	}
	for _, e := range x.extensions {
		b = binary.BigEndian.AppendUint32(append(b, e.sign...), uint32(len(e.data)))
		b = append(b, e.data...)
	}
	sum := sha1.Sum(b)
	return append(b, sum[:]...)
}

func shared(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// set makes path the given blob. Its stat data is left empty, so git compares the file once.
func (x *index) set(path, mode string, blob plumbing.Hash) error {
	lo := sort.Search(len(x.entries), func(i int) bool { return x.entries[i].name >= path })
	hi := lo
	for hi < len(x.entries) && x.entries[hi].name == path {
		hi++
	}
	if err := x.conflict(path); err != nil {
		return err
	}
	e := indexEntry{make([]byte, flagsAt+2), path}
	if hi == lo+1 && x.entries[lo].stage() == 0 {
		e.fixed = bytes.Clone(x.entries[lo].fixed)
		clear(e.fixed[:statLen])
		if len(e.fixed) > flagsAt+2 {
			e.fixed[flagsAt+2] &^= 0x20 // no longer only intended to be added
		}
	}
	m := uint32(modeFile)
	if mode == "100755" {
		m = 0o100755
	}
	binary.BigEndian.PutUint32(e.fixed[modeAt:], m)
	copy(e.fixed[statLen:], blob[:])
	flags := binary.BigEndian.Uint16(e.fixed[flagsAt:])&^(flagName|flagStage) | uint16(min(len(path), flagName))
	binary.BigEndian.PutUint16(e.fixed[flagsAt:], flags)
	entries := append(make([]indexEntry, 0, len(x.entries)+1), x.entries[:lo]...)
	x.entries = append(append(entries, e), x.entries[hi:]...)
	x.touch(path, hi == lo+1)
	return nil
}

// conflict refuses a file where the index has a directory, and the reverse.
func (x *index) conflict(path string) error {
	for i := range path {
		if path[i] == '/' && x.has(path[:i]) {
			return fmt.Errorf("commit %s: the index has a file %s", path, path[:i])
		}
	}
	if x.has(path + "/") {
		return fmt.Errorf("commit %s: the index has a directory there", path)
	}
	return nil
}

// has reports whether the index has the entry, or for "dir/" any below.
func (x *index) has(name string) bool {
	i := sort.Search(len(x.entries), func(i int) bool { return x.entries[i].name >= name })
	return i < len(x.entries) &&
		(x.entries[i].name == name || strings.HasSuffix(name, "/") && strings.HasPrefix(x.entries[i].name, name))
}

// touch keeps the extensions that still hold after path changed. The others are
// optional, and git makes them anew.
func (x *index) touch(path string, replaced bool) {
	var keep []extension
	for _, e := range x.extensions {
		switch {
		case e.sign == "TREE":
			if data, ok := invalidate(e.data, path); ok {
				keep = append(keep, extension{e.sign, data})
			}
		case e.sign == "REUC", e.sign == "UNTR" && replaced:
			keep = append(keep, e)
		}
	}
	x.extensions = keep
}

// invalidate marks the directories above path in the cache of tree hashes.
func invalidate(tree []byte, path string) ([]byte, bool) {
	dirs := strings.Split(path, "/")
	out, rest, ok := copyTree(nil, tree, append([]string{""}, dirs[:len(dirs)-1]...))
	return out, ok && len(rest) == 0
}

// copyTree copies one directory of the cache and all below to out. It is marked
// when its name is the first of dirs.
func copyTree(out, b []byte, dirs []string) (_, rest []byte, ok bool) {
	name, b, ok1 := bytes.Cut(b, []byte{0})
	line, b, ok2 := bytes.Cut(b, []byte("\n"))
	var count, subtrees int
	if _, err := fmt.Sscanf(string(line), "%d %d", &count, &subtrees); err != nil || !ok1 || !ok2 {
		return nil, nil, false
	}
	hash := []byte(nil)
	if count >= 0 {
		if len(b) < sha1.Size {
			return nil, nil, false
		}
		hash, b = b[:sha1.Size], b[sha1.Size:]
	}
	var below []string
	if len(dirs) > 0 && dirs[0] == string(name) {
		count, hash, below = -1, nil, dirs[1:]
	}
	out = append(append(out, name...), 0)
	out = append(fmt.Appendf(out, "%d %d\n", count, subtrees), hash...)
	for range subtrees {
		if out, b, ok = copyTree(out, b, below); !ok {
			return nil, nil, false
		}
	}
	return out, b, true
}

// Tracked tells which of the files and directories git tracks: they, or
// anything inside them, have an entry in the index.
func (r *Repo) Tracked(ctx context.Context, paths []repopath.Path) (map[repopath.Path]bool, error) {
	tracked := make(map[repopath.Path]bool, len(paths))
	x, err := r.readIndex()
	if errors.Is(err, errForeignIndex) {
		x, err = r.listIndex(ctx)
	}
	if err != nil {
		return nil, err
	}
	for _, p := range paths {
		switch {
		case p == repopath.Root:
			tracked[p] = len(x.entries) > 0
		case x.has(string(p)) || x.has(string(p)+"/"):
			tracked[p] = true
		}
	}
	return tracked, nil
}

// listIndex asks the git program for the names.
func (r *Repo) listIndex(ctx context.Context) (*index, error) {
	out, err := r.git(ctx, nil, "ls-files", "-z", "--full-name", ":/")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errForeignIndex, err)
	}
	x := &index{}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		x.entries = append(x.entries, indexEntry{name: name})
	}
	return x, nil
}
