package engine_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/engine"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

// wide is layers of stages, each of which needs two of the layer before.
func wide() string {
	const layers, width = 4, 3
	var b strings.Builder
	b.WriteString("stages:\n")
	for l := range layers {
		for w := range width {
			deps := "src"
			if l > 0 {
				deps = fmt.Sprintf("out/%d-%d, out/%d-%d", l-1, w, l-1, (w+1)%width)
			}
			fmt.Fprintf(&b, "  s%d-%d: {cmd: x, deps: [%s], outs: [out/%d-%d]}\n", w, l, deps, l, w)
		}
	}
	return b.String()
}

func TestTheLockDoesNotDependOnHowManyStagesRunAtOnce(t *testing.T) {
	var locks []string
	for _, jobs := range []int{1, 2, 8} {
		p := open(t, wide(), "src")
		verbs, counts, err := p.run(engine.Options{Jobs: jobs})
		must(t, err)
		if counts.Ran != 12 || len(p.runner.jobs) != 12 {
			t.Errorf("%d at once: %+v, %d jobs", jobs, counts, len(p.runner.jobs))
		}
		locks = append(locks, verbs+"\n"+p.saved[len(p.saved)-1])
	}
	if locks[0] != locks[1] || locks[0] != locks[2] {
		t.Errorf("one at once:\n%s\neight:\n%s", locks[0], locks[2])
	}
}

// meets waits until a channel is closed; the limit is there for a broken scheduler alone.
func meets(what string, c <-chan struct{}) error {
	select {
	case <-c:
		return nil
	case <-time.After(20 * time.Second):
		return errors.New("waited in vain for " + what)
	}
}

const two = "stages:\n  a: {cmd: a, deps: [src], outs: [out/a]}\n  b: {cmd: b, deps: [src], outs: [out/b]}\n"

func TestAsManyStagesRunAtOnceAsThereAreJobs(t *testing.T) {
	p := open(t, two, "src")
	started := map[string]chan struct{}{"a": make(chan struct{}), "b": make(chan struct{})}
	p.runner.command = func(_ context.Context, job *action.Job) error {
		close(started[job.Stage.Name])
		return errors.Join(meets("a", started["a"]), meets("b", started["b"]))
	}
	p.repro("a:run b:run", engine.Options{Jobs: 2})
}

func TestOneStageRunsAtOnceUnlessMoreAreAllowed(t *testing.T) {
	for _, opt := range []engine.Options{{}, {Jobs: 1}} {
		p := open(t, wide(), "src")
		busy := make(chan struct{}, 1)
		p.runner.command = func(_ context.Context, job *action.Job) error {
			select {
			case busy <- struct{}{}:
			default:
				return errors.New("two at once")
			}
			<-busy
			return nil
		}
		if _, _, err := p.run(opt); err != nil {
			t.Error(err)
		}
	}
}

func TestStagesOfOneMutexNeverRunAtOnce(t *testing.T) {
	p := open(t, `
stages:
  a: {cmd: a, deps: [src], outs: [out/a], mutex: db}
  b: {cmd: b, deps: [src], outs: [out/b], mutex: db}
  c: {cmd: c, deps: [src], outs: [out/c]}
`, "src")
	b, c := make(chan struct{}), make(chan struct{})
	p.runner.command = func(_ context.Context, job *action.Job) error {
		switch job.Stage.Name {
		case "b":
			close(b)
		case "c":
			close(c)
		case "a": // c runs beside it, though b comes first
			select {
			case <-b:
				return errors.New("b runs while a does")
			case <-c:
			case <-time.After(20 * time.Second):
				return errors.New("waited in vain for c")
			}
		}
		return nil
	}
	p.repro("a:run b:run c:run", engine.Options{Jobs: 2})
}

// fails makes the commands of these stages fail.
func (p *project) fails(names ...string) {
	p.runner.command = func(_ context.Context, job *action.Job) error {
		for _, n := range names {
			if job.Stage.Name == n {
				job.Line([]byte("printed by " + n))
				return &shell.ExitError{Code: 3}
			}
		}
		return nil
	}
}

