package lockfile

import (
	"cmp"
	"path"
	"slices"
)

// Renamed makes one change of each pair of changes in which a dep, an out or a file of one stage
// is gone and another of the same content and mode is new. Of several that are alike, those in the
// same directory dep or out go together first, and among them those with the same base name; what
// is left goes in the order of paths. So the pairs do not depend on the order of the changes. The
// change of a pair stands where the new path stood.
func Renamed(changes []Change) []Change {
	var gone, added []int
	for i, c := range changes {
		switch {
		case c.What != "dep" && c.What != "out" && c.What != "file":
		case c.New == "":
			gone = append(gone, i)
		case c.Old == "":
			added = append(added, i)
		}
	}
	byPath := func(i, j int) int {
		a, b := changes[i], changes[j]
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.In, b.In))
	}
	slices.SortFunc(gone, byPath)
	slices.SortFunc(added, byPath)
	out := slices.Clone(changes)
	paired := map[int]bool{}
	for _, near := range []func(Change) string{
		func(c Change) string { return c.In + "\x00" + path.Base(c.Path) },
		func(c Change) string { return c.In },
		func(c Change) string { return path.Base(c.Path) },
		func(Change) string { return "" },
	} {
		left := map[[4]string][]int{}
		for _, i := range gone {
			c := changes[i]
			if key := [4]string{c.Stage, c.What, c.Old, near(c)}; !paired[i] {
				left[key] = append(left[key], i)
			}
		}
		for _, i := range added {
			c := &out[i]
			key := [4]string{c.Stage, c.What, c.New, near(*c)}
			if was := left[key]; c.From == "" && len(was) > 0 {
				old := changes[was[0]]
				c.From, c.Old, c.OldSize = old.Path, old.Old, old.OldSize
				paired[was[0]], left[key] = true, was[1:]
			}
		}
	}
	kept := out[:0]
	for i, c := range out {
		if !paired[i] {
			kept = append(kept, c)
		}
	}
	return kept
}
