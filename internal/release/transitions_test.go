package release_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/store/mem"
)

func TestOneWriteBeginsADeployment(t *testing.T) {
	s := mem.New()
	e := open(t, s)
	deploy(t, e, want("api=v1"))
	before := read(t, e)
	w := want("api=v2", "web=v1<api")
	w.Commit, w.Reason = "c2", "because"
	d := begin(t, e, w)
	st := read(t, e)
	if st.Seq != before.Seq+1 || st.Epoch != before.Epoch+1 || st.N != 2 || st.Probed != "2026-01-02" {
		t.Errorf("seq %d, epoch %d, n %d, probed %q", st.Seq, st.Epoch, st.N, st.Probed)
	}
	if l := st.Lease; l == nil || l.N != 2 || l.By != "ann" || l.Run != "host:1" || l.TTL != 120 || l.At != "2026-01-02T03:04:05Z" || l.Nonce == "" {
		t.Errorf("%+v", l)
	}
	a := st.Stages["api"]
	if shown(st, "v1", "v2") != "api=v2 deploying" || a.Was != key("v1") || a.N != 2 || a.Release != w.Release || a.Commit != "c2" || a.By != "ann" || a.Closure != sum("v2") || !a.At.Equal(clock().Truncate(time.Second)) {
		t.Errorf("%s: %+v", shown(st), a)
	}
	if !st.Live.IsZero() || d.Token() != "staging-2" || d.Epoch != 2 || !slices.Equal(d.Pending, []string{"api", "web"}) || !slices.Equal(d.First, []string{"api"}) {
		t.Errorf("live %s; %s %d %v %v", st.Live, d.Token(), d.Epoch, d.Pending, d.First)
	}
	// A reader cannot tell whether the run is alive.
	if l := st.StageNow("api"); l.Status != action.StatusUnknown || l.Key != key("v2") || l.Env != "staging" || !slices.Equal(l.Deps, deps("v2")) {
		t.Errorf("%+v", l)
	}
	must(t, d.Step(t.Context(), map[string]*release.End{"api": {OK: true}}, []string{"web"}))
	if got := shown(read(t, e), "v1", "v2"); got != "api=v2 ok, web=v1 deploying" {
		t.Error(got)
	}
	x, err := d.End(t.Context(), map[string]*release.End{"web": {Attempt: release.Attempt{Exit: 3, Error: "exit code 3"}}}, release.EndFailed, "web: exit code 3")
	must(t, err)
	st = read(t, e)
	if shown(st, "v1", "v2") != "api=v2 ok, web=v1 failed" || st.Lease != nil || st.N != 2 || st.Last.N != 2 || st.Logged != 2 || !st.Live.IsZero() {
		t.Errorf("%s; %+v", shown(st), st)
	}
	if x.Status != release.EndFailed || x.Error != "web: exit code 3" || x.Reason != "because" || x.Commit != "c2" || x.Kind != release.KindDeploy {
		t.Errorf("%+v", x)
	}
	if a := x.Stages["web"]; a.Do != "run" || a.Status != action.StatusFailed || a.Exit != 3 || a.Key != key("v1") || !a.Was.IsZero() {
		t.Errorf("%+v", a)
	}
	if a := x.Stages["api"]; a.Do != "run" || a.Status != action.StatusOK || a.Was != key("v1") {
		t.Errorf("%+v", a)
	}
}

