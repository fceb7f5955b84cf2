package release

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
)

// All reads the environments of the project that o names, sorted by name: all
// that o.Lister finds or, where the store cannot list, the one that o names. One that
// cannot be read keeps no other back; the error joins those of all.
func All(ctx context.Context, cells store.Cells, o Options) (all []*Sight, err error) {
	found, err := Names(ctx, o)
	if err != nil {
		return nil, err
	}
	for _, o.Name = range found {
		e, oerr := Open(cells, o)
		if oerr != nil {
			return nil, oerr
		}
		s, rerr := e.Look(ctx)
		if err = errors.Join(err, rerr); rerr == nil && !s.absent {
			all = append(all, s)
		}
	}
	return all, err
}

// Names returns the names of the environments of the project that o names, sorted.
func Names(ctx context.Context, o Options) (all []string, err error) {
	if o.Lister == nil {
		return []string{o.Name}, nil
	}
	top := root(o.Project)
	err = o.Lister.Names(ctx, top, func(cell string) error {
		name, ok := strings.CutSuffix(strings.TrimPrefix(cell, top+"/"), "/state")
		if ok && spec.IsEnvironment(name) {
			all = append(all, name)
		}
		return nil
	})
	return all, err
}

// Live is a deploy stage of an environment, and what it says of itself.
type Live struct {
	Env    string
	Stage  string
	Status string
	At     time.Time
	Commit string
}

// Names returns the stages that were deployed with one of the digests: as their
// closure, as a dep, or as an out of a stage among the deps. Zero digests name nothing.
func (s *State) Names(digests ...digest.Digest) []Live {
	var out []Live
	for name, st := range s.Stages {
		named := func(r object.Ref) bool { return !r.Digest.IsZero() && slices.Contains(digests, r.Digest) }
		if slices.ContainsFunc(st.roots(), named) {
			out = append(out, Live{Env: s.Env, Stage: name, Status: st.now(), At: st.At, Commit: st.Commit})
		}
	}
	slices.SortFunc(out, func(a, b Live) int { return strings.Compare(a.Stage, b.Stage) })
	return out
}

// Roots returns the objects that the environment needs, to say what is live, to go back, and to
// show what commands have printed: what gc must keep.
func (e *Environment) Roots(ctx context.Context, s *State) ([]object.Ref, error) {
	refs := s.Roots()
	for _, id := range s.Releases() {
		r, err := e.Release(ctx, id)
		if err != nil {
			return nil, err
		}
		refs = append(refs, r.Roots()...)
	}
	return refs, e.Chain(ctx, s, func(x *Entry) error {
		for _, a := range x.Stages {
			if !a.Log.IsZero() {
				refs = append(refs, object.Ref{Shelf: object.Logs, Digest: a.Log})
			}
		}
		return nil
	})
}

// Roots returns the objects that the state names.
func (s *State) Roots() []object.Ref {
	var refs []object.Ref
	for _, st := range s.Stages {
		refs = append(refs, st.roots()...)
	}
	return refs
}

func (s Stage) roots() []object.Ref { return roots(s.Closure, s.Deps, s.Artifacts) }

// roots returns the objects that a stage of a state or a release names.
func roots(closure digest.Digest, deps []artifact.Input, artifacts []artifact.Output) []object.Ref {
	refs := []object.Ref{{Shelf: object.Trees, Digest: closure}}
	for _, in := range deps {
		refs = append(refs, object.Ref{Shelf: object.Inputs, Digest: in.Digest})
	}
	for _, o := range artifacts {
		refs = append(refs, object.Of(o))
	}
	return refs
}

// now is the status for those who only read: a "deploying" counts as unknown, because whether
// the run that wrote it is alive is another question.
func (s Stage) now() string {
	if s.Status == action.StatusDeploying {
		return action.StatusUnknown
	}
	return s.Status
}

// Releases returns the names of all releases that the state knows.
func (s *State) Releases() (ids []ID) {
	ids = append(ids, s.Verified...)
	for _, st := range s.Stages {
		ids = append(ids, st.Release)
	}
	if s.Last != nil {
		ids = append(ids, s.Last.Release)
	}
	return Unique(slices.DeleteFunc(append(ids, s.Live), ID.IsZero))
}

// Tried returns the release that was tried last: that of the deployment that goes on, or whose run
// has died, else that of the last one that ended.
func (s *State) Tried() ID {
	for _, st := range s.Stages {
		if s.Lease != nil && st.N == s.Lease.N {
			return st.Release
		}
	}
	if s.Last == nil {
		return ID{}
	}
	return s.Last.Release
}

// Newest returns the newest release that was verified, and not rolled away from since; zero: there is none.
func (s *State) Newest() ID {
	for _, id := range s.Verified {
		if !s.Hold.vetoes(id) {
			return id
		}
	}
	return ID{}
}

// CommitOf returns the commit that a release was deployed from, "" where the state does not know.
func (s *State) CommitOf(id ID) string {
	if s.Last != nil && s.Last.Release == id {
		return s.Last.Commit
	}
	for _, st := range s.Stages {
		if st.Release == id {
			return st.Commit
		}
	}
	return ""
}

// NumberOf returns the number of the newest deployment that the state knows to have brought a release; 0: it knows none.
func (s *State) NumberOf(id ID) (n uint64) {
	if s.Last != nil && s.Last.Release == id {
		n = s.Last.N
	}
	for _, st := range s.Stages {
		if st.Release == id {
			n = max(n, st.N)
		}
	}
	return n
}
