package lease

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pipe-build/pipe/internal/par"
)

// Held is a document that this process holds: a goroutine beats until Free, or until it is lost.
type Held struct {
	d     *Doc
	ttl   time.Duration
	renew func(Seen) ([]byte, error)

	ctx  context.Context // of what is done under the lease
	end  context.CancelCauseFunc
	run  context.Context // of the beats, which go on when ctx has ended for another reason
	stop context.CancelCauseFunc
	join func()        // returns when nothing is at work any more
	call chan struct{} // has an item when there is something to do

	mu      sync.Mutex
	waiting []*asked
	over    error     // why no change is taken any more
	good    time.Time // when the last good beat was sent
	failed  error     // why the last one was not good
	beats   []chan time.Time
}

// asked is a change that waits to be made.
type asked struct {
	change func(Seen) ([]byte, error)
	err    error
	done   chan struct{}
}

// errFreed is why changes are refused after Free.
var errFreed = errors.New("the lease was given up")

// Hold begins to beat; Free must be called. sent is what Change has told of the write that put
// the lease in. renew makes the next value from the one that is there: it must find the lease
// with its nonce, count its beat up, set Aged to 0, call Age for the others, and fail with
// ErrLost when the lease is not there. The end of ctx ends Context and not the beats, because
// what was begun must be written down before the lease is given up.
func (d *Doc) Hold(ctx context.Context, ttl time.Duration, sent time.Time, renew func(Seen) ([]byte, error)) *Held {
	h := &Held{d: d, ttl: ttl, renew: renew, good: sent, call: make(chan struct{}, 1)}
	h.ctx, h.end = context.WithCancelCause(ctx)
	h.run, h.stop = context.WithCancelCause(context.WithoutCancel(ctx))
	beating, guarding := par.Background(h.run, h.beat), par.Background(h.run, h.guard)
	h.join = func() { beating(); guarding() }
	return h
}

// Context ends, with a cause that wraps ErrLost, when the lease is lost: another has it, or no
// beat was good for two thirds of its time to live. It ends with the context of Hold and by Free,
// too. Once it is lost, no write is sent.
func (h *Held) Context() context.Context { return h.ctx }

