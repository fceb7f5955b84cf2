package dag

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// draw makes any graph, cycles and all.
func draw(t *rapid.T) *Graph {
	n := rapid.IntRange(0, 12).Draw(t, "n")
	g := New(n)
	if n > 0 {
		node := rapid.IntRange(0, n-1)
		for range rapid.IntRange(0, 25).Draw(t, "edges") {
			g.Edge(node.Draw(t, "node"), node.Draw(t, "needs"))
		}
	}
	return g
}

func TestSortPutsEachNodeAfterWhatItNeedsOrNamesACycle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := draw(t)
		order, cycle := g.Sort()
		if cycle != nil {
			for i, n := range cycle {
				if next := cycle[(i+1)%len(cycle)]; !slices.Contains(g.Up(n), next) {
					t.Fatalf("%v: %d does not need %d", cycle, n, next)
				}
			}
			if order != nil {
				t.Fatal("an order in spite of a cycle")
			}
			return
		}
		if len(order) != g.Len() {
			t.Fatalf("%d of %d nodes", len(order), g.Len())
		}
		for at, n := range order {
			for _, u := range g.Up(n) {
				if i := slices.Index(order, u); i < 0 || i >= at {
					t.Fatalf("%v: %d needs %d", order, n, u)
				}
			}
		}
	})
}

func TestRepeatedEdgesAreKeptOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := draw(t)
		for n := range g.Len() {
			for _, side := range [][]int{g.Up(n), g.Down(n)} {
				if sorted := slices.Sorted(slices.Values(side)); len(slices.Compact(sorted)) != len(side) {
					t.Fatalf("node %d: %v", n, side)
				}
			}
			for _, u := range g.Up(n) {
				if !slices.Contains(g.Down(u), n) {
					t.Fatalf("%d needs %d, and not the other way round", n, u)
				}
			}
		}
	})
}

func TestSortTakesTheSmallestFirstAmongEquals(t *testing.T) {
	g := New(4)
	g.Edge(0, 3)
	order, _ := g.Sort()
	if want := []int{3, 0, 1, 2}; !slices.Equal(order, want) {
		t.Errorf("got %v, want %v", order, want)
	}
}

func TestReachFollowsAllEdges(t *testing.T) {
	g := New(5)
	g.Edge(2, 1)
	g.Edge(1, 0)
	g.Edge(1, 1)
	g.Edge(4, 3)
	if got := g.Reach([]int{2}, g.Up); !slices.Equal(got, []bool{true, true, true, false, false}) {
		t.Errorf("up: got %v", got)
	}
	if got := g.Reach([]int{0, 3}, g.Down); !slices.Equal(got, []bool{true, true, true, true, true}) {
		t.Errorf("down: got %v", got)
	}
}

// A search through a node's edges for each new one would not end while anybody waits.
func TestManyEdgesOnOneNodeAreCheap(t *testing.T) {
	const n = 1_000_000
	g := New(n)
	for i := range n {
		g.Edge(0, i)
		g.Edge(i, 1)
	}
	if got := len(g.Up(0)); got < n-1 {
		t.Errorf("%d edges", got)
	}
}

func TestADeepGraphNeedsNoDeepStack(t *testing.T) {
	const n = 1_000_000
	g := New(n)
	for i := 1; i < n; i++ {
		g.Edge(i-1, i)
	}
	if order, _ := g.Sort(); len(order) != n || order[0] != n-1 {
		t.Error("wrong order")
	}
	g.Edge(n-1, 0)
	if _, cycle := g.Sort(); len(cycle) != n {
		t.Errorf("a cycle of %d", len(cycle))
	}
}
