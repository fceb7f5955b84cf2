package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/par"
)

// Patience says how long a remote may be silent.
type Patience struct {
	Limit time.Duration // after it the remote counts as down; 0: DefaultLimit
	Say   func(string)  // gets a line about what is waited for; nil: nobody does
}

// DefaultLimit leaves a command the time to end within a minute.
const DefaultLimit = 45 * time.Second

const (
	sayAfter = 3 * time.Second
	sayAgain = 30 * time.Second // one line for each silence, and not more often than this
)

// Watch looks after the calls that wait for one remote. After a short silence it says what
// is waited for. After a long one the remote is down: all calls end, and new ones fail at once
// for as long again, so that a hundred objects cost a command no more time than one. New ones
// fail, too, when a call has failed for want of an answer, until another call gets one.
// Calls with a deadline of their own are made all the same: they cost no more than that, and a
// lease that is not renewed because a remote was down a moment ago would be lost.
type Watch struct {
	p     Patience
	url   string
	start time.Time
	last  atomic.Int64 // when something moved, since start
	leave bool         // calls cannot be interrupted, only left
	alive func() error // a question to the remote that costs little; nil: there is none

	mu      sync.Mutex
	calls   map[*waiting]bool
	ticking bool
	told    time.Duration // when something had moved last, at the last line
	down    error
	until   time.Time // when down is over
}

// waiting is a call that waits for the remote.
type waiting struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	slow   bool // it may take any time while the remote is alive
}

// NewWatch returns a watch for the remote at url.
func NewWatch(url string, p Patience) *Watch {
	if p.Limit <= 0 {
		p.Limit = DefaultLimit
	}
	if p.Say == nil {
		p.Say = func(string) {}
	}
	return &Watch{p: p, url: url, start: time.Now(), calls: map[*waiting]bool{}, told: -1}
}

// Limit returns how long the remote may be silent.
func (w *Watch) Limit() time.Duration { return w.p.Limit }

// Moved tells that the remote is not silent.
func (w *Watch) Moved() { w.last.Store(int64(time.Since(w.start))) }

func (w *Watch) silence() time.Duration {
	return time.Since(w.start) - time.Duration(w.last.Load())
}

// begin takes a call in, unless the remote is down.
func (w *Watch) begin(x *waiting) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, own := x.ctx.Deadline()
	if w.down != nil && !own && time.Now().Before(w.until) {
		return w.down
	}
	if len(w.calls) == 0 {
		w.Moved()
	}
	w.calls[x] = true
	if !w.ticking {
		w.ticking = true
		time.AfterFunc(w.sayAfter(), w.tick)
	}
	return nil
}

// end lets a call go, and gives its error the kind that a mount's errors lack.
func (w *Watch) end(x *waiting, err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.calls, x)
	switch {
	case w.leave && unsteady(err):
		return &diag.Error{
			Kind: diag.Network, Place: w.url, What: "cannot be read: " + err.Error(), Err: errors.Join(ErrUnsteady, err),
			Hint: "check the disk or the mount: ls " + w.url,
		}
	case err != nil && errors.Is(err, context.Cause(x.ctx)):
		// The call was given up: that tells nothing of the remote.
	case !diag.Is(err, diag.Network):
		w.Moved()
		w.down = nil // it answers
	case !w.leave && x.ctx.Err() == nil:
		w.fail(err) // it was tried often enough
	}
	return err
}

// fail takes the remote for down for a while. Longer would fail a long build for an outage
// that is over.
func (w *Watch) fail(err error) {
	w.down, w.until = err, time.Now().Add(w.p.Limit)
}

func (w *Watch) sayAfter() time.Duration { return min(sayAfter, w.p.Limit/2) }

// tick looks at the calls now and then while there are any. What it says is said before
// the call that it is about returns.
func (w *Watch) tick() {
	w.ask()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.calls) == 0 {
		w.ticking = false
		return
	}
	silent, next := w.silence(), w.p.Limit
	switch say := w.sayAfter(); {
	case silent >= w.p.Limit:
		w.fail(diag.New(diag.Network, "no answer for %g s", w.p.Limit.Seconds()).At(w.url).
			Hinted("check whether it can be reached, then run the command again; for a slow server, export PIPE_REMOTE_TIMEOUT=5m"))
		for x := range w.calls {
			x.cancel(w.down)
		}
	case silent >= say:
		next = min(next-silent, sayAgain)
		if last := time.Duration(w.last.Load()); last != w.told {
			w.told = last
			w.p.Say(fmt.Sprintf("waiting for %s (no answer for %g s)", w.url, say.Seconds()))
		}
	default:
		next = say - silent
	}
	time.AfterFunc(next, w.tick)
}

// ask asks a remote on which only slow calls wait whether it is alive, before the limit
// is over: a disk may take minutes to write what it holds, and is not down.
func (w *Watch) ask() {
	w.mu.Lock()
	var one *waiting
	for x := range w.calls {
		if one = x; !x.slow {
			break
		}
	}
	w.mu.Unlock()
	if w.alive == nil || one == nil || !one.slow || w.silence() < w.p.Limit {
		return
	}
	ctx, cancel := context.WithTimeout(one.ctx, w.sayAfter())
	defer cancel()
	if _, err := par.Await(ctx, func() (any, error) { return nil, w.alive() }); err == nil {
		w.Moved()
	}
}

// unsteady reports an error of a mounted file system that the next try may not meet: its
// server was restarted, or the line is bad.
func unsteady(err error) bool {
	for _, e := range [...]error{syscall.EIO, syscall.ESTALE, syscall.ETIMEDOUT, syscall.ENOTCONN, syscall.EHOSTDOWN, syscall.EHOSTUNREACH} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// watch runs one call of the store under w.
func watch[T any](ctx context.Context, w *Watch, f func(ctx context.Context) (T, error)) (T, error) {
	return watchSlow(ctx, w, false, f)
}

func watchSlow[T any](ctx context.Context, w *Watch, slow bool, f func(ctx context.Context) (T, error)) (v T, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	return run(&waiting{ctx, cancel, slow}, w, f)
}

// run makes the call x.
func run[T any](x *waiting, w *Watch, f func(ctx context.Context) (T, error)) (v T, err error) {
	if err := w.begin(x); err != nil {
		return v, err
	}
	if w.leave {
		v, err = par.Await(x.ctx, func() (T, error) { return f(x.ctx) })
	} else {
		v, err = f(x.ctx)
	}
	return v, w.end(x, err)
}

// none runs a call that returns only an error.
func none(f func(ctx context.Context) error) func(context.Context) (struct{}, error) {
	return func(ctx context.Context) (struct{}, error) { return struct{}{}, f(ctx) }
}
