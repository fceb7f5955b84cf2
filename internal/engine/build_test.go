package engine_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/engine"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/event"
)

// chain is two stages, one after the other, and one beside them.
const chain = `
stages:
  a: {cmd: a, deps: [src], outs: [out/a]}
  b: {cmd: b, deps: [out/a], outs: [out/b]}
  c: {cmd: c, deps: [other], outs: [out/c]}
`

const allRan, allSkipped = "a:run b:run c:run", "a:skip b:skip c:skip"

var all = engine.Options{}

func TestASecondRunAsksTheRunnerForNothing(t *testing.T) {
	p := open(t, chain, "src", "other")
	p.repro(allRan, all)
	if p.jobs() != "a b c" || p.reasons("a") != event.NeverRun {
		t.Errorf("the first run: jobs %s, because %s", p.jobs(), p.reasons("a"))
	}
	if rec := p.record(p.cache, p.id("a")); !rec.Log.IsZero() || len(rec.Inputs) > 0 {
		t.Errorf("a silent command that reads a file has notes: %+v", rec)
	}
	written := len(p.saved)
	p.repro(allSkipped, all)
	if p.jobs() != "" || p.reasons("b") != event.OutsAbsent || len(p.saved) != written {
		t.Errorf("the second run: jobs %q, because %s, lock written %d times more", p.jobs(), p.reasons("b"), len(p.saved)-written)
	}
}

func TestAChangedInputRunsTheStagesBelowItAlone(t *testing.T) {
	p := open(t, chain, "src", "other")
	p.repro(allRan, all)
	c := p.out("c")
	p.write("src", "changed")
	p.repro("a:run b:run c:skip", all)
	if p.reasons("a") != event.DepChanged || p.reasons("b") != event.DepChanged || p.out("c") != c {
		t.Errorf("a because %s, b because %s", p.reasons("a"), p.reasons("b"))
	}
	if !strings.HasSuffix(p.saved[len(p.saved)-1], string(p.lock.Encode())) {
		t.Error("the lock's file is not the lock")
	}
	p.write("src", "src")
	p.repro("a:restore b:restore c:skip", all)
	if p.jobs() != "" || p.reasons("a") != event.Recorded+" "+event.DepChanged {
		t.Errorf("back to the first input: jobs %q, because %s", p.jobs(), p.reasons("a"))
	}
}

func TestEqualBytesEndARebuildEarly(t *testing.T) {
	p := open(t, chain, "src", "other")
	p.runner.bytes = func(_ *action.Job, o spec.Out) string { return string(o.Path) }
	p.repro(allRan, all)
	p.write("src", "changed")
	p.repro("a:run b:skip c:skip", all)
}

func TestWhatAnotherMachinePublishedIsRestored(t *testing.T) {
	p := open(t, chain, "src", "other")
	p.repro(allRan, engine.Options{Push: true})
	q := p.clone()
	q.repro("a:restore b:restore c:restore", all)
	if q.jobs() != "" || string(q.lock.Encode()) != string(p.lock.Encode()) {
		t.Errorf("jobs %q; the lock is\n%s\nwant\n%s", q.jobs(), q.lock.Encode(), p.lock.Encode())
	}
	if _, err := os.Stat(q.path("out/a")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an out that nobody read came: %v", err)
	}
	q.repro(allSkipped, all)
}

func TestWhatLiesAtARestoredOutGetsTheRecordedBytesAndIsKept(t *testing.T) {
	p := open(t, chain, "src", "other")
	p.runner.bytes = func(_ *action.Job, o spec.Out) string { return "built " + string(o.Path) }
	p.repro(allRan, engine.Options{Push: true})
	q := p.clone()
	q.write("out/a", "edited")
	q.repro("a:restore b:restore c:restore", all)
	if q.read("out/a") != "built out/a" || !strings.Contains(q.told(event.Note), "out/a was edited") {
		t.Errorf("out/a holds %q; notes: %s", q.read("out/a"), q.told(event.Note))
	}
	q.write("out/b", "edited, too")
	q.repro("a:skip b:restore c:skip", all)
	if q.read("out/b") != "built out/b" || q.reasons("b") != event.OutEdited {
		t.Errorf("out/b holds %q because %s", q.read("out/b"), q.reasons("b"))
	}
	if q.reasons("a") != event.Unchanged {
		t.Errorf("a because %s", q.reasons("a"))
	}
}

