package store_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/disk"
	"github.com/pipe-build/pipe/internal/store/mem"
	"github.com/pipe-build/pipe/internal/store/storetest"
	"github.com/pipe-build/pipe/pkg/digest"
)

func TestWatchedConformance(t *testing.T) {
	s := mem.New()
	storetest.Run(t, func(*testing.T) store.Remote {
		return store.Watched(s, store.NewWatch("mem", store.Patience{}))
	})
}

func TestMountedConformance(t *testing.T) {
	dir := t.TempDir()
	storetest.Run(t, func(*testing.T) store.Remote {
		return store.Mounted(disk.Open(dir), store.NewWatch(dir, store.Patience{}))
	})
}

// stuck is a remote whose calls hang, in the network or in the kernel, or fail.
type stuck struct {
	*disk.Store
	hang  func(ctx context.Context) error // nil: it works
	calls int
	mu    sync.Mutex
	dead  error // what Alive answers
}

func (s *stuck) call(ctx context.Context) error {
	s.mu.Lock()
	s.calls++
	hang := s.hang
	s.mu.Unlock()
	if hang == nil {
		return nil
	}
	return hang(ctx)
}

// set changes what the calls do, while some of them may hang still.
func (s *stuck) set(hang func(ctx context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hang = hang
}

// Stat implements store.Store.
func (s *stuck) Stat(ctx context.Context, ref object.Ref) (int64, error) {
	if err := s.call(ctx); err != nil {
		return 0, err
	}
	return s.Store.Stat(ctx, ref)
}

// Alive implements store.Directory.
func (s *stuck) Alive() error { return s.dead }

// Open implements store.Store.
func (s *stuck) Open(ctx context.Context, _ object.Ref) (io.ReadCloser, error) {
	return &stuckReader{ctx, s}, nil
}

type stuckReader struct {
	ctx context.Context
	s   *stuck
}

func (r *stuckReader) Read(p []byte) (int, error) {
	if err := r.s.call(r.ctx); err != nil {
		return 0, err
	}
	p[0] = 'x'
	return 1, nil
}

func (r *stuckReader) Close() error { return nil }

// Begin implements store.Directory.
func (s *stuck) Begin() (store.Batch, error) { return &stuckBatch{s: s}, nil }

type stuckBatch struct {
	store.Batch
	s *stuck
}

func (b *stuckBatch) Put(context.Context, object.Ref, store.Source) error { return nil }
func (b *stuckBatch) Commit() error                                       { return b.s.call(context.Background()) }
func (b *stuckBatch) Close() error                                        { return nil }

func (s *stuck) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// lines are what people are told.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) say(s string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, s)
}

// both runs a test on a remote behind a network, whose calls end with their context, and
// on a mount, whose calls never end.
func both(t *testing.T, f func(t *testing.T, s *stuck, r store.Remote, l *lines, hang func(ctx context.Context) error)) {
	for name, wrap := range map[string]func(s *stuck, w *store.Watch) store.Remote{
		"network": func(s *stuck, w *store.Watch) store.Remote { return store.Watched(s, w) },
		"mount":   func(s *stuck, w *store.Watch) store.Remote { return store.Mounted(s, w) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				over := make(chan struct{})
				defer close(over)
				hang := func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }
				if name == "mount" {
					hang = func(context.Context) error { <-over; return nil }
				}
				s, l := &stuck{Store: disk.Open(t.TempDir())}, &lines{}
				f(t, s, wrap(s, store.NewWatch("the remote", store.Patience{Say: l.say})), l, hang)
			})
		})
	}
}

func wantDown(t *testing.T, err error) {
	t.Helper()
	var e *diag.Error
	if !errors.As(err, &e) || e.Kind != diag.Network || e.Place != "the remote" || !strings.Contains(e.Hint, "PIPE_REMOTE_TIMEOUT") {
		t.Errorf("%v", err)
	}
}

