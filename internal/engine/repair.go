package engine

import (
	"context"
	"slices"

	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/sweep"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Wanted says what a remote must have of a stage in the lock, whose block fits.
func Wanted(s *spec.Stage, l *lockfile.Stage) sweep.Stage {
	outs := pushed(s, l.Outs)
	w := sweep.Stage{Name: s.Name, Outs: outs, Keeps: func(p repopath.Path) bool {
		return slices.ContainsFunc(outs, func(o artifact.Output) bool { return o.Path == p })
	}}
	if !s.AlwaysChanged && !isLocal(s) {
		id := runID(l)
		w.Run = &id
	}
	return w
}

// MendAll looks for what the remote lacks, or has damaged, of what the stages need, and
// replaces it. It returns what nothing here can replace. With read the bytes of files are
// looked at, too.
func (p *Publisher) MendAll(ctx context.Context, stages []sweep.Stage, read bool) (lost []sweep.Fault, err error) {
	for again := false; ; again = true {
		r, err := sweep.Verify(ctx, p.Carrier.Remote, sweep.Scope{Stages: stages, Own: p.Carrier.Own, Known: p.Cache}, sweep.Options{Read: read, Workers: p.Carrier.Workers})
		if err != nil {
			return nil, err
		}
		lost, err := p.Mend(ctx, stages, r.Faults)
		if err != nil {
			return nil, err
		}
		mended := slices.DeleteFunc(trees(r.Faults), func(f sweep.Fault) bool {
			return slices.ContainsFunc(lost, func(l sweep.Fault) bool { return l.Ref == f.Ref && l.In == f.In })
		})
		// A tree that was nowhere to be read names files that were not looked at. One that is
		// wrong a second time does not stay as it is put: nothing here can repair that.
		if again || len(mended) == 0 {
			return append(lost, mended...), nil
		}
	}
}

// trees returns those among the faults.
func trees(faults []sweep.Fault) []sweep.Fault {
	return slices.DeleteFunc(slices.Clone(faults), func(f sweep.Fault) bool { return f.Run != nil || f.Ref.Shelf != object.Trees })
}

// Mend brings objects back into the remote that are missing or damaged there, from the
// cache, and returns the faults that nothing here can repair. What only the workspace has
// is saved first; records are left to Ensure.
func (p *Publisher) Mend(ctx context.Context, stages []sweep.Stage, faults []sweep.Fault) (lost []sweep.Fault, err error) {
	lost = slices.DeleteFunc(slices.Clone(faults), func(f sweep.Fault) bool { return f.Run != nil })
	// A copy in the cache may turn out damaged, and is out of the way then: the workspace
	// may have a good one.
	const tries = 2
	for range tries {
		if len(lost) == 0 {
			break
		}
		if err := p.rescueOf(ctx, stages, lost); err != nil {
			return nil, err
		}
		refs := map[store.Remote][]object.Ref{}
		for _, f := range lost {
			refs[f.In] = append(refs[f.In], f.Ref)
		}
		for in, some := range refs {
			gone, err := p.Carrier.Mend(ctx, in, some)
			if err != nil {
				return nil, err
			}
			lost = slices.DeleteFunc(lost, func(f sweep.Fault) bool { return f.In == in && !slices.Contains(gone, f.Ref) })
		}
	}
	return lost, nil
}

// rescueOf saves the outputs of the stages that have a fault.
func (p *Publisher) rescueOf(ctx context.Context, stages []sweep.Stage, faults []sweep.Fault) error {
	for _, s := range stages {
		if !slices.ContainsFunc(faults, func(f sweep.Fault) bool { return f.Stage == s.Name }) {
			continue
		}
		for _, o := range s.Outs {
			if err := p.Rescue(ctx, o); err != nil {
				return err
			}
		}
	}
	return nil
}
