package lease_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/lease"
	"github.com/pipe-build/pipe/internal/par"
)

// mine is a change of the holder's.
func mine(f func(*state) error) func(lease.Seen) ([]byte, error) {
	return edit("mine", func(s *state) error {
		if s.Lease == nil || s.Lease.Nonce != "mine" {
			return fmt.Errorf("%w: somebody else has it", lease.ErrLost)
		}
		s.Lease.Beat++
		s.Lease.Aged = 0
		return f(s)
	})
}

var renew = mine(func(*state) error { return nil })

// hold takes a free document.
func hold(t *testing.T, l *line, ttl time.Duration) *lease.Held {
	t.Helper()
	d := lease.Open(l, "doc")
	sent, err := d.Change(t.Context(), edit("mine", func(s *state) error {
		s.Lease = &lease.Lease{Nonce: "mine", TTL: int64(ttl / time.Second)}
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	return d.Hold(t.Context(), ttl, sent, renew)
}

var leave = mine(func(s *state) error { s.Lease = nil; return nil })

func free(t *testing.T, h *lease.Held) {
	t.Helper()
	if err := h.Free(t.Context(), leave); err != nil {
		t.Error(err)
	}
}

func TestADeploymentWithoutABeatIsThreeRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &line{server: &server{}}
		h := hold(t, l, ttl)
		<-time.After(ttl/6 - time.Second)
		free(t, h)
		l.wantRequests(t, 1, 2)
		if l.state(t).Lease != nil {
			t.Error("not free")
		}
		if err := context.Cause(h.Context()); err == nil {
			t.Error("what is done under the lease goes on")
		}
		<-time.After(time.Hour)
		l.wantRequests(t, 1, 2)
	})
}

func TestABeatIsOneRequestInASixthOfTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &line{server: &server{}}
		h := hold(t, l, ttl)
		beats, more := h.Beats(), h.Beats()
		if sent := <-beats; sent != time.Now() {
			t.Errorf("it begins with a beat of %s", sent)
		}
		for i := range 20 {
			at := time.Now()
			sent := <-beats
			if since := time.Since(at); since != ttl/6 || sent != time.Now() {
				t.Errorf("a beat after %v", since)
			}
			synctest.Wait()
			l.wantRequests(t, 1, 2+i)
		}
		if sent := <-more; sent != time.Now() {
			t.Error("who looks late gets an old beat")
		}
		if got := l.state(t).Lease; got.Beat != 20 || got.Aged != 0 {
			t.Errorf("%+v", got)
		}
		free(t, h)
	})
}

func TestChangesThatWaitAreOneWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &line{server: &server{}, delay: func(bool) time.Duration { return time.Second }}
		h := hold(t, l, ttl)
		no := errors.New("no")
		beats := h.Beats()
		<-beats
		err := par.Each(t.Context(), 20, 20, func(ctx context.Context, i int) error {
			if i == 7 {
				if err := h.Change(ctx, mine(func(*state) error { return no })); err != no {
					t.Errorf("an error of one change: %v", err)
				}
				return nil
			}
			return h.Change(ctx, mine(func(s *state) error { s.Words = append(s.Words, "x"); return nil }))
		})
		if err != nil {
			t.Error(err)
		}
		// The first may be alone.
		if l.puts > 3 || len(l.state(t).Words) != 19 {
			t.Errorf("%d words in %d writes", len(l.state(t).Words), l.puts)
		}
		<-beats // each counts as a beat
		free(t, h)
		if err := h.Change(t.Context(), renew); err == nil {
			t.Error("a change after it was given up")
		}
	})
}

func wantLost(t *testing.T, h *lease.Held) {
	t.Helper()
	if err := context.Cause(h.Context()); !errors.Is(err, lease.ErrLost) {
		t.Errorf("not lost: %v", err)
	}
	if err := h.Change(t.Context(), renew); !errors.Is(err, lease.ErrLost) {
		t.Errorf("a change: %v", err)
	}
	if err := h.Free(t.Context(), leave); !errors.Is(err, lease.ErrLost) {
		t.Errorf("free: %v", err)
	}
}

