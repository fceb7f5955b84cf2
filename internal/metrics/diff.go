package metrics

// Change is a value on two sides.
type Change struct {
	Name     string
	Old, New *Value // nil: that side has none
	By       string // New - Old in decimal, if both are numbers
}

// Same reports whether nothing changed.
func (c Change) Same() bool { return c.Old != nil && c.New != nil && c.Old.Same(*c.New) }

// Diff compares the values of two sides, the unchanged ones too: in the order of the new side, then
// what only the old one has.
func Diff(was, now []Value) (all []Change) {
	old := make(map[string]*Value, len(was))
	for i := range was {
		old[was[i].Name] = &was[i]
	}
	for i := range now {
		c := Change{Name: now[i].Name, Old: old[now[i].Name], New: &now[i]}
		if c.Old != nil {
			c.By = c.New.minus(*c.Old)
		}
		delete(old, c.Name)
		all = append(all, c)
	}
	for i := range was {
		if old[was[i].Name] != nil {
			all = append(all, Change{Name: was[i].Name, Old: &was[i]})
		}
	}
	return all
}
