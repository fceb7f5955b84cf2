package release_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/mem"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
)

func clock() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC) }

const cell = "projects/shop/env/staging/state"

func options() release.Options {
	return release.Options{
		Project: "shop", Name: "staging", Now: clock, Stamp: object.Stamp{By: "ann"}, Run: "host:1",
		Probe: func(context.Context) error { return nil }, Create: true, Say: func(string) {}, Older: older,
	}
}

// older knows commits that begin with c, of which each is an ancestor of those that sort after it.
func older(_ context.Context, a, b string) (older, known bool, err error) {
	return a < b, strings.HasPrefix(a, "c") && strings.HasPrefix(b, "c"), nil
}

// open opens the environment; change may change the options.
func open(t testing.TB, s store.Cells, change ...func(*release.Options)) *release.Environment {
	t.Helper()
	o := options()
	for _, f := range change {
		f(&o)
	}
	e, err := release.Open(s, o)
	must(t, err)
	return e
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func sum(s string) digest.Digest { return digest.Of([]byte(s)) }

func key(s string) digest.Key { return digest.Key(sum(s)) }

func id(s string) release.ID { return release.ID(sum(s)) }

// want is a whole deployment by hand of stages, each "name=version" or "name=version<need,need". Its
// release is named by them.
func want(stages ...string) *release.Want {
	w := &release.Want{Kind: release.KindDeploy, Release: id(strings.Join(stages, " ")), Whole: true, Stages: map[string]release.Aim{}}
	for _, text := range stages {
		text, needs, some := strings.Cut(text, "<")
		name, version, _ := strings.Cut(text, "=")
		a := release.Aim{Part: release.Part{Cmd: []string{"x"}, Closure: sum(version), Deps: deps(version)}, Key: key(version)}
		if some {
			a.Part.Needs = strings.Split(needs, ",")
		}
		w.Stages[name] = a
	}
	return w
}

func deps(version string) []artifact.Input {
	return []artifact.Input{{Path: "src", Kind: artifact.Dir, Digest: sum(version)}}
}

// auto makes a deployment one that nobody asked for.
func auto(commit string, w *release.Want) *release.Want {
	w.Automatic, w.Newest, w.Commit = true, true, commit
	return w
}

// begin begins a deployment, which must be possible.
func begin(t *testing.T, e *release.Environment, w *release.Want) *release.Deployment {
	t.Helper()
	d, v, err := e.Begin(t.Context(), w)
	if err != nil || d == nil {
		t.Fatalf("%+v, %v", v, err)
	}
	return d
}

// finish ends a deployment of which all pending stages have run well.
func finish(t *testing.T, d *release.Deployment) *release.Entry {
	t.Helper()
	return ends(t, d, release.EndOK, d.Pending...)
}

// ends steps through the stages, which all run well, and ends the deployment.
func ends(t *testing.T, d *release.Deployment, status string, stages ...string) *release.Entry {
	t.Helper()
	must(t, d.Step(t.Context(), nil, stages))
	ended := map[string]*release.End{}
	for _, name := range stages {
		ended[name] = &release.End{OK: true, Seconds: 2}
	}
	x, err := d.End(t.Context(), ended, status, "")
	must(t, err)
	return x
}

// deploy deploys, and all ends well.
func deploy(t *testing.T, e *release.Environment, w *release.Want) *release.Entry {
	t.Helper()
	return finish(t, begin(t, e, w))
}

func read(t testing.TB, e *release.Environment) *release.State {
	t.Helper()
	st, err := e.Read(t.Context())
	must(t, err)
	return st
}

// shown is what a state says of its stages: "api=v1 ok, web=v2 failed", with the versions given.
func shown(st *release.State, versions ...string) string {
	var all []string
	for _, name := range []string{"api", "db", "web", "z"} {
		s, ok := st.Stages[name]
		if !ok {
			continue
		}
		version := "?"
		for _, v := range versions {
			if s.Key == key(v) {
				version = v
			}
		}
		all = append(all, name+"="+version+" "+s.Status)
	}
	return strings.Join(all, ", ")
}

func live(t *testing.T, e *release.Environment, stage string) action.Live {
	t.Helper()
	return read(t, e).StageNow(stage)
}

// faulty is a store whose writes of the state, and of the history, go wrong as told.
type faulty struct {
	*mem.Store
	mu    sync.Mutex
	after func()                                                 // a write that is done, and whose answer is lost
	swap  func(name string, value []byte) (done bool, err error) // nil: they go well
}

// fails sets how writes go wrong from now on; nil: they go well.
func (f *faulty) fails(swap func(name string, value []byte) (done bool, err error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.swap = swap
}

// gone is a store out of reach.
func gone(string, []byte) (bool, error) { return false, errBroken }

// Swap implements store.Cells.
func (f *faulty) Swap(ctx context.Context, name, old string, value []byte) (string, error) {
	f.mu.Lock()
	swap := f.swap
	f.mu.Unlock()
	if swap == nil {
		return f.Store.Swap(ctx, name, old, value)
	}
	done, err := swap(name, value)
	if !done {
		return "", err
	}
	v, serr := f.Store.Swap(ctx, name, old, value)
	if serr != nil {
		return v, serr
	}
	if err != nil && f.after != nil {
		f.after()
	}
	return v, err
}
