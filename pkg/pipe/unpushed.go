package pipe

import (
	"context"
	"fmt"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/sweep"
	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

// unpushed returns what the remote lacks of what the lock's stages name: records and
// outputs, a directory standing for its files. That is a request for each, many at once.
func (p *Project) unpushed(ctx context.Context, lock *lockfile.File, targets []string) ([]Fault, error) {
	shared, err := p.needRemote(ctx)
	if err != nil {
		return nil, err
	}
	stages, err := p.locked(lock, targets)
	if err != nil {
		return nil, err
	}
	r, err := sweep.Verify(ctx, shared, sweep.Scope{Stages: p.wanted(stages)}, sweep.Options{Shallow: true, Workers: p.workers()})
	if err != nil {
		return nil, err
	}
	v := verified(shared.URL(), r)
	lacks := append(v.Missing, v.Damaged...)
	for i := range lacks {
		if _, ok := store.RunAt(lacks[i].Name); ok {
			continue
		}
		for _, o := range lock.Stage(lacks[i].Stage).Outs {
			if string(o.Path) == lacks[i].Path {
				lacks[i].Bytes = o.Size
			}
		}
	}
	return lacks, nil
}

// mustBePushed fails with kind policy when the remote lacks something that the lock names.
// Without a remote there is nothing to lack.
func (p *Project) mustBePushed(ctx context.Context, lock *lockfile.File) error {
	if shared, err := p.openRemote(ctx); err != nil || shared == nil {
		return err
	}
	lacks, err := p.unpushed(ctx, lock, nil)
	if err != nil || len(lacks) == 0 {
		return err
	}
	var names []string
	for _, f := range lacks {
		names = append(names, fmt.Sprintf("%s of %s", f.Path, f.Stage))
	}
	return diag.New(diag.Policy, "the remote lacks what %s names: %s", lockfile.FileName, strings.Join(view.Few(names, 5), ", ")).
		At(p.remote.URL()).Hinted("pipe push")
}

// pushedText says for doctor whether the remote has what the lock names. That it has not is
// no fault of the machine.
func (p *Project) pushedText(ctx context.Context, lock *lockfile.File) (string, error) {
	err := p.mustBePushed(ctx, lock)
	if diag.Is(err, diag.Policy) {
		e := diag.All(err)[0]
		return fmt.Sprintf("%s; run %s", e.What, e.Hint), nil
	}
	return "all that pipe.lock names", err
}
