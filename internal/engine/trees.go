package engine

import (
	"context"
	"slices"

	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// entries collects one tree out of several, by path from the project's root.
type entries map[repopath.Path]object.Entry

// add takes in all of t, which lies at top, but for outs of stages that it names
// as a whole.
func (es entries) add(top repopath.Path, t *object.Tree) {
	for _, e := range t.Entries {
		if e.Path == repopath.Root {
			e.Path = top
		} else {
			e.Path = top.Child(string(e.Path))
		}
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

// sourceEntries are the files that no stage makes. A tree of one file does not know its
// executable bit; the dep does.
func sourceEntries(in *gathered) entries {
	es := entries{}
	for _, src := range in.sources {
		es.add(src.top, src.tree)
	}
	for _, d := range in.Deps {
		if e, ok := es[d.Path]; ok && d.Kind == artifact.OneFile && d.Exec {
			e.Kind = object.Executable
			es[d.Path] = e
		}
	}
	return es
}

// fileEntry is an output that is a file, at its path.
func fileEntry(o artifact.Output) object.Entry {
	e := object.Entry{Kind: object.File, Path: o.Path, Digest: o.Digest, Size: o.Size}
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
	for _, o := range in.made {
		e := fileEntry(o)
		if o.Dir {
			e.Kind, e.Size = object.Nested, 0
		}
		es[o.Path] = e
	}
	return es.tree()
}

// closureTree lists every single file that a deploy command gets: what its key covers, and
// nothing else. A file that the command could read but the key does not cover would let two
// deployments of one key differ. So of an output that only some deps look into, only the files
// that these name are taken.
func (r *run) closureTree(ctx context.Context, s *spec.Stage, in *gathered) (*object.Tree, error) {
	es := sourceEntries(in)
	for _, o := range in.made {
		if !o.Dir && in.whole[o.Path] {
			es[o.Path] = fileEntry(o)
		}
		if !o.Dir {
			continue
		}
		t, err := r.Carrier.Tree(ctx, o.Path, o.Digest)
		if err != nil {
			return nil, err
		}
		if !in.whole[o.Path] {
			t = &object.Tree{Entries: slices.DeleteFunc(slices.Clone(t.Entries), func(e object.Entry) bool {
				return !slices.ContainsFunc(in.parts, func(d spec.Dep) bool { return s.Takes(d, o.Path.Child(string(e.Path))) })
			})}
		}
		es.add(o.Path, t)
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
		p := src.top
		if e.Path != repopath.Root {
			p = p.Child(string(e.Path))
		}
		if !r.outs.is(p) {
			own.Entries = append(own.Entries, e)
		}
	}
	return own
}
