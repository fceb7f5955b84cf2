package deploy_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/lease"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/event"
)

func TestStagesRunInTheOrderOfTheirNeeds(t *testing.T) {
	p := open(t)
	w := p.work("a=1<b", "b=1<c", "c=1")
	p.command = func(_ context.Context, job *action.Job) error {
		if got := p.state().Stages[job.Stage.Name]; got.Status != action.StatusDeploying {
			t.Errorf("%s runs, and the state says %q", job.Stage.Name, got.Status)
		}
		for _, n := range w.Before(job.Stage.Name) {
			if got := p.state().Stages[n]; got.Status != action.StatusOK {
				t.Errorf("%s runs, and %s is %q", job.Stage.Name, n, got.Status)
			}
		}
		return nil
	}
	r, err := p.d.Run(t.Context(), w)
	must(t, err)
	st := p.state()
	if !slices.Equal(p.ran, []string{"c", "b", "a"}) || st.Live != w.Release || r.Entry.N != 1 || r.Entry.Status != release.EndOK || st.Seq != 4 {
		t.Errorf("ran %v; live %s; %+v; %d writes", p.ran, st.Live, r.Entry, st.Seq)
	}
	if o := r.Stages["a"]; !o.Ran || o.Seconds != 2 || o.Err != nil {
		t.Errorf("%+v", o)
	}
	r, err = p.d.Run(t.Context(), w)
	if err != nil || r.Verdict.Do != release.Nothing || r.Entry != nil || len(p.ran) != 3 {
		t.Errorf("again: %+v, %v, ran %v", r, err, p.ran)
	}
}

// Commands that run at once wait for each other: fewer, and the bubble has no way on.
func TestAsManyStagesRunAtOnceAsMay(t *testing.T) {
	for _, c := range []struct {
		jobs   int
		stages []string
		limit  int
		most   int
	}{
		{0, []string{"a=1", "b=1", "c=1"}, 0, 1},
		{2, []string{"a=1", "b=1", "c=1"}, 0, 2},
		{4, []string{"a=1", "b=1", "c=1"}, 0, 3},
		{4, []string{"a=1!m", "b=1!m", "c=1!m", "d=1!n"}, 0, 2},
		{4, []string{"a=1!m", "b=1!m", "c=1!m"}, 2, 2},
		{4, []string{"a=1!m", "b=1!m", "c=1!m"}, 1, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := open(t)
			p.d.Jobs = c.jobs
			if c.limit > 0 {
				p.d.Limits.Most["m"] = c.limit
			}
			now, most := 0, 0
			p.command = func(context.Context, *action.Job) error {
				p.mu.Lock()
				now++
				most = max(most, now)
				p.mu.Unlock()
				<-time.After(time.Minute)
				p.mu.Lock()
				defer p.mu.Unlock()
				now--
				return nil
			}
			_, err := p.d.Run(t.Context(), p.work(c.stages...))
			must(t, err)
			if most != c.most || len(p.ran) != len(c.stages) {
				t.Errorf("%+v: %d at once, ran %v", c, most, p.ran)
			}
		})
	}
}

