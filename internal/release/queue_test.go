package release_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/store/mem"
)

// crowd are runs that deploy to one environment, each a process of its own.
type crowd struct {
	t     *testing.T
	s     *mem.Store
	group *par.Group

	mu    sync.Mutex
	order []string // who began, and who did not
	said  []string
}

func inCrowd(t *testing.T, f func(t *testing.T, c *crowd)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{t: t, s: mem.New()}
		c.group, _ = par.NewGroup(t.Context(), 0)
		f(t, c)
		must(t, c.group.Wait())
	})
}

func (c *crowd) tell(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.order = append(c.order, text)
}

func (c *crowd) env() *release.Environment {
	return open(c.t, c.s, func(o *release.Options) {
		o.Now = time.Now
		o.Say = func(text string) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.said = append(c.said, text)
		}
	})
}

// goes starts a run that deploys for as long as it takes, and returns when it waits or deploys.
func (c *crowd) goes(ctx context.Context, name string, w *release.Want, takes time.Duration) {
	e := c.env()
	c.group.Go(func() error {
		d, v, err := e.Begin(ctx, w)
		if d == nil {
			c.tell(name + " " + strings.TrimSuffix(refusal(v, err), ": context canceled"))
			return nil
		}
		c.tell(name)
		<-time.After(takes) // of the bubble: no time passes
		finish(c.t, d)
		return nil
	})
	<-time.After(time.Second)
	synctest.Wait()
}

func (c *crowd) began(want ...string) {
	c.t.Helper()
	must(c.t, c.group.Wait())
	if !slices.Equal(c.order, want) {
		c.t.Errorf("%q, want %q", c.order, want)
	}
}

func (c *crowd) next() (commits string) {
	for _, n := range read(c.t, c.env()).Next {
		commits += n.Commit + " "
	}
	return commits
}

func TestOnlyTheNewestOfThoseWhoWaitGoesOn(t *testing.T) {
	inCrowd(t, func(t *testing.T, c *crowd) {
		c.goes(t.Context(), "c1", auto("c1", want("api=v1")), 10*time.Minute)
		c.goes(t.Context(), "c3", auto("c3", want("api=v3")), 0)
		c.goes(t.Context(), "c2", auto("c2", want("api=v2")), 0) // older than who waits: it goes at once
		c.goes(t.Context(), "hand", want("api=v9"), 0)           // by hand is never superseded
		c.goes(t.Context(), "c4", auto("c4", want("api=v4")), 0)
		if got := c.next(); got != " c4 " {
			t.Errorf("next: %s", got)
		}
		c.began("c1", "c2 superseded", "c3 superseded", "hand", "c4")
		if st := read(t, c.env()); len(st.Next) > 0 || shown(st, "v4") != "api=v4 ok" || st.N != 3 {
			t.Errorf("%s, %d wait", shown(st, "v4"), len(st.Next))
		}
	})
}

// Where git knows neither commit, and one has no date, nobody can say which is the newer one.
func TestWhoseCommitHasNoDateIsNotSuperseded(t *testing.T) {
	inCrowd(t, func(t *testing.T, c *crowd) {
		undated := auto("x", want("api=v2"))
		undated.Committed = time.Time{}
		dated := auto("y", want("api=v3"))
		dated.Committed = time.Now()
		c.goes(t.Context(), "c1", auto("c1", want("api=v1")), 10*time.Minute)
		c.goes(t.Context(), "x", undated, time.Minute)
		c.goes(t.Context(), "y", dated, time.Minute)
		c.began("c1", "x", "y")
	})
}

func TestOfAllWhoWaitEachGoesInItsTurn(t *testing.T) {
	inCrowd(t, func(t *testing.T, c *crowd) {
		all := func(commit string) *release.Want {
			w := auto(commit, want("api="+commit))
			w.Newest = false
			return w
		}
		c.goes(t.Context(), "c1", all("c1"), 10*time.Minute)
		for _, commit := range []string{"c2", "c3", "c4"} {
			c.goes(t.Context(), commit, all(commit), time.Minute)
		}
		if got := c.next(); got != "c2 c3 c4 " {
			t.Errorf("next: %s", got)
		}
		c.began("c1", "c2", "c3", "c4")
	})
}

