package engine_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/engine"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/event"
)

var push = engine.Options{Push: true}

// rivals are two machines that make other bytes of the same inputs, of which the
// second has published its own.
func rivals(t *testing.T, yaml string, files ...string) (p, q *project) {
	t.Helper()
	p = open(t, yaml, files...)
	q = p.clone()
	p.runner.bytes = func(_ *action.Job, o spec.Out) string { return "p made " + string(o.Path) }
	q.runner.bytes = func(_ *action.Job, o spec.Out) string { return "q made " + string(o.Path) }
	return p, q
}

func TestPushPublishesAtOnce(t *testing.T) {
	p := open(t, chain, "src/1", "other")
	p.repro(allRan, push)
	if list := p.locked("a").Deps[0]; !has(t, p.remote, object.Ref{Shelf: object.Inputs, Digest: list.Digest}) {
		t.Error("the list of a's inputs is not in the remote")
	}
	for _, name := range []string{"a", "b", "c"} {
		here, there := p.record(p.cache, p.id(name)), p.record(p.remote, p.id(name))
		if here == nil || there == nil || !here.Outs[0].Same(there.Outs[0]) || !has(t, p.remote, object.Of(p.out(name))) {
			t.Errorf("%s: here %v, there %v", name, here, there)
		}
	}
	p = open(t, chain, "src", "other")
	p.repro(allRan, all)
	if p.record(p.remote, p.id("a")) != nil || has(t, p.remote, object.Of(p.out("a"))) || p.record(p.cache, p.id("a")) == nil {
		t.Error("published without push")
	}
}

func TestPushPublishesWhatNeedNotRun(t *testing.T) {
	p := open(t, chain, "src", "other")
	p.runner.command = func(_ context.Context, job *action.Job) error {
		job.Line([]byte("hello"))
		return nil
	}
	p.repro(allRan, all)
	p.repro(allSkipped, push)
	rec := p.record(p.remote, p.id("a"))
	if rec == nil || rec.FromLock || rec.By != "ann" || !has(t, p.remote, object.Ref{Shelf: object.Logs, Digest: rec.Log}) {
		t.Errorf("the run's own record: %+v", rec)
	}
	// Somebody removed an object, though its record is there.
	p.remote.Remove(object.Of(p.out("a")))
	p.afresh()
	p.repro(allSkipped, push)
	if !has(t, p.remote, object.Of(p.out("a"))) {
		t.Error("the object is still missing")
	}
	// Restored here, and published from here, to another remote.
	q := p.clone()
	q.repro("a:restore b:restore c:restore", all)
	p.remote = newRemote()
	p.engine.Records, p.engine.Remote = p.remote, p.remote
	p.afresh()
	p.repro(allSkipped, push)
	if p.record(p.remote, p.id("c")) == nil || !has(t, p.remote, object.Of(p.out("c"))) {
		t.Error("the other remote lacks c")
	}
}

func TestEnsureSaysWhetherItWroteTheRecord(t *testing.T) {
	p := open(t, one, "src")
	p.repro("a:run", all)
	for _, want := range []bool{true, false} {
		rec, wrote, err := p.engine.Ensure(t.Context(), p.engine.Project.Stage("a"), p.locked("a"))
		if err != nil || rec == nil || wrote != want {
			t.Errorf("%v, wrote %v: %v", rec, wrote, err)
		}
	}
	p.declare(strings.Replace(one, "cmd: a,", "cmd: a, always_changed: true,", 1))
	p.repro("a:run", all)
	rec, wrote, err := p.engine.Ensure(t.Context(), p.engine.Project.Stage("a"), p.locked("a"))
	if err != nil || rec != nil || wrote {
		t.Errorf("one that always runs: %v, wrote %v: %v", rec, wrote, err)
	}
}

func TestARecordThatIsNowhereIsMadeFromTheLock(t *testing.T) {
	p := open(t, one, "src")
	p.repro("a:run", push)
	q := p.clone()
	q.remote = newRemote()
	q.start()
	q.lock = copyOf(p.lock)
	if _, err := q.runner.put(t.Context(), spec.Out{Path: "out/a"}, "out/a of "+p.job("a").Inputs.Digest().String()); err != nil {
		t.Fatal(err)
	}
	q.repro("a:skip", push)
	rec := q.record(q.remote, q.id("a"))
	if rec == nil || !rec.FromLock || rec.By != "" || rec.Version != "test" || !rec.Outs[0].Same(p.out("a")) {
		t.Errorf("%+v", rec)
	}
}

