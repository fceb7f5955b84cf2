package gitlog

import (
	"context"
	"errors"

	"github.com/go-git/go-git/v5/plumbing"
)

// Containing returns, for each of the commits (full hashes), the branches,
// remote branches and tags whose tip or history it is in, sorted by full name. A
// commit that no reference reaches, or that lies beyond the edge of an incomplete
// history, has no entry. It reads every reachable commit once, whatever the number of
// hashes: asking git branch --contains for each would walk the history each time.
func (r *Repo) Containing(ctx context.Context, hashes []string) (map[string][]Ref, error) {
	o := r.objects()
	defer o.close()
	refs, err := r.refs(ctx)
	if err != nil {
		return nil, err
	}
	g := &graph{objects: o, at: map[plumbing.Hash]int32{}, edge: r.Shallow(), grafts: r.shallowCommits()}
	tips := make([]int32, len(refs))
	for i, ref := range refs {
		tips[i] = -1
		if !ref.isShared() {
			continue
		}
		if tips[i], err = g.add(ctx, plumbing.NewHash(ref.Hash)); err != nil && !errors.Is(err, errNotCommit) {
			return nil, r.explain(ref.Hash, err)
		}
	}
	found := map[string][]Ref{}
	for len(hashes) > 0 {
		batch := hashes[:min(64, len(hashes))]
		hashes = hashes[len(batch):]
		masks := g.masks(batch)
		for i, ref := range refs {
			if tips[i] < 0 {
				continue
			}
			for j, h := range batch {
				if masks[tips[i]]&(1<<j) != 0 {
					found[h] = append(found[h], ref)
				}
			}
		}
	}
	return found, nil
}

// graph is the commits that references reach, every one after its parents. With
// that order one pass over parents carries a mark from each commit to all after it.
type graph struct {
	objects *objects
	at      map[plumbing.Hash]int32 // place in parents; -1: absent, or being added
	parents [][]int32               // per commit the places of its parents
	edge    bool                    // absent objects are the edge of the history, not damage
	grafts  map[plumbing.Hash]bool  // commits that count as ones without parents
}

// open is a commit whose parents are being added.
type open struct {
	hash    plumbing.Hash
	parents []plumbing.Hash
	next    int
}

// add adds a commit and all before it, and returns its place; -1 beyond the edge. It
// keeps a stack of its own instead of recursing: a history may be a line of a million
// commits.
func (g *graph) add(ctx context.Context, tip plumbing.Hash) (int32, error) {
	first, err := g.load(tip)
	if err != nil || first == nil {
		return g.place(tip), err
	}
	for stack := []*open{first}; len(stack) > 0; {
		if ctx.Err() != nil {
			return -1, context.Cause(ctx)
		}
		top := stack[len(stack)-1]
		if top.next == len(top.parents) {
			g.close(top)
			stack = stack[:len(stack)-1]
			continue
		}
		next, err := g.load(top.parents[top.next])
		if err != nil {
			return -1, err
		}
		if next != nil {
			stack = append(stack, next)
		}
		top.next++
	}
	return g.place(first.hash), nil
}

// load reads a commit that is not in the graph yet; nil when it is, or lies beyond the edge.
func (g *graph) load(h plumbing.Hash) (*open, error) {
	if _, ok := g.at[h]; ok {
		return nil, nil
	}
	c, err := g.objects.commit(h)
	if err != nil {
		g.at[h] = -1
		if g.edge && errors.Is(err, plumbing.ErrObjectNotFound) {
			err = nil
		}
		return nil, err
	}
	if p, ok := g.at[c.hash]; ok && c.hash != h { // a tag of one that is here
		g.at[h] = p
		return nil, nil
	}
	if g.grafts[h] {
		c.parents = nil
	}
	g.at[c.hash] = -1
	return &open{hash: c.hash, parents: c.parents}, nil
}

// close gives a commit its place. Its parents have theirs: they were added before, or
// lie beyond the edge and are left out.
func (g *graph) close(c *open) {
	var parents []int32
	for _, h := range c.parents {
		if p := g.place(h); p >= 0 {
			parents = append(parents, p)
		}
	}
	g.at[c.hash] = int32(len(g.parents))
	g.parents = append(g.parents, parents)
}

// place returns where a commit or tag stands in parents; -1 when it does not.
func (g *graph) place(h plumbing.Hash) int32 {
	if p, ok := g.at[h]; ok {
		return p
	}
	return -1
}

// masks returns, per commit, which of at most 64 commits are it or before it: bit j
// stands for batch[j]. Parents stand before their children, so one pass is enough.
func (g *graph) masks(batch []string) []uint64 {
	masks := make([]uint64, len(g.parents))
	for j, h := range batch {
		if p := g.place(plumbing.NewHash(h)); p >= 0 {
			masks[p] |= 1 << j
		}
	}
	for i, parents := range g.parents {
		for _, p := range parents {
			masks[i] |= masks[p]
		}
	}
	return masks
}
