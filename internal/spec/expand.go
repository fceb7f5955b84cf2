package spec

import (
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/dag"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Expand returns the environments, those in the files of each: among them. read returns a file of
// the project. The error is a diag.List with all faults of these files. Without an each nothing is read.
func (p *Project) Expand(read func(repopath.Path) ([]byte, error)) (*Environments, error) {
	r := &reader{}
	all := p.named()
	first := map[string]string{} // places of names
	for _, e := range p.entries {
		first[e.Name] = e.Place
	}
	var members []entry
	for _, group := range p.entries {
		if group.each == "" {
			continue
		}
		for _, e := range r.members(group, read) {
			if at := first[e.Name]; at != "" {
				r.faultAt(e.Place, "environment %s: already declared (%s)", e.Name, at)
				continue
			}
			first[e.Name] = e.Place
			members = append(members, e)
			full := e.over(group)
			if full.Promoted() && !e.has["from"] && !group.has["from"] {
				r.noFrom(&e)
			}
			all.All = append(all.All, full)
		}
	}
	r.entryRules(p, members)
	slices.SortFunc(all.All, func(a, b Environment) int { return strings.Compare(a.Name, b.Name) })
	r.keptInGit(p, p.index())
	r.promotions(p, all, false)
	if len(r.faults) > 0 {
		return nil, sorted(r.faults)
	}
	return all, nil
}

// members reads the file of a group.
func (r *reader) members(group entry, read func(repopath.Path) ([]byte, error)) []entry {
	b, err := read(group.each)
	if err != nil {
		kind := diag.KindOf(err)
		if errors.Is(err, fs.ErrNotExist) {
			kind = diag.Usage
		}
		r.faults = append(r.faults, diag.New(kind, "environment %s: each: %w", group.Name, err).At(group.at["each"]))
		return nil
	}
	r.file = string(group.each)
	root, err := yamldoc.Parse(r.file, b, yamldoc.Options{})
	r.faults = append(r.faults, diag.All(err)...)
	if root == nil {
		return nil
	}
	if root.Kind != yamldoc.Map && root.Kind != yamldoc.Null { // nobody is in an empty group
		r.fault(root, "must be a map of environments, not %s", shown(root))
	}
	return r.entries(root, group.Name)
}

// named returns the environments of the file itself.
func (p *Project) named() *Environments {
	all := &Environments{}
	for _, e := range p.entries {
		if e.has["each"] {
			all.Groups = append(all.Groups, e.Name)
		} else {
			all.All = append(all.All, e.Environment)
		}
	}
	return all
}

// declared finds what is wrong between the entries of environments:, and settles what they are.
func (r *reader) declared(p *Project, x *outIndex) {
	r.entryRules(p, p.entries)
	r.keptInGit(p, x)
	if !r.settle(p.entries) {
		return // what they extend is not known, so what they are is not
	}
	all := p.named()
	files := map[repopath.Path]*entry{}
	for i := range p.entries {
		e := &p.entries[i]
		group := e.has["each"]
		if other := files[e.each]; other != nil && e.each != "" {
			r.faultAt(e.at["each"], "environment %s: each: %s is already the file of %s (%s)", e.Name, e.each, other.Name, other.at["each"])
		}
		files[e.each] = e
		switch {
		case e.Promoted() && !e.has["from"] && !group: // its members may have it
			r.noFrom(e)
		case e.Auto != "" && e.IsPattern():
			_ = r.faultAt(e.placeOf("auto"), "environment %s: a pattern cannot have auto, because no run knows the names that it is for", e.Name).
				Hinted("write auto: false, and name the environment in pipe deploy")
		}
	}
	r.promotions(p, all, len(all.Groups) > 0)
}

// noFrom reports an environment that waits for a verified release, and does not say where.
func (r *reader) noFrom(e *entry) {
	_ = r.faultAt(e.placeOf("auto"), "environment %s: auto: true needs from", e.Name).Hinted("add from: ENVIRONMENT, or write the branch that deploys here")
}

// placeOf returns the place of a key, that of the entry when the key is of what it extends.
func (e *entry) placeOf(key string) string {
	if at := e.at[key]; at != "" {
		return at
	}
	return e.Place
}

// settle puts each entry over what it extends. It reports false when one extends what is not there,
// or in the end itself.
func (r *reader) settle(entries []entry) bool {
	before := len(r.faults)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name)
	}
	bases := make([]int, len(entries))
	g := dag.New(len(entries))
	for i, e := range entries {
		base, ok := slices.BinarySearch(names, e.extends)
		switch bases[i] = -1; {
		case e.extends == "":
		case !ok:
			_ = guess(r.faultAt(e.at["extends"], "environment %s: extends: no environment named %q", e.Name, e.extends), e.extends, names, "environments: "+few(names))
		default:
			bases[i] = base
			g.Edge(i, base)
		}
	}
	r.cycles(g, "extends cycle", func(i int) (name, place string) { return names[i], entries[i].at["extends"] })
	order, _ := g.Sort()
	for _, i := range order {
		base := entry{Environment: standard()}
		if bases[i] >= 0 {
			base = entries[bases[i]]
		}
		has := maps.Clone(entries[i].has)
		for key := range base.has {
			if entryFields[key].give != nil {
				has[key] = true
			}
		}
		entries[i].Environment = entries[i].over(base)
		entries[i].has = has
	}
	return len(r.faults) == before
}

// over returns what the entry is on top of a base that is settled.
func (e *entry) over(base entry) Environment {
	full := base.Environment
	full.Name, full.Group, full.Place = e.Name, e.Group, e.Place
	for key := range e.at {
		if give := entryFields[key].give; give != nil {
			give(&e.Environment, &full)
		}
	}
	return full
}

// promotions reports environments in from that there are not, and those that wait for one another.
// unread says that the files of each: may yet name them.
func (r *reader) promotions(p *Project, all *Environments, unread bool) {
	g := dag.New(len(all.All))
	check := func(e *Environment, i int) {
		for _, name := range e.From {
			at := all.at(name)
			if at < 0 && !unread {
				at, _ = all.pattern(name)
			}
			switch {
			case slices.Contains(all.Groups, name):
				_ = r.faultAt(e.fromAt[name], "from: %s is a group of environments, not an environment", name).Hinted("name each environment in which a release must be verified")
			case at >= 0 && i >= 0:
				g.Edge(i, at)
			case at < 0 && !unread:
				_ = all.guess(r.faultAt(e.fromAt[name], "from: no environment named %q", name), name)
			}
		}
	}
	for i := range all.All {
		check(&all.All[i], i)
	}
	for i := range p.entries {
		if p.entries[i].has["each"] {
			check(&p.entries[i].Environment, -1)
		}
	}
	r.cycles(g, "promotion cycle", func(i int) (name, place string) {
		return all.All[i].Name, all.All[i].fromAt[all.All[i].From[0]]
	})
}
