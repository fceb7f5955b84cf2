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
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/event"
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
// first, or must be asked for. It occurs in dry runs only: otherwise that has come before its readers are started.
type errUnknown struct {
	what, note string
	code       string // of the reason; empty: NeedsRun
}

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
	if st.Verdict.Do == event.Omit {
		return artifact.Output{}, errOmitted{st.Stage.Name}
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
	made    []artifact.Output      // stages' outs in the project that deps and params files are, hold or lie in, sorted by path
	above   []artifact.Output      // those outside the project, in the same way, from the repository's top
	others  []Other                // those of both that other projects make
	under   repopath.Path          // where the project is in trees of inputs: Root, unless the stage reads something outside
	whole   map[repopath.Path]bool // those of them that count as a whole
	parts   []spec.Dep             // the deps that lie in an out, and take a part of it
	reads   []action.Read          // the other deps, read from the workspace
	sources []source               // their files, to be saved for a closure
}

// byPath returns the manifests of the deps that have one, by their names.
func (g *gathered) byPath() map[string]*object.Tree {
	m := map[string]*object.Tree{}
	for i, t := range g.trees {
		if t != nil {
			m[g.Deps[i].Name()] = t
		}
	}
	return m
}

// source is a dep that is read from the workspace.
type source struct {
	top     repopath.Path
	outside bool // top is from the repository's top, outside the project
	tree    *object.Tree
}

// at returns the path of an entry of the source's tree.
func (s source) at(e object.Entry) repopath.Path { return under(s.top, e.Path) }

// under returns where p, a path in dir or Root for dir itself, lies.
func under(dir, p repopath.Path) repopath.Path {
	if p == repopath.Root {
		return dir
	}
	return dir.Child(string(p))
}

// gather hashes all inputs of a stage as they are now. Faults in the declarations are
// collected, so that a user sees all of them at once; any other error ends it. made is sorted
// and without repetitions: two deps may lie in one out.
func (r *run) gather(ctx context.Context, st *state) (*gathered, error) {
	g := &gathered{whole: map[repopath.Path]bool{}, under: repopath.Root}
	s := st.Stage
	if err := r.Unread[s.Name]; err != nil {
		return nil, err
	}
	if s.Outside() {
		g.under = r.At
	}
	var faults diag.List
	for _, d := range s.Deps {
		in, tree, err := r.dep(ctx, st, d, g)
		if diag.Is(err, diag.Usage) {
			err = cmp.Or(r.sparse(ctx, s, d), err) // it may only seem to be missing
		}
		var u errUnknown
		var fault *diag.Error
		switch {
		case errors.As(err, new(errOmitted)):
			return nil, err
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
	g.made, g.above = once(g.made), once(g.above)
	g.Env, g.Loose, g.Platform = r.declared(s, r.Given), r.Project.Loose, s.Platform
	if g.Platform == "auto" {
		g.Platform = r.Platform
	}
	return g, nil
}

// once sorts outputs by their paths: two deps may lie in one.
func once(outs []artifact.Output) []artifact.Output {
	slices.SortFunc(outs, func(a, b artifact.Output) int { return strings.Compare(string(a.Path), string(b.Path)) })
	return slices.CompactFunc(outs, func(a, b artifact.Output) bool { return a.Path == b.Path })
}

// dep hashes one dep. One that is an out, or lies in one, is never read from the workspace.
// For any other one the files are read there, and each out inside stands for its recorded
// digest (ADR 0001).
func (r *run) dep(ctx context.Context, st *state, d spec.Dep, g *gathered) (artifact.Input, *object.Tree, error) {
	at := d.Base()
	if holder, ok := r.outs.holder(at); ok && !d.Top {
		return r.madeDep(ctx, st, d, holder, g)
	}
	if o, ok, err := r.other(ctx, d); err != nil || ok {
		if err != nil {
			return artifact.Input{}, nil, err
		}
		return r.otherDep(ctx, st, d, o, g)
	}
	inside, err := r.insideOf(ctx, st, d)
	if err != nil {
		return artifact.Input{}, nil, err
	}
	in, tree, err := r.ReadDep(ctx, d, st.Stage.Excludes, inputs.Made{Is: r.outs.is, Inside: inside})
	if u := (*inputs.Unfetched)(nil); errors.As(err, &u) {
		err = errUnknown{what: "source " + string(u.Source), note: "pipe repro fetches it"}
	}
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

// insideOf returns the outs below a dep that count for it. Outside the project there are none:
// what other projects make there is ignored by git, or counts as it lies there.
func (r *run) insideOf(ctx context.Context, st *state, d spec.Dep) (inside []artifact.Output, err error) {
	if d.Top {
		return nil, nil
	}
	for _, p := range r.outs.inside(d.Base()) {
		// A stage's own outs are not inputs, even inside a directory that it reads, and those of a
		// check are nobody's.
		maker := &r.Project.Stages[r.outs.by[p]]
		if r.outs.by[p] == st.index || maker.Leaf(maker.Out(p)) || !st.Stage.TakesOut(d, maker.Out(p)) {
			continue
		}
		o, err := r.output(ctx, p)
		if err != nil {
			return nil, err
		}
		if d.Glob != "" && o.Dir {
			continue // it turned out to be a directory
		}
		inside = append(inside, o)
	}
	return inside, nil
}

// sourceOf returns where the files of a dep lie. A glob's tree has paths from the project's
// root, a directory's from the directory, and a file is made a tree of one entry.
func sourceOf(d spec.Dep, in artifact.Input, tree *object.Tree) source {
	switch {
	case tree == nil:
		e := object.Entry{Kind: object.File, Path: repopath.Root, Digest: in.Digest, Size: in.Size}
		return source{d.Path, d.Top, &object.Tree{Entries: []object.Entry{e}}}
	case d.Glob != "":
		return source{repopath.Root, d.Top, tree}
	}
	return source{d.Path, d.Top, tree}
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
		} else if o, ok, err := r.other(ctx, spec.Dep{Path: p.File}); err != nil || ok {
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

// mustStay reports whether a stage's output must not leave this machine.
func (r *run) mustStay(p repopath.Path) bool {
	return r.Project.Stages[r.outs.by[p]].Out(p).NoPush
}
