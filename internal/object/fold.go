package object

import (
	"strings"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/pipe-build/pipe/pkg/repopath"
)

// Folding returns two names of the tree, directories among them, that are one
// name on a disk that ignores case or the normal form of Unicode. Such a tree
// may be stored, but not written to such a disk.
func (t *Tree) Folding() (a, b repopath.Path, ok bool) {
	fold := cases.Fold()
	seen := make(map[string]repopath.Path, len(t.Entries))
	for i := range t.Entries {
		for p := t.Entries[i].Path; p != repopath.Root; p = p.Dir() {
			key := folded(fold, string(p))
			other, known := seen[key]
			if known && other != p {
				return other, p, true
			}
			if known {
				break // and all directories above it
			}
			seen[key] = p
		}
	}
	return "", "", false
}

func folded(fold cases.Caser, s string) string {
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
	return norm.NFC.String(fold.String(norm.NFC.String(s)))
}