func TestALeaseThatCannotBeRenewedIsLostInTime(t *testing.T) {
	for _, f := range []fate{refused, unheard, swallowed} {
		for _, ttl := range []time.Duration{ttl, 2 * time.Second} {
			synctest.Test(t, func(t *testing.T) {
				l := &line{server: &server{}}
				began := time.Now()
				h := hold(t, l, ttl)
				l.mu.Lock()
				l.fate = func(write bool) fate { return f }
				l.mu.Unlock()
				<-h.Context().Done()
				if err := context.Cause(h.Context()); f == refused && !diag.Is(err, diag.Network) {
					t.Errorf("%d: without its reason: %v", f, err)
				}
				if took := time.Since(began); took < ttl*2/3 || took > ttl*2/3+ttl/30 {
					t.Errorf("%d: lost after %v", f, took)
				}
				synctest.Wait()
				puts := l.puts
				l.fate = nil
				<-time.After(time.Hour)
				wantLost(t, h)
				if l.puts != puts {
					t.Errorf("%d: %d writes after it was lost", f, l.puts-puts)
				}
			})
		}
	}
}

func TestAnOutageThatIsShortEnoughLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &line{server: &server{}}
		h := hold(t, l, ttl)
		l.mu.Lock()
		l.fate = func(bool) fate { return refused }
		l.mu.Unlock()
		stop := par.Background(t.Context(), func(context.Context) {
			if err := h.Change(t.Context(), mine(func(s *state) error { s.Words = []string{"done"}; return nil })); err != nil {
				t.Error(err)
			}
		})
		<-time.After(ttl*2/3 - 2*time.Second)
		l.mu.Lock()
		l.fate = nil
		l.mu.Unlock()
		stop()
		if got := l.state(t).Words; !slices.Equal(got, []string{"done"}) {
			t.Errorf("%q", got)
		}
		<-time.After(time.Hour)
		free(t, h)
	})
}

// A beat whose answer comes late is good, but no keeper may live by it.
func TestALateBeatIsNotPassedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &line{server: &server{}}
		h := hold(t, l, 30*time.Second)
		beats := h.Beats()
		<-beats // the one that is good
		l.mu.Lock()
		l.delay = func(bool) time.Duration { return 2600 * time.Millisecond } // 5.2 s for both ways
		l.mu.Unlock()
		<-time.After(10 * time.Minute)
		select {
		case <-beats:
			t.Error("passed on")
		default:
		}
		free(t, h)
	})
}

func TestALeaseThatAnotherHasIsLostAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &line{server: &server{}}
		h := hold(t, l, ttl)
		l.set(t, `{"lease":{"nonce":"theirs"}}`)
		if err := h.Change(t.Context(), renew); !errors.Is(err, lease.ErrLost) {
			t.Error(err)
		}
		wantLost(t, h)
		if l.state(t).Lease.Nonce != "theirs" {
			t.Error("written over")
		}
	})
}

func TestWritesByOthersBesideAHolderAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		h := hold(t, &line{server: s, delay: upTo(20 * time.Millisecond)}, ttl)
		for range 30 {
			if _, err := lease.Open(&line{server: s}, "doc").Change(t.Context(), edit("x", func(s *state) error {
				s.Words = append(s.Words, "x")
				return nil
			})); err != nil {
				t.Fatal(err)
			}
			<-time.After(7 * time.Second)
		}
		free(t, h)
		if got := s.state(t); len(got.Words) != 30 || got.Lease != nil {
			t.Errorf("%+v", got)
		}
	})
}