func TestRunsForOneCommitTakeOnePlaceAndDeployOnce(t *testing.T) {
	inCrowd(t, func(t *testing.T, c *crowd) {
		c.goes(t.Context(), "c1", auto("c1", want("api=v1")), 10*time.Minute)
		c.goes(t.Context(), "a", auto("c2", want("api=v2")), 0)
		c.goes(t.Context(), "b", auto("c2", want("api=v2")), 0)
		if got := c.next(); got != "c2 " {
			t.Errorf("next: %s", got)
		}
		must(t, c.group.Wait())
		if len(c.order) != 3 || !slices.ContainsFunc(c.order, func(s string) bool { return strings.HasSuffix(s, " nothing") }) || read(t, c.env()).N != 2 {
			t.Errorf("%q", c.order)
		}
	})
}

// Who waits for a lease asks seldom, says so once, and leaves no trace when it is stopped.
func TestWhoStopsWaitingLeavesItsPlace(t *testing.T) {
	inCrowd(t, func(t *testing.T, c *crowd) {
		c.goes(t.Context(), "first", want("api=v1"), 10*time.Minute)
		ctx, cancel := context.WithCancel(t.Context())
		c.goes(ctx, "second", want("api=v2"), 0)
		c.goes(t.Context(), "third", want("api=v3"), 0)
		<-time.After(time.Minute)
		if n := len(read(t, c.env()).Next); n != 2 || len(c.said) != 2 || !strings.Contains(c.said[0], "staging is being deployed by ann since ") {
			t.Errorf("%d wait; said %q", n, c.said)
		}
		cancel()
		<-time.After(5 * time.Second)
		if n := len(read(t, c.env()).Next); n != 1 {
			t.Errorf("%d wait", n)
		}
		hurry := want("api=v4")
		hurry.NoWait = true
		if _, _, err := c.env().Begin(t.Context(), hurry); !diag.Is(err, diag.Busy) {
			t.Error(err)
		}
		c.began("first", "second context canceled", "third")
	})
}

func TestADeadRunAmongThoseWhoWaitIsPassedOver(t *testing.T) {
	inCrowd(t, func(t *testing.T, c *crowd) {
		c.goes(t.Context(), "first", want("api=v1"), 10*time.Minute)
		mortal := &faulty{Store: c.s}
		ctx, cancel := context.WithCancel(t.Context())
		e := open(t, mortal)
		c.group.Go(func() error { _, _, err := e.Begin(ctx, want("api=dead")); c.tell("died"); _ = err; return nil })
		<-time.After(time.Second)
		synctest.Wait()
		mortal.fails(gone)
		cancel() // it cannot leave its place
		c.goes(t.Context(), "third", want("api=v3"), 0)
		if n := len(read(t, c.env()).Next); n != 2 {
			t.Errorf("%d wait", n)
		}
		began := time.Now()
		c.began("first", "died", "third")
		if took := time.Since(began); took > 11*time.Minute {
			t.Errorf("it took %s", took)
		}
	})
}

// Who comes when the environment is free and others wait stands in line, and does not ask without
// a pause.
func TestWhoMeetsAFreeEnvironmentAndAQueueStandsInLine(t *testing.T) {
	inCrowd(t, func(t *testing.T, c *crowd) {
		s := c.env()
		d := begin(t, s, want("api=v1"))
		mortal := &faulty{Store: c.s}
		ctx, cancel := context.WithCancel(t.Context())
		e := open(t, mortal)
		c.group.Go(func() error { _, _, err := e.Begin(ctx, want("api=dead")); _ = err; return nil })
		<-time.After(time.Second)
		synctest.Wait()
		mortal.fails(gone)
		cancel()
		finish(t, d)
		c.goes(t.Context(), "late", want("api=v3"), 0)
		if st := read(t, c.env()); len(st.Next) != 2 || len(c.said) != 1 {
			t.Errorf("%d wait; said %d times", len(st.Next), len(c.said))
		}
		c.began("late")
	})
}

