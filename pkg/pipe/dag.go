package pipe

import (
	"slices"
)

// Graph is the stages and what they need.
type Graph struct {
	Stages []GraphStage `json:"stages"` // each after what it needs
}

// GraphStage is one stage of a graph.
type GraphStage struct {
	Name   string   `json:"name"`             // the stage's name
	Desc   string   `json:"desc,omitempty"`   // from pipe.yaml
	Deploy bool     `json:"deploy,omitempty"` // a deploy stage
	Check  bool     `json:"check,omitempty"`  // a check
	Needs  []string `json:"needs"`            // stages that must be up to date first
}

// Dag returns the stages in an order in which each comes after what it needs.
func (p *Project) Dag() *Graph {
	g := p.spec.Edges()
	order, _ := g.Sort()
	out := &Graph{Stages: []GraphStage{}}
	for _, i := range order {
		s := &p.spec.Stages[i]
		n := GraphStage{Name: s.Name, Desc: s.Desc, Deploy: s.Deploy, Check: s.Check, Needs: []string{}}
		for _, u := range g.Up(i) {
			n.Needs = append(n.Needs, p.spec.Stages[u].Name)
		}
		slices.Sort(n.Needs)
		out.Stages = append(out.Stages, n)
	}
	return out
}
