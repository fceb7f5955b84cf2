package engine_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/engine"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/artifact"
)

const small = `
stages:
  a: {cmd: a, deps: [src], outs: [dir/]}
  live: {cmd: x, deps: [dir, conf]}
`

// situations are projects before a run that has much to do with cache and remote.
var situations = map[string]func(t *testing.T) (*project, engine.Options){
	"a first run": func(t *testing.T) (*project, engine.Options) {
		return open(t, small, "src/1", "conf/1"), push
	},
	"an edit, restored": func(t *testing.T) (*project, engine.Options) {
		p := open(t, small, "src/1", "conf/1")
		p.repro("a:run", engine.Options{Targets: []string{"a"}, Push: true})
		q := p.clone()
		q.write("dir/x", "edited")
		return q, all
	},
	"another machine was first": func(t *testing.T) (*project, engine.Options) {
		p, q := rivals(t, small, "src/1", "conf/1")
		p.repro("a:run", engine.Options{Targets: []string{"a"}})
		p.write("dir/x", "edited")
		q.repro("a:run", engine.Options{Targets: []string{"a"}, Push: true})
		return p, push
	},
	"lost bytes": func(t *testing.T) (*project, engine.Options) {
		p := open(t, small, "src/1", "conf/1")
		p.runner.bytes = numbered("build")
		p.repro("a:run", engine.Options{Targets: []string{"a"}})
		must(t, p.cache.Remove(t.Context(), object.Of(p.out("a"))))
		return p, engine.Options{RebuildMissing: true}
	},
	"the workspace alone": func(t *testing.T) (*project, engine.Options) {
		p := open(t, "stages:\n  a: {cmd: a, deps: [src], outs: [f, {path: g, push: false}]}\n  live: {cmd: x, deps: [f, conf]}\n", "src/1", "conf/1")
		p.runner.bytes = func(_ *action.Job, o spec.Out) string { return string(o.Path) }
		p.repro("a:run", engine.Options{Targets: []string{"a"}})
		p.write("f", "f")
		p.loses(p.out("a"))
		return p, push
	},
}

// Whichever operation of a store fails, the run fails with its error and says
// nothing that is not so: when the store works again, the same run goes well.
func TestAFaultAtAnyStepIsToldAndTheNextRunGoesWell(t *testing.T) {
	for name, begin := range situations {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // they wait for the disk
			for n := 1; fails(t, begin, n); n++ {
			}
		})
	}
}

// fails makes the run's n-th operation fail, and reports whether it has so many.
func fails(t *testing.T, begin func(t *testing.T) (*project, engine.Options), n int) bool {
	t.Helper()
	broken := errors.New("broken")
	p, opt := begin(t)
	var done atomic.Int64
	each := func() error {
		if done.Add(1) == int64(n) {
			return broken
		}
		return nil
	}
	p.cache.each, p.remote.each = each, each
	_, counts, err := p.run(opt)
	p.cache.each, p.remote.each = nil, nil
	p.unlock()
	if done.Load() < int64(n) {
		must(t, err)
		if n < 10 {
			t.Errorf("only %d operations", n)
		}
		return false
	}
	// What was tried again, or is put into the history by the next run, is no failure.
	if err != nil && !errors.Is(err, broken) || err == nil && p.status("live") != action.StatusOK {
		t.Errorf("operation %d: %+v, %v", n, counts, err)
	}
	if _, _, err := p.run(opt); err != nil || p.status("live") != action.StatusOK {
		t.Errorf("after operation %d: %v", n, err)
	}
	p.sound(n)
	env, err := p.engine.Env.Read(t.Context())
	must(t, err)
	must(t, p.engine.Env.Chain(t.Context(), env, func(*release.Entry) error { return nil }))
	return true
}

// sound checks that what lock and remote name is what was deployed.
func (p *project) sound(n int) {
	p.t.Helper()
	o := p.out("a")
	if rec := p.record(p.cache, p.id("a")); rec != nil && !rec.Outs[0].Same(o) {
		p.t.Errorf("after operation %d: the cache's record is %v, the lock says %s", n, rec, o.Digest.Short())
	}
	rec := p.record(p.remote, p.id("a"))
	if len(p.locked("a").Outs) == 1 && (rec == nil || !rec.Outs[0].Same(o)) {
		p.t.Errorf("after operation %d: the remote's record is %v, the lock says %s", n, rec, o.Digest.Short())
	}
	if err := p.engine.Carrier.Fetch(p.t.Context(), []artifact.Output{o}); err != nil || !has(p.t, p.remote, object.Of(o)) {
		p.t.Errorf("after operation %d: what was deployed is not in the remote: %v", n, err)
	}
}
