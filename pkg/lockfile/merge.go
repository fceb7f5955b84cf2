package lockfile

import (
	"cmp"
	"maps"
	"slices"
)

// Merge joins two locks that come from base, block by block: of each stage and each source the block
// that one side changed, added or deleted is as that side has it. A nil lock has no blocks.
//
// Where both sides changed a block in different ways, theirs counts, and its name is among conflicts:
// the block is whole, or gone as theirs deleted it, but may not fit the merged inputs; the stage's
// record does. Two things are no conflict: of one key, the larger generation counts, so that a
// deliberate rebuild survives; and of two blocks that differ in fields beginning with x- alone, the
// one that has some counts.
//
// A block that does not count on one side (see File.Absent) is as the other side has it, and is a
// conflict, too. Where the merged lock has none, it is in merged.Absent, with the line of the side that it
// is from: a source of which that is said has lost its commit.
func Merge(base, ours, theirs *File) (merged *File, conflicts []string) {
	b, o, t := blocksOf(base), blocksOf(ours), blocksOf(theirs)
	names := slices.Concat(slices.Collect(maps.Keys(o)), slices.Collect(maps.Keys(t)))
	slices.Sort(names)
	merged = &File{}
	for _, name := range slices.Compact(names) {
		won, ok := join(b[name], o[name], t[name])
		if !ok {
			conflicts = append(conflicts, name)
		}
		switch {
		case won == nil:
		case won.why != "":
			merged.Absent = append(merged.Absent, Absent{name, won.line, won.why})
		case won.source != nil:
			merged.Sources = append(merged.Sources, *won.source)
		default:
			merged.Stages = append(merged.Stages, won.Stage)
		}
	}
	slices.SortStableFunc(merged.Absent, func(a, b Absent) int { return cmp.Compare(a.Line, b.Line) })
	return merged, conflicts
}

// side is a block of one of the locks that are merged, or an absent one.
type side struct {
	block
	why string // it is absent; empty: it is not
}

// blocksOf returns what a lock has, by the names of blocks.
func blocksOf(f *File) map[string]*side {
	if f == nil {
		return nil
	}
	all := make(map[string]*side, len(f.Stages)+len(f.Sources))
	for _, a := range f.Absent {
		if a.Stage != "" {
			all[a.Stage] = &side{block{line: a.Line}, a.Why}
		}
	}
	for i := range f.Stages {
		s := &f.Stages[i]
		all[s.Name] = &side{block: block{Stage: *s, text: string(s.append(nil))}}
	}
	for i := range f.Sources {
		s := &f.Sources[i]
		all[s.Name()] = &side{block: block{source: s, text: string(s.append(nil))}}
	}
	return all
}

// bytes is the block, "" where there is none or it does not count.
func (s *side) bytes() string {
	if s == nil {
		return ""
	}
	return s.text
}

// join returns the block that counts of three of one name, nil for none, and whether there is no doubt.
func join(base, ours, theirs *side) (won *side, ok bool) {
	switch {
	case theirs != nil && theirs.why != "" && ours != nil:
		return ours, false
	case ours != nil && ours.why != "", theirs != nil && theirs.why != "":
		return cmp.Or(theirs, ours), false
	case ours.bytes() == theirs.bytes(), base.bytes() == theirs.bytes():
		return ours, true
	case base.bytes() == ours.bytes():
		return theirs, true
	case ours == nil || theirs == nil:
		return theirs, false
	case ours.source == nil && ours.Key == theirs.Key && ours.Generation > theirs.Generation:
		return ours, true
	case ours.source == nil && ours.Key == theirs.Key && ours.Generation < theirs.Generation:
		return theirs, true
	case ours.plain() == theirs.text:
		return ours, true
	}
	return theirs, theirs.plain() == ours.text
}

// plain is the block without its fields that begin with x-.
func (s *side) plain() string {
	if s.source != nil {
		source := *s.source
		source.raw = ""
		return string(source.append(nil))
	}
	stage := s.Stage
	stage.raw = ""
	return string(stage.append(nil))
}
