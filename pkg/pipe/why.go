package pipe

import (
	"context"

	"github.com/pipe-build/pipe/internal/diag"
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
			c, err := p.carry(ctx)
			if err != nil {
				return nil, err
			}
			c.NoFetch = opt.NoPull
			lock, err := p.lock()
			if err != nil {
				return nil, err
			}
			if s.Files, err = p.lists(c, lock).changedFiles(ctx, s); err == nil {
				err = p.lineEndings(ctx, s)
			}
			return s, err
		}
	}
	return nil, diag.New(diag.Failed, "no decision about %s", stage)
}
