package lease

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/store"
)

const (
	// deadline is how long one request may take. A beat that takes longer is one that failed.
	deadline = 10 * time.Second
	// tries is how many writers may be ahead of us, one after the other.
	tries = 100
	// failures is how many requests in a row may stay without an answer.
	failures = 4
	// poll is how often those who wait look, and a fifth of it more or less.
	poll = 5 * time.Second
	// outage is how long those who wait put up with a store that does not answer.
	outage = time.Minute
)

// Seen is a document as it was read.
type Seen struct {
	Value   []byte // nil: there is none
	Version string // empty: there is none
	// Age is how long ago it was written, by the store's clock; negative: the store does not tell.
	Age time.Duration
	At  time.Time // when the answer came, by this process's monotonic clock
	Now time.Time // what the store's clock said then; zero: it does not tell

	sights *sights
}

// Doc is one document. The value is safe for many goroutines.
type Doc struct {
	cells  store.Cells
	name   string
	sights *sights
	wall   func() time.Time

	mu   sync.Mutex
	last *Seen // what was read or written last; nil: nothing
}

// Open returns the document with the name, which need not exist.
func Open(cells store.Cells, name string) *Doc {
	return &Doc{cells: cells, name: name, sights: &sights{seen: map[string]sight{}}, wall: time.Now}
}

// Read reads the document; one that does not exist has neither value nor version.
func (d *Doc) Read(ctx context.Context) (Seen, error) {
	seen, err := d.look(ctx, "")
	if err != nil {
		return Seen{}, fmt.Errorf("read %s: %w", d.name, err)
	}
	return seen, nil
}

// look reads the document unless it has the version that is known.
func (d *Doc) look(ctx context.Context, known string) (Seen, error) {
	c, err := request(ctx, func(ctx context.Context) (store.Cell, error) { return d.cells.Look(ctx, d.name, known) })
	switch {
	case errors.Is(err, store.ErrNotFound):
		c = store.Cell{Age: -1}
	case err != nil:
		return Seen{}, err
	case known != "" && c.Version == known: // the server does not know the condition
		return Seen{}, store.ErrUnchanged
	case c.Value == nil:
		c.Value = []byte{} // there is one
	}
	return d.keep(c), nil
}

// keep remembers what was read or written a moment ago.
func (d *Doc) keep(c store.Cell) Seen {
	seen := Seen{Value: c.Value, Version: c.Version, Age: c.Age, At: time.Now(), Now: c.Now, sights: d.sights}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = &seen
	return seen
}

// remembered returns what was read or written last, or reads it.
func (d *Doc) remembered(ctx context.Context) (Seen, error) {
	d.mu.Lock()
	last := d.last
	d.mu.Unlock()
	if last != nil {
		return *last, nil
	}
	return d.Read(ctx)
}

// errSilent is what a request that has taken too long fails with.
var errSilent = errors.New("no answer in time")

// request makes one request, with a deadline of its own.
func request[T any](ctx context.Context, f func(ctx context.Context) (T, error)) (T, error) {
	limited, cancel := context.WithTimeoutCause(ctx, deadline, errSilent)
	defer cancel()
	v, err := f(limited)
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		err = diag.New(diag.Network, "%w (%g s)", errSilent, deadline.Seconds()).Hinted("run the command again when the remote answers")
	}
	return v, err
}

// Change replaces the document by what change makes of it, and tells when the write that put it
// in was sent first. It begins with what was read or written last, if there is such a thing: when
// nobody has written since, Read and Change are two requests.
//
// Each value that change returns must be unlike any before it (a number that grows, a nonce),
// because after an answer that was lost Change looks whether its own value is in. Somebody else
// may have written since over that value: so change may also be called on a document that it has
// changed, must know it by its nonce, and may return the value as it is; then nothing is written.
// An error of it is returned as it is, and nothing is written. After any other error the value
// may or may not be in.
func (d *Doc) Change(ctx context.Context, change func(Seen) ([]byte, error)) (sent time.Time, err error) {
	w := writing{d: d, change: change}
	err = w.run(ctx)
	return w.sent, err
}

// writing is a change that is being made.
type writing struct {
	d      *Doc
	change func(Seen) ([]byte, error)
	// stubborn gets each failure of a write that goes on until its context ends, while it only
	// meets other writers and a store that does not answer; nil: it gives up after some.
	stubborn func(error)

	again  bool      // the document must be read
	lost   []byte    // a value that may or may not have been written
	sent   time.Time // when the first value was sent, or the one that is in
	failed int       // requests in a row that stayed without an answer
}

