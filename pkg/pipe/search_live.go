package pipe

import (
	"context"
	"slices"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/store"
)

// live says in which environments the artifacts are, or were. One whose state cannot be read keeps no
// other back.
func (s *search) live(ctx context.Context) error {
	cells, o, err := s.p.environments(ctx)
	if err != nil {
		return err
	}
	where := ".pipe/env"
	if o.Project != "" {
		if s.c.Remote == nil {
			return nil
		}
		where = s.p.home.URL()
	}
	states, err := release.All(ctx, cells, o)
	if err != nil {
		s.unasked(where, err)
	}
	verified, err := verifiedReleases(ctx, cells, o, states, s.p.workers())
	if err != nil {
		s.unasked(where, err)
	}
	for i := range s.found.Artifacts[:min(mostPlaces, len(s.found.Artifacts))] {
		a := &s.found.Artifacts[i]
		if a.Hash.IsZero() {
			continue
		}
		for _, st := range states {
			for _, l := range st.Names(a.Hash, a.in) {
				gone := st.Stages[l.Stage].Gone
				a.Live = append(a.Live, Live{Env: l.Env, Stage: l.Stage, Status: st.Status(l.Stage), At: l.At, Commit: l.Commit, Was: gone > 0, Gone: gone})
			}
			for _, id := range st.Verified {
				a.was(st, id, verified[id])
			}
		}
	}
	return nil
}

// was adds where the artifact was live as a part of a release that was verified in an environment; the
// newest such release of each stage is enough.
func (a *Artifact) was(s *release.Sight, id release.ID, r *release.Release) {
	if r == nil {
		return
	}
	for _, name := range r.Names() {
		known := func(l Live) bool { return l.Env == s.Env && l.Stage == name }
		part := r.Stages[name]
		named := func(ref object.Ref) bool { return ref.Digest == a.Hash || !a.in.IsZero() && ref.Digest == a.in }
		if !slices.ContainsFunc(a.Live, known) && slices.ContainsFunc(part.Roots(), named) {
			a.Live = append(a.Live, Live{Env: s.Env, Stage: name, Status: "ok", Was: true, Release: id.String()})
		}
	}
}

// verifiedReleases reads the releases that were live and worked, in any environment. One that is not there any more is left out.
func verifiedReleases(ctx context.Context, cells store.Cells, o release.Options, states []*release.Sight, workers int) (map[release.ID]*release.Release, error) {
	var ids []release.ID
	for _, s := range states {
		ids = append(ids, s.Verified...)
	}
	ids = release.Unique(ids)
	if len(ids) == 0 {
		return nil, nil
	}
	e, err := release.Open(cells, o)
	if err != nil {
		return nil, err
	}
	read := make([]*release.Release, len(ids))
	err = par.Each(ctx, len(ids), workers, func(ctx context.Context, i int) (err error) {
		if read[i], err = e.Release(ctx, ids[i]); diag.Is(err, diag.NotFound) {
			err = nil
		}
		return err
	})
	all := map[release.ID]*release.Release{}
	for i, id := range ids {
		all[id] = read[i]
	}
	return all, err
}
