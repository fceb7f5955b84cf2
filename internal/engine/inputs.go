package engine

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/inputs"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// made finds the stage that makes a path. Package spec has refused outs that lie inside one
// another, so at most one out holds a path.
type made struct {
	by    map[repopath.Path]int
	paths []repopath.Path // sorted
}

// index collects the outs of all stages, whether they are selected or not.
func (e *Engine) index() made {
	m := made{by: map[repopath.Path]int{}}
	for i := range e.Project.Stages {
		for _, o := range e.Project.Stages[i].Outs {
			m.by[o.Path] = i
			m.paths = append(m.paths, o.Path)
		}
	}
	slices.Sort(m.paths)
	return m
}

// is reports whether a stage makes this very path.
func (m made) is(p repopath.Path) bool { _, ok := m.by[p]; return ok }

// holder returns the out that is p or that p lies in.
func (m made) holder(p repopath.Path) (repopath.Path, bool) {
	for ; p != repopath.Root && p != ""; p = p.Dir() {
		if m.is(p) {
			return p, true
		}
	}
	return "", false
}

// inside returns the outs strictly below p. They are neighbors in the sorted list, because
// each begins with p and a slash.
func (m made) inside(p repopath.Path) []repopath.Path {
	if p == repopath.Root {
		return m.paths
	}
	from, _ := slices.BinarySearch(m.paths, p+"/")
	to := from
	for to < len(m.paths) && strings.HasPrefix(string(m.paths[to]), string(p)+"/") {
		to++
	}
	return m.paths[from:to]
}

// errUnknown says that an input will be made by a stage, or printed by a command, that must run
// first. It occurs in dry runs only: otherwise that has run before its readers are started.
type errUnknown struct{ what, note string }

func (e errUnknown) Error() string { return e.what + " must run first" }

// output returns what a stage's out is, by this run or by the lock. The workspace is asked
// only where neither knows: on a fresh clone nothing lies there, and what does may have been
// edited.
func (r *run) output(ctx context.Context, p repopath.Path) (artifact.Output, error) {
	st := &r.states[r.outs.by[p]]
	if st.unknown {
		return artifact.Output{}, errUnknown{what: st.Stage.Name}
	}
	for _, o := range st.Outs {
		if o.Path == p {
			return o, nil
		}
	}
	// Never run, and not part of this run: what lies there is taken as it is.
	o, _, err := r.Work.Output(ctx, p)
	if errors.Is(err, worktree.ErrAbsent) {
		return o, diag.New(diag.NotFound, "%s does not exist: stage %s, which creates it, has not run", p, st.Stage.Name).
			Hinted("pipe repro %s", st.Stage.Name)
	}
	return o, err
}

// gathered is a stage's inputs and what they are made of.
type gathered struct {
	action.Inputs
	trees   []*object.Tree         // of each dep; nil for a file
	made    []artifact.Output      // stages' outs that deps and params files are, hold or lie in, sorted by path
	others  []Other                // those of them that other projects make
	whole   map[repopath.Path]bool // those of them that count as a whole
	parts   []spec.Dep             // the deps that lie in an out, and take a part of it
	reads   []action.Read          // the other deps, read from the workspace
	sources []source               // their files, to be saved for a closure
}

// byPath returns the manifests of the deps that have one.
func (g *gathered) byPath() map[repopath.Path]*object.Tree {
	m := map[repopath.Path]*object.Tree{}
	for i, t := range g.trees {
		if t != nil {
			m[g.Deps[i].Path] = t
		}
	}
	return m
}

// source is a dep that is read from the workspace.
type source struct {
	top  repopath.Path
	tree *object.Tree
}

// gather hashes all inputs of a stage as they are now. Faults in the declarations are
// collected, so that a user sees all of them at once; any other error ends it. made is sorted
// and without repetitions: two deps may lie in one out.
func (r *run) gather(ctx context.Context, st *state) (*gathered, error) {
	g := &gathered{whole: map[repopath.Path]bool{}}
	s := st.Stage
	var faults diag.List
	for _, d := range s.Deps {
		in, tree, err := r.dep(ctx, st, d, g)
		if diag.Is(err, diag.Usage) {
			err = cmp.Or(r.sparse(ctx, s, d), err) // it may only seem to be missing
		}
		var u errUnknown
		var fault *diag.Error
		switch {
		// Without this input the stage has no key yet, so the other faults can wait.
		case errors.As(err, &u):
			return nil, err
		case errors.As(err, &fault) && fault.Kind == diag.Usage:
			faults = append(faults, fault)
		case err != nil:
			return nil, err
		}
		g.Deps = append(g.Deps, in)
		g.trees = append(g.trees, tree)
	}
	// All deps have been looked at by now.
	if len(faults) > 0 {
		return nil, faults
	}
	if err := r.params(ctx, s, g); err != nil {
		for _, p := range s.Params {
			err = r.orSparse(ctx, err, p.Place, p.File)
		}
		return nil, err
	}
	slices.SortFunc(g.made, func(a, b artifact.Output) int { return strings.Compare(string(a.Path), string(b.Path)) })
	g.made = slices.CompactFunc(g.made, func(a, b artifact.Output) bool { return a.Path == b.Path })
	g.Env, g.Loose, g.Platform = r.declared(s), r.Project.Loose, s.Platform
	if g.Platform == "auto" {
		g.Platform = r.Platform
	}
	return g, nil
}

