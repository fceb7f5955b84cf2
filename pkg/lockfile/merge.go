package lockfile

// Merge joins two locks that come from base, stage by stage and source by source. What only one side
// changed is taken from it. Where both changed a block in different ways, theirs is taken, and the block's
// name is among the conflicts: it is whole, but may not fit the merged inputs; the record does. Of equal keys the
// larger generation counts.
func Merge(base, ours, theirs *File) (merged *File, conflicts []string) {
	panic("not yet")
}
