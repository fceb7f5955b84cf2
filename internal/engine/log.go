package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/runlog"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/event"
)

// newLog is for the output of a stage's command, which is about to run. It ends with ended.
func (r *run) newLog(st *state, in *gathered) *runlog.Output {
	o := runlog.NewOutput(r.outside(st.Stage, in.Env))
	o.Run = runlog.Run{
		Stage: st.Stage.Name, Kind: kind(st.Stage), Key: st.Key, Generation: st.Generation, Project: r.Stamp.Project,
		By: r.Stamp.By, Builder: r.Stamp.Builder, Commit: r.Stamp.Commit, Version: r.Stamp.Version, At: r.Now().UTC(),
	}
	return o
}

// kind is what a stage does, in one word. Deploy stages are run by package deploy.
func kind(s *spec.Stage) string {
	if s.Check {
		return "check"
	}
	return "build"
}

// ended writes to this machine's copy how the run ended; made is nil when the command failed. The
// generation may have become another one since the command began.
func (r *run) ended(ctx context.Context, st *state, log *runlog.Output, made *action.Made, err error) {
	log.Run.Generation = st.Generation
	seconds := r.Now().Sub(log.Run.At).Seconds()
	if made != nil {
		seconds = made.Seconds
	}
	st.Seconds, st.Attempts = seconds, log.Run.Attempts
	log.End(seconds, err, ctx.Err() != nil)
}

// replay tells, where that was asked for, what the command of a stage printed when it ran. The
// record names it, wherever it ran. Nothing that is missing or out of reach is an error: the
// stage is done, and only the reader knows less.
func (r *run) replay(ctx context.Context, a *attempt) {
	if !r.opt.Replay || r.opt.Dry {
		return
	}
	rec, log, err := r.recordedLog(ctx, a)
	if err != nil {
		r.note(a.Stage.Name, "no log to replay: %v", err)
		return
	}
	r.replayed(a.Stage.Name, rec.By, rec.At, log)
}

// recordedLog returns the record of a stage's run, and what its command printed.
func (r *run) recordedLog(ctx context.Context, a *attempt) (rec *object.Record, log []byte, err error) {
	if rec = a.record; rec == nil {
		rec, err = r.lookup(ctx, a.Stage.Name, a.id())
	}
	switch {
	case err != nil:
		return nil, nil, err
	case rec == nil || rec.FromLock:
		return nil, nil, errors.New("there is no record of the run")
	case rec.Log.IsZero():
		return nil, nil, errors.New("the command printed nothing")
	}
	log, err = r.Carrier.Log(ctx, rec.Log)
	if errors.Is(err, store.ErrNotFound) {
		err = fmt.Errorf("%s is in neither the cache nor the remote", object.Ref{Shelf: object.Logs, Digest: rec.Log})
	}
	return rec, log, err
}

// replayDeploy is replay for a deployment that is live, of which this machine alone has a log, if
// it ran here.
func (r *run) replayDeploy(st *state) {
	if !r.opt.Replay || r.opt.Dry || r.Runs == nil {
		return
	}
	names, err := r.Runs.List(st.Stage.Name)
	for _, name := range names {
		run := r.Runs.Read(name)
		if run.Stage != st.Stage.Name || run.Status != runlog.OK || run.Key != st.Key || run.Env != r.Env.Name() {
			continue
		}
		if log, err := r.Runs.Text(name); err == nil {
			r.replayed(st.Stage.Name, run.By, run.At, log)
			return
		}
	}
	if err == nil {
		err = errors.New("this version was not deployed from here in the last 30 days")
	}
	r.note(st.Stage.Name, "no log to replay: %v", err)
}

// replayed tells the lines of a log, and of whose run.
func (r *run) replayed(stage, by string, at time.Time, log []byte) {
	if by != "" {
		by = " by " + by
	}
	r.note(stage, "log of the run%s at %s:", by, at.Format("2006-01-02 15:04:05 MST"))
	for line := range strings.Lines(string(log)) {
		r.emit(event.Event{Type: event.Replayed, Stage: stage, Text: strings.TrimSuffix(line, "\n")})
	}
}

// note tells the user something about a stage that is neither a verdict nor an error.
func (e *Engine) note(stage, format string, args ...any) {
	e.emit(event.Event{Type: event.Note, Stage: stage, Text: fmt.Sprintf(format, args...)})
}
