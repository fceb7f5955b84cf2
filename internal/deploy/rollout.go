package deploy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/lease"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/runlog"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/event"
)

// rollout is one deployment that goes on. The goroutine of run alone changes it and tells the
// environment; a worker for each stage runs its commands.
type rollout struct {
	*Deployer
	work   *Work
	dep    *release.Deployment
	ctx    context.Context // ends when this run may not deploy any more
	result *Result

	endings chan ending
	mutex   map[string]bool // taken in this run
	begun   map[string]bool
	running int
	ended   map[string]*release.End // not told yet
	causes  map[string]string       // why stages failed, masked
	lost    error                   // why the environment cannot be told anything more
}

// ending is how a stage ended.
type ending struct {
	stage string
	end   *release.End
	err   error
}

// run deploys all pending stages, and ends the deployment in any case.
func (r *rollout) run() error {
	group, _ := par.NewGroup(context.WithoutCancel(r.ctx), 0)
	for begin := r.dep.First; ; {
		for _, name := range begin {
			r.begun[name], r.mutex[r.mutexOf(name)] = true, true
			r.running++
			group.Go(func() error {
				end, err := r.stage(name)
				r.endings <- ending{name, end, err}
				return nil
			})
		}
		if r.running == 0 {
			break
		}
		r.collect(<-r.endings)
		begin = r.ready()
		// The write that ends the deployment says how its last stages ended.
		if r.running == 0 && len(begin) == 0 {
			break
		}
		if err := r.dep.Step(r.ctx, r.ended, begin); err != nil {
			r.lost, begin = err, nil // no command may begin
			continue
		}
		r.ended = map[string]*release.End{}
	}
	_ = group.Wait()
	return r.end()
}

func (r *rollout) part(name string) *release.Part { return r.work.part(name) }

// verb is what the deployment does with its stages.
func (r *rollout) verb() event.Verb {
	if r.work.Kind == release.KindDestroy {
		return event.Undeploy
	}
	return event.Run
}

// mutexOf returns the mutex that counts in this run: of one with a limit, the limit does.
func (r *rollout) mutexOf(name string) string {
	m := r.part(name).Mutex
	if r.limited(m) {
		return ""
	}
	return m
}

// ready returns the stages that may begin now: all that they need is done, their mutex is free,
// and there are workers left.
func (r *rollout) ready() (names []string) {
	if r.ctx.Err() != nil || r.lost != nil || r.failed() != "" && !r.KeepGoing {
		return nil
	}
	taken := maps.Clone(r.mutex)
	for _, name := range r.dep.Pending {
		m := r.mutexOf(name)
		if r.running+len(names) < max(r.Jobs, 1) && !r.begun[name] && (m == "" || !taken[m]) && r.waitsFor(name) == "" {
			names, taken[m] = append(names, name), true
		}
	}
	return names
}

// waitsFor returns a stage that must be done before this one, or that one's own need; "" when all are.
func (r *rollout) waitsFor(name string) string {
	for _, n := range r.work.Before(name) {
		if o := r.result.Stages[n]; slices.Contains(r.dep.Pending, n) && (!o.Ran || o.Err != nil) {
			return n
		}
	}
	return ""
}

// failed returns the first stage that failed, by name; "" when none has.
func (r *rollout) failed() string {
	for _, name := range r.dep.Pending {
		if r.result.Stages[name].Err != nil {
			return name
		}
	}
	return ""
}