// What never ran is what it was: a failure, a cancel or a limit kept it.
func TestAStageThatNeverRanIsWhatItWas(t *testing.T) {
	e := open(t, mem.New())
	deploy(t, e, want("api=v1", "web=v1"))
	whole := read(t, e)
	d := begin(t, e, want("api=v2", "web=v2", "z=v2"))
	x, err := d.End(t.Context(), map[string]*release.End{"api": {Not: true, Attempt: release.Attempt{Error: "no place"}}}, release.EndStopped, "")
	must(t, err)
	st := read(t, e)
	if got := shown(st, "v1", "v2"); got != "api=v1 ok, web=v1 ok" || st.Stages["api"].Closure != sum("v1") || st.Stages["api"].N != 1 {
		t.Errorf("%s: %+v", got, st.Stages["api"])
	}
	if st.Live != whole.Live || st.Live.IsZero() {
		t.Errorf("live is %s, and was %s", st.Live, whole.Live)
	}
	if a := x.Stages["api"]; a.Do != "not" || a.Error != "no place" || a.Status != action.StatusOK || a.Key != key("v2") {
		t.Errorf("%+v", a)
	}
	if a := x.Stages["z"]; a.Do != "not" || a.Status != "" {
		t.Errorf("%+v", a)
	}
	// One that ended before is told at once; one that did not run is told with the step.
	d = begin(t, e, want("api=v3", "web=v3", "z=v3"))
	must(t, d.Step(t.Context(), map[string]*release.End{"web": {Not: true}, "z": {OK: true}}, nil))
	if got := shown(read(t, e), "v1", "v3"); got != "api=v3 deploying, web=v1 ok, z=v3 ok" {
		t.Error(got)
	}
	_, err = d.End(t.Context(), nil, release.EndStopped, "")
	must(t, err)
	if st := read(t, e); shown(st, "v1", "v3") != "api=v1 ok, web=v1 ok, z=v3 ok" || !st.Live.IsZero() {
		t.Errorf("%s, live %s", shown(st, "v1", "v3"), st.Live)
	}
}

func TestLiveAndVerified(t *testing.T) {
	e := open(t, mem.New())
	v1, v2, v3 := want("api=v1"), want("api=v2"), want("api=v3")
	check := func(what string, live release.ID, verified ...release.ID) {
		t.Helper()
		if st := read(t, e); st.Live != live || !slices.Equal(st.Verified, verified) {
			t.Errorf("%s: live %s, verified %s", what, st.Live, st.Verified)
		}
	}
	deploy(t, e, v1)
	deploy(t, e, v2)
	check("two", v2.Release, v2.Release, v1.Release)
	back := want("api=v1")
	back.Kind = release.KindRollback
	deploy(t, e, back)
	check("a rollback leaves the order", v1.Release, v2.Release, v1.Release)
	deploy(t, e, v2)
	deploy(t, e, v1)
	check("a deployment comes first", v1.Release, v1.Release, v2.Release)
	ends(t, begin(t, e, v3), release.EndFailed)
	check("nothing ran", v1.Release, v1.Release, v2.Release)
	for what, change := range map[string]func(w *release.Want){
		"dirty":    func(w *release.Want) { w.Dirty = true },
		"override": func(w *release.Want) { w.Override = true },
	} {
		w := want("api=" + what)
		change(w)
		deploy(t, e, w)
		check(what, w.Release, v1.Release, v2.Release)
	}
	part := want("api=part")
	part.Whole = false
	deploy(t, e, part)
	check("a part", release.ID{}, v1.Release, v2.Release)
	deploy(t, e, v2)
	d := begin(t, e, want("api=v2", "web=bad"))
	_, err := d.End(t.Context(), map[string]*release.End{"web": {}}, release.EndFailed, "")
	must(t, err)
	check("a failure", release.ID{}, v2.Release, v1.Release)
	other := want("api=other")
	other.Kind = release.KindRollback
	deploy(t, e, other)
	check("a rollback to what was never here", other.Release, other.Release, v2.Release, v1.Release)
	for i := range 40 {
		deploy(t, e, want("api="+strings.Repeat("x", i+1)))
	}
	if n := len(read(t, e).Verified); n != 25 {
		t.Errorf("%d releases are kept", n)
	}
}

