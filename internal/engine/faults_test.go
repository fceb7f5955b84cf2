package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/engine"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
)

// After each fault of a store the stage has failed, the runner was told to put
// the old outs back, and neither lock nor record speaks of the build.
func TestAStoreThatFailsLeavesNothingRecorded(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct {
		name  string
		opt   engine.Options
		fault func(p *project)
	}{
		{"the cache's record", all, func(p *project) { p.cache.fails("record", broken) }},
		{"a batch's begin", all, func(p *project) { p.cache.fails("begin", broken) }},
		{"a batch's put", all, func(p *project) { p.cache.fails("batch put", broken) }},
		{"a batch's commit", all, func(p *project) { p.cache.fails("commit", broken) }},
		{"the remote's put", push, func(p *project) { p.remote.fails("put", broken) }},
		{"the remote's record", push, func(p *project) { p.remote.fails("record", broken) }},
	} {
		p := open(t, one, "src/1")
		p.runner.command = func(_ context.Context, job *action.Job) error {
			c.fault(p)
			job.Line([]byte("hello"))
			return nil
		}
		verbs, counts, err := p.run(c.opt)
		if !errors.Is(err, broken) || verbs != "a:run" || counts.Failed != 1 {
			t.Errorf("%s: %s, %+v: %v", c.name, verbs, counts, err)
		}
		if len(p.runner.settled) != 1 || p.runner.settled[0] {
			t.Errorf("%s: settled %v", c.name, p.runner.settled)
		}
		if p.remote.on["put"] != nil && p.remote.n["record"] > 0 {
			t.Errorf("%s: a record was written before its objects", c.name)
		}
		if len(p.lock.Stages) > 0 || len(p.saved) > 0 {
			t.Errorf("%s: the lock holds what is not recorded", c.name)
		}
		p.cache.on, p.remote.on = nil, nil
		p.runner.command = nil
		if p.repro("a:run", all); p.told("failed") != "" {
			t.Errorf("%s: afterwards: %s", c.name, p.told("failed"))
		}
	}
}

// What the remote recorded stands, though the cache could not take it over: the
// next run finds it there.
func TestACacheThatCannotTakeTheRecordFailsTheStage(t *testing.T) {
	broken := errors.New("broken")
	p := open(t, one, "src")
	p.cache.fails("adopt", broken)
	_, _, err := p.run(push)
	if !errors.Is(err, broken) || len(p.lock.Stages) > 0 || len(p.runner.settled) != 1 || p.runner.settled[0] {
		t.Errorf("%v; settled %v", err, p.runner.settled)
	}
	p.cache.fails("adopt", nil)
	p.repro("a:restore", all)
}

func TestALookUpThatFailsIsNotAMiss(t *testing.T) {
	broken := errors.New("broken")
	p := open(t, one, "src")
	p.repro("a:run", all)
	for _, opt := range []engine.Options{all, force, push} {
		q := p.clone()
		if opt.Push {
			q.lock = copyOf(p.lock)
		}
		q.remote.fails("lookup "+p.id("a").Name(), broken)
		if _, _, err := q.run(opt); !errors.Is(err, broken) || q.jobs() != "" {
			t.Errorf("%+v: jobs %s: %v", opt, q.jobs(), err)
		}
		q.remote.fails("lookup "+p.id("a").Name(), nil)
	}
}

func TestARunnerThatCannotSettleFailsTheStage(t *testing.T) {
	broken := errors.New("broken")
	p := open(t, chain+"  live: {cmd: x, deps: [src]}\n", "src", "other")
	p.engine.Runner = unsettled{p.runner, broken}
	_, counts, err := p.run(engine.Options{KeepGoing: true})
	if !errors.Is(err, broken) || counts.Failed != 3 || len(p.lock.Stages) > 0 || p.status("live") != action.StatusFailed {
		t.Errorf("%+v, %s: %v", counts, p.status("live"), err)
	}
}

// unsettled is a runner whose jobs cannot be ended.
type unsettled struct {
	*runner
	err error
}

func (u unsettled) Run(ctx context.Context, job *action.Job) (*action.Made, error) {
	made, err := u.runner.Run(ctx, job)
	if made != nil {
		made.Settle = func(bool) error { return u.err }
	}
	return made, err
}

func TestNothingIsDeployedThatCannotBePublished(t *testing.T) {
	broken := errors.New("broken")
	for name, fault := range map[string]func(p *project){
		"an object": func(p *project) { p.remote.fails("put", broken) },
		"a record":  func(p *project) { p.remote.fails("record", broken) },
		"a note":    func(p *project) { p.cache.fails("commit", broken) },
	} {
		p := open(t, deployed, "src", "conf/1")
		p.repro("a:run b:run", engine.Options{Targets: []string{"b"}})
		fault(p)
		_, _, err := p.run(all)
		if !errors.Is(err, broken) || p.jobs() != "" || p.status("live") != "" {
			t.Errorf("%s: jobs %s, %s: %v", name, p.jobs(), p.status("live"), err)
		}
	}
}

func TestAnOutThatCannotBePlacedIsNotRestored(t *testing.T) {
	broken := errors.New("broken")
	p := open(t, one, "src")
	p.runner.bytes = func(_ *action.Job, o spec.Out) string { return "built " + string(o.Path) }
	p.repro("a:run", push)
	q := p.clone()
	q.write("out/a", "edited")
	q.cache.fails("fill", broken)
	_, counts, err := q.run(all)
	if !errors.Is(err, broken) || counts.Failed != 1 || len(q.lock.Stages) > 0 || q.read("out/a") != "edited" {
		t.Errorf("%+v: %v; out/a holds %q", counts, err, q.read("out/a"))
	}
	// Bytes that are nowhere are no reason to run where a remote should have them.
	p.remote.Remove(object.Of(p.out("a")))
	r := p.clone()
	r.write("out/a", "edited")
	if _, _, err = r.run(all); err == nil || !strings.Contains(err.Error(), "neither in the cache nor in") || r.jobs() != "" {
		t.Errorf("%v; jobs %s", err, r.jobs())
	}
	r.repro("a:run", engine.Options{RebuildMissing: true})
}
