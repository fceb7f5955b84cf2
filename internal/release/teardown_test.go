package release_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pipe-build/pipe/internal/lease"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/store/mem"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// drifted says that a stage has drifted, and reports whether the state says so.
func drifted(t *testing.T, e *release.Environment, stage string, n uint64) bool {
	t.Helper()
	marked, err := e.Drifted(t.Context(), stage, n)
	must(t, err)
	return marked
}

// teardown is the destruction of what is live; needs are those of the stages, "name<need,need".
func teardown(t *testing.T, e *release.Environment, needs ...string) *release.Want {
	t.Helper()
	parts := map[string]release.Part{}
	for name, a := range want(needs...).Stages {
		a.Part.Undeploy = "down " + name
		parts[name] = a.Part
	}
	w := e.Teardown(read(t, e), parts)
	return &w
}

func TestWhatIsDestroyedLeavesTheState(t *testing.T) {
	e := open(t, mem.New())
	deploy(t, e, want("db=v1", "api=v2<db", "web=v3<api"))
	must(t, e.Hold(t.Context(), "")) // a destruction goes on
	w := teardown(t, e, "db", "api<db", "web<api")
	d := begin(t, e, w)
	if !slices.Equal(d.First, []string{"web"}) || w.Stages["web"].Part.Cmd[0] != "down web" {
		t.Errorf("%q begin, by %q", d.First, w.Stages["web"].Part.Cmd)
	}
	if st := read(t, e); shown(st, "v1", "v2", "v3") != "api=v2 ok, db=v1 ok, web=v3 deploying" || !st.Live.IsZero() {
		t.Errorf("%s, live %s", shown(st, "v1", "v2", "v3"), st.Live)
	}
	must(t, d.Step(t.Context(), map[string]*release.End{"web": {OK: true}}, []string{"api"}))
	x, err := d.End(t.Context(), map[string]*release.End{"api": {}}, release.EndFailed, "")
	must(t, err)
	if st := read(t, e); shown(st, "v1", "v2") != "api=v2 failed, db=v1 ok" {
		t.Errorf("what failed, and what that needs, stays: %s", shown(st, "v1", "v2"))
	}
	for name, want := range map[string]string{"web": "run ", "api": "run failed", "db": "not ok"} {
		if a := x.Stages[name]; a.Do+" "+a.Status != want || !a.Key.IsZero() || a.Was.IsZero() {
			t.Errorf("%s: %+v", name, a)
		}
	}
	deploy(t, e, teardown(t, e, "db", "api<db"))
	st := read(t, e)
	if len(st.Stages) > 0 || st.Last.Kind != release.KindDestroy || len(st.Verified) != 1 || st.Hold == nil {
		t.Errorf("%+v", st)
	}
	if d, v, err := e.Begin(t.Context(), teardown(t, e)); d != nil || v.Do != release.Nothing || err != nil {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestOnlyWhatWasSeenIsDestroyed(t *testing.T) {
	e := open(t, mem.New())
	deploy(t, e, want("api=v1"))
	w := teardown(t, e, "api")
	deploy(t, e, want("api=v2"))
	if d, _, err := e.Begin(t.Context(), w); d != nil || !errors.Is(err, release.ErrMoved) {
		t.Errorf("another version: %v", err)
	}
	w = teardown(t, e, "api")
	deploy(t, e, want("api=v2", "web=v1"))
	if d, _, err := e.Begin(t.Context(), w); d != nil || !errors.Is(err, release.ErrMoved) {
		t.Errorf("another stage: %v", err)
	}
}

func TestStagesOfSeveralReleasesAreDestroyedInSomeOrder(t *testing.T) {
	e := open(t, mem.New())
	deploy(t, e, want("api=v1", "db=v1"))
	part := want("api=v2")
	part.Whole = false
	deploy(t, e, part)
	// The older db says that it needs api, and the newer api that it needs db.
	w := teardown(t, e, "api<db", "db<api")
	if got := w.Stages["db"].Part.Needs; !slices.Equal(got, []string{"api"}) || len(w.Stages["api"].Part.Needs) > 0 {
		t.Errorf("api comes before %q, and after %q", got, w.Stages["api"].Part.Needs)
	}
	deploy(t, e, w)
}

func TestADestructionThatDiedIsCalledOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := open(t, mem.New())
		deploy(t, e, want("api=v1"))
		release.Die(begin(t, e, teardown(t, e, "api")))
		<-time.After(release.TTL + 2*lease.Grace)
		deploy(t, e, want("api=v2"))
		x, err := e.Entry(t.Context(), read(t, e), 2)
		must(t, err)
		if x.Kind != release.KindDestroy || x.Status != release.EndUnknown || read(t, e).Doing != "" {
			t.Errorf("%+v", x)
		}
	})
}

func TestAStageIsBeingDeployedAsLongAsItsRunLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := open(t, mem.New())
		look := func() *release.Sight {
			s, err := e.Look(t.Context())
			must(t, err)
			return s
		}
		if s := look(); s.Exists() || s.Holder() != nil || e.Running(s) != nil {
			t.Errorf("%+v", s)
		}
		deploy(t, e, want("db=v1"))
		release.Die(begin(t, e, want("api=v1", "db=v1")))
		s := look()
		if x := e.Running(s); s.Dead || s.Holder() == nil || s.Status("api") != "deploying" || s.Status("db") != "ok" || x.Status != release.EndRunning || !x.Ended.IsZero() {
			t.Errorf("%+v, %+v", s, x)
		}
		<-time.After(release.TTL + 2*lease.Grace)
		s = look()
		if x := e.Running(s); !s.Dead || s.Holder() != nil || s.Status("api") != "unknown" || x.Status != release.EndUnknown {
			t.Errorf("%+v, %+v", s, x)
		}
	})
}

func TestPartsAreThoseOfTheLiveRelease(t *testing.T) {
	e := open(t, mem.New())
	publish := func(undeploy string, w *release.Want) *release.Want {
		r := &release.Release{Schema: release.ReleaseSchema, Project: "shop", Stages: map[string]release.Part{}}
		for name, a := range w.Stages {
			a.Part.Undeploy, a.Part.Wdir = undeploy, repopath.Root
			r.Stages[name] = a.Part
		}
		var err error
		w.Release, err = e.Publish(t.Context(), r, "")
		must(t, err)
		return w
	}
	deploy(t, e, publish("old", want("api=v1", "web=v1")))
	deploy(t, e, publish("new", want("api=v1", "db=v2"))) // api is live already, and web goes
	parts, err := e.Parts(t.Context(), read(t, e))
	must(t, err)
	if parts["api"].Undeploy != "new" || parts["db"].Undeploy != "new" || parts["web"].Undeploy != "old" {
		t.Errorf("%+v", parts)
	}
	part := want("db=v3")
	part.Whole = false
	deploy(t, e, part) // of a release that is nowhere
	parts, err = e.Parts(t.Context(), read(t, e))
	if err == nil || !strings.Contains(err.Error(), "there is no release") || len(parts) != 2 || parts["api"].Undeploy != "old" {
		t.Errorf("%+v, %v", parts, err)
	}
}