func TestAFailureKeepsWhatNeedsItFromRunning(t *testing.T) {
	for _, keep := range []bool{false, true} {
		p := open(t)
		p.d.Jobs, p.d.KeepGoing = 1, keep
		before := p.work("c=0")
		_, err := p.d.Run(t.Context(), before)
		must(t, err)
		p.ran = nil
		p.command = func(_ context.Context, job *action.Job) error {
			if job.Stage.Name == "a" {
				return &shell.ExitError{Code: 3}
			}
			return nil
		}
		r, err := p.d.Run(t.Context(), p.work("a=1", "b=1<a", "c=1<b", "d=1"))
		if !diag.Is(err, diag.Stage) || !strings.Contains(err.Error(), "exit code 3") {
			t.Errorf("%v", err)
		}
		wantRan, want := []string{"a"}, "a failed, c ok"
		if keep {
			wantRan, want = []string{"a", "d"}, "a failed, c ok, d ok"
		}
		if got := p.statuses(); !slices.Equal(p.ran, wantRan) || got != want || p.state().Stages["c"].N != 1 {
			t.Errorf("keep going %v: ran %v; %s", keep, p.ran, got)
		}
		if r.Stages["b"].Blocked != "a" || r.Stages["c"].Blocked != "a" || r.Stages["d"].Blocked != "" {
			t.Errorf("%+v", r.Stages)
		}
		x := r.Entry
		if x.Status != release.EndFailed || !strings.Contains(x.Error, "exit code 3") || x.Stages["a"].Exit != 3 || x.Stages["b"].Do != "not" || x.Stages["c"].Status != action.StatusOK {
			t.Errorf("%+v", x)
		}
		if failed, verify := r.Failed(); !failed || verify {
			t.Errorf("%v, %v", failed, verify)
		}
		if !p.state().Live.IsZero() {
			t.Error("a part of it is live, not all")
		}
	}
}

func TestWhatOnlyTheVerificationFailedIsKnown(t *testing.T) {
	p := open(t)
	p.command = func(context.Context, *action.Job) error { return errors.Join(errors.New("smoke"), action.ErrVerify) }
	r, err := p.d.Run(t.Context(), p.work("a=1"))
	if failed, verify := r.Failed(); !failed || !verify || !errors.Is(err, action.ErrVerify) || p.statuses() != "a failed" {
		t.Errorf("%v, %v, %v, %s", failed, verify, err, p.statuses())
	}
}

func TestACancelledDeploymentSaysHowItEnded(t *testing.T) {
	p := open(t)
	_, err := p.d.Run(t.Context(), p.work("a=0", "b=0", "c=0"))
	must(t, err)
	p.d.Jobs, p.ran = 2, nil
	stopped := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	begun := make(chan struct{})
	p.command = func(ctx context.Context, job *action.Job) error {
		if job.Stage.Name == "b" {
			<-begun
			cancel(stopped)
			return nil // in time
		}
		close(begun)
		<-ctx.Done()
		return context.Cause(ctx)
	}
	r, err := p.d.Run(ctx, p.work("a=1", "b=1", "c=1<a"))
	if !errors.Is(err, stopped) || p.statuses() != "a failed, b ok, c ok" || p.state().Stages["c"].N != 1 || p.state().Lease != nil {
		t.Errorf("%v; %s", err, p.statuses())
	}
	if x := r.Entry; x.Status != release.EndStopped || x.Stages["b"].Status != action.StatusOK || x.Stages["c"].Do != "not" {
		t.Errorf("%+v", x)
	}
	// It was stopped while the first write was made: no command has begun.
	ctx, cancel = context.WithCancelCause(t.Context())
	p.ran = nil
	p.remote.fails(func(name string) error {
		if strings.HasSuffix(name, "/state") {
			cancel(stopped)
		}
		return nil
	})
	r, err = p.d.Run(ctx, p.work("a=2", "b=1", "c=2<a"))
	p.remote.fails(nil)
	if !errors.Is(err, stopped) || len(p.ran) > 0 || p.statuses() != "a failed, b ok, c ok" || len(r.Stages) > 0 && r.Stages["a"].Ran {
		t.Errorf("%v; ran %v; %s; %+v", err, p.ran, p.statuses(), r.Stages)
	}
}

func TestAFencedDeploymentBeginsNothingMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t)
		q := at(t, p.remote)
		p.command = func(ctx context.Context, _ *action.Job) error {
			st := q.state()
			_, err := q.d.Env.Unlock(t.Context(), st.Lease.Nonce)
			must(t, err)
			<-ctx.Done() // with the next beat
			return context.Cause(ctx)
		}
		r, err := p.d.Run(t.Context(), p.work("a=1", "b=1<a"))
		if !errors.Is(err, lease.ErrLost) || !diag.Is(err, diag.Busy) || !slices.Equal(p.ran, []string{"a"}) || p.statuses() != "a unknown" {
			t.Errorf("%v; ran %v; %s", err, p.ran, p.statuses())
		}
		if r.Stages["b"].Ran {
			t.Errorf("%+v", r.Stages)
		}
		x, err := q.d.Env.Entry(t.Context(), q.state(), 1)
		if err != nil || x.Status != release.EndUnknown {
			t.Errorf("%+v, %v", x, err)
		}
	})
}

// The run was cut off, and its command did not notice: who deploys now is the news, and the only one.
func TestARunThatWasTakenForDeadSaysWhoDeploysNow(t *testing.T) {
	for what, end := range map[string]error{"its command succeeds": nil, "its command was stopped": shell.ErrFenced} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := open(t)
				q := at(t, p.remote)
				p.command = func(ctx context.Context, _ *action.Job) error {
					p.remote.fails(func(string) error { return diag.New(diag.Network, "no route") })
					<-ctx.Done()
					p.remote.fails(nil)
					_, err := q.d.Run(t.Context(), q.work("a=2"))
					must(t, err)
					return end
				}
				_, err := p.d.Run(t.Context(), p.work("a=1"))
				if diag.ExitCode(err) != diag.Busy.Exit() || !strings.Contains(err.Error(), "fenced by #2") || len(diag.All(err)) != 1 {
					t.Errorf("%v", err)
				}
				if e := p.events[len(p.events)-1]; e.Type != event.Failed {
					t.Errorf("%+v", e)
				}
				if p.statuses() != "a ok" {
					t.Error(p.statuses())
				}
			})
		})
	}
}

func TestTheLogIsKeptBeforeTheHistoryNamesIt(t *testing.T) {
	p := open(t)
	w := p.work("a=1")
	w.Values["a"] = []action.EnvValue{{Name: "TOKEN", Value: "hunter2", Set: true, Secret: true}}
	p.command = func(_ context.Context, job *action.Job) error {
		job.Line([]byte("with hunter2"))
		return nil
	}
	log := object.Ref{Shelf: object.Logs, Digest: digest.Of([]byte("with ***\n"))}
	p.remote.fails(func(name string) error {
		if _, err := p.remote.Stat(t.Context(), log); strings.Contains(name, "/log/") && err != nil {
			t.Errorf("%s is written, and names no log: %v", name, err)
		}
		return nil
	})
	r, err := p.d.Run(t.Context(), w)
	must(t, err)
	if r.Entry.Stages["a"].Log != log.Digest || !slices.Equal(p.told(event.Output), []string{"a with ***"}) {
		t.Errorf("%+v; told %q", r.Entry.Stages["a"], p.told(event.Output))
	}
}

func TestALogThatCannotBeKeptChangesNothingElse(t *testing.T) {
	p := open(t)
	p.command = func(_ context.Context, job *action.Job) error { job.Line([]byte("text")); return nil }
	p.remote.put = func(ref object.Ref) error {
		if ref.Shelf == object.Logs {
			return diag.New(diag.Auth, "denied")
		}
		return nil
	}
	r, err := p.d.Run(t.Context(), p.work("a=1"))
	if err != nil || p.statuses() != "a ok" || !r.Entry.Stages["a"].Log.IsZero() || r.Entry.Status != release.EndOK {
		t.Errorf("%v; %s; %+v", err, p.statuses(), r.Entry)
	}
	if got := strings.Join(p.told(event.Note), "\n"); !strings.Contains(got, "the log is kept on this machine only") {
		t.Error(got)
	}
}