func TestARecordOfOtherOutsThanTheLockIsNotPublishedForIt(t *testing.T) {
	p, q := rivals(t, one, "src")
	p.repro("a:run", all)
	q.repro("a:run", all)
	p.lock = copyOf(q.lock) // as a merge brings it
	_, err := p.runner.put(t.Context(), spec.Out{Path: "out/a"}, "q made out/a")
	must(t, err)
	p.repro("a:skip", push)
	if rec := p.record(p.remote, p.id("a")); !rec.Outs[0].Same(q.out("a")) || !rec.FromLock {
		t.Errorf("%+v", rec)
	}
}

func TestAnUnchangedStageAdoptsWhatWasRecordedFirst(t *testing.T) {
	p, q := rivals(t, one, "src")
	p.repro("a:run", all)
	p.write("out/a", "p made out/a")
	q.repro("a:run", push)
	p.repro("a:skip", push)
	if p.out("a") != q.out("a") || p.read("out/a") != "q made out/a" {
		t.Errorf("out/a holds %q", p.read("out/a"))
	}
	if rec := p.record(p.cache, p.id("a")); !rec.Outs[0].Same(q.out("a")) {
		t.Error("the cache keeps the loser's record")
	}
	if !strings.HasSuffix(p.saved[len(p.saved)-1], string(p.lock.Encode())) {
		t.Error("the lock was not written")
	}
	written := len(p.saved)
	p.repro("a:skip", push)
	if p.told(event.Note) != "" || len(p.saved) != written {
		t.Errorf("adopted twice: %s", p.told(event.Note))
	}
}

func TestAnAdoptedOutThatDoesNotLieHereStaysAway(t *testing.T) {
	p, q := rivals(t, "stages:\n  a: {cmd: a, deps: [src], outs: [out/1, out/2, {path: kept, cache: false}]}\n", "src", "kept")
	for _, m := range []*project{p, q} {
		m.runner.bytes = func(_ *action.Job, o spec.Out) string {
			if o.Path == "kept" {
				return "kept"
			}
			return m.work.Root() + " made " + string(o.Path)
		}
	}
	p.repro("a:run", all)
	p.write("out/2", p.work.Root()+" made out/2")
	q.repro("a:run", push)
	p.repro("a:skip", push)
	if p.read("out/2") != q.work.Root()+" made out/2" || p.out("a").Path != "kept" {
		t.Errorf("out/2 holds %q", p.read("out/2"))
	}
	if here, _, err := p.work.Output(t.Context(), "out/1"); err == nil {
		t.Errorf("out/1 came: %v", here)
	}
}

func TestBytesThatGitKeepsAreNotAdopted(t *testing.T) {
	p, q := rivals(t, "stages:\n  a: {cmd: a, deps: [src], outs: [{path: kept, cache: false}]}\n", "src")
	q.repro("a:run", push)
	p.runner.command = func(context.Context, *action.Job) error { p.write("kept", "p made kept"); return nil }
	p.repro("a:run", push)
	ours := p.out("a")
	if ours.Digest != digest.Of([]byte("p made kept")) || p.read("kept") != "p made kept" || p.told(event.Note) != "" {
		t.Errorf("%v; kept holds %q; notes: %s", ours, p.read("kept"), p.told(event.Note))
	}
	if has(t, p.remote, object.Of(ours)) || has(t, p.remote, object.Of(q.out("a"))) {
		t.Error("its bytes were published")
	}
	p.repro("a:skip", push)
}

func TestWhatMustNotLeaveThisMachineDoesNot(t *testing.T) {
	p := open(t, "stages:\n  a: {cmd: a, deps: [src], outs: [out/a, {path: out/b, push: false}]}\n", "src")
	p.repro("a:run", push)
	check := func() {
		t.Helper()
		if p.record(p.remote, p.id("a")) != nil || has(t, p.remote, object.Of(p.locked("a").Outs[1])) {
			t.Error("the record or out/b is in the remote")
		}
		if !has(t, p.remote, object.Of(p.out("a"))) || p.record(p.cache, p.id("a")) == nil {
			t.Error("out/a is not in the remote, or the record not in the cache")
		}
	}
	check()
	p.repro("a:skip", push)
	check()
}