func TestOutsInEachOthersPlacesAreRestored(t *testing.T) {
	p := open(t, "stages:\n  a: {cmd: a, deps: [src], outs: [x, y]}\n", "src")
	p.runner.bytes = func(_ *action.Job, o spec.Out) string { return "built " + string(o.Path) }
	p.repro("a:run", all)
	p.write("x", "built y")
	p.write("y", "built x")
	p.repro("a:restore", all)
	if p.read("x") != "built x" || p.read("y") != "built y" {
		t.Errorf("x holds %q, y %q", p.read("x"), p.read("y"))
	}
}

func TestAnOutThatGitKeepsIsBuiltAgainWhenItDiffers(t *testing.T) {
	p := open(t, "stages:\n  a: {cmd: a, deps: [src], outs: [{path: kept, cache: false}, out/a]}\n", "src")
	p.runner.bytes = func(_ *action.Job, o spec.Out) string { return "built " + string(o.Path) }
	p.repro("a:run", all)
	p.repro("a:run", all)
	if p.reasons("a") != event.OutMissing {
		t.Errorf("because %s", p.reasons("a"))
	}
	p.write("kept", "built kept")
	p.repro("a:skip", all)
	p.write("kept", "edited")
	p.repro("a:run", all)
	if p.reasons("a") != event.OutEdited {
		t.Errorf("because %s", p.reasons("a"))
	}
}

// elsewhere is a record of the stage's key whose outs are at other paths than pipe.yaml says.
func (p *project) elsewhere(stage string) *object.Record {
	rec := p.record(p.cache, p.id(stage))
	rec.Outs = []artifact.Output{rec.Outs[0]}
	rec.Outs[0].Path = "elsewhere"
	return rec
}

func TestARecordWithOtherOutsThanDeclaredIsNotBelieved(t *testing.T) {
	p := open(t, chain, "src", "other")
	p.repro(allRan, all)
	forged, err := p.elsewhere("a").Encode()
	must(t, err)
	if _, err := p.remote.Record(t.Context(), p.id("a"), forged); err != nil {
		t.Fatal(err)
	}
	q := p.clone()
	q.repro(allRan, all)
	if q.out("a").Path != "out/a" {
		t.Errorf("the lock says %s", q.out("a").Path)
	}
	_, _, err = p.clone().run(engine.Options{Push: true})
	if !diag.Is(err, diag.Integrity) || !strings.Contains(err.Error(), "does not list the outputs in pipe.yaml") {
		t.Errorf("publishing beside it: %v", err)
	}
}

func TestALockWithOtherOutsThanDeclaredIsNotBelieved(t *testing.T) {
	p := open(t, chain, "src", "other")
	p.repro(allRan, all)
	forged := *p.locked("a")
	forged.Outs = p.elsewhere("a").Outs
	q := p.clone()
	q.lock.Set(forged)
	q.repro(allRan, all)
	if q.out("a").Path != "out/a" || q.reasons("a") != event.OutsChanged+" "+event.OutsChanged {
		t.Errorf("the lock says %s; a ran because %s", q.out("a").Path, q.reasons("a"))
	}
}

func TestADamagedRecordIsToldWithItsPlace(t *testing.T) {
	p := open(t, chain, "src", "other")
	p.repro(allRan, all)
	if _, err := p.remote.Record(t.Context(), p.id("a"), []byte("{")); err != nil {
		t.Fatal(err)
	}
	_, _, err := p.clone().run(all)
	if !diag.Is(err, diag.Integrity) || !strings.Contains(err.Error(), "runs/k1/") {
		t.Errorf("%v", err)
	}
}

func TestALockOfALaterTimeDoesNotNeedTheRecord(t *testing.T) {
	p := open(t, chain, "src", "other")
	p.repro(allRan, all)
	q := p.clone()
	q.lock = copyOf(p.lock)
	q.repro(allSkipped, all)
	if n := q.remote.n["lookup "+q.id("a").Name()]; n != 1 { // p's own
		t.Errorf("the remote was asked %d times for the record", n)
	}
}

func TestAlwaysChangedRunsEachTimeAndIsNeverRecorded(t *testing.T) {
	p := open(t, "stages:\n  a: {cmd: a, deps: [src], outs: [out/a], always_changed: true}\n", "src")
	p.repro("a:run", engine.Options{Push: true})
	p.repro("a:run", all)
	if p.record(p.cache, p.id("a")) != nil || p.record(p.remote, p.id("a")) != nil {
		t.Error("it has a record")
	}
	if n := p.remote.n["lookup "+p.id("a").Name()]; n > 1 { // by this test
		t.Errorf("a record was looked for %d times", n-1)
	}
	if !has(t, p.remote, object.Of(p.out("a"))) {
		t.Error("its outs were not published")
	}
	if len(p.runner.settled) != 1 || !p.runner.settled[0] {
		t.Errorf("settled: %v", p.runner.settled)
	}
}

