package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/event"
)

// decideDeploy decides about a deploy stage: done is what the environment says. One that must be
// deployed is parked until nothing that could be built is left, and wave takes it from there.
func (r *run) decideDeploy(ctx context.Context, st *state) error {
	in, err := r.gather(ctx, st)
	if err != nil {
		return err
	}
	env, err := r.environment(ctx)
	if err != nil {
		return err
	}
	live := env.StageNow(st.Stage.Name)
	if err := r.asked(ctx, st, in, live.Asked); err != nil {
		return err
	}
	st.Key, st.Trees, st.Deps, st.Was, st.in = action.KeyOf(st.Stage, in.Inputs), in.byPath(), in.Deps, live.Deps, in
	st.Verdict = action.DecideDeploy(st.Stage, st.Key, in.Inputs, live, r.wasLive(ctx, st, in, live), r.forced(st.Stage))
	if !atOnce(st.Stage) {
		if err := r.unlessLive(ctx, st, live, r.Given); err != nil {
			return err
		}
	}
	if err := r.checkedOut(ctx, st, in); err != nil {
		return err
	}
	r.decided(st)
	if st.Verdict.Do != event.Run {
		r.replayDeploy(st)
		return nil
	}
	st.parked = true
	st.keep, err = r.private(ctx, st, in)
	return err
}

// environment returns what the environment says, read once in a pass.
func (r *run) environment(ctx context.Context) (*release.State, error) {
	r.live.Do(func() {
		r.Env.SayLocal()
		r.live.state, r.live.err = r.Env.Read(ctx)
	})
	return r.live.state, r.live.err
}

// live is the environment as a pass has found it.
type live struct {
	sync.Once
	state *release.State
	err   error
}

// environmentExists refuses a deployment to an environment that a typing error would make,
// before anything is built for it. One that cannot be read is reported by the stages that need it.
func (e *Engine) environmentExists(ctx context.Context, selected []bool) error {
	for i := range e.Project.Stages {
		if s := &e.Project.Stages[i]; !selected[i] || !s.Deploy || s.Frozen {
			continue
		}
		if err := e.Env.CheckExists(ctx); diag.Is(err, diag.Usage) {
			return err
		}
		return nil
	}
	return nil
}

// confirmed asks once per run.
func (r *run) confirmed(st *state) error {
	if r.opt.Confirm == nil {
		return nil
	}
	r.confirm.Do(func() { r.confirm.refused = r.opt.Confirm(&st.Outcome) })
	return r.confirm.refused
}

