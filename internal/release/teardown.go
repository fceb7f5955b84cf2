package release

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/pipe-build/pipe/internal/diag"
)

// Parts returns what the stages of a state were deployed as. What the live release says of a stage
// is the newest that is known of this version; without one, it is what the stage came with. A stage whose
// release cannot be read is missing; the error joins those of all.
func (e *Environment) Parts(ctx context.Context, s *State) (map[string]Part, error) {
	parts, read := map[string]Part{}, map[ID]*Release{}
	of := func(id ID, stage string) (ok bool, err error) {
		if id.IsZero() {
			return false, nil
		}
		if read[id] == nil {
			if read[id], err = e.Release(ctx, id); err != nil {
				return false, err
			}
		}
		parts[stage], ok = read[id].Stages[stage]
		return ok, nil
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(s.Stages)) {
		ok, err := of(s.Live, name)
		if !ok && err == nil {
			ok, err = of(s.Stages[name].Release, name)
		}
		if !ok {
			delete(parts, name)
			if err == nil {
				err = diag.New(diag.NotFound, "no release says what %s in %s was deployed as", name, e.opt.Name)
			}
			errs = append(errs, err)
		}
	}
	return parts, errors.Join(errs...)
}

// ErrMoved ends a deployment that was made for another state than the one that is there.
var ErrMoved = errors.New("the environment has moved")

// Teardown describes the deployment that takes down all stages of the state s, each before those that it needs. It
// comes to nothing, with ErrMoved, when something else is live by the time it begins: only what
// was deployed can be taken down by its own command.
func (e *Environment) Teardown(s *State, parts map[string]Part) Want {
	w := Want{Kind: KindDestroy, Release: s.Live, Stages: map[string]Aim{}}
	planned := map[string]uint64{}
	needs := needed(s, parts)
	for name, p := range parts {
		st := s.Stages[name]
		p.Cmd, p.Verify, p.Needs = []string{p.Undeploy}, nil, needs[name]
		w.Stages[name] = Aim{Part: p, Key: st.Key, Values: st.Values, Outside: st.Outside, Commit: st.Commit}
		planned[name] = st.N
	}
	w.Gate = func(_ context.Context, now *State, _ *Want) error {
		for name, st := range now.Stages {
			if n, ok := planned[name]; !ok || n != st.N {
				return ErrMoved
			}
		}
		return nil
	}
	return w
}

// needed returns of each stage those that need it. Stages may come from several releases, which
// need not agree on the order; then the need of the stage that was deployed later counts.
func needed(s *State, parts map[string]Part) map[string][]string {
	by := map[string][]string{}
	var reaches func(from, to string) bool
	reaches = func(from, to string) bool {
		return from == to || slices.ContainsFunc(by[from], func(n string) bool { return reaches(n, to) })
	}
	names := slices.SortedFunc(maps.Keys(parts), func(a, b string) int {
		return cmp.Or(cmp.Compare(s.Stages[b].N, s.Stages[a].N), cmp.Compare(a, b))
	})
	for _, name := range names {
		for _, n := range parts[name].Needs {
			if _, ok := parts[n]; ok && !reaches(name, n) {
				by[n] = append(by[n], name)
			}
		}
	}
	return by
}