func TestASilentRemoteIsToldOfAndGivenUpWithinAMinute(t *testing.T) {
	both(t, func(t *testing.T, s *stuck, r store.Remote, l *lines, hang func(ctx context.Context) error) {
		s.set(hang)
		begin := time.Now()
		// One after the other, as a program that goes on after a failure asks them.
		for range 100 {
			err := par.Each(t.Context(), 16, 16, func(ctx context.Context, _ int) error {
				_, err := r.Stat(ctx, storetest.File(nil))
				return err
			})
			wantDown(t, err)
		}
		if took := time.Since(begin); took < 40*time.Second || took > time.Minute {
			t.Errorf("it took %v", took)
		}
		if s.count() > 16 {
			t.Errorf("%d calls to a remote that is down", s.count())
		}
		if len(l.all) != 1 || l.all[0] != "waiting for the remote (no answer for 3 s)" {
			t.Errorf("told: %q", l.all)
		}
		s.set(nil)
		<-time.After(2 * time.Minute)
		if _, err := r.Stat(t.Context(), storetest.File(nil)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("it is up again: %v", err)
		}
	})
}

func TestABodyThatStopsIsGivenUp(t *testing.T) {
	both(t, func(t *testing.T, s *stuck, r store.Remote, l *lines, hang func(ctx context.Context) error) {
		body, err := r.Open(t.Context(), storetest.File(nil))
		if err != nil {
			t.Fatal(err)
		}
		// A byte in two seconds is slow and not silent.
		s.set(func(context.Context) error { <-time.After(2 * time.Second); return nil })
		for range 100 {
			if n, err := body.Read(make([]byte, 10)); n != 1 || err != nil {
				t.Fatal(n, err)
			}
		}
		if len(l.all) != 0 {
			t.Errorf("told: %q", l.all)
		}
		s.set(hang)
		_, err = body.Read(make([]byte, 10))
		wantDown(t, err)
		calls := s.count()
		<-time.After(time.Hour) // a call may still be in it
		if _, again := body.Read(make([]byte, 10)); again == nil || len(l.all) != 1 || s.count() != calls {
			t.Errorf("%v; told: %q", again, l.all)
		}
		if err := body.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestASlowRemoteIsToldOfNowAndThen(t *testing.T) {
	both(t, func(t *testing.T, s *stuck, r store.Remote, l *lines, _ func(ctx context.Context) error) {
		s.set(func(context.Context) error { <-time.After(5 * time.Second); return nil })
		for range 24 { // two minutes
			if _, err := r.Stat(t.Context(), storetest.File(nil)); !errors.Is(err, store.ErrNotFound) {
				t.Fatal(err)
			}
		}
		if len(l.all) < 2 || len(l.all) > 4 {
			t.Errorf("told: %q", l.all)
		}
	})
}

func TestWhoeverInterruptsNeedNotWait(t *testing.T) {
	both(t, func(t *testing.T, s *stuck, r store.Remote, _ *lines, hang func(ctx context.Context) error) {
		s.set(hang)
		stop, begin := errors.New("stop"), time.Now()
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, stop)
		defer cancel()
		if _, err := r.Stat(ctx, storetest.File(nil)); !errors.Is(err, stop) || time.Since(begin) > 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		s.set(nil)
		if _, err := r.Stat(t.Context(), storetest.File(nil)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("an interrupt says nothing of the remote: %v", err)
		}
	})
}

func TestAfterAnErrorForWantOfAnAnswerTheRestFailsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stuck{Store: disk.Open(t.TempDir())}
		r := store.Watched(s, store.NewWatch("x", store.Patience{}))
		refused := diag.New(diag.Network, "refused")
		s.hang = func(context.Context) error { return refused }
		for range 10 {
			if _, err := r.Stat(t.Context(), storetest.File(nil)); !errors.Is(err, refused) {
				t.Error(err)
			}
		}
		if s.calls != 1 {
			t.Errorf("%d calls", s.calls)
		}
	})
}

