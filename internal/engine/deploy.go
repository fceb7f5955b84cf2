package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// deploy brings a deploy stage up to date: done is what the environment says. The order is the
// promise: a failure in any step before Begin leaves the environment as it was.
func (r *run) deploy(ctx context.Context, st *state) error {
	in, err := r.gather(ctx, st)
	if err != nil {
		return err
	}
	live, err := r.Env.Live(ctx, st.Stage.Name)
	if err == nil {
		err = r.tools(ctx, st, in, live.Tools)
	}
	if err != nil {
		return err
	}
	st.Key, st.Trees, st.Deps, st.Was = action.KeyOf(st.Stage, in.Inputs), in.byPath(), in.Deps, live.Deps
	st.Verdict = action.DecideDeploy(st.Stage, st.Key, in.Inputs, live, r.wasLive(ctx, st, in, live), r.forced(st.Stage))
	if err := r.checkedOut(ctx, st, in); err != nil {
		return err
	}
	r.decided(st)
	if st.Verdict.Do != event.Run {
		r.replayDeploy(st)
		return nil
	}
	keep, err := r.private(ctx, st, in)
	if err != nil || r.opt.Dry {
		return err
	}
	if err := r.confirmed(st); err != nil {
		return err
	}
	// What goes live is what its records say, and anyone can fetch it again:
	// both before the environment is touched.
	if err := errors.Join(r.crossCheck(ctx, st), r.crossCheckOthers(ctx, in)); err != nil {
		return err
	}
	if err := r.publishMakers(ctx, st); err != nil {
		return r.lostOr(err)
	}
	closure, tree, err := r.closure(ctx, st, in, keep)
	if err != nil {
		return r.lostOr(err)
	}
	if keep.any() {
		r.note(st.Stage.Name, "only this machine can repeat this deployment; others will not have %s", strings.Join(keep.names, ", "))
	}
	d := release.Deployment{
		Stage: st.Stage.Name, Key: st.Key, Closure: closure.Digest, Local: keep.any(), Deps: in.Deps, Tools: in.Tools, Artifacts: slices.Concat(in.made, in.above),
		Again: r.forced(st.Stage) || st.Stage.AlwaysChanged,
	}
	if in.under != repopath.Root {
		d.Dir = in.under
	}
	return r.runDeploy(ctx, st, in, d, tree)
}

// environmentExists refuses a deployment to an environment that a typing error would make,
// before anything is built for it. One that cannot be read is reported by the stages that need it.
func (e *Engine) environmentExists(ctx context.Context, selected []bool) error {
	for i := range e.Project.Stages {
		if s := &e.Project.Stages[i]; !selected[i] || !s.Deploy || s.Frozen {
			continue
		}
		if err := e.Env.Exists(ctx); diag.Is(err, diag.Usage) {
			return err
		}
		return nil
	}
	return nil
}

// confirmed asks once per run. Workers that deploy at the same time wait for the one answer.
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
func (r *run) closure(ctx context.Context, st *state, in *gathered, keep *private) (artifact.Output, *object.Tree, error) {
	var none artifact.Output
	if err := r.bring(ctx, in); err != nil {
		return none, nil, err
	}
	for _, o := range in.made {
		if err := r.Rescue(ctx, o); err != nil {
			return none, nil, err
		}
	}
	if err := r.Carrier.Fetch(ctx, in.made); err != nil {
		return none, nil, err
	}
	for _, o := range in.above {
		if err := r.saveAbove(ctx, st, o); err != nil {
			return none, nil, err
		}
	}
	for _, src := range in.sources {
		err := r.files(src.outside).SaveInputs(ctx, r.Cache, src.top, r.ownFiles(src))
		if errors.Is(err, store.ErrCorrupt) {
			err = changedMeanwhile(st, spec.Dep{Path: src.top, Top: src.outside}.Name())
		}
		if err != nil {
			return none, nil, err
		}
	}
	tree, err := r.closureTree(ctx, st.Stage, in)
	if err != nil {
		return none, nil, err
	}
	// No output has this path, and with it a remote of its own.
	o := tree.Output(worktree.Dir + "/closure")
	if err := r.Cache.Put(ctx, object.Of(o), store.Bytes(tree.Encode())); err != nil {
		return none, nil, err
	}
	var notes object.Record
	if err := r.keepNotes(ctx, in, nil, &notes); err != nil {
		return none, nil, err
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
	return o, tree, r.Carrier.Publish(ctx, outs, lists...)
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

// runDeploy runs the command between "deploying" and "ok" or "failed". Begin decides once more
// in the write that says "deploying", which excludes that a run repeats what another has just
// done. A crash before End leaves "deploying", which the next run takes for unknown and
// deploys again.
func (r *run) runDeploy(ctx context.Context, st *state, in *gathered, d release.Deployment, tree *object.Tree) (err error) {
	token, err := r.Env.Begin(ctx, d)
	if errors.Is(err, release.ErrLive) {
		r.note(st.Stage.Name, "another run has deployed this version in the meantime")
		st.Verdict = action.Verdict{Do: event.Skip, Because: []event.Reason{{Code: event.LiveSame, Path: r.Env.Name()}}}
		return nil
	}
	if err != nil {
		return err
	}
	log := r.newLog(st, in)
	log.run.Env, log.run.Deployment = r.Env.Name(), token
	var made *action.Made
	defer func() { r.ended(ctx, st, log, made, err) }()
	job := r.job(st, in, log)
	job.Env = append(job.Env, "PIPE_STAGE="+st.Stage.Name, "PIPE_ENV="+r.Env.Name(), "PIPE_DEPLOYMENT="+token)
	if !st.Stage.InRepo {
		job.Fresh, job.Inputs, job.Under = true, tree, in.under
	}
	made, err = r.Runner.Run(ctx, job)
	if err == nil {
		err = made.Settle(true)
	}
	// The environment learns how it ended even when this run is being stopped.
	eerr := r.Env.End(context.WithoutCancel(ctx), d, token, err == nil)
	if err = errors.Join(commandError(st.Stage, log, err), eerr); err != nil {
		return err
	}
	r.emit(event.Event{Type: event.Done, Stage: st.Stage.Name, Deploy: true, Verb: event.Run, Seconds: made.Seconds, Key: st.Key.String()})
	return nil
}