// Beats has an item for each good beat whose answer came within a sixth of the time to live; a
// keeper lives by them for two thirds of that time. So it is dead before anybody may take over,
// though it does not know when a beat was sent. Each call returns a channel of its own, which
// holds one item, and is never closed. The first item is the last good beat: a process that stood
// still before it starts a command must find out that it may not start it.
func (h *Held) Beats() <-chan time.Time {
	c := make(chan time.Time, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	c <- h.good
	h.beats = append(h.beats, c)
	return c
}

// Change makes a change of the holder's; change has the duties of renew. All writes of a holder go
// through one goroutine, so that they never contend with one another, each counts as a beat, and
// changes that wait at the same time are one write. It is tried until it is in or the lease is
// lost. When ctx ends before, the change may or may not be in.
func (h *Held) Change(ctx context.Context, change func(Seen) ([]byte, error)) error {
	return h.ask(ctx, change, nil)
}

// Free makes the last change, which takes the lease out, and ends the beats. After an error it may
// or may not be out. Without a change, or after an error of it, the lease is left to die.
func (h *Held) Free(ctx context.Context, last func(Seen) ([]byte, error)) (err error) {
	if last != nil {
		err = h.ask(ctx, last, errFreed)
	}
	h.stop(errFreed)
	h.join()
	h.end(context.Canceled)
	return err
}

// ask has a change made, and no other after it when over is set.
func (h *Held) ask(ctx context.Context, change func(Seen) ([]byte, error), over error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	a := &asked{change: change, done: make(chan struct{})}
	h.mu.Lock()
	if h.over != nil {
		defer h.mu.Unlock()
		return h.over
	}
	h.waiting, h.over = append(h.waiting, a), over
	h.mu.Unlock()
	select {
	case h.call <- struct{}{}:
	default: // it is called already
	}
	select {
	case <-a.done:
		return a.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// guard ends what is done under the lease when no beat was good for too long. It looks often,
// because timers stand still while the machine sleeps, and the wall clock does not.
func (h *Held) guard(ctx context.Context) {
	tick := time.NewTicker(max(h.ttl/60, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := h.expired(); err != nil {
				h.lose(err)
			}
		}
	}
}

// expired returns an error when no beat was good for two thirds of the time to live.
func (h *Held) expired() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	silent := max(time.Since(h.good), h.d.wall().Round(0).Sub(h.good.Round(0)))
	switch {
	case silent < h.ttl*2/3:
		return nil
	case h.failed != nil:
		return fmt.Errorf("%w: it could not be renewed for %g s: %w", ErrLost, silent.Round(time.Second).Seconds(), h.failed)
	}
	return fmt.Errorf("%w: it was not renewed for %g s", ErrLost, silent.Round(time.Second).Seconds())
}

// lose ends all that is done under the lease, and every write.
func (h *Held) lose(err error) {
	h.end(err)
	h.stop(err)
}

// beat writes the document again and again.
func (h *Held) beat(ctx context.Context) {
	defer func() { h.finish(context.Cause(ctx)) }()
	next := h.good.Add(h.ttl / 6)
	for ctx.Err() == nil && !h.freed() {
		t := time.NewTimer(time.Until(next))
		select {
		case <-ctx.Done():
		case <-h.call:
		case <-t.C:
		}
		t.Stop()
		if ctx.Err() != nil {
			return
		}
		sent, err := h.write(ctx)
		switch {
		case errors.Is(err, ErrLost):
			h.lose(err)
		case err != nil: // not for long: another process may renew the credentials
			next = time.Now().Add(h.ttl / 12)
		case !sent.IsZero():
			next = sent.Add(h.ttl / 6)
		}
	}
}

// freed reports that the last change was made.
func (h *Held) freed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.over != nil && len(h.waiting) == 0
}

// finish answers those who wait for what will not be done.
func (h *Held) finish(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		err = errFreed
	}
	h.over = err
	for _, a := range h.waiting {
		a.err = err
		close(a.done)
	}
	h.waiting = nil
}

// write makes all changes that wait, or a beat. sent is zero when nothing was written.
func (h *Held) write(ctx context.Context) (sent time.Time, err error) {
	var taken []*asked
	w := writing{d: h.d, stubborn: h.fail, change: func(seen Seen) ([]byte, error) {
		// Here, because the process may have stood still since the last look.
		if err := h.expired(); err != nil {
			return nil, err
		}
		h.mu.Lock()
		taken, h.waiting = append(taken, h.waiting...), nil
		h.mu.Unlock()
		if len(taken) == 0 {
			return h.renew(seen)
		}
		return all(seen, taken)
	}}
	err = w.run(ctx)
	if err == nil && !w.sent.IsZero() {
		h.renewed(w.sent)
	}
	if err != nil && ctx.Err() != nil { // what is in is in, however long the answer took
		err = context.Cause(ctx)
	}
	for _, a := range taken {
		if err != nil {
			a.err = err
		}
		close(a.done)
	}
	return w.sent, err
}

// all makes one value of several changes. One that fails is left out, unless the lease is lost.
func all(seen Seen, changes []*asked) ([]byte, error) {
	for _, a := range changes {
		var value []byte
		value, a.err = a.change(seen)
		if errors.Is(a.err, ErrLost) {
			return nil, a.err
		}
		if a.err == nil {
			// What the next one finds hides no age: it is not written yet.
			seen.Value, seen.Age, seen.At = value, 0, time.Now()
		}
	}
	return seen.Value, nil
}

// fail takes note of why a beat failed.
func (h *Held) fail(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failed = err
}

// renewed takes note of a good beat.
func (h *Held) renewed(sent time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failed = nil
	if sent.After(h.good) {
		h.good = sent
	}
	if time.Since(sent) >= h.ttl/6 {
		return
	}
	for _, c := range h.beats {
		select {
		case <-c: // nobody has taken it, and this one is newer
		default:
		}
		c <- sent
	}
}
