package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/engine"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/event"
)

const one = "stages:\n  a: {cmd: a, deps: [src], outs: [out/a]}\n"

var force = engine.Options{Force: true}

func TestForceRaisesTheGeneration(t *testing.T) {
	p := open(t, one, "src")
	p.runner.bytes = numbered("build")
	p.repro("a:run", all)
	first := p.id("a")
	if first.Generation != 0 || p.record(p.cache, first).ID != first {
		t.Errorf("the first build is %s", first)
	}
	for n := 1; n <= 2; n++ {
		p.repro("a:run", force)
		id := object.RunID{Key: first.Key, Generation: n}
		if p.reasons("a") != event.ForcedRun || p.id("a") != id {
			t.Errorf("forced %d times: %s because %s", n, p.id("a"), p.reasons("a"))
		}
		if rec := p.record(p.cache, id); rec == nil || !rec.Outs[0].Same(p.out("a")) {
			t.Errorf("generation %d is recorded as %v", n, rec)
		}
	}
	p.repro("a:skip", all)
}

func TestForceMeansTheTargetsAlone(t *testing.T) {
	p := open(t, chain, "src", "other")
	p.repro(allRan, all)
	p.repro("a:skip b:run", engine.Options{Force: true, Targets: []string{"b"}})
	p.repro(allRan, force)
}

func TestAForcedBuildStandsForItsInputsFromThenOn(t *testing.T) {
	p := open(t, one, "src")
	p.runner.bytes = numbered("build")
	p.repro("a:run", engine.Options{Push: true})
	p.repro("a:run", engine.Options{Push: true, Force: true})
	forced := *p.locked("a")
	p.write("src", "B")
	p.repro("a:run", all)
	p.write("src", "src")
	p.repro("a:restore", all)
	if now := p.locked("a"); now.Generation != 1 || now.Outs[0] != forced.Outs[0] {
		t.Errorf("generation %d, %v", now.Generation, now.Outs)
	}
	q := p.clone()
	q.repro("a:restore", all)
	if q.id("a") != p.id("a") || q.out("a") != forced.Outs[0] {
		t.Errorf("elsewhere: %s", q.id("a"))
	}
}

func TestLookUpsGoOnUntilAGenerationIsMissing(t *testing.T) {
	p := open(t, one, "src")
	p.repro("a:run", engine.Options{Push: true})
	p.repro("a:run", engine.Options{Push: true, Force: true})
	p.remote.n = nil
	p.clone().repro("a:restore", all)
	key := p.id("a").Key
	for n, want := range []int{1, 1, 1, 0} {
		id := object.RunID{Key: key, Generation: n}
		if got := p.remote.n["lookup "+id.Name()]; got != want {
			t.Errorf("%s was looked up %d times, want %d", id.Short(), got, want)
		}
	}
}

func TestANewGenerationIsAboveAllThatLockAndRecordsName(t *testing.T) {
	p := open(t, one, "src")
	p.runner.bytes = numbered("build")
	p.repro("a:run", engine.Options{Push: true})
	old := copyOf(p.lock)
	p.repro("a:run", engine.Options{Push: true, Force: true})
	p.repro("a:run", engine.Options{Push: true, Force: true})
	for _, c := range []struct {
		name   string
		remote *remote
		locked int // -1: nothing
		want   int
	}{
		{"an older lock", p.remote, 0, 3},
		{"a newer lock", p.remote, 7, 8},
		{"records alone", p.remote, -1, 3},
		{"a lock alone", newRemote(), 7, 8},
		{"nothing", newRemote(), -1, 0},
	} {
		q := p.clone()
		q.remote = c.remote
		q.start()
		if c.locked >= 0 {
			block := *old.Stage("a")
			block.Generation = c.locked
			q.lock.Set(block)
		}
		q.repro("a:run", force)
		if got := q.id("a").Generation; got != c.want {
			t.Errorf("%s: generation %d, want %d", c.name, got, c.want)
		}
	}
}