func TestWithoutPullNoRecordOfTheRemoteIsBelieved(t *testing.T) {
	p, q := rivals(t, deployed, "src", "conf/1")
	q.repro("a:run b:run live:run", push)
	p.engine.Remote, p.engine.Carrier.NoFetch = nil, true
	p.write("conf/1", "changed")
	p.repro("a:run b:run live:run", all)
	if rec := p.record(p.remote, p.id("a")); !rec.Outs[0].Same(q.out("a")) {
		t.Errorf("the record was replaced: %+v", rec)
	}
	if !has(t, p.remote, object.Of(p.out("b"))) || p.out("b") == q.out("b") {
		t.Error("what was deployed cannot be fetched")
	}
	m := open(t, deployed, "src", "conf/1")
	m.engine.Remote, m.engine.Carrier.NoFetch = nil, true
	m.repro("a:run b:run live:run", all)
	if m.record(m.remote, m.id("a")) != nil || !has(t, m.remote, object.Of(m.out("a"))) {
		t.Error("more than objects was published, or less")
	}
}

func TestADeploymentAdoptsWhatWasRecordedFirst(t *testing.T) {
	p, q := rivals(t, deployed+"  beside: {cmd: x, deps: [src], outs: [out/beside]}\n", "src", "conf/1")
	p.runner.command = func(_ context.Context, job *action.Job) error {
		if job.Stage.Name == "a" {
			q.repro("a:run", engine.Options{Push: true, Targets: []string{"a"}})
		}
		return nil
	}
	p.repro("a:run b:run beside:run live:run", all)
	if p.out("a") != q.out("a") || p.locked("b").Deps[0].In != q.out("a").Digest {
		t.Errorf("the lock says\n%s", p.lock.Encode())
	}
	if rec := p.record(p.cache, p.id("a")); !rec.Outs[0].Same(q.out("a")) {
		t.Error("the cache keeps the loser's record")
	}
	if x, _ := p.job("live").Inputs.Find("dir/x"); x.Digest != digest.Of([]byte("q")) {
		t.Error("the loser's bytes were deployed")
	}
	for name, want := range map[string]int{"a": 1, "beside": 1, "b": 2, "live": 1} {
		if n := strings.Count(" "+p.jobs()+" ", " "+name+" "); n != want {
			t.Errorf("%s ran %d times: %s", name, n, p.jobs())
		}
	}
	if p.told(event.Failed) != "" || !strings.Contains(p.told(event.Note), "ann built the same inputs first") {
		t.Errorf("failures: %s; notes: %s", p.told(event.Failed), p.told(event.Note))
	}
	p.runner.command = nil
	p.repro("a:skip b:skip beside:skip live:skip", all)
}

// forge makes the lock say that the stage made what another build of it made.
func forge(t *testing.T, p *project, stage string) artifact.Output {
	t.Helper()
	l := *p.locked(stage)
	spec := p.engine.Project.Stage(stage)
	o, err := p.runner.put(t.Context(), spec.Outs[0], "forged bytes")
	must(t, err)
	l.Outs = []artifact.Output{o}
	p.lock.Set(l)
	return o
}

func TestALockThatContradictsARecordIsNotDeployed(t *testing.T) {
	for _, where := range []string{"cache", "remote"} {
		for _, stage := range []string{"a", "b"} { // b is deployed, a is what b is made from
			p := open(t, strings.Replace(deployed, "deps: [dir, out/b, conf]", "deps: [out/b, conf]", 1), "src", "conf/1")
			p.repro("a:run b:run live:run", push)
			if where == "remote" {
				q := p.clone()
				q.lock = copyOf(p.lock)
				p = q
			} else {
				p.engine.Remote = nil
			}
			p.write("conf/1", "changed")
			forge(t, p, stage)
			if stage == "a" { // so that b is unchanged
				b := *p.locked("b")
				b.Deps = []artifact.Input{b.Deps[0]}
				b.Deps[0].In = p.out("a").Digest
				p.lock.Set(b)
			}
			_, counts, err := p.run(engine.Options{Targets: []string{"live"}})
			if !diag.Is(err, diag.Integrity) || !strings.Contains(err.Error(), "pipe.lock says that "+stage+" created") || counts != (event.Counts{Skipped: 2, Failed: 1}) {
				t.Errorf("%s in the %s: %+v, %v", stage, where, counts, err)
			}
			if p.jobs() != "" {
				t.Errorf("%s in the %s: jobs %s", stage, where, p.jobs())
			}
		}
	}
}

