package engine_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/engine"
	"github.com/pipe-build/pipe/internal/inputs"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

// deployed is a build, one of that build, and what deploys both.
const deployed = `
stages:
  a: {cmd: a, deps: [src], outs: [dir/]}
  b: {cmd: b, deps: [dir/x], outs: [out/b]}
  live: {cmd: x, deps: [dir, out/b, conf], mutex: m}
`

func TestADeploymentRunsUntilItIsLive(t *testing.T) {
	p := open(t, deployed, "src", "conf/1", "conf/2")
	p.repro("a:run b:run live:run", all)
	if p.status("live") != action.StatusOK || p.reasons("live") != event.NotDeployed {
		t.Errorf("%s because %s", p.status("live"), p.reasons("live"))
	}
	p.repro("a:skip b:skip live:skip", all)
	if p.reasons("live") != event.LiveSame {
		t.Errorf("because %s", p.reasons("live"))
	}
	q := p.clone()
	q.lock = copyOf(p.lock)
	q.repro("a:skip b:skip live:skip", all)
	q.write("conf/1", "changed")
	q.repro("a:skip b:skip live:run", all)
	if q.reasons("live") != event.LiveOther+" "+event.DepChanged {
		t.Errorf("because %s", q.reasons("live"))
	}
	p.repro("a:skip b:skip live:run", all) // the first version again
	if p.lock.Stage("live") != nil {
		t.Error("the lock speaks of a deployment")
	}
	p.repro("a:skip b:skip live:run", engine.Options{Force: true, Targets: []string{"live"}})
}

func TestADeployCommandGetsAllFilesInAFreshDirectory(t *testing.T) {
	p := open(t, deployed, "src", "conf/1", "conf/2", "unasked")
	p.repro("a:run b:run live:run", all)
	job := p.job("live")
	if got, want := listed(job.Inputs), "f conf/1, f conf/2, f dir/sub/y, x dir/x, f out/b"; !job.Fresh || got != want {
		t.Errorf("fresh %v: %s, want %s", job.Fresh, got, want)
	}
	for _, e := range job.Inputs.Entries {
		if ref := (object.Ref{Digest: e.Digest}); !has(t, p.cache, ref) || !has(t, p.remote, ref) {
			t.Errorf("%s cannot be fetched", e.Path)
		}
	}
	if closure := (object.Ref{Shelf: object.Trees, Digest: job.Inputs.Digest()}); !has(t, p.remote, closure) {
		t.Error("what was deployed cannot be looked up in the remote")
	}
	p.declare(strings.Replace(deployed, "mutex: m", "workdir: repo", 1))
	p.repro("a:skip b:skip live:run", all)
	job = p.job("live")
	if got, want := listed(job.Inputs), "f conf/1, f conf/2, t dir, f out/b"; job.Fresh || got != want {
		t.Errorf("in the repository: fresh %v: %s, want %s", job.Fresh, got, want)
	}
	if len(job.Reads) != 1 || made(job.Made) != "dir out/b" {
		t.Errorf("in the repository: reads %v, made %s", job.Reads, made(job.Made))
	}
}

func TestADeploymentPublishesWhatItIsMadeOf(t *testing.T) {
	p := open(t, deployed, "src", "conf/1")
	p.runner.command = func(_ context.Context, job *action.Job) error {
		job.Line([]byte("from " + job.Stage.Name))
		return nil
	}
	p.repro("a:run b:run live:run", all)
	for _, name := range []string{"a", "b"} {
		rec := p.record(p.remote, p.id(name))
		if rec == nil || rec.FromLock || rec.By != "ann" || rec.Seconds != 1.5 {
			t.Fatalf("%s is recorded as %+v", name, rec)
		}
		if !has(t, p.remote, object.Ref{Shelf: object.Logs, Digest: rec.Log}) || !has(t, p.remote, object.Of(p.out(name))) {
			t.Errorf("log or outs of %s are not in the remote", name)
		}
	}
	_, list, err := p.engine.Inputs.Read(t.Context(), spec.Dep{Path: "conf"}, nil, inputs.Made{})
	must(t, err)
	if !has(t, p.remote, object.Ref{Shelf: object.Inputs, Digest: list.Digest()}) {
		t.Error("the list of the deployment's inputs is not in the remote")
	}
}