func TestWhatRunsInTheProjectIsDeployedFromItsCheckoutAlone(t *testing.T) {
	p := open(t)
	w := p.work("a=1")
	a := w.Stages["a"]
	a.Part.InRepo = true
	w.Stages["a"] = a
	if err := p.d.Fetch(t.Context(), w, []string{"a"}); !diag.Is(err, diag.Policy) {
		t.Error(err)
	}
	if _, err := p.d.Run(t.Context(), w); !diag.Is(err, diag.Policy) || len(p.ran) > 0 || p.statuses() != "" {
		t.Errorf("%v; ran %v; %s", err, p.ran, p.statuses())
	}
	s, in := a.Part.Stage("a", nil)
	w.Base["a"] = &action.Job{Stage: s, Params: in.Params}
	_, err := p.d.Run(t.Context(), w)
	must(t, err)
	if p.jobs["a"].Fresh || p.statuses() != "a ok" || w.Base["a"].Env != nil {
		t.Errorf("%+v; %s", p.jobs["a"], p.statuses())
	}
}

func TestObjectsThatAreNowhereKeepTheStageAsItWas(t *testing.T) {
	p := open(t)
	_, err := p.d.Run(t.Context(), p.work("a=1"))
	must(t, err)
	live := p.state().Live
	p.d.Carrier.NoFetch = false
	w := p.work("a=2")
	p.remote.Remove(object.Ref{Digest: digest.Of([]byte("2"))})
	a := w.Stages["a"]
	a.Part.Local = true
	w.Stages["a"] = a
	if err := p.d.Fetch(t.Context(), w, []string{"a"}); err == nil || !strings.Contains(err.Error(), "push: false") {
		t.Error(err)
	}
	r, err := p.d.Run(t.Context(), w)
	if err == nil || !errors.Is(err, store.ErrNotFound) || p.statuses() != "a ok" || p.state().Live != live || r.Stages["a"].Ran || r.Entry.Status != release.EndFailed || len(p.ran) != 1 {
		t.Errorf("%v; %s; %+v", err, p.statuses(), r)
	}
}

func TestACommandSeesWhatItsKeySays(t *testing.T) {
	p := open(t)
	w := p.work("a=1")
	w.Values["a"] = []action.EnvValue{{Name: "STACK", Value: "prd", Set: true, Literal: true}, {Name: "DECLARED"}}
	_, err := p.d.Run(t.Context(), w)
	must(t, err)
	env := p.jobs["a"].Env
	for _, want := range []string{"PATH=/bin", "CREDENTIAL=x", "STACK=prd", "PIPE_STAGE=a", "PIPE_DEPLOYMENT=staging-1", "PIPE_FENCE=1"} {
		if !slices.Contains(env, want) {
			t.Errorf("it lacks %s: %q", want, env)
		}
	}
	for _, kv := range env {
		if strings.HasPrefix(kv, "DECLARED=") || strings.HasPrefix(kv, "PIPE_HASH_OLD") {
			t.Errorf("it sees %s", kv)
		}
	}
	if v, _ := shell.Getenv(env, "PIPE_ENV"); v != "staging" {
		t.Errorf("PIPE_ENV=%s", v)
	}
	if p.jobs["a"].Beats == nil || p.jobs["a"].Silence != 80*time.Second || !p.jobs["a"].Fresh {
		t.Errorf("%+v", p.jobs["a"])
	}
}

// The write between two stages fails for good: the second does not begin, and the first is told at the end.
func TestAStepThatFailsBeginsNothing(t *testing.T) {
	p := open(t)
	writes := 0
	denied := diag.New(diag.Auth, "denied")
	p.remote.fails(func(name string) error {
		if strings.HasSuffix(name, "/state") {
			if writes++; writes == 2 {
				return denied
			}
		}
		return nil
	})
	r, err := p.d.Run(t.Context(), p.work("a=1", "b=1<a"))
	if !errors.Is(err, denied) || !slices.Equal(p.ran, []string{"a"}) || p.statuses() != "a ok" || r.Entry.Status != release.EndFailed {
		t.Errorf("%v; ran %v; %s; %+v", err, p.ran, p.statuses(), r.Entry)
	}
}
