package engine

import (
	"slices"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/spec"
)

// choose returns which stages the options select, by index. It fails with kind Usage when a
// target is unknown, or when an option that narrows the choice has nothing to narrow. up returns what a stage needs.
func (e *Engine) choose(opt Options, up func(int) []int) ([]bool, error) {
	var roots []int
	for _, t := range opt.Targets {
		i, err := e.stage(t)
		if err != nil {
			return nil, err
		}
		roots = append(roots, i)
	}
	if (opt.Single || opt.Downstream || opt.Pipeline) && len(roots) == 0 {
		return nil, diag.New(diag.Usage, "--single, --downstream and --pipeline need a stage").Hinted("pipe repro --single STAGE")
	}
	switch {
	case len(roots) == 0:
		for i := range e.Project.Stages {
			roots = append(roots, i)
		}
		return e.Graph.Reach(roots, up), nil
	case opt.Single:
		// The roots alone: what they need is taken as it is recorded.
		return e.Graph.Reach(roots, func(int) []int { return nil }), nil
	case opt.Downstream:
		return e.Graph.Reach(roots, e.Graph.Down), nil
	case opt.Pipeline:
		return e.Graph.Reach(roots, func(i int) []int { return slices.Concat(e.Graph.Up(i), e.Graph.Down(i)) }), nil
	}
	return e.Graph.Reach(roots, up), nil
}

// stage returns the index of a stage.
func (e *Engine) stage(name string) (int, error) {
	for i := range e.Project.Stages {
		if e.Project.Stages[i].Name == name {
			return i, nil
		}
	}
	return 0, diag.New(diag.Usage, "no stage named %q", name).Hinted("pipe stage list shows the stages")
}

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