func TestAFailedDeploymentIsRunAgain(t *testing.T) {
	p := open(t, deployed, "src", "conf/1")
	p.fails("live")
	_, counts, err := p.run(all)
	if counts != (event.Counts{Ran: 2, Failed: 1}) || !diag.Is(err, diag.Stage) || p.status("live") != action.StatusFailed {
		t.Errorf("%+v, %s: %v", counts, p.status("live"), err)
	}
	var e *diag.Error
	if errors.As(err, &e); !strings.Contains(e.Hint, "fresh directory that contains only their deps") {
		t.Errorf("hint: %s", e.Hint)
	}
	p.declare(strings.Replace(deployed, "mutex: m", "workdir: repo", 1))
	_, _, err = p.run(all)
	if errors.As(err, &e); strings.Contains(e.Hint, "fresh directory") {
		t.Errorf("in the repository: hint: %s", e.Hint)
	}
	p.runner.command = nil
	p.repro("a:skip b:skip live:run", all)
	if p.reasons("live") != event.LastFailed {
		t.Errorf("because %s", p.reasons("live"))
	}
}

func TestAnInterruptedDeploymentSaysHowItEnded(t *testing.T) {
	p := open(t, deployed, "src", "conf/1")
	ctx, cancel := context.WithCancelCause(t.Context())
	p.runner.command = func(ctx context.Context, job *action.Job) error {
		if job.Stage.Name != "live" {
			return nil
		}
		if p.status("live") != action.StatusUnknown { // another run's "deploying"
			t.Errorf("while it runs: %s", p.status("live"))
		}
		cancel(shell.SignalError{Signal: os.Interrupt})
		<-ctx.Done()
		return context.Cause(ctx)
	}
	_, _, err := p.runWithin(ctx, all)
	if !diag.Is(err, diag.Interrupted) || p.status("live") != action.StatusFailed {
		t.Errorf("%s: %v", p.status("live"), err)
	}
}

func TestADeploymentThatCannotSayHowItEndedFails(t *testing.T) {
	p := open(t, deployed, "src", "conf/1")
	p.runner.command = func(_ context.Context, job *action.Job) error {
		if job.Stage.Name == "live" {
			p.remote.fails("swap", diag.New(diag.Auth, "forbidden"))
		}
		return nil
	}
	if _, counts, err := p.run(all); !diag.Is(err, diag.Auth) || p.status("live") != action.StatusUnknown {
		t.Errorf("%+v, %s: %v", counts, p.status("live"), err)
	}
}

func TestNoCommandRunsWhereNobodyCanWriteThatItDoes(t *testing.T) {
	p := open(t, deployed, "src", "conf/1")
	p.remote.fails("swap", diag.New(diag.Auth, "forbidden"))
	_, _, err := p.run(all)
	if !diag.Is(err, diag.Auth) || p.jobs() != "a b" || p.status("live") != "" {
		t.Errorf("jobs %s, %s: %v", p.jobs(), p.status("live"), err)
	}
}

func TestTheLockIsWrittenBeforeADeployment(t *testing.T) {
	p := open(t, deployed, "src", "conf/1")
	asked := false
	p.remote.before("swap", func() error {
		if asked = true; len(p.saved) == 0 || p.saved[len(p.saved)-1] != string(p.lock.Encode()) || p.lock.Stage("b") == nil {
			t.Errorf("when the environment is written, the lock's file says %q", p.saved)
		}
		return nil
	})
	p.repro("a:run b:run live:run", all)
	if !asked {
		t.Error("the environment was not written")
	}
}

func TestNothingIsDeployedWhenTheLockCannotBeWritten(t *testing.T) {
	p := open(t, deployed, "src", "conf/1")
	full := errors.New("disk full")
	p.engine.SaveLock = func(*lockfile.File) error { return full }
	if _, _, err := p.run(all); !errors.Is(err, full) || p.jobs() != "a b" || p.status("live") != "" {
		t.Errorf("jobs %s, %s: %v", p.jobs(), p.status("live"), err)
	}
}

// Deployments come when nothing is left to build, and the last write of the run tries again.
func TestALockThatCouldNotBeWrittenOnceIsWrittenAtTheEnd(t *testing.T) {
	for _, keepGoing := range []bool{false, true} {
		p := open(t, deployed+"  z: {cmd: z, deps: [src], outs: [out/z], mutex: m}\n", "src", "conf/1")
		full, save, failed := errors.New("disk full"), p.engine.SaveLock, false
		p.engine.SaveLock = func(l *lockfile.File) error {
			if !failed {
				failed = true
				return full
			}
			return save(l)
		}
		_, counts, err := p.run(engine.Options{KeepGoing: keepGoing})
		if !errors.Is(err, full) || p.jobs() != "a b z" || counts.Not != 1 || p.status("live") != "" {
			t.Errorf("jobs %s, %+v: %v", p.jobs(), counts, err)
		}
		if len(p.saved) != 1 || p.lock.Stage("b") == nil {
			t.Errorf("written %d times", len(p.saved))
		}
	}
}

