package engine

import "strings"

// leaveOut takes the deploy stages out of the selection, and says which they are.
func (e *Engine) leaveOut(selected []bool) {
	var deploys []int
	for i := range e.Project.Stages {
		if e.Project.Stages[i].Deploy {
			deploys = append(deploys, i)
		}
	}
	var names []string
	for i, out := range e.Graph.Reach(deploys, e.Graph.Down) {
		if out && selected[i] {
			selected[i] = false
			names = append(names, e.Project.Stages[i].Name)
		}
	}
	if len(names) > 0 {
		e.note("", "not deployed, as you asked: %s", strings.Join(names, ", "))
	}
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