// collect takes over how a stage ended.
func (r *rollout) collect(n ending) {
	r.running--
	r.mutex[r.mutexOf(n.stage)] = false
	r.ended[n.stage], r.causes[n.stage] = n.end, n.end.Attempt.Error
	if n.end.Not && r.ctx.Err() != nil {
		return // it was kept from running, and has not failed
	}
	if cause := context.Cause(r.ctx); n.err == nil && errors.Is(cause, lease.ErrLost) {
		n.err = cause // the command has succeeded, but nobody will know
	}
	r.result.Stages[n.stage] = Outcome{Ran: !n.end.Not, Seconds: n.end.Seconds, Attempts: n.end.Attempt.Attempts, Err: n.err}
	if n.err != nil {
		r.Emit(event.Event{
			Schema: event.Schema, Type: event.Failed, Stage: n.stage, Deploy: true, Text: n.err.Error(), How: runlog.HowFailed(n.err), Exit: runlog.ExitCode(n.err),
			Attempt: n.end.Attempt.Attempts,
		})
		return
	}
	key := r.work.Stages[n.stage].Key.String()
	r.Emit(event.Event{Schema: event.Schema, Type: event.Done, Stage: n.stage, Deploy: true, Verb: r.verb(), Seconds: n.end.Seconds, Attempt: n.end.Attempt.Attempts, Key: key})
}

// endWithin bounds how long a run that is over tries to tell the environment so. A CI system that
// cancels a job kills it ten seconds after it has asked.
const endWithin = 8 * time.Second

// end tells the environment how the deployment ended, also when this run is being stopped, and
// returns all that went wrong.
func (r *rollout) end() error {
	status, cause := release.EndOK, ""
	var errs []error
	for _, name := range r.dep.Pending {
		o := r.result.Stages[name]
		switch {
		case o.Err != nil:
			status, errs = release.EndFailed, append(errs, o.Err)
		case !o.Ran:
			o.Blocked = r.blockedBy(name)
			r.result.Stages[name] = o
			status = release.EndFailed
		}
	}
	outer := context.Cause(r.ctx)
	if outer != nil && !errors.Is(outer, lease.ErrLost) && status != release.EndOK {
		status = release.EndStopped
	}
	if name := r.failed(); name != "" {
		cause = r.causes[name]
	}
	ctx := context.WithoutCancel(r.ctx)
	if outer != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, endWithin)
		defer cancel()
	}
	x, err := r.dep.End(ctx, r.ended, status, cause)
	r.result.Entry = x
	switch {
	case errors.Is(err, lease.ErrLost):
		// What the environment says by now is another run's. That its commands were stopped is no news beside it.
		return errors.Join(append([]error{err}, slices.DeleteFunc(errs, fenced)...)...)
	case err == nil && outer == nil:
		err = r.lost
	case err == nil && status == release.EndStopped && len(errs) == 0:
		err = outer
	}
	return errors.Join(append(errs, err)...)
}

// blockedBy returns the stage whose failure kept another one from running; "" when none did.
func (r *rollout) blockedBy(name string) string {
	for _, n := range r.work.Before(name) {
		if r.result.Stages[n].Err != nil {
			return n
		}
	}
	return ""
}

// fenced reports whether a command was stopped because another run may deploy now.
func fenced(err error) bool { return errors.Is(err, lease.ErrLost) || errors.Is(err, shell.ErrFenced) }