func TestALockThatIsTrustedIsDeployed(t *testing.T) {
	p := open(t, deployed, "src", "conf/1")
	p.repro("a:run b:run live:run", push)
	before := p.out("b")
	forged := forge(t, p, "b")
	p.repro("a:skip b:skip live:run", engine.Options{TrustLock: true})
	if e, _ := p.job("live").Inputs.Find("out/b"); e.Digest != forged.Digest || p.out("b") != forged {
		t.Errorf("out/b is %s", e.Digest)
	}
	if rec := p.record(p.remote, p.id("b")); !rec.Outs[0].Same(before) {
		t.Error("the record was replaced")
	}
}

func TestWhatARecordCannotKnowIsNotCompared(t *testing.T) {
	const yaml = `
stages:
  always: {cmd: x, deps: [src], outs: [out/always], always_changed: true}
  kept: {cmd: x, deps: [src], outs: [{path: kept.txt, cache: false}]}
  mix: {cmd: x, deps: [src, kept.txt], outs: [out/mix]}
  live: {cmd: x, deps: [out/mix]}
`
	p := open(t, yaml, "src")
	p.runner.bytes = func(_ *action.Job, o spec.Out) string { return string(o.Path) }
	targets := engine.Options{Targets: []string{"live"}, Push: true}
	p.write("kept.txt", "kept.txt")
	p.repro("kept:run mix:run live:run", targets)
	p.write("kept.txt", "another commit's")
	block := *p.locked("kept")
	there, err := p.runner.put(t.Context(), spec.Out{Path: "kept.txt"}, "another commit's")
	must(t, err)
	block.Outs = []artifact.Output{there}
	p.lock.Set(block)
	p.repro("kept:skip mix:run live:skip", targets)
	p.declare(strings.Replace(yaml, "deps: [out/mix]", "deps: [out/mix, src]", 1))
	p.repro("kept:skip mix:skip live:run", targets)
}

func TestARecordOfOtherPathsOrFewerContradictsToo(t *testing.T) {
	for want, change := range map[string]func(*object.Record){
		"says nothing": func(r *object.Record) { r.Outs = nil },
		"says blake3:": func(r *object.Record) { r.Outs[0].Path = "elsewhere" },
	} {
		p := open(t, deployed, "src", "conf/1")
		p.repro("a:run b:run", engine.Options{Targets: []string{"b"}})
		rec := p.record(p.cache, p.id("b"))
		change(rec)
		value, err := rec.Encode()
		must(t, err)
		_, err = p.remote.Record(t.Context(), rec.ID, value)
		must(t, err)
		_, _, err = p.run(all)
		if !diag.Is(err, diag.Integrity) || !strings.Contains(err.Error(), want) || p.jobs() != "" {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestADamagedRecordStopsADeployment(t *testing.T) {
	p := open(t, deployed, "src", "conf/1")
	p.repro("a:run b:run", engine.Options{Targets: []string{"b"}})
	_, err := p.remote.Record(t.Context(), p.id("a"), []byte("{"))
	must(t, err)
	if _, _, err := p.run(all); !diag.Is(err, diag.Integrity) || p.jobs() != "" {
		t.Errorf("jobs %s: %v", p.jobs(), err)
	}
}

// afresh forgets what is known to be in the remote, as the next run of the program does.
func (p *project) afresh() {
	p.engine.Carrier = &transfer.Carrier{Cache: p.cache, Remote: p.remote, Workers: 2}
	p.runner.carrier = p.engine.Carrier
}

// The record of a stage that was skipped comes from another machine between the look at
// the records and the publication.
func TestARecordThatComesDuringADeploymentContradictsTheLock(t *testing.T) {
	p, q := rivals(t, deployed, "src", "conf/1")
	p.repro("a:run b:run", engine.Options{Targets: []string{"a", "b"}})
	var once atomic.Bool
	p.remote.before("put", func() error {
		if !once.Swap(true) {
			q.repro("a:run", engine.Options{Push: true, Targets: []string{"a"}})
		}
		return nil
	})
	_, _, err := p.run(all)
	if !diag.Is(err, diag.Integrity) || !strings.Contains(err.Error(), "pipe.lock says that a created") {
		t.Errorf("got %v", err)
	}
	if p.jobs() != "" {
		t.Errorf("jobs: %s", p.jobs())
	}
	p.repro("a:skip b:run live:run", push)
}