// dep hashes one dep. One that is an out, or lies in one, is never read from the workspace.
// For any other one the files are read there, and each out inside stands for its recorded
// digest (ADR 0001).
func (r *run) dep(ctx context.Context, st *state, d spec.Dep, g *gathered) (artifact.Input, *object.Tree, error) {
	at := d.Path
	if d.Glob != "" {
		at = d.Glob.Base()
	}
	if holder, ok := r.outs.holder(at); ok {
		return r.madeDep(ctx, st, d, holder, g)
	}
	if o, ok, err := r.other(ctx, at); err != nil || ok {
		if err != nil {
			return artifact.Input{}, nil, err
		}
		return r.otherDep(ctx, st, d, o, g)
	}
	var inside []artifact.Output
	for _, p := range r.outs.inside(at) {
		// A stage's own outs are no inputs, even inside a directory that it reads, and those of a
		// check are nobody's.
		maker := &r.Project.Stages[r.outs.by[p]]
		if r.outs.by[p] == st.index || maker.Leaf(maker.Out(p)) || !st.Stage.TakesOut(d, maker.Out(p)) {
			continue
		}
		o, err := r.output(ctx, p)
		if err != nil {
			return artifact.Input{}, nil, err
		}
		if d.Glob != "" && o.Dir {
			continue // it turned out to be a directory
		}
		inside = append(inside, o)
	}
	in, tree, err := r.Inputs.Read(ctx, d, st.Stage.Excludes, inputs.Made{Is: r.outs.is, Inside: inside})
	if err != nil {
		return in, tree, err
	}
	g.made = append(g.made, inside...)
	for _, o := range inside {
		g.whole[o.Path] = true
	}
	g.reads = append(g.reads, action.Read{Dep: d, Inside: inside, Was: in})
	g.sources = append(g.sources, sourceOf(d, in, tree))
	return in, tree, nil
}

// sourceOf returns where the files of a dep lie. A glob's tree has paths from the project's
// root, a directory's from the directory, and a file is made a tree of one entry.
func sourceOf(d spec.Dep, in artifact.Input, tree *object.Tree) source {
	switch {
	case tree == nil:
		e := object.Entry{Kind: object.File, Path: repopath.Root, Digest: in.Digest, Size: in.Size}
		return source{d.Path, &object.Tree{Entries: []object.Entry{e}}}
	case d.Glob != "":
		return source{repopath.Root, tree}
	}
	return source{d.Path, tree}
}

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
	g.made = append(g.made, o)
	if d.Glob == "" && d.Path == o.Path {
		g.whole[o.Path] = true
		in := artifact.Input{Path: d.Path, Exec: o.Exec, Digest: o.Digest, Size: o.Size, Files: o.Files}
		if o.Dir {
			in.Kind = artifact.Dir
		}
		return in, nil, nil
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
	if i, ok := r.outs.by[o.Path]; ok && r.Project.Stages[i].Input {
		noun = "input"
	}
	in, err := within(st.Stage, d, noun, o, tree)
	return in, nil, err
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
		if string(l.Path) == d.String() && l.In == tree {
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
		return artifact.Input{}, diag.New(diag.Usage, "dependency %s matches no file in %s %s", d, noun, o.Path).At(d.Place)
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
	e := diag.New(diag.Usage, "dependency %s does not exist in %s %s", d, noun, o.Path).At(d.Place)
	if noun == "input" {
		return artifact.Input{}, e.Hinted("correct its name, or create it and run pipe add %s", o.Path)
	}
	return artifact.Input{}, e.Hinted("correct its name, or create it in the stage that makes the output")
}

// params reads the declared values, also from files that other stages make. It notes which of
// the files git ignores: their values must not reach the lock.
func (r *run) params(ctx context.Context, s *spec.Stage, g *gathered) (err error) {
	var made []artifact.Output
	for _, p := range s.Params {
		if holder, ok := r.outs.holder(p.File); ok {
			o, err := r.output(ctx, holder)
			if err != nil {
				return err
			}
			made = append(made, o)
		} else if o, ok, err := r.other(ctx, p.File); err != nil || ok {
			if err != nil {
				return err
			}
			g.others, made = append(g.others, o), append(made, o.Output)
			if !r.opt.Dry {
				if err := r.Others.Bring(ctx, o); err != nil {
					return err
				}
			}
		}
		ignored, err := r.Inputs.Ignored(p.File, false)
		if err != nil {
			return err
		}
		if ignored {
			g.Hidden = append(g.Hidden, p.File)
		}
	}
	g.made = append(g.made, made...)
	g.Params, err = r.Params(ctx, s, made)
	return r.lostOr(err)
}

// declared returns the values of a stage's declared variables. Values in pipe.yaml are always
// set; of the others it is a part of the key whether they are.
func (r *run) declared(s *spec.Stage) []action.EnvValue {
	var out []action.EnvValue
	for _, v := range s.Env {
		e := action.EnvValue{Name: v.Name, Value: v.Value, Set: v.Literal, Literal: v.Literal, Secret: v.Secret == spec.IsSecret}
		if !v.Literal {
			e.Value, e.Set = shell.Getenv(r.Environ, v.Name)
		}
		out = append(out, e)
	}
	return out
}

// mustStay reports whether a stage's output must not leave this machine.
func (r *run) mustStay(p repopath.Path) bool {
	return r.Project.Stages[r.outs.by[p]].Out(p).NoPush
}
