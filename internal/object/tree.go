// Package object is the form of what a store holds: trees and records.
package object

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// MaxTree is the largest manifest in bytes that is read: about two million entries.
const MaxTree = 256 << 20

// ErrMalformed is what every error about an object's form wraps.
var ErrMalformed = errors.New("malformed object")

// Kind is the sort of a tree's entry.
type Kind byte

// The kinds of entries, and the letters that stand for them in a manifest.
const (
	File       Kind = 'f'
	Executable Kind = 'x'
	Symlink    Kind = 'l' // target is relative and stays inside the tree
	Dir        Kind = 'd' // an empty directory; others are implied by their files
	Nested     Kind = 't' // another tree by its digest; only in the digest of an input, never in a store
)

// Entry is one line of a tree.
type Entry struct {
	Kind   Kind
	Path   repopath.Path // relative to the tree
	Digest digest.Digest // of a file's bytes, of a symlink's target, of a nested tree; zero for Dir
	Size   int64         // bytes of a file or of a symlink's target, else 0
	Target string        // of a symlink
}

// Tree is the canonical manifest of a directory, its entries sorted by the bytes of their paths.
type Tree struct{ Entries []Entry }

const header = "pipe-tree 1\n"

// Sort puts the entries into their canonical order.
func (t *Tree) Sort() {
	less := func(a, b Entry) int { return strings.Compare(string(a.Path), string(b.Path)) }
	if !slices.IsSortedFunc(t.Entries, less) {
		slices.SortFunc(t.Entries, less)
	}
}

// Encode returns the manifest's bytes. The entries must be sorted.
func (t *Tree) Encode() []byte {
	b := make([]byte, 0, len(header)+len(t.Entries)*120)
	b = append(b, header...)
	for i := range t.Entries {
		b = t.Entries[i].append(b)
	}
	return b
}

func (e *Entry) append(b []byte) []byte {
	b = append(b, byte(e.Kind), '\t')
	if e.Kind == Dir {
		b = append(b, '-')
	} else {
		const digits = "0123456789abcdef"
		for _, c := range e.Digest {
			b = append(b, digits[c>>4], digits[c&15])
		}
	}
	b = append(b, '\t')
	b = strconv.AppendInt(b, e.Size, 10)
	b = append(b, '\t')
	b = append(b, e.Path...)
	if e.Kind == Symlink {
		b = append(b, '\t')
		b = append(b, e.Target...)
	}
	return append(b, '\n')
}

// Digest returns the digest of the manifest's bytes, which stands for the directory.
func (t *Tree) Digest() digest.Digest { return digest.Of(t.Encode()) }

// Size returns the sum of the files' sizes in bytes.
func (t *Tree) Size() (n int64) {
	for i := range t.Entries {
		if k := t.Entries[i].Kind; k == File || k == Executable {
			n += t.Entries[i].Size
		}
	}
	return n
}

// Find returns the entry at p.
func (t *Tree) Find(p repopath.Path) (Entry, bool) {
	i, ok := slices.BinarySearchFunc(t.Entries, p, func(e Entry, p repopath.Path) int { return strings.Compare(string(e.Path), string(p)) })
	if !ok {
		return Entry{}, false
	}
	return t.Entries[i], true
}

// Sub returns the tree below the directory p of t, and whether there is one.
func (t *Tree) Sub(p repopath.Path) (*Tree, bool) {
	sub := &Tree{}
	for _, e := range t.Entries {
		if e.Path == p && e.Kind == Dir {
			return sub, true
		}
		if e.Path != p && p.Holds(e.Path) {
			e.Path = p.Rel(e.Path)
			sub.Entries = append(sub.Entries, e)
		}
	}
	return sub, len(sub.Entries) > 0
}

// ParseTree reads a manifest and checks it as Check does. Only the canonical
// bytes are taken. It fails with ErrMalformed.
func ParseTree(b []byte) (*Tree, error) {
	t, err := parse(b)
	if err != nil {
		return nil, err
	}
	if err := t.check(); err != nil {
		return nil, err
	}
	return t, nil
}

// ParseInput reads the manifest of an input, which may hold Nested entries. It
// is for reading alone: nothing is written to a disk by it.
func ParseInput(b []byte) (*Tree, error) { return parse(b) }

func parse(b []byte) (*Tree, error) {
	if len(b) > MaxTree {
		return nil, fmt.Errorf("%w: tree of %d bytes, more than %d", ErrMalformed, len(b), MaxTree)
	}
	rest, ok := bytes.CutPrefix(b, []byte(header))
	if !ok {
		return nil, fmt.Errorf("%w: tree does not start with %q", ErrMalformed, header)
	}
	if len(rest) > 0 && rest[len(rest)-1] != '\n' {
		return nil, fmt.Errorf("%w: tree ends in the middle of a line", ErrMalformed)
	}
	text := string(rest)
	t := &Tree{Entries: make([]Entry, 0, strings.Count(text, "\n"))}
	for n := 2; text != ""; n++ {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		e, err := parseEntry(line)
		if err != nil {
			return nil, fmt.Errorf("%w: tree line %d: %w", ErrMalformed, n, err)
		}
		t.Entries = append(t.Entries, e)
	}
	return t, nil
}

var (
	errFields = errors.New("wrong number of fields")
	errKind   = errors.New("unknown kind of entry")
	errSize   = errors.New("size is not a canonical number")
)

