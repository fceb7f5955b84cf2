package object

import "github.com/pipe-build/pipe/pkg/repopath"

// Change is an entry that two trees have otherwise, or that only one of them has.
type Change struct {
	Path     repopath.Path
	Old, New string // its digest, and whether it is executable; empty: not there
}

// Diff returns what changed from a to b, sorted by path.
func Diff(a, b *Tree) (changes []Change) {
	i, j := 0, 0
	for i < len(a.Entries) || j < len(b.Entries) {
		switch {
		case j == len(b.Entries) || i < len(a.Entries) && a.Entries[i].Path < b.Entries[j].Path:
			changes = append(changes, Change{Path: a.Entries[i].Path, Old: a.Entries[i].content()})
			i++
		case i == len(a.Entries) || b.Entries[j].Path < a.Entries[i].Path:
			changes = append(changes, Change{Path: b.Entries[j].Path, New: b.Entries[j].content()})
			j++
		default:
			if was, now := a.Entries[i].content(), b.Entries[j].content(); was != now {
				changes = append(changes, Change{Path: a.Entries[i].Path, Old: was, New: now})
			}
			i++
			j++
		}
	}
	return changes
}

func (e *Entry) content() string {
	switch e.Kind {
	case Executable:
		return e.Digest.String() + " (executable)"
	case Dir:
		return "an empty directory"
	}
	return e.Digest.String()
}