// stage runs a stage's commands and returns how they ended. It waits for a slot before, where
// the stage counts against a limit.
func (r *rollout) stage(name string) (end *release.End, err error) {
	s, in := r.part(name).Stage(name, r.work.Values[name])
	s.Place = cmp.Or(r.work.Places[name], s.Place)
	ctx := r.ctx
	if m := s.Mutex; r.limited(m) {
		slot, err := r.slot(name, m)
		if err != nil {
			return &release.End{Not: true}, fmt.Errorf("%s: wait for limit %s: %w", name, m, err)
		}
		// Before the environment is free, and whatever happened.
		defer r.give(slot, name, m)
		var cancel context.CancelCauseFunc
		ctx, cancel = context.WithCancelCause(ctx)
		defer cancel(nil)
		defer context.AfterFunc(slot.Context(), func() { cancel(context.Cause(slot.Context())) })()
	}
	if m := s.Mutex; m != "" && !r.limited(m) && r.Mutexes != nil {
		free, err := r.Mutexes.take(ctx, m)
		if err != nil {
			return &release.End{Not: true}, err
		}
		defer free()
	}
	end = &release.End{}
	log := runlog.NewOutput(slices.Concat(in.Env, r.work.Passed[name]))
	log.Run = runlog.Run{
		Stage: name, Kind: r.kind(), Key: r.work.Stages[name].Key, Project: r.Stamp.Project, Env: r.Env.Name(), Deployment: r.dep.Token(),
		By: r.Stamp.By, Builder: r.Stamp.Builder, Commit: r.work.Commit, Version: r.Stamp.Version, At: r.Now().UTC(),
	}
	log.Begin(r.Runs)
	began := r.Now()
	job, err := r.job(r.ctx, r.work, name, ID{r.dep.Token(), r.dep.Epoch})
	end.Not = err != nil
	var made *action.Made
	if err == nil {
		made, err = r.command(ctx, name, job, log)
	}
	end.Seconds = r.Now().Sub(began).Seconds()
	if made != nil {
		end.Seconds = made.Seconds
	}
	err = r.explain(log.Explain(s, err))
	log.End(end.Seconds, err, r.ctx.Err() != nil)
	end.OK = err == nil
	end.Attempt = release.Attempt{Attempts: log.Run.Attempts, Exit: runlog.ExitCode(err), Error: log.Run.Error, Log: r.keep(name, log.Bytes())}
	return end, err
}

// slot waits for one of the places that a limit leaves.
func (r *rollout) slot(name, mutex string) (*lease.Slot, error) {
	l := r.dep.Lease()
	l.Nonce = "" // two stages of one run may have a place each
	told := false
	return lease.Acquire(r.ctx, r.Limits.Cells, r.Limits.At+mutex, r.Limits.Most[mutex], l, func(holders []lease.Lease) error {
		if !told && len(holders) > 0 {
			told = true
			r.Emit(event.Event{Schema: event.Schema, Type: event.Note, Stage: name, Text: "waiting for limit " + mutex + ", held by " + holders[0].By})
		}
		return nil
	})
}

// give gives a slot up. If that fails the slot is free when its time is over, and the command has
// ended as it has.
func (r *rollout) give(slot *lease.Slot, stage, mutex string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), endWithin/2)
	defer cancel()
	if err := slot.Free(ctx); err != nil {
		r.Emit(event.Event{Schema: event.Schema, Type: event.Note, Stage: stage, Text: fmt.Sprintf("limit %s counts this stage a while longer: %v", mutex, err)})
	}
}

// command runs the stage's job.
func (r *rollout) command(ctx context.Context, name string, job *action.Job, log *runlog.Output) (*action.Made, error) {
	job.Beats, job.Silence = r.dep.Beats(), r.dep.Silence()
	made, err := r.execute(ctx, name, job, r.verb(), log)
	if fenced(err) {
		err = diag.New(diag.Busy, "%s: %w", name, err).Hinted("run the command again")
	}
	return made, err
}

// keep puts what a command printed, masked, where everybody finds it, and returns its digest. A
// log that cannot be kept is said to be so, and changes nothing else.
func (r *rollout) keep(stage string, log []byte) digest.Digest {
	if len(log) == 0 {
		return digest.Digest{}
	}
	ref := object.Ref{Shelf: object.Logs, Digest: digest.Of(log)}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), endWithin/2)
	defer cancel()
	err := r.Carrier.Cache.Put(ctx, ref, store.Bytes(log))
	if err == nil && r.Carrier.Remote != nil {
		err = r.Carrier.Publish(ctx, nil, ref)
	}
	if err != nil {
		r.Emit(event.Event{Schema: event.Schema, Type: event.Note, Stage: stage, Text: "the log is kept on this machine only: " + err.Error()})
		return digest.Digest{}
	}
	return ref.Digest
}