func TestAFrozenStageIsAsItIsRecordedElseAsItLiesThere(t *testing.T) {
	yaml := strings.Replace(chain, "cmd: a,", "cmd: a, frozen: true,", 1)
	p := open(t, yaml, "src", "other")
	verbs, _, err := p.run(all)
	if !diag.Is(err, diag.NotFound) || verbs != "a:frozen b:blocked c:" || !strings.Contains(err.Error(), "out/a does not exist") {
		t.Errorf("%s: %v", verbs, err)
	}
	p.write("out/a", "by hand")
	p.runner.carrier.NoFetch = true
	_, err = p.work.Save(t.Context(), p.cache, "out/a")
	must(t, err)
	p.repro("a:frozen b:run c:run", all)
	if o := p.outcome("a"); len(o.Outs) != 1 || !o.Done || !o.Key.IsZero() || p.events[0].Key != "" {
		t.Errorf("a: %+v, told as %+v", o, p.events[0])
	}
	if got := p.job("b").Made; len(got) != 1 || got[0].Path != "out/a" {
		t.Errorf("b got %v", got)
	}
	q := open(t, chain, "src", "other")
	q.repro(allRan, all)
	q.declare(yaml)
	q.write("src", "changed")
	q.repro("a:frozen b:skip c:skip", all)
}

func TestASkippedStageTellsTheLockOfANewTree(t *testing.T) {
	p := open(t, "stages:\n  a: {cmd: a, deps: [src], outs: [dir/]}\n  b: {cmd: b, deps: [dir/x], outs: [out/b]}\n", "src")
	p.runner.bytes = func(_ *action.Job, o spec.Out) string { return "same " + p.read("src") }
	p.repro("a:run b:run", all)
	p.repro("a:skip b:run", engine.Options{Force: true, Targets: []string{"b"}})
	if p.locked("b").Deps[0].In != p.out("a").Digest {
		t.Fatal("the lock does not say in which tree the dep was found")
	}
	p.write("src", "changed")
	p.repro("a:run b:skip", all)
	if b := p.locked("b"); b.Deps[0].In != p.out("a").Digest || b.Generation != 1 || p.outcome("b").Generation != 1 {
		t.Errorf("the lock names a tree that is gone, or generation %d", b.Generation)
	}
	p.write("src", "again")
	if verbs, _, err := p.run(engine.Options{Dry: true}); err != nil || verbs != "a:run b:depends" {
		t.Errorf("the plan: %s, %v", verbs, err)
	}
}

func TestAPlanChangesNothing(t *testing.T) {
	p := open(t, chain, "src", "other")
	verbs, counts, err := p.run(engine.Options{Dry: true, Push: true})
	if err != nil || verbs != "a:run b:depends c:run" || p.reasons("b") != event.NeedsRun || counts.Ran != 3 {
		t.Errorf("%s, %+v: %v", verbs, counts, err)
	}
	if len(p.saved) > 0 || len(p.lock.Stages) > 0 || p.jobs() != "" {
		t.Errorf("lock written %d times, %d stages, jobs %q", len(p.saved), len(p.lock.Stages), p.jobs())
	}
	p.repro(allRan, engine.Options{Push: true})
	q := p.clone()
	q.write("out/a", "edited")
	verbs, _, err = q.run(engine.Options{Dry: true, Push: true})
	if err != nil || verbs != "a:restore b:restore c:restore" || q.read("out/a") != "edited" || len(q.lock.Stages) > 0 {
		t.Errorf("%s: %v; out/a holds %q", verbs, err, q.read("out/a"))
	}
}

func TestPendingIsWhatWouldRunOrBeRestored(t *testing.T) {
	for verb, want := range map[event.Verb]bool{event.Run: true, event.Wait: true, event.Restore: true, event.Skip: false, event.Frozen: false} {
		r := engine.Result{Stages: []engine.Outcome{{Verdict: action.Verdict{Do: event.Skip}}, {Verdict: action.Verdict{Do: verb}}}}
		if r.Pending() != want {
			t.Errorf("%s: pending is %v", verb, !want)
		}
	}
}
