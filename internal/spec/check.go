package spec

import (
	"slices"
	"sort"
	"strings"

	"github.com/pipe-build/pipe/internal/dag"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// made is an out and the number of the stage that makes it.
type made struct {
	stage int
	out   *Out
	leaf  bool // nothing can depend on the out: a check creates it, or it is a report
}

// outIndex finds outs by path, above a path and below it. Of two outs with one path byPath has
// the first by stage name; overlaps reports the other.
type outIndex struct {
	byPath map[repopath.Path]made
	sorted []made // by path
}

// index collects the outs of all stages. It is made once per check: a look-up costs the depth
// of a path or a binary search, and not a walk over all stages.
func (p *Project) index() *outIndex {
	x := &outIndex{byPath: map[repopath.Path]made{}}
	for i := range p.Stages {
		for j := range p.Stages[i].Outs {
			m := made{i, &p.Stages[i].Outs[j], p.Stages[i].Leaf(&p.Stages[i].Outs[j])}
			x.sorted = append(x.sorted, m)
			if _, dup := x.byPath[m.out.Path]; !dup {
				x.byPath[m.out.Path] = m
			}
		}
	}
	slices.SortStableFunc(x.sorted, func(a, b made) int { return strings.Compare(string(a.out.Path), string(b.out.Path)) })
	return x
}

// above yields the outs that are p or hold it. At most one does when the file has no faults.
func (x *outIndex) above(p repopath.Path, yield func(made)) {
	for ; p != repopath.Root; p = p.Dir() {
		if m, ok := x.byPath[p]; ok {
			yield(m)
		}
	}
}

// below yields the outs that lie inside p.
func (x *outIndex) below(p repopath.Path, yield func(made)) {
	prefix := string(p) + "/"
	if p == repopath.Root {
		prefix = ""
	}
	// What begins with the prefix is together, because the list is sorted by bytes.
	first := sort.Search(len(x.sorted), func(i int) bool { return string(x.sorted[i].out.Path) >= prefix })
	for _, m := range x.sorted[first:] {
		if !strings.HasPrefix(string(m.out.Path), prefix) {
			return
		}
		yield(m)
	}
}

// LeavesOut says that an exclude of the stage takes p from what the dep d names: it
// names p, or a directory that holds p. A dep that is a path is asked for by its
// name: no exclude touches it, or what is above it, only what lies inside. Excludes are of the
// project; nothing outside of it is left out.
func (s *Stage) LeavesOut(d Dep, p repopath.Path) bool {
	if len(s.Excludes) == 0 || d.Top || d.Glob == "" && !d.Path.Holds(p) {
		return false
	}
	for ; p != repopath.Root && p != d.Path; p = p.Dir() {
		if slices.ContainsFunc(s.Excludes, func(g repopath.Pattern) bool { return g.Match(p) }) {
			return true
		}
	}
	return false
}

// Takes reports whether d names a path, and no exclude of the stage takes it away.
func (s *Stage) Takes(d Dep, p repopath.Path) bool {
	named := d.Glob == "" && d.Path.Holds(p) || d.Glob != "" && d.Glob.Match(p)
	return named && !s.LeavesOut(d, p)
}

// TakesOut reports whether d takes in an out below it. A glob names files: a directory that a
// stage makes is an input only by its name, or each new one would change what globs mean.
func (s *Stage) TakesOut(d Dep, o *Out) bool { return !(d.Glob != "" && o.Dir) && s.Takes(d, o.Path) }

// reads yields each out that the stage reads, and through which dep; params
// files count as deps. What nothing may depend on is left out of a directory.
func (x *outIndex) reads(s *Stage, yield func(d Dep, m made)) {
	for _, d := range s.Deps {
		if d.Top {
			continue
		}
		at := d.Base()
		x.above(at, func(m made) { yield(d, m) })
		x.below(at, func(m made) {
			if !m.leaf && s.TakesOut(d, m.out) {
				yield(d, m)
			}
		})
	}
	for _, f := range s.Params {
		x.above(f.File, func(m made) { yield(Dep{Path: f.File, Place: f.Place}, m) })
	}
}

// Edges returns who needs whom, over the indices of p.Stages: a stage needs
// another when it says so, when its condition asks about the other, and when one of its deps or params files is an out of
// the other, lies inside one, holds one, or is a glob that names one, unless an
// exclude of the stage names that out.
func (p *Project) Edges() *dag.Graph { return p.edges(p.index()) }

// last remembers the latest reader of each stage, so that a directory dep with thousands of
// outs of one stage adds one edge.
func (p *Project) edges(x *outIndex) *dag.Graph {
	g := dag.New(len(p.Stages))
	last := make([]int, len(p.Stages)) // the stage, plus one, that needed it last
	for i := range p.Stages {
		needs := func(other int) {
			if other >= 0 && other != i && last[other] != i+1 {
				last[other] = i + 1
				g.Edge(i, other)
			}
		}
		x.reads(&p.Stages[i], func(_ Dep, m made) { needs(m.stage) })
		for _, n := range p.Stages[i].Needs {
			for _, other := range p.Members(n.Stage) {
				needs(other)
			}
		}
		if w := p.Stages[i].When; w != nil {
			for _, name := range w.Stages() {
				for _, other := range p.Members(name) {
					needs(other)
				}
			}
		}
	}
	return g
}

// check finds the faults that concern more than one item.
func (r *reader) check(p *Project) {
	x := p.index()
	r.overlaps(p, x)
	for i := range p.Stages {
		r.ownOuts(i, &p.Stages[i], x)
		r.pushed(p, &p.Stages[i], x)
		r.needed(p, &p.Stages[i])
		r.asks(p, &p.Stages[i])
		r.leaves(p, &p.Stages[i], x)
	}
	r.stored(p)
	r.limited(p)
	r.apart(p, x)
	r.envInGit(p, x)
	r.declared(p, x)
	r.cycles(p.edges(x), "dependency cycle", func(i int) (name, place string) { return p.Stages[i].Name, p.Stages[i].Place })
}

// overlaps reports outs that are the same path or lie inside one another. A shared path would
// have two makers, and its bytes would depend on who ran last.
func (r *reader) overlaps(p *Project, x *outIndex) {
	for _, m := range x.sorted {
		if first := x.byPath[m.out.Path]; first.out != m.out {
			// Reported at the one further down, whichever stage's name comes first.
			later, earlier := m, first
			if comparePlaces(later.out.Place, earlier.out.Place) < 0 {
				later, earlier = earlier, later
			}
			by := "by stage " + p.Stages[earlier.stage].Name
			if p.Stages[earlier.stage].Input {
				by = "in inputs"
			}
			r.faultAt(later.out.Place, "%s is already declared %s (%s)", p.whose(later), by, earlier.out.Place)
		}
		reported := false
		x.above(m.out.Path.Dir(), func(holder made) {
			if !reported {
				r.faultAt(m.out.Place, "%s is inside %s (%s)", p.whose(m), p.Stages[holder.stage].Made(holder.out.Path), holder.out.Place)
			}
			reported = true
		})
	}
}

// whose begins a fault about an out.
func (p *Project) whose(m made) string {
	if s := &p.Stages[m.stage]; !s.Input {
		return s.Name + ": output " + string(m.out.Path)
	}
	return "input " + string(m.out.Path)
}

// ownOuts reports deps of a stage that hold, name or lie in what it makes itself. The whole
// repository may be a dep: there a stage's own outs are left out. The stage would wait for
// itself, or change its own key each time it runs.
func (r *reader) ownOuts(i int, s *Stage, x *outIndex) {
	x.reads(s, func(d Dep, m made) {
		if m.stage != i || d.Path == repopath.Root {
			return
		}
		switch {
		case d.Path == m.out.Path:
			r.faultAt(d.Place, "%s: %s is both a dependency and an output", s.Name, d)
		case d.Path != "" && m.out.Path.Holds(d.Path):
			r.faultAt(d.Place, "%s: dependency %s is inside the stage's own output %s", s.Name, d, m.out.Path)
		default:
			e := r.faultAt(d.Place, "%s: dependency %s includes the stage's own output %s", s.Name, d, m.out.Path)
			if s.Wdir.Holds(m.out.Path) {
				_ = e.Hinted("add %q to the deps", "!"+string(s.Wdir.Rel(m.out.Path)))
			}
		}
	})
}

// pushed reports deps that are made by a stage, and say push: a build publishes its outputs, or
// does not, whoever reads them.
func (r *reader) pushed(p *Project, s *Stage, x *outIndex) {
	for _, d := range s.Deps {
		if d.Push == PushUnsaid || d.Top {
			continue
		}
		x.above(d.Path, func(m made) {
			if p.Stages[m.stage].Input {
				_ = r.faultAt(d.Place, "%s: dependency %s is in inputs, which the remote always gets", s.Name, d).Hinted("write %s here, without push", d)
				return
			}
			_ = r.faultAt(d.Place, "%s: dependency %s is created by a stage, so push belongs to its output %s (%s)", s.Name, d, m.out.Path, m.out.Place).
				Hinted("write %s here, and {path: %s, push: false} in outs to keep the output on one machine", d, m.out.Path)
		})
	}
}

// needed reports needs that name no stage and no group.
func (r *reader) needed(p *Project, s *Stage) {
	for _, n := range s.Needs {
		if n.Stage == s.Name {
			r.faultAt(n.Place, "%s: needs: a stage cannot need itself", s.Name)
		}
		if len(p.Members(n.Stage)) > 0 {
			continue
		}
		names := p.Groups()
		for i := range p.Stages {
			names = append(names, p.Stages[i].Name)
		}
		_ = guess(r.faultAt(n.Place, "%s: needs: no stage named %q", s.Name, n.Stage), n.Stage, names, "")
	}
}

// known reports the name of a remote that the file does not declare.
func (r *reader) known(p *Project, whose, name, place string) {
	var names []string
	for _, m := range p.Remotes {
		if m.Name == name {
			return
		}
		names = append(names, m.Name)
	}
	_ = guess(r.faultAt(place, "%s: no remote named %q", whose, name), name, names, "add "+name+": URL to the map remote:")
}

// stored reports outs whose remote the file does not declare, and such a remote of the environments.
func (r *reader) stored(p *Project) {
	if p.StateRemote != "" {
		r.known(p, "state_remote", p.StateRemote, p.stateAt)
	}
	for i := range p.Stages {
		for j := range p.Stages[i].Outs {
			if o := &p.Stages[i].Outs[j]; o.Remote != "" {
				r.known(p, p.whose(made{stage: i, out: o}), o.Remote, o.RemoteAt)
			}
		}
	}
}

// leaves reports deps on what a check makes, or on a report, or on a directory that holds one. A
// check's result is whether it succeeded; where that is known from a record, nobody asks what it
// left. A report says how its stage went, also when that failed. So they are in no key, and a
// command that reads one all the same would not run when it changes. The whole project may be a
// dep.
func (r *reader) leaves(p *Project, s *Stage, x *outIndex) {
	for _, d := range s.Deps {
		if d.Path == repopath.Root || d.Glob != "" || d.Top {
			continue
		}
		x.below(d.Path, func(m made) {
			if c := &p.Stages[m.stage]; m.leaf && c.Name != s.Name && m.out.Path != d.Path && s.Takes(d, m.out.Path) {
				e := r.faultAt(d.Place, "%s: dependency %s includes %s, %s", s.Name, d, m.out.Path, c.leafOf())
				if s.Wdir.Holds(m.out.Path) {
					_ = e.Hinted("add %q to the deps", "!"+string(s.Wdir.Rel(m.out.Path)))
				}
			}
		})
	}
	x.reads(s, func(d Dep, m made) {
		c := &p.Stages[m.stage]
		switch {
		case !m.leaf || c.Name == s.Name:
		case !c.Check:
			_ = r.faultAt(d.Place, "%s: dependency %s is %s", s.Name, d, c.leafOf()).
				Hinted("write needs: [%s] to wait for the stage, or remove report: true from the output", c.Name)
		default:
			_ = r.faultAt(d.Place, "%s: dependency %s is %s", s.Name, d, c.leafOf()).
				Hinted("write needs: [%s] to wait for the check, or remove check: true from it", c.Name)
		}
	})
}

// leafOf says why nothing can depend on a leaf of the stage.
func (s *Stage) leafOf() string {
	if s.Check {
		return "created by the check " + s.Name + ", and no stage can depend on what a check creates"
	}
	return "a report of stage " + s.Name + ", and no stage can depend on a report"
}

// maxCycles is how many circles are reported: each costs a walk over all stages. Ten are
// enough to see what is wrong.
const maxCycles = 10

// cycles reports cycles, each from its first node, so that messages do not depend on where the
// search began. The nodes of one are taken out before the next is looked for.
func (r *reader) cycles(g *dag.Graph, what string, node func(int) (name, place string)) {
	gone := make([]bool, g.Len())
	for range maxCycles {
		_, cycle := g.Sort()
		if cycle == nil {
			return
		}
		at := slices.Index(cycle, slices.Min(cycle))
		names := make([]string, 0, len(cycle)+1)
		for k := range cycle {
			n := cycle[(at+k)%len(cycle)]
			gone[n] = true
			name, _ := node(n)
			names = append(names, name)
		}
		first, place := node(cycle[at])
		r.faultAt(place, "%s: %s: %s", first, what, strings.Join(append(names, first), " -> "))
		g = without(g, gone)
	}
}

// without returns g less the edges of the nodes that are gone.
func without(g *dag.Graph, gone []bool) *dag.Graph {
	rest := dag.New(g.Len())
	for n := range gone {
		for _, u := range g.Up(n) {
			if !gone[n] && !gone[u] {
				rest.Edge(n, u)
			}
		}
	}
	return rest
}