// What was begun must be written down, also after an interrupt.
func TestTheEndOfItsContextEndsTheWorkAndNotTheBeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &line{server: &server{}}
		d := lease.Open(l, "doc")
		set := edit("mine", func(s *state) error { s.Lease = &lease.Lease{Nonce: "mine"}; return nil })
		sent, err := d.Change(t.Context(), set)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		h := d.Hold(ctx, ttl, sent, renew)
		interrupt := errors.New("interrupt")
		cancel(interrupt)
		if err := context.Cause(h.Context()); err != interrupt {
			t.Error(err)
		}
		<-time.After(time.Hour)
		free(t, h)
		if l.state(t).Lease != nil {
			t.Error("not free")
		}
	})
}

func TestFreeEndsInTimeAndWithAnErrorOfItsChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &line{server: &server{}}
		h := hold(t, l, ttl)
		l.mu.Lock()
		l.fate = func(bool) fate { return swallowed }
		l.mu.Unlock()
		ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
		defer cancel()
		began := time.Now()
		if err := h.Free(ctx, leave); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 8*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		l.fate = nil
		no := diag.New(diag.Policy, "no")
		l.set(t, "{}")
		h = hold(t, l, ttl)
		if err := h.Free(t.Context(), mine(func(*state) error { return no })); !errors.Is(err, no) {
			t.Error(err)
		}
		if l.state(t).Lease == nil {
			t.Error("taken out after all")
		}
	})
}

// A write that was stuck in the network arrives when another has taken over.
func TestAWriteThatArrivesLateDoesNoHarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stuck := &server{}, make(chan struct{})
		l := &late{line: &line{server: s}}
		d := lease.Open(l, "doc")
		sent, err := d.Change(t.Context(), edit("mine", func(s *state) error { s.Lease = &lease.Lease{Nonce: "mine", TTL: 120}; return nil }))
		if err != nil {
			t.Fatal(err)
		}
		h := d.Hold(t.Context(), ttl, sent, renew)
		l.stuck.Store(&stuck)
		<-h.Context().Done()
		if err := takeOver(t.Context(), lease.Open(&line{server: s}, "doc"), "theirs", nothing); err != nil {
			t.Fatal(err)
		}
		close(stuck)
		synctest.Wait()
		if n := l.arrived.Load(); n == 0 {
			t.Error("nothing arrived")
		}
		if got := s.state(t).Lease; got.Nonce != "theirs" || got.Beat != 0 {
			t.Errorf("%+v", got)
		}
		wantLost(t, h)
	})
}

// late is a line on which writes may be stuck, and arrive though nobody waits for them any more.
type late struct {
	*line
	stuck   atomic.Pointer[chan struct{}]
	arrived atomic.Int64
}

func (l *late) Swap(ctx context.Context, name, old string, value []byte) (string, error) {
	stuck := l.stuck.Load()
	if stuck == nil {
		return l.line.Swap(ctx, name, old, value)
	}
	return par.Await(ctx, func() (string, error) {
		<-*stuck
		defer l.arrived.Add(1)
		return l.put(old, value)
	})
}

// Of several changes in one write only the first finds the age of the document, lest it is added
// to the leases of others more than once.
func TestChangesInOneWriteCountTheAgeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &line{server: &server{exactly: true}, delay: func(bool) time.Duration { return time.Second }}
		h := hold(t, l, ttl)
		if _, err := lease.Open(&line{server: l.server}, "doc").Change(t.Context(), edit("x", func(*state) error { return nil })); err != nil {
			t.Fatal(err)
		}
		<-time.After(5 * time.Second)
		ages := make([][]time.Duration, 4)
		err := par.Each(t.Context(), 4, 4, func(ctx context.Context, i int) error {
			return h.Change(ctx, func(seen lease.Seen) ([]byte, error) {
				ages[i] = append(ages[i], seen.Age)
				return renew(seen)
			})
		})
		var old int
		for _, a := range ages {
			if a[len(a)-1] > 0 {
				old++
			}
		}
		if err != nil || old != 1 {
			t.Errorf("%v, %v", ages, err)
		}
		free(t, h)
	})
}
