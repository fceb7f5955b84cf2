package spec

import (
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/yamldoc"
)

// Limit is how many deploy stages with one mutex may run at once, over all runs and environments.
type Limit struct {
	Mutex string
	Most  int
	Place string
}

// limits reads limits:. A limit's name is a part of a path in the store.
func (r *reader) limits(n *yamldoc.Node) (all []Limit) {
	if n.Kind != yamldoc.Map && n.Kind != yamldoc.Null {
		_ = r.fault(n, "limits: must be a map, not %s", shown(n)).Hinted("write limits: {MUTEX: 2}")
	}
	for _, p := range n.Pairs {
		l := Limit{Mutex: p.Key, Most: r.whole(p.Value, 1, "limit "+p.Key), Place: p.At.Place(r.file)}
		if !IsEnvironment(p.Key) {
			r.fault(p.At, "limit name %q is not valid; use up to 63 lower-case letters, digits, '.', '_' and '-', starting with a letter or digit, and not ending in .lock", p.Key)
			continue
		}
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b Limit) int { return strings.Compare(a.Mutex, b.Mutex) })
	return all
}

// limited reports limits that bind no stage: after a typing error in either name, as many would run
// at once as like to.
func (r *reader) limited(p *Project) {
	var names []string
	for i := range p.Stages {
		if s := &p.Stages[i]; s.Deploy && s.Mutex != "" {
			names = append(names, s.Mutex)
		}
	}
	for _, l := range p.Limits {
		if !slices.Contains(names, l.Mutex) {
			_ = guess(r.faultAt(l.Place, "limit %s: no deploy stage has mutex: %s", l.Mutex, l.Mutex), l.Mutex, names, "add mutex: "+l.Mutex+" to the deploy stages that it is for")
		}
	}
}