func TestAVersionThatAnotherRunDeployedMeanwhileIsNotDeployedAgain(t *testing.T) {
	p := open(t, deployed, "src", "conf/1")
	q := p.clone()
	busy := false
	p.remote.before("swap", func() error {
		if busy {
			return nil
		}
		busy = true
		q.repro("a:restore b:restore live:run", all)
		return store.ErrConflict
	})
	p.repro("a:run b:run live:skip", all)
	if p.jobs() != "a b" || !strings.Contains(p.told(event.Note), "another run has deployed this version") {
		t.Errorf("jobs %s; notes: %s", p.jobs(), p.told(event.Note))
	}
	if verbs, _, err := p.run(engine.Options{Dry: true}); err != nil || verbs != "a:skip b:skip live:skip" {
		t.Errorf("%s, %v", verbs, err)
	}
}

func TestAForcedOrAlwaysChangedDeploymentRunsThoughItIsLive(t *testing.T) {
	p := open(t, deployed, "src", "conf/1")
	p.repro("a:run b:run live:run", all)
	p.repro("a:run b:run live:run", force)
	p.declare(strings.Replace(deployed, "mutex: m", "always_changed: true", 1))
	p.repro("a:skip b:skip live:run", all)
	p.repro("a:skip b:skip live:run", all)
	if p.jobs() != "live" {
		t.Errorf("jobs %s", p.jobs())
	}
}

func TestConfirmIsAskedOnceBeforeTheFirstDeployment(t *testing.T) {
	const yaml = "stages:\n  a: {cmd: a, deps: [src], outs: [out/a]}\n  x: {cmd: x, deps: [out/a]}\n  y: {cmd: x, deps: [out/a]}\n"
	p := open(t, yaml, "src")
	var asked []string
	answer := diag.New(diag.Policy, "no")
	opt := engine.Options{KeepGoing: true, Confirm: func(o *engine.Outcome) error {
		asked = append(asked, o.Stage.Name+" "+o.Verdict.Because[0].Code)
		if answer == nil {
			return nil
		}
		return answer
	}}
	_, counts, err := p.run(opt)
	if !diag.Is(err, diag.Policy) || counts != (event.Counts{Ran: 1, Not: 2}) || p.jobs() != "a" || strings.Join(asked, ",") != "x not-deployed" {
		t.Errorf("asked %v, %+v: %v", asked, counts, err)
	}
	if p.status("x") != "" || has(t, p.remote, object.Of(p.out("a"))) {
		t.Error("something was published or written")
	}
	answer = nil
	p.repro("a:skip x:run y:run", opt)
	p.repro("a:skip x:skip y:skip", opt)
	if len(asked) != 2 {
		t.Errorf("asked: %v", asked)
	}
}

func TestNoDeployLeavesOutDeployStagesAndWhatNeedsThem(t *testing.T) {
	const yaml = "stages:\n  a: {cmd: a, deps: [src], outs: [out/a]}\n  live: {cmd: x, deps: [out/a]}\n  smoke: {check: true, cmd: s, deps: [src], needs: [live]}\n"
	p := open(t, yaml, "src")
	p.repro("a:run", engine.Options{NoDeploy: true})
	last := p.events[0]
	if last.Type != event.Note || !strings.HasSuffix(last.Text, ": live, smoke") || p.status("live") != "" {
		t.Errorf("%+v", last)
	}
	p.repro("a:skip live:run smoke:run", all)
}

func TestAPlanDeploysNothing(t *testing.T) {
	p := open(t, deployed, "src", "conf/1")
	p.repro("a:run b:run", engine.Options{Targets: []string{"b"}})
	verbs, _, err := p.run(engine.Options{Dry: true})
	if err != nil || verbs != "a:skip b:skip live:run" || p.status("live") != "" || has(t, p.remote, object.Of(p.out("b"))) {
		t.Errorf("%s, %s: %v", verbs, p.status("live"), err)
	}
}

func TestAFileThatChangesBeforeItIsDeployedIsNamed(t *testing.T) {
	p := open(t, deployed, "src", "conf/1")
	opt := engine.Options{Confirm: func(*engine.Outcome) error {
		p.write("conf/1", "conf/2") // as long as it was
		return nil
	}}
	_, _, err := p.run(opt)
	if !diag.Is(err, diag.Stage) || !strings.Contains(err.Error(), "live: conf changed while pipe read it") || p.status("live") != "" {
		t.Errorf("%s: %v", p.status("live"), err)
	}
}

