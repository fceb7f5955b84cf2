// Package dag orders things that depend on one another.
//
// Nodes are numbers, so that it knows nothing of stages: package spec makes the graph of a
// project, and the engine walks it. All walks keep their own stack instead of calling
// themselves: a project may chain as many stages as memory holds.
package dag

import "slices"

// Graph is a directed graph over the nodes 0..N-1. Its zero value has no nodes. Edges are kept
// in both directions: the scheduler asks what a stage needs as often as what needs it. It may
// be read from several goroutines once all edges are there.
type Graph struct {
	up, down [][]int
}

// New returns a graph of n nodes without edges.
func New(n int) *Graph {
	return &Graph{up: make([][]int, n), down: make([][]int, n)}
}

// Len returns the number of nodes.
func (g *Graph) Len() int { return len(g.up) }

// Edge says that node needs the other node first. Repeated edges are kept once. Both nodes
// must be below N. Cycles are allowed here; Sort finds them.
func (g *Graph) Edge(node, needs int) {
	// The shorter list is searched: a stage may need thousands, or thousands it.
	known, what := g.up[node], needs
	if len(g.down[needs]) < len(known) {
		known, what = g.down[needs], node
	}
	if slices.Contains(known, what) {
		return
	}
	g.up[node] = append(g.up[node], needs)
	g.down[needs] = append(g.down[needs], node)
}

// Up returns the nodes that node needs, directly. The caller must not change it.
func (g *Graph) Up(node int) []int { return g.up[node] }

// Down returns the nodes that need node, directly. The caller must not change it.
func (g *Graph) Down(node int) []int { return g.down[node] }

// Sort returns all nodes, each after what it needs, smallest number first among equals. When
// there is a cycle, order is nil and cycle lists its nodes in order, each needing the next,
// and the last the first. It is a depth-first search: a node is open while what it needs is
// being ordered, and an edge to an open node closes a cycle, which is the top of the stack.
// The order is the same for the same edges. It takes time in proportion to nodes and edges.
func (g *Graph) Sort() (order, cycle []int) {
	const fresh, open, done = 0, 1, 2
	state := make([]byte, g.Len())
	order = make([]int, 0, g.Len())
	type frame struct{ node, next int }
	var stack []frame
	for root := range g.Len() {
		if state[root] != fresh {
			continue
		}
		state[root] = open
		stack = append(stack[:0], frame{node: root})
		for len(stack) > 0 {
			top := &stack[len(stack)-1]
			if top.next == len(g.up[top.node]) {
				state[top.node] = done
				order = append(order, top.node)
				stack = stack[:len(stack)-1]
				continue
			}
			u := g.up[top.node][top.next]
			top.next++
			switch state[u] {
			case fresh:
				state[u] = open
				stack = append(stack, frame{node: u})
			// From u's place to the top of the stack, each node needs the next.
			case open:
				i := len(stack) - 1
				for stack[i].node != u {
					i--
				}
				for _, f := range stack[i:] {
					cycle = append(cycle, f.node)
				}
				return nil, cycle
			}
		}
	}
	return order, nil
}

// Reach marks the roots and all that next leads to from them. next is Up, Down, or any other
// relation; one that leads nowhere gives the roots alone.
func (g *Graph) Reach(roots []int, next func(int) []int) []bool {
	seen := make([]bool, g.Len())
	todo := append([]int(nil), roots...)
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[n] {
			continue
		}
		seen[n] = true
		todo = append(todo, next(n)...)
	}
	return seen
}