// run makes attempts until the change is in.
func (w *writing) run(ctx context.Context) error {
	for try := 0; w.stubborn != nil || try < tries; try++ {
		if done, err := w.try(ctx); done || err != nil {
			return err
		}
		if err := pause(ctx, w.most(try)); err != nil {
			return err
		}
	}
	return diag.New(diag.Busy, "changed %d times by other runs", tries).At(w.d.name).Hinted("run the command again")
}

// try makes one attempt, and reports whether the change is in.
func (w *writing) try(ctx context.Context) (done bool, err error) {
	seen, err := w.read(ctx)
	if err != nil {
		return false, w.failure(ctx, "read", err)
	}
	if w.lost != nil && bytes.Equal(seen.Value, w.lost) {
		return true, nil
	}
	value, err := w.change(seen)
	switch {
	case err != nil && !w.again && time.Since(seen.At) > deadline:
		w.again = true // it may have found fault with what is not there any more
		return false, nil
	case err != nil:
		return false, err
	case value != nil && bytes.Equal(value, seen.Value):
		return true, nil
	}
	w.again, w.lost = true, value
	now := time.Now()
	version, err := request(ctx, func(ctx context.Context) (string, error) {
		return w.d.cells.Swap(ctx, w.d.name, seen.Version, value)
	})
	if w.sent.IsZero() || err == nil {
		w.sent = now
	}
	if err == nil {
		w.d.wrote(value, version)
		return true, nil
	}
	if errors.Is(err, store.ErrConflict) {
		w.failed = 0
		return false, nil
	}
	return false, w.failure(ctx, "write", err)
}

func (w *writing) read(ctx context.Context) (Seen, error) {
	if w.again {
		return w.d.look(ctx, "")
	}
	return w.d.remembered(ctx)
}

// failure returns an error unless the request may be made again.
func (w *writing) failure(ctx context.Context, doing string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	w.failed++
	again := w.failed < failures
	err, network := fmt.Errorf("%s %s: %w", doing, w.d.name, err), diag.Is(err, diag.Network)
	if w.stubborn != nil {
		w.stubborn(err)
		again = true
	}
	if again && network {
		return nil
	}
	return err
}

// wrote remembers what was written a moment ago.
func (d *Doc) wrote(value []byte, version string) {
	if version == "" {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.last = nil // the store does not tell the version, and none has another meaning
		return
	}
	d.keep(store.Cell{Value: value, Version: version})
}

// most returns how long to wait at most after a try that another writer was ahead of: the more
// there are, the longer. But a holder, who has little time, goes before those who wait.
func (w *writing) most(try int) time.Duration {
	most := time.Second
	if w.stubborn != nil {
		most = 50 * time.Millisecond
	}
	return min(most, 5*time.Millisecond<<min(try, 8))
}

// pause waits a random time.
func pause(ctx context.Context, most time.Duration) error { return par.Sleep(ctx, rand.N(most)) }

// Wait looks at the document again and again, every five seconds or so (for a lease that lives
// shorter: as often as that), until it is not the one that known is, or until the lease in known
// may be taken over, and returns it. A request for a document that has not changed has no body.
// It waits before it looks, so that it may be called in a loop.
func (d *Doc) Wait(ctx context.Context, known Seen, l *Lease) (Seen, error) {
	answered := time.Now()
	for {
		if err := par.Sleep(ctx, d.patience(known, l)); err != nil {
			return Seen{}, err
		}
		seen, err := d.look(ctx, known.Version)
		switch {
		case err == nil && seen.Version != known.Version:
			return seen, nil
		case err == nil, errors.Is(err, store.ErrUnchanged):
			if answered = time.Now(); l != nil && d.Dead(known, l) {
				return known, nil
			}
		case ctx.Err() != nil:
			return Seen{}, context.Cause(ctx)
		case !diag.Is(err, diag.Network), time.Since(answered) > outage:
			return Seen{}, fmt.Errorf("read %s: %w", d.name, err)
		}
	}
}

// patience returns how long to wait before the next look. Not all look at the same time, least
// of all when a lease may be taken over.
func (d *Doc) patience(known Seen, l *Lease) time.Duration {
	most := poll
	if l != nil {
		most = min(poll, max(l.ttl(), time.Second))
	}
	next := most - most/5 + rand.N(2*most/5)
	if l != nil {
		next = min(next, max(d.left(known, l), 0)+rand.N(time.Second))
	}
	return next
}
