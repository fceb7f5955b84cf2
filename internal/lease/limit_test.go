package lease_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/lease"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/mem"
)

// together counts how many are at work at once.
type together struct {
	mu        sync.Mutex
	now, most int
}

func (c *together) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now += n
	c.most = max(c.most, c.now)
}

func TestNoMoreHoldSlotsThanTheLimit(t *testing.T) {
	for _, most := range []int{1, 2, 3} {
		synctest.Test(t, func(t *testing.T) {
			var s store.Cells = mem.New()
			var at together
			err := par.Each(t.Context(), 12, 12, func(ctx context.Context, i int) error {
				slot, err := lease.Acquire(ctx, s, "limits/x", most, lease.Lease{By: fmt.Sprint(i), TTL: 120}, nil)
				if err != nil {
					return err
				}
				at.add(1)
				<-time.After(time.Minute)
				at.add(-1)
				return slot.Free(ctx)
			})
			if err != nil || at.most != most {
				t.Errorf("%d at once, want %d: %v", at.most, most, err)
			}
		})
	}
}

func acquire(t *testing.T, s store.Cells, most int, by string) *lease.Slot {
	t.Helper()
	slot, err := lease.Acquire(t.Context(), s, "limits/x", most, lease.Lease{By: by, TTL: 120}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return slot
}

func TestASlotIsThreeRequests(t *testing.T) {
	l := &line{server: &server{}}
	if err := acquire(t, l, 1, "").Free(t.Context()); err != nil {
		t.Error(err)
	}
	l.wantRequests(t, 1, 2)
}

// The lower limit counts, of those who are there and of those who come.
func TestALimitThatWasChangedHoldsForAllWhoCome(t *testing.T) {
	busy := errors.New("busy")
	for _, c := range []struct {
		there []int
		comes int
		full  int // how many it is told of; 0: it gets in
	}{{[]int{1}, 5, 1}, {[]int{5, 5}, 1, 2}, {[]int{5, 5}, 2, 2}, {[]int{5, 5}, 3, 0}, {[]int{3, 2}, 5, 2}, {nil, 1, 0}} {
		s := mem.New()
		var slots []*lease.Slot
		for i, most := range c.there {
			slots = append(slots, acquire(t, s, most, fmt.Sprint(i)))
		}
		var told []lease.Lease
		slot, err := lease.Acquire(t.Context(), s, "limits/x", c.comes, lease.Lease{TTL: 120}, func(holders []lease.Lease) error {
			told = holders
			return busy
		})
		if len(told) != c.full || (c.full > 0) != (err == busy) {
			t.Errorf("%d beside %v: told of %d, %v", c.comes, c.there, len(told), err)
		}
		if slot != nil {
			slots = append(slots, slot)
		}
		for _, slot := range slots {
			if err := slot.Free(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
}

// A holder that died must not block its slot, though the others write the document with each beat.
func TestTheSlotOfADeadHolderIsTakenBesideOneThatLives(t *testing.T) {
	for _, mute := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := &server{mute: mute}
			began := time.Now()
			dead, lives := acquire(t, &line{server: s}, 2, "dead"), acquire(t, &line{server: s}, 2, "lives")
			gone, cancel := context.WithCancel(t.Context())
			cancel()
			if err := dead.Free(gone); err == nil {
				t.Fatal("it was freed")
			}
			third := acquire(t, &line{server: s}, 2, "third")
			wantTakenOver(t, began, ttl)
			for _, slot := range []*lease.Slot{lives, third} {
				if err := context.Cause(slot.Context()); err != nil {
					t.Error(err)
				}
				if err := slot.Free(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestASlotThatAnotherHasTakenIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &line{server: &server{}}
		slot := acquire(t, l, 1, "")
		l.set(t, `{"holders":[],"schema":1,"seq":9}`+"\n")
		<-slot.Context().Done()
		if err := context.Cause(slot.Context()); !errors.Is(err, lease.ErrLost) || !strings.Contains(err.Error(), "limits/x") {
			t.Error(err)
		}
		if err := slot.Free(t.Context()); !errors.Is(err, lease.ErrLost) {
			t.Error(err)
		}
	})
}

func TestALimitInAnotherFormIsRefusedAndKept(t *testing.T) {
	const one = `{"aged":0,"at":"","beat":0,"most":1,"n":0,"nonce":"a","ttl":120}`
	for doc, kind := range map[string]diag.Kind{
		`{"holders":[],"schema":2,"seq":1}`:  diag.Policy,
		`{"anything":1,"schema":99}`:         diag.Policy,
		``:                                   diag.Integrity,
		`<html>`:                             diag.Integrity,
		`{"holders":[],"schema":0,"seq":1}`:  diag.Integrity,
		`{"holders":[], "schema":1,"seq":1}`: diag.Integrity,
		`{"holders":[` + one + `,` + one + `],"schema":1,"seq":1}`:                                  diag.Integrity,
		`{"holders":[` + strings.Replace(one, `"ttl":120`, `"ttl":0`, 1) + `],"schema":1,"seq":1}`:  diag.Integrity,
		`{"holders":[` + strings.Replace(one, `"most":1`, `"most":0`, 1) + `],"schema":1,"seq":1}`:  diag.Integrity,
		`{"holders":[` + strings.Replace(one, `"aged":0`, `"aged":-1`, 1) + `],"schema":1,"seq":1}`: diag.Integrity,
	} {
		s := mem.New()
		if _, err := s.Swap(t.Context(), "limits/x", "", []byte(doc+"\n")); err != nil {
			t.Fatal(err)
		}
		_, err := lease.Acquire(t.Context(), s, "limits/x", 1, lease.Lease{TTL: 120}, nil)
		var e *diag.Error
		if !errors.As(err, &e) || e.Kind != kind || e.Place != "limits/x" || e.Hint == "" {
			t.Errorf("%s: %v", doc, err)
		}
		if got, _, err := s.Load(t.Context(), "limits/x"); err != nil || string(got) != doc+"\n" {
			t.Errorf("%q, %v", got, err)
		}
	}
}

func TestALimitIsWrittenAsItsFormatSays(t *testing.T) {
	s := mem.New()
	at := lease.Lease{Nonce: "a", N: 7, By: "ann", Run: "host:12", At: "2026-01-02T03:04:05Z", TTL: 120}
	slot, err := lease.Acquire(t.Context(), s, "limits/x", 2, at, nil)
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := s.Load(t.Context(), "limits/x")
	if err != nil || !bytes.Contains(page, got) {
		t.Errorf("%s, %v", got, err)
	}
	if err := slot.Free(t.Context()); err != nil {
		t.Error(err)
	}
	if got, _, err := s.Load(t.Context(), "limits/x"); err != nil || string(got) != `{"holders":[],"schema":1,"seq":2}`+"\n" {
		t.Errorf("%s, %v", got, err)
	}
}