func TestAGenerationAtItsBoundIsNotRaised(t *testing.T) {
	for name, c := range map[string]struct {
		generation int
		opt        engine.Options
		want       string
	}{
		"forced, at the bound": {artifact.MaxGeneration, force, ""},
		"forced, one below":    {artifact.MaxGeneration - 1, force, "a:run"},
		"planned":              {artifact.MaxGeneration, engine.Options{Force: true, Dry: true}, ""},
		"not forced":           {artifact.MaxGeneration, all, "a:skip"},
	} {
		p := open(t, one, "src")
		p.repro("a:run", all)
		p.locked("a").Generation = c.generation
		before := string(p.lock.Encode())
		if c.want != "" {
			p.repro(c.want, c.opt)
			if p.id("a").Generation > artifact.MaxGeneration {
				t.Errorf("%s: %s", name, p.id("a"))
			}
			continue
		}
		verbs, _, err := p.run(c.opt)
		if !diag.Is(err, diag.Policy) || !strings.Contains(err.Error(), "generation 2147483647, the last one") || p.jobs() != "" {
			t.Errorf("%s: %s, jobs %s: %v", name, verbs, p.jobs(), err)
		}
		if e := diag.All(err)[0]; e.Place == "" || !strings.Contains(e.Hint, "pipe repro") {
			t.Errorf("%s: at %q, hint %q", name, e.Place, e.Hint)
		}
		if now := string(p.lock.Encode()); now != before {
			t.Errorf("%s: the lock is now\n%s", name, now)
		}
		p.declare(strings.Replace(one, "cmd: a", "cmd: 'a # again'", 1))
		p.repro("a:run", all)
	}
}

func TestALostOutAtTheBoundIsNotBuiltInVain(t *testing.T) {
	p := alone(t, fork, "src", "b.txt", "d.txt")
	p.repro("a:run b:run d:run x:run", all)
	p.locked("a").Generation = artifact.MaxGeneration
	p.loses(p.locked("a").Outs[1])
	p.write("d.txt", "changed")
	if _, _, err := p.run(all); !diag.Is(err, diag.Policy) || p.jobs() != "d" {
		t.Errorf("jobs %s: %v", p.jobs(), err)
	}
}

// fork is a stage with two outs, one that needs the first, one that needs the
// second, and one that needs neither.
const fork = `
stages:
  a: {cmd: a, deps: [src], outs: [out/a1, out/a2]}
  b: {cmd: b, deps: [out/a1, b.txt], outs: [out/b]}
  d: {cmd: d, deps: [out/a2, d.txt], outs: [out/d]}
  x: {cmd: x, deps: [b.txt], outs: [out/x]}
`

// loses removes the stage's out from the cache.
func (p *project) loses(o artifact.Output) {
	p.t.Helper()
	must(p.t, p.cache.Remove(p.t.Context(), object.Of(o)))
}

func TestALostOutIsBuiltAgainWhereNobodyElseMayHaveIt(t *testing.T) {
	p := alone(t, fork, "src", "b.txt", "d.txt")
	p.repro("a:run b:run d:run x:run", all)
	p.loses(p.locked("a").Outs[1])
	p.write("d.txt", "changed")
	p.repro("a:run b:skip d:run x:skip", all)
	if p.reasons("a") != event.Lost || p.jobs() != "d a d" || p.id("a").Generation != 0 {
		t.Errorf("a because %s; jobs %s; %s", p.reasons("a"), p.jobs(), p.id("a"))
	}
	if !strings.Contains(p.told(event.Note), "running it again") || p.told(event.Failed) != "" {
		t.Errorf("notes: %s; failures: %s", p.told(event.Note), p.told(event.Failed))
	}
}

func TestWhatNeedsALostOutIsDecidedAnew(t *testing.T) {
	p := alone(t, fork, "src", "b.txt", "d.txt")
	p.runner.bytes = numbered("build")
	p.repro("a:run b:run d:run x:run", all)
	first := p.id("a")
	p.loses(p.locked("a").Outs[1])
	p.write("b.txt", "changed")
	p.write("d.txt", "changed")
	// b and x are done when d finds that out/a2 is nowhere; then a makes other bytes than before.
	p.repro("a:run b:run d:run x:run", engine.Options{KeepGoing: true})
	if p.jobs() != "b d x a b d" {
		t.Errorf("jobs: %s", p.jobs())
	}
	a, b, d := p.locked("a"), p.locked("b"), p.locked("d")
	if b.Deps[1].Digest != a.Outs[0].Digest || d.Deps[1].Digest != a.Outs[1].Digest {
		t.Error("the lock holds builds from the old bytes")
	}
	// The lost build's record stands for ever; the new one has its own.
	if a.Generation != first.Generation+1 || !p.record(p.cache, p.id("a")).Outs[1].Same(a.Outs[1]) {
		t.Errorf("a is %s", p.id("a"))
	}
	p.repro("a:skip b:skip d:skip x:skip", all)
}

func TestABuildThatIsNowhereIsAnErrorWhereARemoteMayGetIt(t *testing.T) {
	p := open(t, fork, "src", "b.txt", "d.txt")
	p.repro("a:run b:run d:run x:run", all)
	p.loses(p.locked("a").Outs[1])
	p.write("d.txt", "changed")
	verbs, counts, err := p.run(all)
	var missing *transfer.Missing
	if !errors.As(err, &missing) || missing.Path != "out/a2" || !strings.Contains(err.Error(), "a: out/a2") || counts.Failed != 1 {
		t.Errorf("%s: %v, %+v", verbs, err, counts)
	}
	if p.jobs() != "d" {
		t.Errorf("jobs: %s", p.jobs())
	}
	p.repro("a:run b:skip d:run x:skip", engine.Options{RebuildMissing: true})
}

