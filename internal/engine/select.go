package engine

import (
	"slices"

	"github.com/pipe-build/pipe/internal/spec"
)

// leaveOut takes the deploy stages but these out of the selection, and the builds and checks that
// need one that is left out. It returns all their names.
func (e *Engine) leaveOut(selected []bool, but []string) (names []string) {
	out := func(s *spec.Stage) bool { return s.Deploy && !slices.Contains(but, s.Name) }
	var from []int
	for i := range e.Project.Stages {
		if out(&e.Project.Stages[i]) {
			from = append(from, i)
		}
	}
	for i, below := range e.Graph.Reach(from, e.Graph.Down) {
		s := &e.Project.Stages[i]
		if below && selected[i] && (out(s) || !s.Deploy) {
			selected[i] = false
			names = append(names, s.Name)
		}
	}
	return names
}

// withInputs selects the inputs that the selected stages read: what lies there counts even where
// other stages are taken as they are recorded, because no one has to run for it.
func (e *Engine) withInputs(selected []bool) {
	for i := range selected {
		if !selected[i] {
			continue
		}
		for _, u := range e.Graph.Up(i) {
			selected[u] = selected[u] || e.Project.Stages[u].Input
		}
	}
}