// crossCheck compares the lock with the records of everything that the deployment is made
// from: a lock can be merged, or edited, into naming other outputs than those that its key
// made. Stages that ran just now need no check. A missing record is no contradiction:
// publishMakers writes it from the lock.
func (r *run) crossCheck(ctx context.Context, st *state) error {
	if r.opt.TrustLock {
		return nil
	}
	for i, needed := range r.Graph.Reach([]int{st.index}, r.Graph.Up) {
		maker := &r.states[i]
		if !needed || i == st.index || maker.block() == nil || maker.Stage.AlwaysChanged || maker.Verdict.Do == event.Run {
			continue
		}
		id := runID(maker.block())
		rec, err := r.cached(ctx, maker.Stage.Name, id, false)
		if err == nil {
			err = contradiction(maker, rec)
		}
		if (err == nil || errors.Is(err, store.ErrNotFound)) && r.Remote != nil {
			if rec, err = Lookup(ctx, r.Remote, id); err == nil {
				err = contradiction(maker, rec)
			}
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	return nil
}

// contradiction says where a record names another output than the lock. Outputs
// that git keeps are not compared: their bytes travel with the commit.
func contradiction(maker *state, rec *object.Record) error {
	for i, o := range maker.block().Outs {
		if i < len(rec.Outs) && (maker.Stage.Outs[i].NoCache || rec.Outs[i].Path == o.Path && same(rec.Outs[i], o)) {
			continue
		}
		recorded, locked := "nothing", o.Digest.String()
		if i < len(rec.Outs) {
			recorded = rec.Outs[i].Digest.String()
			if recorded == locked && rec.Outs[i].Path == o.Path {
				recorded, locked = shown(rec.Outs[i]), shown(o)
			}
		}
		return diag.New(diag.Integrity, "not deployed: pipe.lock says that %s created %s %s, but the record of the same inputs says %s",
			maker.Stage.Name, o.Path, locked, recorded).At(store.RecordPath(rec.ID)).
			Hinted("run pipe push to use the recorded outputs, or pipe repro --trust-lock to deploy what pipe.lock names")
	}
	return nil
}

// shown is what else than the digest tells outputs apart.
func shown(o artifact.Output) string {
	return fmt.Sprintf("dir %t, exec %t, sha256 %q", o.Dir, o.Exec, o.SHA256)
}

// publishMakers gives the remote the stages whose outputs are deployed, and the checks that
// had to pass: objects, logs and records, so that what is live can be found and fetched. A stage
// that ran here and lost the race for its record adopts the winner's outputs; then the
// run decides again, because this deployment was decided with others. For one that
// did not run, another record that came just now is a contradiction like an older one.
func (r *run) publishMakers(ctx context.Context, st *state) error {
	if r.Remote == nil {
		return nil // there is none, or its records are not to be asked for: objects alone are published
	}
	for _, i := range r.Graph.Up(st.index) {
		maker := &r.states[i]
		if maker.block() == nil {
			continue
		}
		block := *maker.block()
		rec, _, err := r.Ensure(ctx, maker.Stage, &block)
		if err != nil {
			return err
		}
		if rec == nil || r.opt.TrustLock {
			continue
		}
		if maker.Verdict.Do != event.Run {
			if err := contradiction(maker, rec); err != nil {
				return err
			}
			continue
		}
		outs, differs, err := r.Adopt(ctx, maker.Stage, block.Outs, rec)
		if err != nil {
			return err
		}
		if differs {
			block.Outs = outs
			return &adoptedError{index: maker.index, stage: maker.Stage.Name, block: &block}
		}
	}
	return nil
}

// closure puts everything that the command will see into the cache and the remote. Everything
// is saved before the command starts, so that what went live can be fetched again even if the
// workspace changes meanwhile. Bytes that differ from the hash just computed stop the
// deployment: the key would name something else. What keep names does not reach the remote.
func (r *run) closure(ctx context.Context, st *state, in *gathered, keep *private) (artifact.Output, error) {
	var none artifact.Output
	for _, o := range in.made {
		if err := r.Rescue(ctx, o); err != nil {
			return none, err
		}
	}
	if err := r.Carrier.Fetch(ctx, in.made); err != nil {
		return none, err
	}
	if err := r.saveOthers(ctx, st); err != nil {
		return none, err
	}
	for _, src := range in.sources {
		err := r.files(src.outside).SaveInputs(ctx, r.Cache, src.top, r.ownFiles(src))
		if errors.Is(err, store.ErrCorrupt) {
			err = changedMeanwhile(st, spec.Dep{Path: src.top, Top: src.outside}.Name())
		}
		if err != nil {
			return none, err
		}
	}
	tree, err := r.closureTree(ctx, st.Stage, in)
	if err != nil {
		return none, err
	}
	o := tree.Output(release.ClosureAt)
	if err := r.Cache.Put(ctx, object.Of(o), store.Bytes(tree.Encode())); err != nil {
		return none, err
	}
	var notes object.Record
	if err := r.keepNotes(ctx, in, nil, &notes); err != nil {
		return none, err
	}
	var lists []object.Ref
	for _, d := range notes.Inputs {
		if !slices.Contains(keep.lists, d) {
			lists = append(lists, object.Ref{Shelf: object.Inputs, Digest: d})
		}
	}
	outs := slices.DeleteFunc(slices.Clone(in.made), func(o artifact.Output) bool { return r.isPrivate(in, o.Path) })
	for _, o := range in.others {
		if o.Top && !o.Private {
			outs = append(outs, o.Output)
		}
	}
	if !keep.any() {
		outs = append(outs, o)
	}
	return o, r.Deployer.Carrier.Publish(ctx, outs, lists...)
}

// saveOthers puts the outputs of other projects into the cache.
func (r *run) saveOthers(ctx context.Context, st *state) error {
	if err := r.bring(ctx, st.in); err != nil {
		return err
	}
	for _, o := range st.in.above {
		if err := r.saveAbove(ctx, st, o); err != nil {
			return err
		}
	}
	return nil
}

// saveAbove puts an output of a project outside this one into the cache, from where that project
// has just brought it.
func (r *run) saveAbove(ctx context.Context, st *state, want artifact.Output) error {
	o, err := r.Top.Work.Save(ctx, r.Cache, want.Path)
	if err == nil && !o.Same(want) {
		err = changedMeanwhile(st, artifact.AtTop+string(want.Path))
	}
	return err
}

func changedMeanwhile(st *state, name string) error {
	return diag.New(diag.Stage, "%s: %s changed while pipe read it", st.Stage.Name, name).At(st.Stage.Place).
		Hinted("wait for the writer to finish, then run pipe repro again")
}
