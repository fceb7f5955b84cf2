package object

import "github.com/pipe-build/pipe/pkg/repopath"

// Change is an entry that two trees have otherwise, or that only one of them has.
type Change struct {
	Path     repopath.Path
	Old, New string // its digest, and what it is unless a plain file; empty: not there
	// OldSize and NewSize are in bytes.
	OldSize, NewSize int64
}

// Diff returns what changed from a to b, sorted by path.
func Diff(a, b *Tree) (changes []Change) {
	i, j := 0, 0
	for i < len(a.Entries) || j < len(b.Entries) {
		switch {
		case j == len(b.Entries) || i < len(a.Entries) && a.Entries[i].Path < b.Entries[j].Path:
			changes = append(changes, Change{Path: a.Entries[i].Path, Old: a.Entries[i].content(), OldSize: a.Entries[i].Size})
			i++
		case i == len(a.Entries) || b.Entries[j].Path < a.Entries[i].Path:
			changes = append(changes, Change{Path: b.Entries[j].Path, New: b.Entries[j].content(), NewSize: b.Entries[j].Size})
			j++
		default:
			if was, now := &a.Entries[i], &b.Entries[j]; *was != *now {
				changes = append(changes, Change{Path: was.Path, Old: was.content(), New: now.content(), OldSize: was.Size, NewSize: now.Size})
			}
			i++
			j++
		}
	}
	return changes
}

// content says what an entry is: a symlink has the digest of its target, as a file with that text.
func (e *Entry) content() string {
	switch e.Kind {
	case Executable:
		return e.Digest.String() + " (executable)"
	case Symlink:
		return e.Digest.String() + " (symlink)"
	case Nested:
		return e.Digest.String() + " (directory)"
	case Dir:
		return "an empty directory"
	}
	return e.Digest.String()
}
