package lease_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pipe-build/pipe/internal/lease"
	"github.com/pipe-build/pipe/internal/par"
)

const ttl = 120 * time.Second

// dead puts a lease into a document that nobody renews.
func dead(t *testing.T, s *server, ttl time.Duration) {
	t.Helper()
	l := &lease.Lease{Nonce: "dead", TTL: int64(ttl / time.Second)}
	if _, err := lease.Open(&line{server: s}, "doc").Change(t.Context(), edit("dead", func(s *state) error { s.Lease = l; return nil })); err != nil {
		t.Fatal(err)
	}
}

// takeOver waits until the lease in the document may be taken over, and takes it over. Each time
// that it has waited it calls write.
func takeOver(ctx context.Context, d *lease.Doc, nonce string, write func() error) error {
	errWait := errors.New("wait")
	seen, err := d.Read(ctx)
	for err == nil {
		var found *lease.Lease
		_, err = d.Change(ctx, func(now lease.Seen) ([]byte, error) {
			seen = now
			return edit(nonce, func(s *state) error {
				if found = s.Lease; found != nil && found.Nonce != nonce && !d.Dead(now, found) {
					return errWait
				}
				s.Lease = &lease.Lease{Nonce: nonce, TTL: int64(ttl / time.Second)}
				return nil
			})(now)
		})
		if err != errWait {
			return err
		}
		if err = write(); err != nil {
			return err
		}
		seen, err = d.Wait(ctx, seen, found)
	}
	return err
}

func nothing() error { return nil }

// The bounds are those of the contract: after the time to live and Grace, and 10 s later at most.
func wantTakenOver(t *testing.T, began time.Time, ttl time.Duration) {
	t.Helper()
	if took := time.Since(began); took < ttl+lease.Grace-time.Second || took > ttl+2*lease.Grace {
		t.Errorf("taken over after %v", took)
	}
}

func TestADeadLeaseIsTakenOverInTimeWhateverTheClocksSay(t *testing.T) {
	const day = 24 * time.Hour
	for name, s := range map[string]*server{
		"same time":            {},
		"server ten days late": {ahead: -10 * day},
		"ten days early":       {ahead: 10 * day},
		"parts of a second":    {exactly: true},
		"no ages":              {mute: true},
	} {
		for _, ttl := range []time.Duration{ttl, 2 * time.Second} {
			synctest.Test(t, func(t *testing.T) {
				s := &server{ahead: s.ahead, exactly: s.exactly, mute: s.mute}
				<-time.After(rand.N(time.Second))
				dead(t, s, ttl)
				began := time.Now()
				l := &line{server: s, delay: upTo(50 * time.Millisecond)}
				if err := takeOver(t.Context(), lease.Open(l, "doc"), "mine", nothing); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				wantTakenOver(t, began, ttl)
				if most := int(ttl/(4*time.Second)) + 12; l.gets > most || l.puts > 1 {
					t.Errorf("%s: %d GET and %d PUT", name, l.gets, l.puts)
				}
			})
		}
	}
}

// Whoever comes late need not wait for a time that is over.
func TestALeaseThatDiedLongAgoIsTakenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		dead(t, s, ttl)
		<-time.After(time.Hour)
		l := &line{server: s}
		if err := takeOver(t.Context(), lease.Open(l, "doc"), "mine", nothing); err != nil {
			t.Fatal(err)
		}
		l.wantRequests(t, 1, 1)
	})
}

func TestWritesByOthersDoNotKeepADeadLeaseAlive(t *testing.T) {
	for name, s := range map[string]*server{"whole seconds": {}, "parts": {exactly: true}, "no ages": {mute: true}} {
		synctest.Test(t, func(t *testing.T) {
			s := &server{exactly: s.exactly, mute: s.mute}
			dead(t, s, ttl)
			began := time.Now()
			ctx, cancel := context.WithCancel(t.Context())
			g, ctx := par.NewGroup(ctx, 0)
			for i := range 20 {
				d := lease.Open(&line{server: s, delay: upTo(50 * time.Millisecond)}, "doc")
				nonce := string(rune('a' + i))
				// A write in each second by each, beside the waiting.
				g.Go(func() error {
					for after(ctx, 500*time.Millisecond+rand.N(time.Second)) == nil {
						if _, err := d.Change(ctx, edit(nonce, func(*state) error { return nil })); err != nil && ctx.Err() == nil {
							return err
						}
					}
					return nil
				})
				g.Go(func() error {
					err := takeOver(ctx, d, nonce, nothing)
					if ctx.Err() != nil {
						return nil
					}
					wantTakenOver(t, began, ttl)
					cancel()
					return err
				})
			}
			if err := g.Wait(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			cancel()
		})
	}
}

// Each writer may be a new process, which remembers nothing: then only the document does.
func TestWritesByProcessesThatEndDoNotKeepADeadLeaseAlive(t *testing.T) {
	for _, late := range []time.Duration{0, 300 * time.Millisecond, 900 * time.Millisecond} {
		for _, pause := range []func() time.Duration{
			func() time.Duration { return rand.N(2 * time.Second) },
			func() time.Duration { return time.Second }, // in step with the server's seconds
		} {
			synctest.Test(t, func(t *testing.T) { writtenByOthers(t, &server{late: late}, pause) })
		}
	}
}

func writtenByOthers(t *testing.T, s *server, pause func() time.Duration) {
	dead(t, s, ttl)
	began := time.Now()
	for time.Since(began) < ttl+lease.Grace+5*time.Second {
		d := lease.Open(&line{server: s, delay: upTo(20 * time.Millisecond)}, "doc")
		if _, err := d.Change(t.Context(), edit("x", func(*state) error { return nil })); err != nil {
			t.Fatal(err)
		}
		<-time.After(pause())
		if age := time.Duration(s.state(t).Lease.Aged) * time.Millisecond; age > time.Since(began)+2*time.Second {
			t.Errorf("%v old after %v", age, time.Since(began))
		}
	}
	d := lease.Open(&line{server: s}, "doc")
	seen, err := d.Read(t.Context())
	if err != nil || !d.Dead(seen, s.state(t).Lease) {
		t.Errorf("answers %s late: not dead: %d ms, %v", s.late, s.state(t).Lease.Aged, err)
	}
}

// Where the store tells no age, what one has seen is told to those who come later.
func TestWhatAWaiterHasSeenStandsInTheDocument(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{mute: true}
		dead(t, s, ttl)
		began := time.Now()
		var last time.Duration
		for range 4 {
			d := lease.Open(&line{server: s}, "doc")
			for range 3 {
				if _, err := d.Change(t.Context(), edit("x", func(*state) error { return nil })); err != nil {
					t.Fatal(err)
				}
				last = time.Since(began)
				<-time.After(10 * time.Second)
			}
		}
		// The time between two of them nobody has seen.
		if got := time.Duration(s.state(t).Lease.Aged) * time.Millisecond; got != last-3*10*time.Second {
			t.Errorf("aged %v after %v", got, last)
		}
	})
}

