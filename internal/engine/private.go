package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/inputs"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// private is what a deployment must not publish.
type private struct {
	names []string        // deps and outputs that stay here, as pipe.yaml writes them
	lists []digest.Digest // of deps: lists of files that would name them
}

// any reports whether something stays here. Then the closure stays, too: a tree in the remote
// implies its files.
func (p *private) any() bool { return p != nil && len(p.names) > 0 }

// private finds out what of a deployment stays on this machine. What git ignores leaves it only
// when pipe.yaml says so: a secret that was published once lies in the remote for as long as
// the remote does. So an ignored file of which nothing is said is refused. Without a remote
// nothing leaves the machine.
func (r *run) private(ctx context.Context, st *state, in *gathered) (*private, error) {
	p := &private{}
	if r.Carrier.Remote == nil {
		return p, nil
	}
	for _, o := range in.made {
		if r.isPrivate(in, o.Path) {
			p.names = append(p.names, string(o.Path))
		}
	}
	for _, o := range in.others {
		if o.Top && o.Private {
			p.names = append(p.names, o.name())
		}
	}
	var hidden []hiddenFile
	for i, src := range in.sources {
		kept := false
		for _, e := range r.ownFiles(src).Entries {
			at := src.at(e)
			said := saysOf(st.Stage, at, src.outside)
			switch said.Push {
			case spec.PushNo:
				p.names, kept = append(p.names, said.Name()), true
			case spec.PushUnsaid:
				is, real, err := r.reader(src.outside).Hidden(at)
				if err != nil {
					return nil, err
				}
				if is {
					hidden = append(hidden, hiddenFile{in.reads[i].Dep, at, real})
				}
			}
		}
		if kept {
			p.lists = append(p.lists, in.reads[i].Was.Digest)
		}
	}
	slices.Sort(p.names)
	p.names = slices.Compact(p.names)
	return p, r.refuseHidden(ctx, st.Stage, hidden)
}

// reader reads what is in the project, or what lies outside.
func (r *run) reader(outside bool) *inputs.Reader {
	if outside {
		return r.Top.Inputs
	}
	return r.Inputs
}

// files is where it lies.
func (r *run) files(outside bool) *worktree.Work {
	if outside {
		return r.Top.Work
	}
	return r.Work
}

// saysOf returns the dep that decides about the file at p: of those that say push, the nearest
// one; else one that says nothing.
func saysOf(s *spec.Stage, p repopath.Path, outside bool) (nearest spec.Dep) {
	for _, d := range s.Deps {
		if d.Push != spec.PushUnsaid && d.Top == outside && d.Path.Holds(p) && (nearest.Push == spec.PushUnsaid || nearest.Path.Holds(d.Path)) {
			nearest = d
		}
	}
	return nearest
}

// hiddenFile is an ignored file that a deployment would publish.
type hiddenFile struct {
	dep  spec.Dep
	path repopath.Path
	real string // where its bytes lie
}

// refuseHidden refuses a deployment of ignored files. One that git tracks all the same is
// published already.
func (r *run) refuseHidden(ctx context.Context, s *spec.Stage, files []hiddenFile) error {
	if r.Tracked != nil && len(files) > 0 {
		var names []string
		for _, f := range files {
			names = append(names, f.real)
		}
		tracked, err := r.Tracked(ctx, names)
		if err != nil {
			return err
		}
		files = slices.DeleteFunc(files, func(f hiddenFile) bool { return slices.Contains(tracked, f.real) })
	}
	if len(files) == 0 {
		return nil
	}
	f := files[0]
	name := spec.Dep{Path: f.path, Top: f.dep.Top}.Name()
	what := "git ignores " + name
	if f.real != r.files(f.dep.Top).OS(f.path) {
		what = fmt.Sprintf("%s leads to %s, which git ignores or which is outside the repository", name, f.real)
	}
	if n := len(files) - 1; n > 0 {
		what += fmt.Sprintf(" (and %d more)", n)
	}
	return diag.New(diag.Policy, "%s: not deployed: %s, but a deployment uploads its dependencies", s.Name, what).At(f.dep.Place).
		Hinted("write {path: %s, push: false} in deps to keep it on this machine, or push: true to upload it", r.nameIn(s, f))
}

// nameIn returns how deps would name what a hint speaks of: the dep itself where it is ignored
// as a whole, else the one file.
func (r *run) nameIn(s *spec.Stage, f hiddenFile) string {
	p := f.path
	if whole, err := r.reader(f.dep.Top).Ignored(f.dep.Path, true); err == nil && whole && f.dep.Glob == "" {
		p = f.dep.Path
	}
	wdir := s.Wdir
	if f.dep.Top {
		wdir = under(r.At, s.Wdir)
	}
	up := ""
	for ; !wdir.Holds(p); wdir = wdir.Dir() {
		up += "../"
	}
	return up + string(wdir.Rel(p))
}