func TestAFailureStopsTheRun(t *testing.T) {
	p := open(t, chain, "src", "other")
	p.fails("a")
	verbs, counts, err := p.run(all)
	if verbs != "a:run b:blocked c:" || counts != (event.Counts{Failed: 1, Not: 2}) || !diag.Is(err, diag.Stage) {
		t.Errorf("%s, %+v: %v", verbs, counts, err)
	}
	for _, want := range []string{"pipe.yaml:3:3", "a: the command failed: exit code 3"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	last := p.events[len(p.events)-2] // before b is said to be blocked
	if last.Type != event.Failed || last.Stage != "a" || last.Exit != 3 || !strings.Contains(last.Text, "exit code 3") {
		t.Errorf("the last event is %+v", last)
	}
	if len(p.lock.Stages) > 0 || len(p.saved) > 0 {
		t.Error("the lock holds what failed")
	}
}

func TestKeepGoingRunsWhatDoesNotNeedTheFailure(t *testing.T) {
	p := open(t, strings.Replace(chain, "c: {cmd: c", "e: {cmd: e, deps: [src], outs: [out/e]}\n  c: {cmd: c", 1), "src", "other")
	p.fails("a", "e")
	verbs, counts, err := p.run(engine.Options{KeepGoing: true})
	if verbs != "a:run b:blocked c:run e:run" || counts != (event.Counts{Failed: 2, Not: 1, Ran: 1}) {
		t.Errorf("%s, %+v", verbs, counts)
	}
	if n := len(diag.All(err)); n != 2 {
		t.Errorf("%d failures are told: %v", n, err)
	}
	if len(p.lock.Stages) != 1 || len(p.saved) != 1 {
		t.Errorf("%d stages in the lock, written %d times", len(p.lock.Stages), len(p.saved))
	}
	p.runner.command = nil
	_, counts, err = p.run(all)
	if err != nil || counts != (event.Counts{Ran: 3, Skipped: 1}) {
		t.Errorf("afterwards: %+v, %v", counts, err)
	}
}

func TestCountsSayWhatBecameOfTheStages(t *testing.T) {
	p := open(t, chain, "src", "other")
	p.repro("a:run", engine.Options{Targets: []string{"a"}, Push: true})
	q := p.clone()
	if _, counts, err := q.run(all); err != nil || counts != (event.Counts{Restored: 1, Ran: 2}) {
		t.Errorf("%+v, %v", counts, err)
	}
	if _, counts, err := q.run(all); err != nil || counts != (event.Counts{Skipped: 3}) {
		t.Errorf("%+v, %v", counts, err)
	}
}

func TestTargetsSelectWhatTheyNeed(t *testing.T) {
	const line = `
stages:
  a: {cmd: a, deps: [src], outs: [out/a]}
  b: {cmd: b, deps: [out/a], outs: [out/b]}
  c: {cmd: c, deps: [out/b], outs: [out/c]}
  d: {cmd: d, deps: [src], outs: [out/d]}
`
	for _, c := range []struct {
		opt  engine.Options
		want string
	}{
		{engine.Options{}, "a:skip b:skip c:skip d:skip"},
		{engine.Options{Targets: []string{"b"}}, "a:skip b:skip"},
		{engine.Options{Targets: []string{"d", "a"}}, "a:skip d:skip"},
		{engine.Options{Targets: []string{"b"}, Single: true}, "b:skip"},
		{engine.Options{Targets: []string{"c", "a"}, Single: true, Jobs: 4}, "c:skip a:skip"},
		{engine.Options{Targets: []string{"c", "a"}, Single: true, Jobs: 4, Force: true}, "c:run a:run"},
		{engine.Options{Targets: []string{"b"}, Downstream: true}, "b:skip c:skip"},
		{engine.Options{Targets: []string{"b"}, Downstream: true, Force: true}, "b:run c:run"},
		{engine.Options{Targets: []string{"b"}, Force: true}, "a:skip b:run"},
		{engine.Options{Targets: []string{"b"}, Pipeline: true}, "a:skip b:skip c:skip"},
		{engine.Options{Targets: []string{"c"}, Pipeline: true, Force: true}, "a:run b:run c:run"},
	} {
		p := open(t, line, "src")
		p.repro("a:run b:run c:run d:run", all)
		p.repro(c.want, c.opt)
	}
	p := open(t, line, "src")
	for _, opt := range []engine.Options{{Targets: []string{"nobody"}}, {Single: true}, {Downstream: true}, {Pipeline: true}} {
		if verbs, _, err := p.run(opt); !diag.Is(err, diag.Usage) || verbs != "" {
			t.Errorf("%+v: %s, %v", opt, verbs, err)
		}
	}
}

func TestAStageAloneTakesTheOthersAsTheLockOrTheDiskHasThem(t *testing.T) {
	alone := engine.Options{Targets: []string{"b"}, Single: true}
	p := open(t, chain, "src", "other")
	_, _, err := p.run(alone)
	if !diag.Is(err, diag.NotFound) || !strings.Contains(err.Error(), "out/a does not exist: stage a, which creates it, has not run") {
		t.Errorf("nothing there: %v", err)
	}
	p.write("out/a", "by hand")
	here, err := p.work.Save(t.Context(), p.cache, "out/a")
	must(t, err)
	p.repro("b:run", alone)
	if got := p.job("b").Made[0]; !got.Same(here) {
		t.Errorf("b got %v", got)
	}
	p = open(t, chain, "src", "other")
	p.repro(allRan, all)
	p.write("src", "changed")
	p.write("out/a", "by hand")
	p.repro("b:skip", alone)
}

func TestALockDropsWhatItMustNotHold(t *testing.T) {
	p := open(t, chain+"  live: {cmd: x, deps: [src]}\n", "src", "other")
	p.repro(allRan, engine.Options{Targets: []string{"a", "b", "c"}})
	for _, name := range []string{"gone", "live"} {
		p.lock.Set(lockfile.Stage{Name: name, Outs: p.locked("a").Outs})
	}
	p.repro(allSkipped, engine.Options{Targets: []string{"a", "b", "c"}})
	if p.lock.Stage("gone") != nil || p.lock.Stage("live") != nil || len(p.saved) != 2 || p.saved[1] != p.saved[0] {
		t.Errorf("the lock says\n%s", p.lock.Encode())
	}
}

func TestTheLockIsWrittenNowAndThen(t *testing.T) {
	writes := func(step time.Duration) int {
		p := open(t, chain, "src", "other")
		now := clock()
		p.engine.Now = func() time.Time { now = now.Add(step); return now }
		p.repro(allRan, all)
		return len(p.saved)
	}
	if n := writes(time.Second); n != 3 {
		t.Errorf("three slow stages: written %d times", n)
	}
	// The machine may be too busy for three fast ones, but not each time.
	for range 20 {
		if writes(0) == 1 {
			return
		}
	}
	t.Error("three fast stages: written more than once each time")
}

func TestALockThatCannotBeWrittenFailsTheRun(t *testing.T) {
	full := errors.New("disk full")
	p := open(t, chain, "src", "other")
	p.engine.SaveLock = func(*lockfile.File) error { return full }
	if _, _, err := p.run(all); !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
}

func TestAnInterruptedRunKeepsWhatWasDone(t *testing.T) {
	for sig, kind := range map[os.Signal]diag.Kind{os.Interrupt: diag.Interrupted, syscall.SIGTERM: diag.Terminated} {
		p := open(t, chain, "src", "other")
		ctx, cancel := context.WithCancelCause(t.Context())
		p.runner.command = func(ctx context.Context, job *action.Job) error {
			if job.Stage.Name == "b" {
				cancel(shell.SignalError{Signal: sig})
				<-ctx.Done()
				return context.Cause(ctx)
			}
			return nil
		}
		verbs, counts, err := p.runWithin(ctx, engine.Options{KeepGoing: true})
		if verbs != "a:run b:run c:" || counts != (event.Counts{Ran: 1, Failed: 1, Not: 1}) || !diag.Is(err, kind) {
			t.Errorf("%s, %+v: %v", verbs, counts, err)
		}
		if n := len(diag.All(err)); n != 1 {
			t.Errorf("%d problems are told: %v", n, err)
		}
		if len(p.saved) != 1 || len(p.lock.Stages) != 1 {
			t.Errorf("%d stages in the lock, written %d times", len(p.lock.Stages), len(p.saved))
		}
		p.runner.command = nil
		p.repro("a:skip b:run c:run", all)
	}
}

func TestAFailureBeforeTheInterruptionIsToldToo(t *testing.T) {
	p := open(t, two, "src")
	ctx, cancel := context.WithCancelCause(t.Context())
	p.runner.command = func(context.Context, *action.Job) error {
		cancel(shell.SignalError{Signal: os.Interrupt})
		return diag.New(diag.Stage, "a real failure")
	}
	_, _, err := p.runWithin(ctx, all)
	if !diag.Is(err, diag.Interrupted) || !strings.Contains(err.Error(), "a real failure") {
		t.Errorf("%v", err)
	}
}

func TestATimeoutIsToldWithItsLength(t *testing.T) {
	p := open(t, strings.Replace(one, "cmd: a,", "cmd: a, timeout: 90s,", 1), "src")
	p.runner.command = func(context.Context, *action.Job) error { return action.ErrTimeout }
	_, _, err := p.run(all)
	if !diag.Is(err, diag.Stage) || !errors.Is(err, action.ErrTimeout) || !strings.Contains(err.Error(), "timed out after 1m30s") {
		t.Errorf("%v", err)
	}
}

func TestAnErrorWithoutAKindIsToldWithTheStage(t *testing.T) {
	p := open(t, one, "src")
	p.runner.command = func(context.Context, *action.Job) error { return errors.New("no such machine") }
	_, _, err := p.run(all)
	if err == nil || err.Error() != "a: no such machine" {
		t.Errorf("%v", err)
	}
	p.runner.bytes = func(*action.Job, spec.Out) string { return "x" }
	p.runner.command = nil
	p.repro("a:run", all)
}

func TestMissingWorkingDirectoriesAreNamedBeforeAnythingRuns(t *testing.T) {
	p := open(t, `
stages:
  a: {cmd: a, deps: [src], outs: [out/a]}
  b: {cmd: b, wdir: none, deps: [../src], outs: [../out/b]}
  c: {cmd: c, wdir: src, deps: [../other], outs: [../out/c]}
  d: {cmd: d, wdir: fresh, deps: [../src], deploy: true}
  e: {cmd: e, wdir: made, deps: [../src], outs: [x/y]}
  f: {cmd: f, wdir: made/x, deps: [y], outs: [../../out/f]}
  g: {cmd: g, wdir: gone, frozen: true, outs: [../out/g]}
  h: {cmd: h, wdir: other, deps: [../src], outs: [h]}
  i: {cmd: i, wdir: made/x/y, deps: [../../../src], outs: [../../../out/i]}
`, "src", "other", "out/g")
	verbs, _, err := p.run(all)
	if all := diag.All(err); len(all) != 4 || verbs != "" || !diag.Is(err, diag.Usage) ||
		!strings.Contains(err.Error(), "b: the working directory none does not exist") || !strings.Contains(err.Error(), "c: the working directory src is not a directory") {
		t.Fatalf("%s, %v", verbs, err)
	}
	if _, _, err := p.run(engine.Options{Targets: []string{"f"}}); err != nil {
		t.Errorf("a directory that a stage makes: %v", err)
	}
	if _, _, err := p.run(engine.Options{Dry: true}); len(diag.All(err)) != 4 {
		t.Errorf("the plan: %v", err)
	}
}