func TestLostBytesOfADeploymentAreBuiltAgain(t *testing.T) {
	p := alone(t, deployed, "src", "conf/1")
	p.repro("a:run b:run live:run", all)
	p.loses(p.out("b"))
	p.write("conf/1", "changed")
	p.repro("a:skip b:run live:run", all)
	if p.reasons("b") != event.Lost || p.status("live") != action.StatusOK {
		t.Errorf("b because %s; %s", p.reasons("b"), p.status("live"))
	}
}

func TestWhatOnlyTheWorkspaceHasIsDeployed(t *testing.T) {
	p := open(t, deployed, "src", "conf/1")
	p.runner.bytes = func(_ *action.Job, o spec.Out) string { return "built " + string(o.Path) }
	p.repro("a:run b:run", engine.Options{Targets: []string{"b"}})
	p.write("out/b", "built out/b")
	p.loses(p.out("b"))
	p.repro("a:skip b:skip live:run", all)
	if !has(t, p.remote, object.Of(p.out("b"))) {
		t.Error("it is not in the remote")
	}
}

func TestADeploymentWithoutItsDepsFails(t *testing.T) {
	p := open(t, "stages:\n  live: {cmd: x, deps: [none]}\n")
	if _, counts, err := p.run(all); !diag.Is(err, diag.Usage) || counts.Failed != 1 || !strings.Contains(err.Error(), "dependency none does not exist") {
		t.Errorf("%+v: %v", counts, err)
	}
}

func TestWhatMustNotLeaveThisMachineIsDeployedFromHere(t *testing.T) {
	p := open(t, "stages:\n  a: {cmd: a, deps: [src], outs: [{path: out/a, push: false}, out/b]}\n  live: {cmd: x, deps: [out]}\n", "src")
	p.repro("a:run live:run", all)
	if listed(p.job("live").Inputs) != "f out/a, f out/b" || p.status("live") != action.StatusOK {
		t.Errorf("%s; %s", listed(p.job("live").Inputs), p.status("live"))
	}
	if outs := p.locked("a").Outs; has(t, p.remote, object.Of(outs[0])) || !has(t, p.remote, object.Of(outs[1])) {
		t.Error("out/a is in the remote, or out/b is not")
	}
	// A tree in the remote implies its files.
	if has(t, p.remote, object.Ref{Shelf: object.Trees, Digest: p.job("live").Inputs.Digest()}) {
		t.Error("the remote has a tree without its files")
	}
}

func TestWhatHasNoRecordIsDeployedWithoutOne(t *testing.T) {
	p := open(t, `
stages:
  a: {cmd: a, deps: [src], outs: [out/a], always_changed: true}
  b: {cmd: b, deps: [src], outs: [out/b, {path: out/private, push: false}]}
  c: {cmd: c, deps: [src], outs: [out/c]}
  live: {cmd: x, deps: [out/a, out/b, out/c]}
`, "src")
	p.write("out/c", "by hand")
	_, err := p.work.Save(t.Context(), p.cache, "out/c")
	must(t, err)
	p.repro("a:run b:run", engine.Options{Targets: []string{"a", "b"}})
	p.repro("live:run", engine.Options{Targets: []string{"live"}, Single: true})
	for _, o := range p.job("live").Made {
		if !has(t, p.remote, object.Of(o)) {
			t.Errorf("%s is not in the remote", o.Path)
		}
	}
	if p.record(p.remote, p.id("a")) != nil || p.record(p.remote, p.id("b")) != nil || p.lock.Stage("c") != nil {
		t.Error("somebody has a record")
	}
}

func TestADeploymentIsTold(t *testing.T) {
	p := open(t, "stages:\n  live: {cmd: x, deps: [src]}\n", "src")
	p.repro("live:run", all)
	var types []string
	for _, e := range p.events {
		types = append(types, string(e.Type))
		if !e.Deploy {
			t.Errorf("not told as a deployment: %+v", e)
		}
	}
	done := p.events[len(p.events)-1]
	if strings.Join(types, " ") != "decided started done" || done.Seconds != 1.5 || done.Key == "" {
		t.Errorf("%v; the last: %+v", types, done)
	}
	if len(p.runner.settled) != 1 || !p.runner.settled[0] {
		t.Errorf("settled: %v", p.runner.settled)
	}
}
