package engine_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/engine"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/runlog"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/event"
)

// keeping has the project keep its runs, and returns how to read the newest of a stage.
func keeping(p *project) func(stage string) (runlog.Run, string) {
	runs := &runlog.Dir{Work: p.work, Now: clock}
	p.engine.Runs = runs
	return func(stage string) (runlog.Run, string) {
		p.t.Helper()
		names, err := runs.List(stage)
		must(p.t, err)
		if len(names) == 0 {
			return runlog.Run{}, "-"
		}
		b, err := runs.Text(names[0])
		must(p.t, err)
		return runs.Read(names[0]), string(b)
	}
}

// ok runs, and nothing fails.
func (p *project) ok(opt engine.Options) {
	p.t.Helper()
	_, _, err := p.run(opt)
	must(p.t, err)
}

const logged = `stages:
  a: {cmd: x, deps: [src], outs: [out], env: [{CREDENTIAL: {secret: true}}]}
  c: {check: true, cmd: x, deps: [src]}
  d: {deploy: true, cmd: x, deps: [src], env: [{CREDENTIAL: {secret: true}}]}
`

func TestEachEndOfARunIsKept(t *testing.T) {
	for _, x := range []struct {
		status, err string
		exit        int
		end         func(stop context.CancelCauseFunc) error
	}{
		{runlog.OK, "", 0, func(context.CancelCauseFunc) error { return nil }},
		{runlog.Failed, "the command failed: exit code 3", 3, func(context.CancelCauseFunc) error { return &shell.ExitError{Code: 3} }},
		{runlog.Failed, "no such program as ***", 0, func(context.CancelCauseFunc) error {
			return errors.New("no such program as from outside\nwhich is bad")
		}},
		{runlog.TimedOut, "timed out", 0, func(context.CancelCauseFunc) error { return action.ErrTimeout }},
		{runlog.Interrupted, "interrupt", 0, func(stop context.CancelCauseFunc) error {
			err := shell.SignalError{Signal: os.Interrupt}
			stop(err)
			return err
		}},
	} {
		for _, stage := range []string{"a", "c", "d"} {
			if stage == "c" && strings.Contains(x.err, "***") {
				continue // it declares no secret
			}
			p := alone(t, logged, "src")
			newest := keeping(p)
			ctx, stop := context.WithCancelCause(t.Context())
			p.runner.command = func(_ context.Context, job *action.Job) error {
				job.Line([]byte("with from outside in it"))
				if run, text := newest(stage); run.Status != runlog.Running || !strings.HasPrefix(text, "with ") {
					t.Errorf("%s while it runs: %+v, %q", stage, run, text)
				}
				return x.end(stop)
			}
			_, _, err := p.runWithin(ctx, engine.Options{Jobs: 1, Targets: []string{stage}})
			stop(nil)
			run, text := newest(stage)
			if (err == nil) != (x.status == runlog.OK) || run.Status != x.status || run.Exit != x.exit || !strings.Contains(run.Error, x.err) || strings.Contains(run.Error, "bad") {
				t.Errorf("%s %s: %v; %+v", stage, x.status, err, run)
			}
			want := map[string]string{"a": "build  with *** in it", "c": "check  with from outside in it", "d": "deploy default with *** in it"}[stage]
			if got := run.Kind + " " + run.Env + " " + strings.TrimSuffix(text, "\n"); got != want || run.By != "ann" || !run.At.Equal(clock()) || run.Key.IsZero() || (run.Deployment == "") == (stage == "d") {
				t.Errorf("%s: %q, want %q; %+v", stage, got, want, run)
			}
		}
	}
}

func TestRecordAndRunSayHowManyAttemptsThereWere(t *testing.T) {
	p := alone(t, logged, "src")
	newest := keeping(p)
	for _, attempts := range []int{1, 3} {
		p.runner.command = func(_ context.Context, job *action.Job) error {
			for n := 2; n <= attempts; n++ {
				job.Again(n, &shell.ExitError{Code: 9})
			}
			return nil
		}
		p.ok(engine.Options{Jobs: 1, Targets: []string{"a"}, Force: attempts > 1})
		told := p.events[slices.IndexFunc(p.events, func(e event.Event) bool { return e.Type == event.Done })]
		run, _ := newest("a")
		want := attempts
		if attempts == 1 {
			want = 0
		}
		if rec := p.record(p.cache, p.id("a")); rec.Attempts != want || run.Attempts != want || told.Attempt != want {
			t.Errorf("%d: record %d, run %d, told %d", attempts, rec.Attempts, run.Attempts, told.Attempt)
		}
	}
}

