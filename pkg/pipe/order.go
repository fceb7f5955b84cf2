package pipe

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/dag"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// sort orders the projects and refuses cycles.
func (ps *Projects) sort() error {
	needs, near := ps.needs()
	if _, cycle := needs.Sort(); cycle != nil {
		var names []string
		for _, i := range append(cycle, cycle[0]) {
			names = append(names, ps.all[i].opt.name)
		}
		return eachOther(names...)
	}
	// A directory that holds a project is better read when that is done, where it can be.
	for _, n := range near {
		if !needs.Reach([]int{n.project}, needs.Down)[n.holds] {
			needs.Edge(n.project, n.holds)
		}
	}
	order, _ := needs.Sort()
	place := make([]int, len(order))
	sorted := make([]*Project, len(order))
	for at, i := range order {
		place[i], sorted[at] = at, ps.all[i]
	}
	ps.graph = dag.New(len(order))
	for i := range order {
		for _, u := range needs.Up(i) {
			ps.graph.Edge(place[i], place[u])
		}
	}
	ps.all = sorted
	for _, p := range ps.all {
		p.beside = ps.all
	}
	return nil
}

// eachOther refuses projects of which each needs an output of the next.
func eachOther(names ...string) error {
	return diag.New(diag.Usage, "projects depend on each other: %s", strings.Join(names, " -> ")).
		Hinted("move a stage to another project, so that one of them needs nothing of the other")
}

// holding says that a dep of a project is a directory that holds another one.
type holding struct{ project, holds int }

// needs returns which project needs an output of which, and which deps hold whole projects.
func (ps *Projects) needs() (*dag.Graph, []holding) {
	g := dag.New(len(ps.all))
	var near []holding
	for i, p := range ps.all {
		for _, at := range p.reads() {
			if j := ps.owner(at); j >= 0 && j != i && ps.all[j].makes(at) {
				g.Edge(i, j)
			}
			for j, other := range ps.all {
				if j != i && holds(at, other.root) && other.root != p.root {
					near = append(near, holding{i, j})
				}
			}
		}
	}
	return g, near
}

// reads returns the files and directories that the project's stages read; of a glob, where it
// begins.
func (p *Project) reads() (paths []string) {
	for i := range p.spec.Stages {
		s := &p.spec.Stages[i]
		for _, d := range s.Deps {
			if d.Top {
				paths = append(paths, p.inTop(d.Base()))
				continue
			}
			paths = append(paths, p.work.OS(d.Base()))
		}
		for _, f := range s.Params {
			paths = append(paths, p.work.OS(f.File))
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// owner returns the nearest project that a path lies in, -1 when there is none.
func (ps *Projects) owner(at string) int {
	owner, longest := -1, -1
	for j, p := range ps.all {
		if holds(p.root, at) && len(p.root) > longest {
			owner, longest = j, len(p.root)
		}
	}
	return owner
}

// makes reports whether a stage of the project makes the path, or a directory that it lies in.
func (p *Project) makes(path string) bool {
	rel, err := filepath.Rel(p.root, path)
	if err != nil {
		return false
	}
	at, err := repopath.FromOS(rel)
	for ; err == nil && at != repopath.Root && at != ""; at = at.Dir() {
		if s, _ := p.maker(at); s != nil {
			return true
		}
	}
	return false
}

// holds reports whether a path is the directory or lies in it.
func holds(dir, path string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, string(filepath.Separator))+string(filepath.Separator))
}
