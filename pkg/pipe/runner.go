package pipe

import (
	"context"

	"github.com/pipe-build/pipe/internal/local"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// files is the workspace with the cache behind it, as one call of a verb uses it.
func (p *Project) files(c *transfer.Carrier) *local.Workspace {
	return &local.Workspace{
		Work: p.work, Inputs: p.inputs, Top: p.top, Cache: p.cache, Carrier: c, Set: p.set,
		Note: func(stage, text string) { p.emit(event.Event{Type: event.Note, Stage: stage, Text: text}) },
	}
}

// runner runs commands on this machine, under the workspace's lock. Outside of git no output
// can be tracked, so nothing is asked.
func (p *Project) runner(files *local.Workspace, h *local.Hold) *local.Runner {
	outs, inputs := map[repopath.Path]bool{}, map[repopath.Path]bool{}
	for i := range p.spec.Stages {
		for _, o := range p.spec.Stages[i].Outs {
			outs[o.Path], inputs[o.Path] = true, p.spec.Stages[i].Input
		}
	}
	r := &local.Runner{
		Workspace: files, IsOut: func(at repopath.Path) bool { return outs[at] }, IsInput: func(at repopath.Path) bool { return inputs[at] },
		Hold: h, Now: p.opt.Now, Program: p.opt.Program,
	}
	if p.repo != nil {
		r.Tracked = func(ctx context.Context, paths []repopath.Path) ([]repopath.Path, error) {
			return p.repo.Tracked(ctx, p.lockAt.Dir(), paths)
		}
	}
	return r
}