func TestAnOutThatNeverLeavesThisMachineIsBuiltAgain(t *testing.T) {
	p := open(t, strings.Replace(fork, "out/a2]}", "{path: out/a2, push: false}]}", 1), "src", "b.txt", "d.txt")
	p.repro("a:run b:run d:run x:run", all)
	p.loses(p.locked("a").Outs[1])
	p.write("d.txt", "changed")
	p.repro("a:run b:skip d:run x:skip", all)
	if p.reasons("a") != event.Lost {
		t.Errorf("a because %s", p.reasons("a"))
	}
	// The other out may have been pushed: it is not built again.
	p.loses(p.locked("a").Outs[0])
	p.write("b.txt", "changed")
	if _, _, err := p.run(all); !errors.As(err, new(*transfer.Missing)) {
		t.Errorf("the out that may be pushed: %v", err)
	}
}

func TestALostOutIsBuiltAgainOnce(t *testing.T) {
	p := alone(t, fork, "src", "b.txt", "d.txt")
	p.repro("a:run b:run d:run x:run", all)
	p.loses(p.locked("a").Outs[1])
	p.write("d.txt", "changed")
	p.runner.command = func(_ context.Context, job *action.Job) error {
		if job.Stage.Name == "d" {
			return &transfer.Missing{Path: "out/a2"}
		}
		return nil
	}
	_, counts, err := p.run(all)
	if !errors.As(err, new(*transfer.Missing)) || p.jobs() != "d a d" || counts.Failed != 1 {
		t.Errorf("jobs %s, %+v: %v", p.jobs(), counts, err)
	}
}

func TestWhatRanOrFailedIsNotRepeatedForALostOut(t *testing.T) {
	p := alone(t, fork, "src", "b.txt", "d.txt")
	p.repro("a:run b:run d:run x:run", all)
	p.loses(p.locked("a").Outs[1])
	p.write("b.txt", "changed")
	p.write("d.txt", "changed")
	p.runner.command = func(_ context.Context, job *action.Job) error {
		if job.Stage.Name == "x" {
			return diag.New(diag.Stage, "x fails")
		}
		return nil
	}
	_, counts, err := p.run(engine.Options{KeepGoing: true, Targets: []string{"x", "d", "b"}})
	if err == nil || counts.Failed != 1 || strings.Count(p.jobs(), "x") != 1 {
		t.Errorf("jobs %s, %+v: %v", p.jobs(), counts, err)
	}
}

func TestAPlanTellsOfLostBytes(t *testing.T) {
	p := alone(t, "stages:\n  a: {cmd: a, deps: [src], outs: [dir/]}\n  b: {cmd: b, deps: [dir/x], outs: [out/b]}\n", "src")
	p.repro("a:run b:run", all)
	p.loses(p.out("a"))
	p.declare(strings.Replace(p.yaml, "dir/x", "dir/sub", 1))
	_, _, err := p.run(engine.Options{Dry: true})
	if !errors.As(err, new(*transfer.Missing)) || p.told(event.Note) != "" {
		t.Errorf("%v; notes: %s", err, p.told(event.Note))
	}
	p.repro("a:run b:run", all)
}

func TestABuildThatRunsBesideAnotherTakesTheFirstRecord(t *testing.T) {
	p := open(t, one, "src")
	q := p.clone()
	q.runner.bytes, p.runner.bytes = numbered("q"), func(_ *action.Job, o spec.Out) string { return "p" }
	p.write("out/a", "p")
	p.runner.command = func(context.Context, *action.Job) error {
		_, _, err := q.run(engine.Options{Push: true})
		return err
	}
	p.repro("a:run", engine.Options{Push: true})
	if p.out("a") != q.out("a") || p.read("out/a") != "q 1 out/a" {
		t.Errorf("the lock says %s, out/a holds %q", p.out("a").Digest.Short(), p.read("out/a"))
	}
	if !strings.Contains(p.told(event.Note), "ann built the same inputs first") {
		t.Errorf("notes: %s", p.told(event.Note))
	}
	if rec := p.record(p.cache, p.id("a")); !rec.Outs[0].Same(q.out("a")) {
		t.Error("the cache keeps the loser's record")
	}
	if len(p.runner.settled) != 1 || !p.runner.settled[0] {
		t.Errorf("settled: %v", p.runner.settled)
	}
}
