package pipe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/engine"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/sweep"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

// Push puts the outs that the lock names into the remote, and records them; or those that the
// locks of other commits name, which changes nothing here. When another
// machine recorded a key first, its outs are taken: lock, cache and workspace change to them,
// and the result names the stage. Records are made for several stages at once, but adopted one
// after the other, because that changes workspace and lock. After an error what was published
// stays, and pipe.lock is as it was: the next push finds the same records, and adopts again.
func (p *Project) Push(ctx context.Context, opt SyncOptions) (r *SyncResult, err error) {
	remote, err := p.needRemote(ctx)
	if err != nil {
		return nil, err
	}
	if opt.Repair && !opt.none() {
		return nil, diag.New(diag.Usage, "--repair checks what the workspace's pipe.lock names, not other commits").Hinted("pipe push --repair")
	}
	opt.Targets = p.whole(opt.Targets)
	var release func() error
	var lock *lockfile.File
	var stages []*lockfile.Stage
	if opt.none() {
		release, lock, stages, err = p.begin(ctx, "push", opt)
	} else {
		// It changes nothing in the workspace. So git's pre-push hook may call it when pipe ci,
		// which holds the workspace, pushes pipe.lock.
		release, err = p.useCache(ctx)
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, release()) }()
	if err := store.Ready(ctx, remote); err != nil {
		return nil, err
	}
	c, err := p.carry(ctx)
	if err != nil {
		return nil, err
	}
	// A directory as a remote keeps what killed writers left; only those who write to it clean
	// up.
	for _, r := range p.stores() {
		t, ok := store.As[store.Tidier](r)
		if !ok {
			continue
		}
		if err := t.Tidy(p.opt.Now().Add(-leftOver).Unix()); err != nil {
			return nil, err
		}
	}
	// An empty list, so that the answer has [] and not null.
	r = &SyncResult{Outs: []SyncOut{}}
	counted(c, r)
	pub := &engine.Publisher{Workspace: p.files(c), Records: remote, Stamp: p.stamp(ctx), Repair: opt.Repair}
	if !opt.none() {
		return r, transfer.Explained(p.pushPinned(ctx, pub, r, opt))
	}
	return r, p.pushOwn(ctx, pub, r, lock, stages, opt)
}

// pushOwn publishes what the workspace's lock names, and adopts what was recorded first.
func (p *Project) pushOwn(ctx context.Context, pub *engine.Publisher, r *SyncResult, lock *lockfile.File, stages []*lockfile.Stage, opt SyncOptions) (err error) {
	var lost []sweep.Fault
	if opt.Repair {
		if lost, err = pub.MendAll(ctx, p.wanted(stages), opt.Read); err != nil {
			return err
		}
	}
	if err := p.publish(ctx, pub, r, stages); err != nil {
		if len(lost) > 0 && errors.Is(err, store.ErrNotFound) {
			err = nowhere(p.remote.URL(), lost, opt.Read)
		}
		return transfer.Explained(err)
	}
	if len(r.Adopted) > 0 {
		if err := p.keepsSources(lock); err != nil {
			return err
		}
		if err := p.saveLock(lock); err != nil {
			return err
		}
	}
	// With other records or outputs other objects are needed.
	if opt.Repair && len(r.Adopted)+r.Records > 0 {
		if lost, err = pub.MendAll(ctx, p.wanted(stages), opt.Read); err != nil {
			return err
		}
	}
	if len(lost) > 0 {
		err = nowhere(p.remote.URL(), lost, opt.Read)
	}
	return err
}

// publish gives the remote what it lacks of the stages, and takes what it had first.
func (p *Project) publish(ctx context.Context, pub *engine.Publisher, r *SyncResult, stages []*lockfile.Stage) error {
	records := make([]*object.Record, len(stages))
	fresh := make([]bool, len(stages))
	stageWorkers := min(p.workers(), 16) // each moves its own objects at once, too
	err := par.Each(ctx, len(stages), stageWorkers, func(ctx context.Context, i int) (err error) {
		records[i], fresh[i], err = pub.Ensure(ctx, p.spec.Stage(stages[i].Name), stages[i])
		return err
	})
	if err != nil {
		return err
	}
	for i, l := range stages {
		if fresh[i] {
			r.Records++
		}
		if err := p.take(ctx, pub, r, l, records[i]); err != nil {
			return err
		}
	}
	return nil
}

// nowhere is the error for objects that a remote needs and this machine does not have.
func nowhere(url string, lost []sweep.Fault, read bool) error {
	var lines, stages []string
	next := "--rebuild-missing"
	for _, f := range lost {
		lines = append(lines, fmt.Sprintf("\n    %s: %s (%s)", f.Stage, f.Path, f.At()))
		if !slices.Contains(stages, f.Stage) {
			stages = append(stages, f.Stage)
		}
		// A rebuild of what is missing asks for names and sizes of outputs alone.
		if !f.Missing || f.Ref.Shelf == object.Logs || f.Ref.Shelf == object.Inputs {
			next = "--force"
		}
	}
	if next == "--force" {
		next += " " + strings.Join(stages, " ")
	}
	again := "pipe push --repair"
	if read {
		again += " --read"
	}
	const most = 10
	if n := len(lines); n > most {
		lines = append(lines[:most:most], fmt.Sprintf("\n    and %d more; pipe verify --remote lists all", n-most))
	}
	return diag.New(diag.NotFound, "%s damaged or missing in the remote, with no good copy on this machine:%s", view.Count(len(lost), "object"), strings.Join(lines, "")).
		At(url).Hinted("run %s on a machine that has one, or rebuild here: pipe repro %s, then %s", again, next, again)
}

// take makes the record's outs those of the lock; a stage without a record, because
// its outs stay on this machine, is named.
func (p *Project) take(ctx context.Context, pub *engine.Publisher, r *SyncResult, l *lockfile.Stage, rec *object.Record) error {
	s := p.spec.Stage(l.Name)
	adopted := false
	if rec != nil {
		outs, differs, err := pub.Adopt(ctx, s, l.Outs, rec)
		if err != nil {
			return err
		}
		if adopted = differs; adopted {
			l.Outs = outs
			r.Adopted = append(r.Adopted, l.Name)
		}
	} else if !s.AlwaysChanged {
		r.Unpushed = append(r.Unpushed, l.Name)
		return nil
	}
	for _, o := range l.Outs {
		r.Outs = append(r.Outs, SyncOut{Stage: l.Name, Output: o, Changed: adopted})
	}
	return nil
}