func parseEntry(line string) (e Entry, err error) {
	f := strings.Split(line, "\t")
	want := 4
	if f[0] == string(rune(Symlink)) {
		want = 5
	}
	if len(f) != want {
		return e, errFields
	}
	switch f[0] {
	case "f", "x", "l", "d", "t":
		e.Kind = Kind(f[0][0])
	default:
		return e, fmt.Errorf("%w %q", errKind, f[0])
	}
	if e.Kind == Dir {
		if f[1] != "-" || f[2] != "0" {
			return e, errFields
		}
	} else if e.Digest, err = digest.ParseHex(f[1]); err != nil {
		return e, err
	}
	if e.Size, err = strconv.ParseInt(f[2], 10, 64); err != nil || e.Size < 0 || strconv.FormatInt(e.Size, 10) != f[2] {
		return e, errSize
	}
	if e.Path, err = repopath.Parse(f[3]); err != nil {
		return e, err
	}
	if e.Kind == Symlink {
		e.Target = f[4]
		if e.Digest != digest.Of([]byte(e.Target)) || e.Size != int64(len(e.Target)) {
			return e, errors.New("digest or size is not the symlink target's")
		}
	}
	return e, nil
}

// Check says whether the tree may be stored and written to a disk: paths that
// stay inside, entries sorted, none twice, no file that is also a directory, no
// two names that are equal on a case-folding or normalising file system,
// symlinks that stay inside. It fails with ErrMalformed.
func (t *Tree) Check() error {
	for i := range t.Entries {
		if _, err := repopath.Parse(string(t.Entries[i].Path)); err != nil {
			return fmt.Errorf("%w: %w", ErrMalformed, err)
		}
	}
	return t.check()
}

// check is Check for entries whose paths are known to be good.
func (t *Tree) check() error {
	folder := newFolder(len(t.Entries))
	for i := range t.Entries {
		e := &t.Entries[i]
		if i > 0 {
			prev := t.Entries[i-1].Path
			if prev >= e.Path {
				return fmt.Errorf("%w: tree entries %q and %q are not sorted or are the same", ErrMalformed, prev, e.Path)
			}
		}
		if err := folder.add(e.Path); err != nil {
			return err
		}
		if e.Kind == Symlink {
			if err := checkTarget(e.Path, e.Target); err != nil {
				return err
			}
		}
		if e.Kind == Nested {
			return fmt.Errorf("%w: %q is a nested tree, which is never stored", ErrMalformed, e.Path)
		}
	}
	return t.checkParents()
}

// checkParents refuses an entry below another entry: a/b where a is a file or a symlink.
func (t *Tree) checkParents() error {
	for i := range t.Entries {
		for p := t.Entries[i].Path.Dir(); p != repopath.Root; p = p.Dir() {
			if above, ok := t.Find(p); ok {
				return fmt.Errorf("%w: %q lies below %q, which is no directory with entries", ErrMalformed, t.Entries[i].Path, above.Path)
			}
		}
	}
	return nil
}

func checkTarget(at repopath.Path, target string) error {
	if target == "" || strings.HasPrefix(target, "/") {
		return fmt.Errorf("%w: symlink %q points to %q, outside its tree", ErrMalformed, at, target)
	}
	if strings.ContainsFunc(target, func(r rune) bool { return r < 0x20 || r == 0x7f || r == '\\' }) || !utf8.ValidString(target) {
		return fmt.Errorf("%w: the target %q of symlink %q has a character that no path may have", ErrMalformed, target, at)
	}
	// Behind a name, which may be a symlink itself, ".." leads anywhere.
	down := target
	for strings.HasPrefix(down, "../") || strings.HasPrefix(down, "./") {
		_, down, _ = strings.Cut(down, "/")
	}
	if down != ".." && slices.Contains(strings.Split(down, "/"), "..") {
		return fmt.Errorf("%w: symlink %q points to %q, up again behind a name, which may lead outside its tree", ErrMalformed, at, target)
	}
	to := path.Join(path.Dir(string(at)), target)
	if to == "." {
		return nil
	}
	if _, err := repopath.Parse(to); err != nil {
		return fmt.Errorf("%w: symlink %q points to %q, outside its tree: %w", ErrMalformed, at, target, err)
	}
	return nil
}

// folder finds names that differ only in case or in Unicode normalisation.
type folder struct {
	seen map[string]repopath.Path
	dirs map[repopath.Path]bool
	fold cases.Caser
}

func newFolder(n int) *folder {
	return &folder{seen: make(map[string]repopath.Path, n), dirs: map[repopath.Path]bool{}, fold: cases.Fold()}
}

func (f *folder) add(p repopath.Path) error {
	key := f.key(string(p))
	if other, ok := f.seen[key]; ok && other != p {
		return fmt.Errorf("%w: %q and %q are one name on some file systems", ErrMalformed, other, p)
	}
	f.seen[key] = p
	for d := p.Dir(); d != repopath.Root && !f.dirs[d]; d = d.Dir() {
		f.dirs[d] = true
		k := f.key(string(d))
		if other, ok := f.seen[k]; ok && other != d {
			return fmt.Errorf("%w: %q and %q are one name on some file systems", ErrMalformed, other, d)
		}
		f.seen[k] = d
	}
	return nil
}

func (f *folder) key(s string) string {
	ascii, lower := true, true
	for i := range len(s) {
		ascii = ascii && s[i] < 0x80
		lower = lower && (s[i] < 'A' || s[i] > 'Z')
	}
	switch {
	case ascii && lower:
		return s
	case ascii:
		return strings.ToLower(s)
	}
	return norm.NFC.String(f.fold.String(norm.NFC.String(s)))
}