func TestStagesThatNoReleaseHasAreGone(t *testing.T) {
	e := open(t, mem.New())
	deploy(t, e, want("api=v1", "db=v1", "web=v1"))
	gone := func() (names string) {
		for _, n := range []string{"api", "db", "web"} {
			if g := read(t, e).Stages[n].Gone; g > 0 {
				names += n + string(rune('0'+g)) + " "
			}
		}
		return names
	}
	w := want("api=v2")
	w.Frozen = []string{"db"}
	deploy(t, e, w)
	if got := gone(); got != "web2 " {
		t.Errorf("gone: %s", got)
	}
	part := want("api=v3")
	part.Whole = false
	deploy(t, e, part)
	deploy(t, e, want("api=v4", "db=v1"))
	if got := gone(); got != "web2 " {
		t.Errorf("a part, or a later release, changes it: %s", got)
	}
	deploy(t, e, want("api=v5", "db=v1", "web=v1")) // web is live as it is to be, and does not run
	if got := gone(); got != "" {
		t.Errorf("it is back: %s", got)
	}
	w = want("db=v2", "api=v6")
	deploy(t, e, w)
	must(t, e.Forget(t.Context(), "web"))
	if st := read(t, e); shown(st, "v2", "v6") != "api=v6 ok, db=v2 ok" || st.Live != w.Release {
		t.Errorf("%s, live %s", shown(st, "v2", "v6"), st.Live)
	}
	must(t, e.Forget(t.Context(), "db"))
	if st := read(t, e); !st.Live.IsZero() {
		t.Error("a release is live of which a stage is not known")
	}
	if err := e.Forget(t.Context(), "db"); !diag.Is(err, diag.NotFound) {
		t.Error(err)
	}
	d := begin(t, e, want("db=v3"))
	if err := e.Forget(t.Context(), "db"); !diag.Is(err, diag.Busy) {
		t.Error(err)
	}
	finish(t, d)
}

func TestWhatSomebodyElseDidMeanwhileStays(t *testing.T) {
	e := open(t, mem.New())
	deploy(t, e, want("api=v1", "web=v1"))
	d := begin(t, e, want("api=v2", "web=v1"))
	must(t, e.Hold(t.Context(), "stop"))
	if !drifted(t, e, "web", 1) || drifted(t, e, "api", 1) {
		t.Error("api is another deployment's by now, and web is not")
	}
	finish(t, d)
	st := read(t, e)
	if shown(st, "v1", "v2") != "api=v2 ok, web=v1 unknown" || st.Hold == nil || !st.Live.IsZero() {
		t.Errorf("%s, hold %v, live %s", shown(st, "v1", "v2"), st.Hold, st.Live)
	}
	if drifted(t, e, "nothing", 1) || drifted(t, e, "web", 1) {
		t.Error("what is not live has drifted")
	}
	if now := read(t, e); now.Seq != st.Seq {
		t.Error("nothing was written for nothing")
	}
}

func TestUnlockTakesTheLeaseAway(t *testing.T) {
	s := mem.New()
	e := open(t, s)
	d := begin(t, e, want("api=v1"))
	nonce := read(t, e).Lease.Nonce
	if _, err := e.Unlock(t.Context(), "another"); !diag.Is(err, diag.Busy) {
		t.Error(err)
	}
	old, err := e.Unlock(t.Context(), nonce)
	must(t, err)
	st := read(t, e)
	if old == nil || old.N != 1 || st.Lease != nil || st.Epoch != 2 || shown(st, "v1") != "api=v1 unknown" {
		t.Errorf("%+v; %s, epoch %d", old, shown(st, "v1"), st.Epoch)
	}
	if x := st.Last; x.N != 1 || x.Status != release.EndUnknown || !strings.Contains(x.Error, "unlocked by ann") {
		t.Errorf("%+v", x)
	}
	late := begin(t, e, want("z=v1"))
	_, err = open(t, s).Unlock(t.Context(), read(t, open(t, s)).Lease.Nonce)
	must(t, err)
	next := begin(t, open(t, s), want("web=v1"))
	read(t, e) // what it remembers is not old
	if err := late.Step(t.Context(), nil, nil); !diag.Is(err, diag.Busy) || !strings.Contains(err.Error(), "fenced by #3 by ann") {
		t.Errorf("beside another holder: %v", err)
	}
	finish(t, next)
	if st := read(t, e); st.N != 3 || st.Lease != nil {
		t.Errorf("%+v", st)
	}
	_, err = d.End(t.Context(), map[string]*release.End{"api": {OK: true}}, release.EndOK, "")
	if !diag.Is(err, diag.Busy) || !strings.Contains(err.Error(), "fenced by #3") || shown(read(t, e), "v1") != "api=v1 unknown, web=v1 ok, z=v1 unknown" {
		t.Errorf("%v; %s", err, shown(read(t, e), "v1"))
	}
	if old, err := e.Unlock(t.Context(), nonce); old != nil || err != nil {
		t.Errorf("%v, %v", old, err)
	}
}