// What is kept here of a long log is what the record has.
func TestTheMachinesLogIsTheRecords(t *testing.T) {
	for _, lines := range []int{0, 1, 3000, 60_000, 120_000} {
		p := alone(t, logged, "src")
		newest := keeping(p)
		p.runner.command = func(_ context.Context, job *action.Job) error {
			for i := range lines {
				job.Line([]byte(strings.Repeat("x", 40) + strings.Repeat("y", i%40)))
			}
			if _, text := newest(job.Stage.Name); len(text) > 6<<20 {
				t.Errorf("%d lines: %d bytes while it runs", lines, len(text))
			}
			return nil
		}
		p.ok(all)
		run, text := newest("a")
		var want []byte
		if rec := p.record(p.cache, p.id("a")); !rec.Log.IsZero() {
			var err error
			want, err = store.ReadAll(t.Context(), p.cache, object.Ref{Shelf: object.Logs, Digest: rec.Log}, 64<<20)
			must(t, err)
			if run.Log != rec.Log {
				t.Errorf("%d lines: %s, the record has %s", lines, run.Log, rec.Log)
			}
		}
		if text != string(want) {
			t.Errorf("%d lines: %d bytes, the record has %d", lines, len(text), len(want))
		}
	}
}

func TestReplayTellsWhatNeedNotRun(t *testing.T) {
	p := open(t, logged, "src")
	keeping(p)
	p.runner.command = func(_ context.Context, job *action.Job) error {
		job.Line([]byte("of " + job.Stage.Name))
		return nil
	}
	p.ok(engine.Options{Jobs: 1, Push: true})
	replayed := func(p *project, opt engine.Options) string {
		p.t.Helper()
		p.events = nil
		opt.Jobs, opt.Replay = 1, true
		p.ok(opt)
		var lines []string
		for _, e := range p.events {
			switch {
			case e.Type == event.Replayed:
				lines = append(lines, e.Stage+"|"+e.Text)
			case e.Type == event.Note && strings.Contains(e.Text, "log"):
				lines = append(lines, e.Stage+":"+e.Text)
			}
		}
		return strings.Join(lines, "\n")
	}
	const by = ":log of the run by ann at 2026-01-02 03:04:05 UTC:\n"
	want := "a" + by + "a|of a\nc" + by + "c|of c\nd" + by + "d|of d"
	if got := replayed(p, engine.Options{}); got != want {
		t.Errorf("skipped:\n%s\nwant\n%s", got, want)
	}
	if got := replayed(p, engine.Options{Force: true}); got != "" {
		t.Errorf("forced:\n%s", got)
	}
	q := p.clone()
	// A deployment that failed is not what is live, though it was the last from here.
	p.runner.command = func(_ context.Context, job *action.Job) error {
		job.Line([]byte("failed"))
		return &shell.ExitError{Code: 1}
	}
	if _, _, err := p.run(engine.Options{Jobs: 1, Force: true, Targets: []string{"d"}}); err == nil {
		t.Error("no error")
	}
	q.ok(engine.Options{Jobs: 1})
	if got := replayed(p, engine.Options{}); !strings.HasSuffix(got, "d"+by+"d|of d") {
		t.Errorf("deployed from elsewhere:\n%s", got)
	}
	q = p.clone()
	if got := replayed(q, engine.Options{NoDeploy: true}); !strings.HasPrefix(got, "a"+by+"a|of a\nc"+by+"c|of c") {
		t.Errorf("restored:\n%s", got)
	}
	if got := replayed(q, engine.Options{Dry: true}); got != "" {
		t.Errorf("dry:\n%s", got)
	}
	// Nobody has the log any more: that is told, and nothing fails.
	q.remote.Remove(object.Ref{Shelf: object.Logs, Digest: q.record(q.remote, q.id("a")).Log})
	if got := replayed(q, engine.Options{Targets: []string{"a"}}); !strings.HasPrefix(got, "a:no log to replay: log blake3:") {
		t.Errorf("lost:\n%s", got)
	}
}