// The holder has died: its lease is taken over when its time is over, and what it left is unknown.
func TestADeadHolderIsReplacedWhenItsTimeIsOver(t *testing.T) {
	inCrowd(t, func(t *testing.T, c *crowd) {
		e := c.env()
		deploy(t, e, want("api=v0", "web=v0"))
		d := begin(t, e, want("api=v1", "web=v0"))
		release.Die(d)
		began := time.Now()
		for range 20 { // each write by somebody else makes the document look new
			<-time.After(3 * time.Second)
			must(t, c.env().Hold(t.Context(), "x"))
			_, err := c.env().Resume(t.Context())
			must(t, err)
		}
		c.goes(t.Context(), "next", want("api=v2", "web=v0"), 0)
		c.began("next")
		if took := time.Since(began); took < 130*time.Second || took > 145*time.Second {
			t.Errorf("taken over after %s", took)
		}
		st := read(t, e)
		x, err := e.Entry(t.Context(), st, 2)
		must(t, err)
		if a := x.Stages["api"]; x.Status != release.EndUnknown || a.Status != "unknown" || a.Key != key("v1") || a.Was != key("v0") || len(x.Stages) != 1 || shown(st, "v2", "v0") != "api=v2 ok, web=v0 ok" {
			t.Errorf("%+v; %s", x, shown(st, "v2", "v0"))
		}
	})
}

// Those who have seen it wait for long know its nonce and the beat of its place.
func TestWhoReplacesADeadHolderIsAlive(t *testing.T) {
	inCrowd(t, func(t *testing.T, c *crowd) {
		release.Die(begin(t, c.env(), want("api=v1")))
		c.goes(t.Context(), "second", want("api=v2"), 10*time.Minute)
		c.goes(t.Context(), "third", want("api=v3"), 0)
		c.began("second", "third")
		sound(t, c.env(), 3)
	})
}

func TestARunThatLostItsLeaseWritesNothing(t *testing.T) {
	inCrowd(t, func(t *testing.T, c *crowd) {
		mortal := &faulty{Store: c.s}
		d := begin(t, open(t, mortal, func(o *release.Options) { o.Now = time.Now }), want("api=v1", "web=v1"))
		mortal.fails(gone) // the network is gone
		<-d.Context().Done()
		c.goes(t.Context(), "next", want("api=v2"), 0)
		must(t, c.group.Wait())
		mortal.fails(nil)
		before := read(t, c.env())
		err := d.Step(t.Context(), map[string]*release.End{"api": {OK: true}}, []string{"web"})
		_, eerr := d.End(t.Context(), nil, release.EndFailed, "")
		if !diag.Is(errors.Join(err), diag.Busy) && err == nil || eerr == nil {
			t.Errorf("%v; %v", err, eerr)
		}
		if after := read(t, c.env()); after.Seq != before.Seq || shown(after, "v1", "v2") != "api=v2 ok, web=v1 unknown" {
			t.Errorf("%s", shown(after, "v1", "v2"))
		}
	})
}

// What is old is not twice as old for who comes late: its commands may be at work still.
func TestADeadHolderIsNotReplacedBeforeItsTimeIsOver(t *testing.T) {
	inCrowd(t, func(t *testing.T, c *crowd) {
		release.Die(begin(t, c.env(), want("api=v1")))
		began := time.Now()
		<-time.After(100 * time.Second)
		c.goes(t.Context(), "next", want("api=v2"), 0)
		c.began("next")
		if took := time.Since(began); took < 130*time.Second || took > 145*time.Second {
			t.Errorf("taken over after %s", took)
		}
	})
}

// A rollback must not go back to what was being deployed when its run died.
func TestWhatADeadRunTriedCountsAsTried(t *testing.T) {
	inCrowd(t, func(t *testing.T, c *crowd) {
		if tried := read(t, c.env()).Tried(); !tried.IsZero() {
			t.Errorf("%s before anything was", tried)
		}
		deploy(t, c.env(), want("api=v1"))
		release.Die(begin(t, c.env(), want("api=v2")))
		if tried := read(t, c.env()).Tried(); tried != id("api=v2") {
			t.Errorf("%s after the death", tried)
		}
		c.goes(t.Context(), "next", want("api=v3"), 0)
		c.began("next")
		if tried := read(t, c.env()).Tried(); tried != id("api=v3") {
			t.Errorf("%s in the end", tried)
		}
	})
}
