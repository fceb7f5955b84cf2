// Package object is the form of what a store holds: trees and records.
package object

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pipe-build/pipe/pkg/artifact"
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
	Nested     Kind = 't' // another tree by its digest; only in a list of inputs
)

// Entry is one line of a tree.
type Entry struct {
	Kind   Kind
	Path   repopath.Path // relative to the tree
	Digest digest.Digest // of a file's bytes, of a symlink's target, of a nested tree; zero for Dir
	Size   int64         // bytes of a file or of a symlink's target, else 0
	Target string        // of a symlink
}

// Link returns the entry of a symlink, without its path.
func Link(target string) Entry {
	return Entry{Kind: Symlink, Digest: digest.Of([]byte(target)), Size: int64(len(target)), Target: target}
}

// IsFile reports whether it has bytes of its own, in an object.
func (e Entry) IsFile() bool { return e.Kind == File || e.Kind == Executable }

// Output describes a file of a tree as an output at p.
func (e Entry) Output(p repopath.Path) artifact.Output {
	return artifact.Output{Path: p, Exec: e.Kind == Executable, Digest: e.Digest, Size: e.Size}
}

// Tree is the canonical manifest of a directory, its entries sorted by the bytes of their paths.
type Tree struct{ Entries []Entry }

// Sort puts the entries into their canonical order.
func (t *Tree) Sort() {
	less := func(a, b Entry) int { return strings.Compare(string(a.Path), string(b.Path)) }
	if !slices.IsSortedFunc(t.Entries, less) {
		slices.SortFunc(t.Entries, less)
	}
}

// Digest returns the digest of the manifest's bytes, which stands for the directory.
func (t *Tree) Digest() digest.Digest { return digest.Of(t.Encode()) }

// Output describes the directory p by its tree.
func (t *Tree) Output(p repopath.Path) artifact.Output {
	size, files := t.Count()
	return artifact.Output{Path: p, Dir: true, Digest: t.Digest(), Size: size, Files: files}
}

// Input describes the dep p, a directory or a glob, by the list of what it holds.
func (t *Tree) Input(p repopath.Path, k artifact.Kind) artifact.Input {
	size, files := t.Count()
	return artifact.Input{Path: p, Kind: k, Digest: t.Digest(), Size: size, Files: files}
}

// Count returns the bytes of all files, and how many entries are not empty directories.
func (t *Tree) Count() (size, files int64) {
	for i := range t.Entries {
		switch t.Entries[i].Kind {
		case File, Executable:
			size += t.Entries[i].Size
			files++
		case Symlink, Nested:
			files++
		}
	}
	return size, files
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

// With returns the tree with what another one has at p, and whether anything that is not in that
// one had to go for it. An empty directory at p or above it does not count.
func (t *Tree) With(other *Tree, p repopath.Path) (next *Tree, gone bool) {
	next = &Tree{}
	for _, e := range t.Entries {
		if !p.Holds(e.Path) && !e.Path.Holds(p) {
			next.Entries = append(next.Entries, e)
		} else if is, ok := other.Find(e.Path); e.Kind != Dir && (!ok || is != e) {
			gone = true
		}
	}
	for _, e := range other.Entries {
		if p.Holds(e.Path) {
			next.Entries = append(next.Entries, e)
		}
	}
	next.Sort()
	return next, gone
}

// Check says whether the tree may be stored: paths that stay inside, entries
// sorted, none twice, no file that is also a directory, symlinks that stay
// inside, no Nested entry. Names that fold together are allowed: see Folding. It
// fails with ErrMalformed.
func (t *Tree) Check() error {
	for i := range t.Entries {
		if _, err := repopath.ParseEntry(string(t.Entries[i].Path)); err != nil {
			return fmt.Errorf("%w: %w", ErrMalformed, err)
		}
	}
	return t.check()
}

// check is Check for entries whose paths are known to be good.
func (t *Tree) check() error {
	if err := t.checkOrder(); err != nil {
		return err
	}
	for i := range t.Entries {
		e := &t.Entries[i]
		switch e.Kind {
		case Symlink:
			if err := checkTarget(e.Path, e.Target); err != nil {
				return err
			}
		case Nested:
			return fmt.Errorf("%w: %q is a nested tree, which is allowed in lists of inputs only", ErrMalformed, e.Path)
		}
		// No entry below another entry: a/b where a is a file or a symlink.
		for p := e.Path.Dir(); p != repopath.Root; p = p.Dir() {
			if above, ok := t.Find(p); ok {
				return fmt.Errorf("%w: %q is inside %q, which is not a directory", ErrMalformed, e.Path, above.Path)
			}
		}
	}
	return nil
}

// checkOrder refuses entries that are unsorted or given twice.
func (t *Tree) checkOrder() error {
	for i := 1; i < len(t.Entries); i++ {
		if prev, p := t.Entries[i-1].Path, t.Entries[i].Path; prev >= p {
			return fmt.Errorf("%w: tree entries %q and %q are unsorted or equal", ErrMalformed, prev, p)
		}
	}
	return nil
}

func checkTarget(at repopath.Path, target string) error {
	if target == "" || strings.HasPrefix(target, "/") {
		return fmt.Errorf("%w: symlink %q points to %q, outside its tree", ErrMalformed, at, target)
	}
	if strings.IndexByte(target, 0) >= 0 || !utf8.ValidString(target) {
		return fmt.Errorf("%w: the target %q of symlink %q is not valid UTF-8 or contains NUL", ErrMalformed, target, at)
	}
	// Behind a name, which may be a symlink itself, ".." leads anywhere.
	down := target
	for strings.HasPrefix(down, "../") || strings.HasPrefix(down, "./") {
		_, down, _ = strings.Cut(down, "/")
	}
	if down != ".." && slices.Contains(strings.Split(down, "/"), "..") {
		return fmt.Errorf("%w: symlink %q points to %q, which may lead outside its tree", ErrMalformed, at, target)
	}
	to := path.Join(path.Dir(string(at)), target)
	if to == "." {
		return nil
	}
	if _, err := repopath.ParseEntry(to); err != nil {
		return fmt.Errorf("%w: symlink %q points to %q, outside its tree: %w", ErrMalformed, at, target, err)
	}
	return nil
}