func TestHoldAndResume(t *testing.T) {
	e := open(t, mem.New())
	if old, err := e.Resume(t.Context()); old != nil || err != nil || read(t, e).Exists() {
		t.Errorf("%v, %v", old, err)
	}
	must(t, e.Hold(t.Context(), "checkout 500s"))
	back := want("api=v1")
	back.Kind, back.Hold = release.KindRollback, &release.Hold{By: "bob", At: clock().Truncate(time.Second), Until: release.UntilNext, Veto: []release.ID{id("v2")}}
	deploy(t, e, back)
	if h := read(t, e).Hold; h.Until != release.UntilResume || h.By != "ann" || h.Reason != "checkout 500s" || !slices.Equal(h.Veto, back.Hold.Veto) {
		t.Errorf("a person's hold became %+v", h)
	}
	must(t, e.Hold(t.Context(), "again"))
	if h := read(t, e).Hold; h.Reason != "again" || len(h.Veto) != 1 {
		t.Errorf("%+v", h)
	}
	if old, err := e.Resume(t.Context()); err != nil || old == nil || old.Reason != "again" || read(t, e).Hold != nil {
		t.Errorf("%v, %v", old, err)
	}
}

// Whoever goes back and forth ends with a release that is wanted there.
func TestWhatARollbackBringsIsNoLongerVetoed(t *testing.T) {
	e := open(t, mem.New())
	old, next := want("api=v1"), want("api=v2")
	back := func(to, from *release.Want) {
		to.Kind, to.Hold = release.KindRollback, &release.Hold{By: "bob", At: clock().Truncate(time.Second), Until: release.UntilNext, Veto: []release.ID{from.Release}}
		deploy(t, e, to)
	}
	deploy(t, e, old)
	deploy(t, e, next)
	back(old, next)
	if st := read(t, e); !slices.Equal(st.Hold.Veto, []release.ID{next.Release}) || st.Newest() != old.Release {
		t.Errorf("%+v, newest %s", st.Hold, st.Newest())
	}
	back(next, old)
	if st := read(t, e); !slices.Equal(st.Hold.Veto, []release.ID{old.Release}) || st.Newest() != next.Release {
		t.Errorf("%+v, newest %s", st.Hold, st.Newest())
	}
}

func TestPlansThatWaitAreKeptUntilTheEnvironmentMoves(t *testing.T) {
	e := open(t, mem.New())
	for range 2 {
		must(t, e.Ask(t.Context(), sum("plan")))
	}
	for i := range 19 {
		must(t, e.Ask(t.Context(), sum(strings.Repeat("x", i))))
	}
	if st := read(t, e); st.Seq != 20 || len(st.Asked) != 20 || st.Asked[0] != sum("plan") {
		t.Errorf("seq %d, %d asked", st.Seq, len(st.Asked))
	}
	must(t, e.Ask(t.Context(), sum("newest")))
	if st := read(t, e); len(st.Asked) != 20 || st.Asked[19] != sum("newest") || slices.Contains(st.Asked, sum("plan")) {
		t.Errorf("%d asked", len(st.Asked))
	}
	deploy(t, e, want("api=v1"))
	if st := read(t, e); len(st.Asked) > 0 {
		t.Error("a plan is asked for that is stale")
	}
}

