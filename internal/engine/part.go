package engine

import (
	"context"
	"errors"
	"slices"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// madeDep reads a dep that is an out of a stage, or lies inside one. See ADR 0002.
func (r *run) madeDep(ctx context.Context, st *state, d spec.Dep, holder repopath.Path, g *gathered) (artifact.Input, *object.Tree, error) {
	o, err := r.output(ctx, holder)
	if err != nil {
		return artifact.Input{}, nil, err
	}
	return r.outputDep(ctx, st, d, o, g, func() (*object.Tree, error) { return r.tree(ctx, o) })
}

// outputDep reads a dep that is the output, or lies inside it. The manifest is asked for only
// where it is needed.
func (r *run) outputDep(ctx context.Context, st *state, d spec.Dep, o artifact.Output, g *gathered, manifest func() (*object.Tree, error)) (artifact.Input, *object.Tree, error) {
	if !d.Top {
		g.made = append(g.made, o)
	}
	if d.Glob == "" && d.Path == o.Path {
		if !d.Top {
			g.whole[o.Path] = true
		}
		in := artifact.Input{Path: d.Path, Exec: o.Exec, Digest: o.Digest, Size: o.Size, Files: o.Files}
		if o.Dir {
			in.Kind = artifact.Dir
		}
		return placed(in, d), nil, nil
	}
	g.parts = append(g.parts, d)
	// What lies in a tree that is the same is the same: the tree need not be fetched.
	if in, ok := remembered(st.locked, d, o.Digest); ok && len(st.Stage.Excludes) == 0 {
		return in, nil, nil
	}
	tree, err := manifest()
	if err != nil {
		return artifact.Input{}, nil, r.lostOr(err)
	}
	noun := "output"
	if i, ok := r.outs.by[o.Path]; ok && !d.Top && r.Project.Stages[i].Input {
		noun = "input"
	}
	in, err := within(st.Stage, d, noun, o, tree)
	return placed(in, d), nil, err
}

// placed gives the input the kind of the place that its dep lies in.
func placed(in artifact.Input, d spec.Dep) artifact.Input {
	if d.Top {
		in.Kind = in.Kind.Top()
	}
	return in
}

// tree returns an out's manifest. That of an out that git keeps, or that the cache
// lost, is the workspace's, when the same lies there.
func (r *run) tree(ctx context.Context, o artifact.Output) (*object.Tree, error) {
	tree, err := r.Carrier.Tree(ctx, o.Path, o.Digest)
	if errors.As(err, new(*transfer.Missing)) {
		if here, t, werr := r.Work.Output(ctx, o.Path); werr == nil && here.Same(o) {
			return t, nil
		}
	}
	return tree, err
}

// remembered returns the lock's answer for a dep inside a tree, if it was looked up in this
// very tree. A wrong answer can only come from an edited lock, and gives a key without a
// record.
func remembered(locked *lockfile.Stage, d spec.Dep, tree digest.Digest) (artifact.Input, bool) {
	if locked == nil {
		return artifact.Input{}, false
	}
	for _, l := range locked.Deps {
		if l.Name() == d.Name() && l.In == tree {
			return l, true
		}
	}
	return artifact.Input{}, false
}

// within looks a dep up in the tree of the out that holds it. The input names the tree it was
// found in, for the next run to remember. noun says what the out is, input or output.
func within(s *spec.Stage, d spec.Dep, noun string, o artifact.Output, tree *object.Tree) (artifact.Input, error) {
	at := repopath.Path(d.String())
	if d.Glob != "" {
		sub := &object.Tree{}
		for _, e := range tree.Entries {
			if p := o.Path.Child(string(e.Path)); s.Takes(d, p) {
				e.Path = p
				sub.Entries = append(sub.Entries, e)
			}
		}
		if len(sub.Entries) > 0 {
			in := sub.Input(at, artifact.Glob)
			in.In = o.Digest
			return in, nil
		}
		return artifact.Input{}, diag.New(diag.Usage, "dependency %s matches no file in %s %s", d.Name(), noun, o.Path).At(d.Place)
	}
	rel := o.Path.Rel(d.Path)
	if e, ok := tree.Find(rel); ok && (e.Kind == object.File || e.Kind == object.Executable) {
		return artifact.Input{Path: at, Exec: e.Kind == object.Executable, Digest: e.Digest, Size: e.Size, In: o.Digest}, nil
	}
	if sub, ok := tree.Sub(rel); ok {
		sub.Entries = slices.DeleteFunc(sub.Entries, func(e object.Entry) bool { return s.LeavesOut(d, d.Path.Child(string(e.Path))) })
		in := sub.Input(at, artifact.Dir)
		in.In = o.Digest
		return in, nil
	}
	e := diag.New(diag.Usage, "dependency %s does not exist in %s %s", d.Name(), noun, o.Path).At(d.Place)
	if noun == "input" {
		return artifact.Input{}, e.Hinted("correct its name, or create it and run pipe add %s", o.Path)
	}
	return artifact.Input{}, e.Hinted("correct its name, or create it in the stage that makes the output")
}
