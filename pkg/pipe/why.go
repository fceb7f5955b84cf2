package pipe

import (
	"context"
	"errors"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Why returns the verdict on one stage with all its reasons; what it needs is
// decided with it.
func (p *Project) Why(ctx context.Context, stage string, opt ReproOptions) (*StageResult, error) {
	stages, err := p.targets([]string{stage})
	if err != nil {
		return nil, err
	}
	// What the stage needs is decided too, since its inputs may depend on it.
	opt.Targets = stages
	r, err := p.Plan(ctx, opt)
	if err != nil {
		return nil, err
	}
	for i := range r.Stages {
		if s := &r.Stages[i]; s.Stage == stages[0] {
			s.Files, err = p.changedFiles(ctx, s)
			return s, err
		}
	}
	return nil, diag.New(diag.Failed, "no decision about %s", stage)
}

// changedFiles compares the manifests of directory deps, then and now. The old list is known
// by its digest in the lock; where nobody kept it, a note says so and the verdict stands
// without the files.
func (p *Project) changedFiles(ctx context.Context, s *StageResult) (files []lockfile.Change, err error) {
	c, err := p.carry(ctx)
	if err != nil {
		return nil, err
	}
	for _, why := range s.Because {
		now := s.trees[repopath.Path(why.Path)]
		if why.Code != event.DepChanged || now == nil {
			continue
		}
		d, err := digest.Parse(why.Old)
		if err != nil {
			continue // only its executable bit changed
		}
		then, err := c.List(ctx, d)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		if err != nil {
			p.note("cannot list the changed files of " + why.Path + ": the old listing is not in the cache")
			continue
		}
		for _, c := range object.Diff(then, now) {
			path := string(c.Path)
			if !repopath.HasMeta(why.Path) {
				path = why.Path + "/" + path // a directory's list has paths relative to it
			}
			files = append(files, lockfile.Change{Stage: s.Stage, What: "file", Path: path, Old: c.Old, New: c.New})
		}
	}
	return files, nil
}