func TestWhatIsReadyNeedsNothingThatIsPending(t *testing.T) {
	e := open(t, mem.New())
	deploy(t, e, want("db=v1", "api=v1<db"))
	// What is needed through a stage that is live comes first all the same.
	d := begin(t, e, want("db=v2", "api=v1<db", "web=v1<api", "z=v1"))
	if !slices.Equal(d.Pending, []string{"db", "web", "z"}) || !slices.Equal(d.First, []string{"db", "z"}) {
		t.Errorf("pending %v, first %v", d.Pending, d.First)
	}
	finish(t, d)
	w := want("db=v3", "api=v3<db", "web=v3<api")
	w.First = func(_ *release.Want, ready []string) []string {
		if !slices.Equal(ready, []string{"db"}) {
			t.Errorf("ready: %v", ready)
		}
		return nil
	}
	d = begin(t, e, w)
	if len(d.First) > 0 || shown(read(t, e), "v1", "v2") != "api=v1 ok, db=v2 ok, web=v1 ok, z=v1 ok" {
		t.Errorf("first %v, %s", d.First, shown(read(t, e), "v1", "v2"))
	}
	finish(t, d)
	again := want("db=v3", "api=v3<db", "web=v3<api", "z=v1")
	a, changed := again.Stages["api"], again.Stages["z"]
	a.Again, changed.Part.AlwaysChanged = true, true
	again.Stages["api"], again.Stages["z"] = a, changed
	d = begin(t, e, again)
	if !slices.Equal(d.Pending, []string{"api", "z"}) {
		t.Errorf("by force: %v", d.Pending)
	}
	finish(t, d)
	// A second deployment of one run does not do again what the first has done.
	a.Done, changed.Done = true, true
	again.Stages["api"], again.Stages["z"] = a, changed
	if _, v, err := e.Begin(t.Context(), again); err != nil || v.Do != release.Nothing {
		t.Errorf("%+v, %v", v, err)
	}
}

// A chain of diamonds has 2^40 ways through it.
func TestLongChainsOfNeedsAreQuick(t *testing.T) {
	w := &release.Want{Stages: map[string]release.Aim{}}
	r := &release.Release{Stages: map[string]release.Part{}}
	name := func(i int, side string) string { return side + strings.Repeat("i", i) }
	for i := range 40 {
		for _, side := range []string{"a", "b"} {
			var p release.Part
			if i > 0 {
				p.Needs = []string{name(i-1, "a"), name(i-1, "b")}
			}
			w.Stages[name(i, side)], r.Stages[name(i, side)] = release.Aim{Part: p}, p
		}
	}
	if n := len(w.Before(name(39, "a"))); n != 78 {
		t.Errorf("%d stages come before the last", n)
	}
	order := r.Names()
	if len(order) != 80 || slices.Index(order, name(3, "b")) > slices.Index(order, name(4, "a")) {
		t.Errorf("%d: %v", len(order), order)
	}
}

func TestAStageThatCannotBeMadeTakesThoseAlongThatNeedIt(t *testing.T) {
	w := want("db=v1", "api=v1<db", "web=v1<api", "z=v1<gone")
	w.Tidy()
	w.Without("db")
	if len(w.Stages) != 1 || len(w.Stages["z"].Part.Needs) > 0 || w.Whole {
		t.Errorf("%v, whole %v", w.Stages, w.Whole)
	}
	if _, v, err := open(t, mem.New()).Begin(t.Context(), &release.Want{}); err != nil || v.Do != release.Nothing {
		t.Errorf("of no stages: %+v, %v", v, err)
	}
}

var errBroken = errors.New("broken")