// One call that had bad luck is no reason to fail those that begin after another was answered.
func TestAnAnswerEndsTheTimeInWhichAllFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stuck{Store: disk.Open(t.TempDir())}
		r := store.Watched(s, store.NewWatch("x", store.Patience{}))
		answer := make(chan bool)
		s.hang = func(context.Context) error { <-answer; return nil }
		done := par.Background(t.Context(), func(context.Context) { _, _ = r.Stat(t.Context(), storetest.File(nil)) })
		synctest.Wait()
		s.set(func(context.Context) error { return diag.New(diag.Network, "refused") })
		if _, err := r.Stat(t.Context(), storetest.File(nil)); !diag.Is(err, diag.Network) {
			t.Error(err)
		}
		s.set(nil)
		if _, err := r.Stat(t.Context(), storetest.File(nil)); !diag.Is(err, diag.Network) {
			t.Errorf("before any answer: %v", err)
		}
		close(answer)
		synctest.Wait()
		if _, err := r.Stat(t.Context(), storetest.File(nil)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("after one: %v", err)
		}
		done()
	})
}

// A lease must be renewed as soon as the remote is back, and who waits for a beat no longer
// than a moment must not keep the others waiting.
func TestACallWithItsOwnDeadlineIsMadeAndTellsNothingWhenItEnds(t *testing.T) {
	both(t, func(t *testing.T, s *stuck, r store.Remote, _ *lines, hang func(ctx context.Context) error) {
		stat := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			_, err := r.Stat(ctx, storetest.File(nil))
			return err
		}
		s.set(hang)
		begin := time.Now()
		stop := par.Background(t.Context(), func(ctx context.Context) {
			for ctx.Err() == nil && time.Since(begin) < time.Hour {
				_ = stat() // what it answers does not matter here
			}
		})
		_, err := r.Stat(t.Context(), storetest.File(nil))
		wantDown(t, err)
		if took := time.Since(begin); took > time.Minute {
			t.Errorf("it took %v", took)
		}
		stop()
		s.set(nil)
		if err := stat(); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("asked again at once: %v", err)
		}
	})
}

func TestADiskThatWritesForLongIsNotDown(t *testing.T) {
	for _, dead := range []error{nil, syscall.ESTALE} {
		synctest.Test(t, func(t *testing.T) {
			s, l := &stuck{Store: disk.Open(t.TempDir()), dead: dead}, &lines{}
			s.hang = func(context.Context) error { <-time.After(10 * time.Minute); return nil }
			r := store.Mounted(s, store.NewWatch("the remote", store.Patience{Say: l.say}))
			batch, err := r.(interface{ Begin() (store.Batch, error) }).Begin()
			if err != nil {
				t.Fatal(err)
			}
			if err := batch.Put(t.Context(), storetest.File(nil), store.Bytes(nil)); err != nil {
				t.Fatal(err)
			}
			if err = batch.Commit(); dead != nil {
				wantDown(t, err)
			} else if err != nil || len(l.all) < 5 {
				t.Errorf("%v; told: %q", err, l.all)
			}
			<-time.After(time.Hour)
		})
	}
}

func TestAMountIsAskedAgain(t *testing.T) {
	for good, want := range map[int]error{1: store.ErrNotFound, 3: store.ErrNotFound, 4: store.ErrUnsteady} {
		for _, fault := range []error{syscall.EIO, syscall.ESTALE, syscall.ENOTCONN} {
			s := &stuck{Store: disk.Open(t.TempDir())}
			s.hang = func(context.Context) error {
				if s.calls < good {
					return fault
				}
				return nil
			}
			r := store.Mounted(s, store.NewWatch("the remote", store.Patience{}))
			_, err := r.Stat(t.Context(), object.Ref{Digest: digest.Of(nil)})
			if !errors.Is(err, want) || s.calls != min(good, 3) || good == 4 && !diag.Is(err, diag.Network) {
				t.Errorf("%v, good at call %d: %v after %d calls", fault, good, err, s.calls)
			}
		}
	}
}
