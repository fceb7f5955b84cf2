package release_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/store/mem"
)

// nth says how the nth write of a value whose name ends so goes wrong; all others go well.
func nth(n int, suffix string, done bool) func(string, []byte) (bool, error) {
	return func(name string, _ []byte) (bool, error) {
		if !strings.HasSuffix(name, suffix) {
			return true, nil
		}
		if n--; n == 0 {
			return done, diag.New(diag.Network, "the connection was lost")
		}
		return true, nil
	}
}

// Whichever answer is lost, of a write that was done or was not, the deployment goes as if nothing
// had been, or fails and leaves a state that the next one understands.
func TestAnAnswerThatIsLostChangesNothing(t *testing.T) {
	for _, done := range []bool{true, false} {
		for n := 1; n <= 3; n++ {
			synctest.Test(t, func(t *testing.T) {
				s := &faulty{Store: mem.New()}
				e := open(t, s)
				s.fails(nth(n, "/state", done))
				d := begin(t, e, want("api=v1", "web=v1<api"))
				must(t, d.Step(t.Context(), map[string]*release.End{"api": {OK: true}}, []string{"web"}))
				_, err := d.End(t.Context(), map[string]*release.End{"web": {OK: true}}, release.EndOK, "")
				must(t, err)
				if st := read(t, e); shown(st, "v1") != "api=v1 ok, web=v1 ok" || st.N != 1 || st.Epoch != 1 || st.Seq != 3 || st.Stages["web"].Was != st.Stages["api"].Was {
					t.Errorf("write %d, done %v: %s, %+v", n, done, shown(st, "v1"), st)
				}
				sound(t, e, 1)
			})
		}
	}
}

// Somebody else writes before this run has looked whether its own value is in.
func TestAnAnswerThatIsLostIsKnownUnderWhatOthersWrote(t *testing.T) {
	for n := 1; n <= 3; n++ {
		synctest.Test(t, func(t *testing.T) {
			inner := mem.New()
			s := &faulty{Store: inner, after: func() { must(t, open(t, inner).Hold(t.Context(), "meanwhile")) }}
			e := open(t, s)
			s.fails(nth(n, "/state", true))
			d := begin(t, e, want("api=v1", "web=v1<api"))
			must(t, d.Step(t.Context(), map[string]*release.End{"api": {OK: true}}, []string{"web"}))
			_, err := d.End(t.Context(), map[string]*release.End{"web": {OK: true}}, release.EndOK, "")
			must(t, err)
			if st := read(t, e); shown(st, "v1") != "api=v1 ok, web=v1 ok" || st.N != 1 || !st.Stages["web"].Was.IsZero() || st.Hold == nil || st.Lease != nil {
				t.Errorf("write %d: %s, %+v", n, shown(st, "v1"), st)
			}
			sound(t, e, 1)
		})
	}
}

// sound checks that the history has so many deployments, each as the next one names it.
func sound(t *testing.T, e *release.Environment, n uint64) {
	t.Helper()
	var seen []uint64
	if err := e.Chain(t.Context(), read(t, e), func(x *release.Entry) error { seen = append(seen, x.N); return nil }); err != nil {
		t.Error(err)
	}
	if uint64(len(seen)) != n || n > 0 && seen[0] != n {
		t.Errorf("the history has %v, want %d", seen, n)
	}
}

func TestADeploymentThatDiedBeforeItsFirstWriteLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &faulty{Store: mem.New()}
		s.fails(gone)
		if _, _, err := open(t, s).Begin(t.Context(), want("api=v1")); !errors.Is(err, errBroken) {
			t.Error(err)
		}
		s.fails(nil)
		if read(t, open(t, s)).Exists() {
			t.Error("something is there")
		}
	})
}

// The run has written the history, and could not tell the environment: what it says counts.
func TestBetweenTheHistoryAndTheStateTheHistoryCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &faulty{Store: mem.New()}
		e := open(t, s)
		d := begin(t, e, want("api=v1"))
		s.fails(func(name string, _ []byte) (bool, error) {
			return !strings.HasSuffix(name, "/state"), diag.New(diag.Auth, "denied")
		})
		_, err := d.End(t.Context(), map[string]*release.End{"api": {OK: true}}, release.EndOK, "")
		if !diag.Is(err, diag.Auth) || !strings.Contains(err.Error(), "the environment could not be told; the next run deploys again") {
			t.Error(err)
		}
		s.fails(nil)
		st := read(t, e)
		if shown(st, "v1") != "api=v1 deploying" || st.Lease == nil {
			t.Errorf("%s", shown(st, "v1"))
		}
		deploy(t, e, want("api=v1")) // waits until the lease may be taken over
		st = read(t, e)
		x, err := e.Entry(t.Context(), st, 1)
		must(t, err)
		if x.Status != release.EndOK || shown(st, "v1") != "api=v1 ok" || st.N != 2 {
			t.Errorf("%+v; %s", x, shown(st, "v1"))
		}
		sound(t, e, 2)
	})
}