// A holder that beats is alive, however many write beside it.
func TestALeaseThatIsRenewedIsNeverTakenOver(t *testing.T) {
	for name, s := range map[string]*server{"whole seconds": {}, "no ages": {mute: true}} {
		synctest.Test(t, func(t *testing.T) {
			s := &server{mute: s.mute}
			h := hold(t, &line{server: s, delay: upTo(50 * time.Millisecond)}, ttl)
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			err := par.Each(ctx, 5, 5, func(ctx context.Context, i int) error {
				d := lease.Open(&line{server: s, delay: upTo(50 * time.Millisecond)}, "doc")
				nonce := string(rune('a' + i))
				return takeOver(ctx, d, nonce, func() error {
					_, err := d.Change(ctx, edit(nonce, func(*state) error { return nil }))
					return err
				})
			})
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v", name, err)
			}
			if err := context.Cause(h.Context()); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			free(t, h)
		})
	}
}

func TestNumbersThatAreOutOfRangeDoNotWrapAround(t *testing.T) {
	d := lease.Open(&line{server: &server{}}, "doc")
	seen := lease.Seen{Age: time.Minute, At: time.Now()}
	l := &lease.Lease{TTL: 1 << 62}
	if d.Dead(seen, l) {
		t.Error("a lease for ever is dead")
	}
	l = &lease.Lease{TTL: 1, Aged: 1 << 62}
	if !d.Dead(seen, l) {
		t.Error("a beat of ages ago is not dead")
	}
	if lease.Age(seen, "", l, nil); l.Aged <= 0 {
		t.Errorf("aged %d", l.Aged)
	}
}

// A server tells whole seconds: whoever reads late in one, and writes early in the next, must not
// make more of it.
func TestNoWayToWriteMakesALeaseOlderThanItIs(t *testing.T) {
	for _, phase := range []time.Duration{0, 300 * time.Millisecond, 600 * time.Millisecond, 900 * time.Millisecond} {
		for _, think := range []time.Duration{0, 200 * time.Millisecond, 900 * time.Millisecond} {
			synctest.Test(t, func(t *testing.T) {
				s := &server{}
				<-time.After(phase)
				dead(t, s, ttl)
				began := time.Now()
				for range 60 {
					d := lease.Open(&line{server: s}, "doc")
					if _, err := d.Read(t.Context()); err != nil {
						t.Fatal(err)
					}
					<-time.After(think)
					if _, err := d.Change(t.Context(), edit("x", func(*state) error { return nil })); err != nil {
						t.Fatal(err)
					}
					<-time.After(time.Second - think)
				}
				if age := time.Duration(s.state(t).Lease.Aged) * time.Millisecond; age > time.Since(began)+time.Second {
					t.Errorf("%v, %v: %v old after %v", phase, think, age, time.Since(began))
				}
			})
		}
	}
}

func TestTheAgeOfADocumentIsCountedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		dead(t, s, ttl)
		d := lease.Open(&line{server: s}, "doc")
		for _, c := range []struct {
			after time.Duration
			dead  bool
		}{{(ttl + lease.Grace) * 3 / 4, false}, {ttl + lease.Grace + time.Second, true}} {
			<-time.After(c.after - time.Since(s.at))
			seen, err := d.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			l := s.state(t).Lease
			lease.Age(seen, "", l)
			once := l.Aged
			lease.Age(seen, "", l)
			if l.Aged != once || d.Dead(seen, l) != c.dead {
				t.Errorf("after %v: aged %d, then %d, dead: %v", c.after, once, l.Aged, d.Dead(seen, l))
			}
		}
	})
}
