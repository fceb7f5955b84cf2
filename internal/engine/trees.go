package engine

import (
	"context"
	"slices"

	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// entries collects one tree out of several, by path from the project's root, or with something
// outside of it from the repository's top.
type entries map[repopath.Path]object.Entry

// add takes in all of t, which lies at top, but for outs of stages that it names
// as a whole.
func (es entries) add(top repopath.Path, t *object.Tree) {
	for _, e := range t.Entries {
		e.Path = under(top, e.Path)
		if e.Kind != object.Nested {
			es[e.Path] = e
		}
	}
}

// Sorting makes the digest independent of the map's order.
func (es entries) tree() *object.Tree {
	t := &object.Tree{Entries: make([]object.Entry, 0, len(es))}
	for _, e := range es {
		t.Entries = append(t.Entries, e)
	}
	t.Sort()
	return t
}

// place is where a path lies in a tree of the inputs.
func (g *gathered) place(p repopath.Path, outside bool) repopath.Path {
	if outside {
		return p
	}
	return under(g.under, p)
}

// outputs yields the outputs that stages made, and where each lies in a tree of the inputs.
func (g *gathered) outputs(yield func(at repopath.Path, o artifact.Output) bool) {
	for _, o := range g.made {
		if !yield(g.place(o.Path, false), o) {
			return
		}
	}
	for _, o := range g.above {
		if !yield(o.Path, o) {
			return
		}
	}
}

// isWhole reports whether all of an output counts, which lies at a place in a tree of the inputs.
func (g *gathered) isWhole(at repopath.Path, o artifact.Output) bool {
	if at == g.place(o.Path, false) && g.whole[o.Path] {
		return true
	}
	return slices.ContainsFunc(g.Deps, func(d artifact.Input) bool {
		return d.Kind.IsTop() && d.Kind != artifact.TopGlob && d.Path == at
	})
}

// sourceEntries are the files that no stage makes. A tree of one file does not know its
// executable bit; the dep does.
func sourceEntries(in *gathered) entries {
	es := entries{}
	for _, src := range in.sources {
		es.add(in.place(src.top, src.outside), src.tree)
	}
	for _, d := range in.Deps {
		at := in.place(d.Path, d.Kind.IsTop())
		if e, ok := es[at]; ok && d.Kind.Plain() == artifact.OneFile && d.Exec {
			e.Kind = object.Executable
			es[at] = e
		}
	}
	return es
}

// fileEntry is an output that is a file, at a path.
func fileEntry(at repopath.Path, o artifact.Output) object.Entry {
	e := object.Entry{Kind: object.File, Path: at, Digest: o.Digest, Size: o.Size}
	if o.Exec {
		e.Kind = object.Executable
	}
	return e
}

// inputTree lists everything that a command reads; an output that is a directory is one entry,
// so that no tree need be fetched for it. It serves a command that runs in the project, where
// the files lie.
func inputTree(in *gathered) *object.Tree {
	es := sourceEntries(in)
	for at, o := range in.outputs {
		e := fileEntry(at, o)
		if o.Dir {
			e.Kind, e.Size = object.Nested, 0
		}
		es[at] = e
	}
	return es.tree()
}

// closureTree lists every single file that a deploy command gets: what its key covers, and
// nothing else. A file that the command could read but the key does not cover would let two
// deployments of one key differ. So of an output that only some deps look into, only the files
// that these name are taken.
func (r *run) closureTree(ctx context.Context, s *spec.Stage, in *gathered) (*object.Tree, error) {
	es := sourceEntries(in)
	for at, o := range in.outputs {
		whole, outside := in.isWhole(at, o), !in.under.Holds(at)
		if !o.Dir && whole {
			es[at] = fileEntry(at, o)
		}
		if !o.Dir {
			continue
		}
		t, err := r.Carrier.Tree(ctx, o.Path, o.Digest)
		if err != nil {
			return nil, err
		}
		if !whole {
			t = &object.Tree{Entries: slices.DeleteFunc(slices.Clone(t.Entries), func(e object.Entry) bool {
				return !slices.ContainsFunc(in.parts, func(d spec.Dep) bool {
					return d.Top == outside && s.Takes(d, o.Path.Child(string(e.Path)))
				})
			})}
		}
		es.add(at, t)
	}
	tree := es.tree()
	return tree, tree.Check()
}

// ownFiles returns the part of a source that no stage makes. Outputs are left out: their bytes
// come from the cache by digest, since what lies in the workspace at their paths may be absent
// or edited.
func (r *run) ownFiles(src source) *object.Tree {
	own := &object.Tree{}
	for _, e := range src.tree.Entries {
		if src.outside || !r.outs.is(src.at(e)) {
			own.Entries = append(own.Entries, e)
		}
	}
	return own
}