// The history cannot be written: the state has the entry, and the next run puts it first.
func TestAnEntryThatIsNotInTheHistoryIsPutThereByTheNextRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &faulty{Store: mem.New()}
		e := open(t, s)
		deploy(t, e, want("api=v0"))
		s.fails(func(name string, _ []byte) (bool, error) { return !strings.Contains(name, "/log/"), errBroken0(name) })
		x := deploy(t, e, want("api=v1"))
		st := read(t, e)
		if st.Last.N != 2 || st.Logged != 1 || shown(st, "v1") != "api=v1 ok" {
			t.Errorf("last %d, logged %d", st.Last.N, st.Logged)
		}
		if y, err := e.Entry(t.Context(), st, 2); err != nil || !y.Ended.Equal(x.Ended) {
			t.Errorf("%v, %v", y, err)
		}
		if _, _, err := e.Begin(t.Context(), want("api=v2")); !errors.Is(err, errBroken) || read(t, e).Seq != st.Seq {
			t.Errorf("a deployment without a history: %v", err)
		}
		s.fails(nil)
		must(t, e.Hold(t.Context(), "others leave it where it is"))
		_, err := e.Resume(t.Context())
		must(t, err)
		deploy(t, e, want("api=v2"))
		sound(t, e, 3)
	})
}

func errBroken0(name string) error {
	if strings.Contains(name, "/log/") {
		return errBroken
	}
	return nil
}

// The last write meets others, and is made again a second later: the history has one entry, and the state the same.
func TestTheEntryIsMadeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := mem.New()
		s := &faulty{Store: inner}
		e := open(t, s, func(o *release.Options) { o.Now = time.Now })
		d := begin(t, e, want("api=v1"))
		must(t, d.Step(t.Context(), nil, nil))
		again := 3
		s.fails(func(name string, _ []byte) (bool, error) {
			if strings.HasSuffix(name, "/state") && again > 0 {
				again--
				must(t, open(t, inner).Hold(t.Context(), "x"))
				<-time.After(time.Second)
			}
			return true, nil
		})
		_, err := d.End(t.Context(), map[string]*release.End{"api": {OK: true}}, release.EndOK, "")
		must(t, err)
		deploy(t, e, func() *release.Want { w := want("api=v2"); w.Held = true; return w }())
		sound(t, e, 2)
	})
}

func TestAStateThatWasLostGoesOnWhereItsHistoryEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, old := range []int{0, 1, 2, 5, 11} {
			s := mem.New()
			e := open(t, s)
			for range old {
				deploy(t, e, want("api=v1"))
				drifted(t, e, "api", read(t, e).N)
			}
			fresh := mem.New()
			for n := 1; n <= old; n++ {
				copyCell(t, s, fresh, "projects/shop/env/staging/log/"+itoa(n))
			}
			e = open(t, fresh)
			if old == 5 {
				must(t, e.Hold(t.Context(), "before the first deployment"))
				_, err := e.Resume(t.Context())
				must(t, err)
			}
			x := deploy(t, e, want("api=v1"))
			if st := read(t, e); x.N != uint64(old)+1 || st.Epoch < st.N || shown(st, "v1") != "api=v1 ok" {
				t.Errorf("after %d: #%d, %s", old, x.N, shown(st, "v1"))
			}
			sound(t, e, uint64(old)+1)
		}
	})
}

// A copy of the state that was put back is older than the history.
func TestAStateThatWasPutBackCatchesUpWithItsHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mem.New()
		e := open(t, s)
		deploy(t, e, want("api=v1"))
		old := written(t, s)
		for _, v := range []string{"v2", "v3", "v4"} {
			deploy(t, e, want("api="+v))
		}
		_, version, err := s.Load(t.Context(), cell)
		must(t, err)
		_, err = s.Swap(t.Context(), cell, version, []byte(old))
		must(t, err)
		d := begin(t, e, want("api=v5"))
		if _, err = d.End(t.Context(), map[string]*release.End{"api": {OK: true}}, release.EndOK, ""); !diag.Is(err, diag.Busy) {
			t.Errorf("another deployment has the number: %v", err)
		}
		x := deploy(t, e, want("api=v5"))
		if x.N != 5 {
			t.Errorf("#%d", x.N)
		}
		sound(t, e, 5)
	})
}

// Step's context has ended while its write goes on.
func TestAStepThatIsGivenUpIsSettledAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &faulty{Store: mem.New()}
		e := open(t, s)
		deploy(t, e, want("web=v0"))
		d := begin(t, e, func() *release.Want { w := want("api=v1", "web=v1<api"); return w }())
		s.fails(func(string, []byte) (bool, error) { <-time.After(time.Second); return true, nil })
		ctx, cancel := contextOf(t, time.Millisecond)
		defer cancel()
		if err := d.Step(ctx, map[string]*release.End{"api": {OK: true}}, []string{"web"}); err == nil {
			t.Error("it was waited for")
		}
		x, err := d.End(t.Context(), nil, release.EndStopped, "")
		must(t, err)
		if st := read(t, e); shown(st, "v0", "v1") != "api=v1 ok, web=v0 ok" || x.Stages["web"].Do != "not" {
			t.Errorf("%s; %+v", shown(st, "v0", "v1"), x.Stages)
		}
	})
}

func TestADeploymentWhoseEndMightNotFitDoesNotBegin(t *testing.T) {
	s := mem.New()
	e := open(t, s)
	w := want("api=v1", "web=v1<api")
	a := w.Stages["web"]
	a.Values = map[string]string{"TEXT": strings.Repeat("x", 9<<20)} // it begins later
	w.Stages["web"] = a
	if _, _, err := e.Begin(t.Context(), w); !diag.Is(err, diag.Policy) || !strings.Contains(err.Error(), "larger than 8 MiB") {
		t.Error(err)
	}
	if read(t, e).Exists() {
		t.Error("it was written")
	}
	if !slices.Equal(w.Stages["api"].Part.Cmd, []string{"x"}) {
		t.Error("the plan was changed")
	}
}
