package lease_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/store"
)

// server keeps one cell, and has a clock of its own.
type server struct {
	mu      sync.Mutex
	value   []byte
	writes  int
	at      time.Time
	ahead   time.Duration // of the clients' clocks
	mute    bool          // it does not tell ages
	exactly bool          // it does not round its times to seconds
	late    time.Duration // by how much its answers' clock is behind that of its writes
}

func (s *server) now() time.Time {
	now := time.Now().Add(s.ahead)
	if s.exactly {
		return now
	}
	return now.Truncate(time.Second)
}

func (s *server) get(known string) (store.Cell, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	version := strconv.Itoa(s.writes)
	switch {
	case s.writes == 0:
		return store.Cell{}, store.ErrNotFound
	case version == known:
		return store.Cell{}, store.ErrUnchanged
	}
	now := time.Now().Add(s.ahead - s.late)
	if !s.exactly {
		now = now.Truncate(time.Second)
	}
	c := store.Cell{Value: bytes.Clone(s.value), Version: version, Age: store.Age(s.at, now), Now: now}
	if s.mute {
		c.Age, c.Now = -1, time.Time{}
	}
	return c, nil
}

func (s *server) put(old string, value []byte) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old == "" && s.writes > 0 || old != "" && old != strconv.Itoa(s.writes) {
		return "", store.ErrConflict
	}
	s.value, s.at = bytes.Clone(value), s.now()
	s.writes++
	return strconv.Itoa(s.writes), nil
}

// fate is what becomes of a request.
type fate int

const (
	answered  fate = iota
	refused        // nothing is done
	unheard        // it is done, and the answer is lost
	swallowed      // nothing is done, and no answer comes
)

// line is how one client reaches a server.
type line struct {
	*server
	gets, puts int
	fate       func(write bool) fate          // nil: all are answered
	delay      func(write bool) time.Duration // before and after the server is reached; nil: none
}

var errLine = diag.New(diag.Network, "connection reset")

func (l *line) send(ctx context.Context, write bool, f func() error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	l.mu.Lock()
	if write {
		l.puts++
	} else {
		l.gets++
	}
	var is fate
	if l.fate != nil {
		is = l.fate(write)
	}
	l.mu.Unlock()
	switch is {
	case refused:
		return errLine
	case swallowed:
		<-ctx.Done()
		return context.Cause(ctx)
	}
	if l.delay == nil {
		return errors.Join(f(), map[fate]error{unheard: errLine}[is])
	}
	if err := after(ctx, l.delay(write)); err != nil {
		return err
	}
	err := f()
	if is == unheard {
		return errLine
	}
	return errors.Join(err, after(ctx, l.delay(write)))
}

func after(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// Load implements store.Cells.
func (l *line) Load(ctx context.Context, name string) ([]byte, string, error) {
	c, err := l.Look(ctx, name, "")
	return c.Value, c.Version, err
}

// Look implements store.Cells.
func (l *line) Look(ctx context.Context, _, known string) (c store.Cell, err error) {
	err = l.send(ctx, false, func() (err error) {
		c, err = l.get(known)
		return err
	})
	return c, err
}

// Swap implements store.Cells.
func (l *line) Swap(ctx context.Context, _, old string, value []byte) (version string, err error) {
	err = l.send(ctx, true, func() (err error) {
		version, err = l.put(old, value)
		return err
	})
	return version, err
}

// faults loses a tenth of the answers, refuses a twentieth of the requests, and now and then
// lets one hang.
func faults(r *rand.Rand) func(bool) fate {
	return func(bool) fate {
		switch n := r.IntN(1000); {
		case n < 100:
			return unheard
		case n < 150:
			return refused
		case n < 155:
			return swallowed
		}
		return answered
	}
}

// upTo returns random times below most.
func upTo(most time.Duration) func(bool) time.Duration {
	return func(bool) time.Duration { return rand.N(most) }
}

func (s *server) set(t *testing.T, value string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.value, s.at = []byte(value), s.now()
	s.writes++
}
