package lease

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pipe-build/pipe/internal/canon"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/store"
)

// limitSchema is the number of the form that FORMAT.md describes.
const limitSchema = 1

// limit is a document that several hold at once, up to a number.
type limit struct {
	Schema  int      `json:"schema"`
	Seq     uint64   `json:"seq"` // of writes, so that no value comes twice
	Holders []holder `json:"holders"`
}

// holder has a slot, and says with how many it may be together.
type holder struct {
	Lease
	Most int `json:"most"`
}

// Slot is one of several places in a document that this process holds.
type Slot struct {
	held  *Held
	nonce string
	name  string
}

// Acquire takes a slot in the document with the name as soon as fewer than most others have one:
// the leases of the dead do not count, and are taken out. Each holder's own limit counts for all
// who come while it is there, so that a limit that was lowered holds at once, and a branch with
// a higher one cannot go round it. waiting is called each time that it must wait, with those who
// are waited for; an error of it ends the waiting (nil: wait). l says who asks; an empty nonce
// is filled in.
func Acquire(ctx context.Context, cells store.Cells, name string, most int, l Lease, waiting func(holders []Lease) error) (*Slot, error) {
	d := Open(cells, name)
	if l.Nonce == "" {
		l.Nonce = rand.Text()
	}
	s := &Slot{nonce: l.Nonce, name: name}
	seen, err := d.Read(ctx)
	for err == nil {
		var full []Lease
		var sent time.Time
		sent, err = d.Change(ctx, func(now Seen) ([]byte, error) {
			seen, full = now, nil
			return s.change(now, func(m *limit) error {
				m.Holders = slices.DeleteFunc(m.Holders, func(h holder) bool { return h.Nonce != l.Nonce && d.Dead(now, &h.Lease) })
				if full = m.full(most, l.Nonce); full != nil {
					return errFull
				}
				m.put(holder{l, most})
				return nil
			})
		})
		switch {
		case full == nil && err == nil:
			s.held = d.Hold(ctx, l.ttl(), sent, func(now Seen) ([]byte, error) { return s.change(now, s.renew) })
			return s, nil
		case full == nil:
			return nil, err
		}
		if waiting != nil {
			if err = waiting(full); err != nil {
				return nil, err
			}
		}
		seen, err = d.Wait(ctx, seen, eldest(d, seen, full))
	}
	return nil, err
}

// errFull says that there is no slot now.
var errFull = errors.New("no slot is free")

// full returns those who hold slots when there is none for another one.
func (m *limit) full(most int, nonce string) []Lease {
	var others []Lease
	for _, h := range m.Holders {
		if h.Nonce != nonce {
			others, most = append(others, h.Lease), min(most, h.Most)
		}
	}
	if len(others) < most {
		return nil
	}
	return others
}

// put adds a holder, or replaces what the document says of it.
func (m *limit) put(h holder) {
	i := slices.IndexFunc(m.Holders, func(o holder) bool { return o.Nonce == h.Nonce })
	if i < 0 {
		m.Holders = append(m.Holders, h)
		return
	}
	h.Beat = m.Holders[i].Beat + 1
	m.Holders[i] = h
}

// eldest returns the lease that may be taken over first.
func eldest(d *Doc, seen Seen, leases []Lease) *Lease {
	l := slices.MinFunc(leases, func(a, b Lease) int { return cmp.Compare(d.left(seen, &a), d.left(seen, &b)) })
	return &l
}

// change makes the next value of the document.
func (s *Slot) change(seen Seen, f func(m *limit) error) ([]byte, error) {
	m, err := parseLimit(s.name, seen.Value)
	if err != nil {
		return nil, err
	}
	if err := f(m); err != nil {
		return nil, err
	}
	for i := range m.Holders {
		Age(seen, s.nonce, &m.Holders[i].Lease)
	}
	m.Seq++
	return canon.Marshal(m)
}

// renew is a beat.
func (s *Slot) renew(m *limit) error {
	i := slices.IndexFunc(m.Holders, func(h holder) bool { return h.Nonce == s.nonce })
	if i < 0 {
		return fmt.Errorf("%w: another run has taken the slot in %s", ErrLost, s.name)
	}
	m.Holders[i].Renew()
	return nil
}

// Context ends when the slot is lost: see Held.Context.
func (s *Slot) Context() context.Context { return s.held.Context() }

// Free gives the slot up. After an error it is taken from this process when its time is over.
func (s *Slot) Free(ctx context.Context) error {
	return s.held.Free(ctx, func(seen Seen) ([]byte, error) {
		return s.change(seen, func(m *limit) error {
			m.Holders = slices.DeleteFunc(m.Holders, func(h holder) bool { return h.Nonce == s.nonce })
			return nil
		})
	})
}

// parseLimit reads a document; one that does not exist has no holders.
func parseLimit(name string, b []byte) (*limit, error) {
	m := &limit{Schema: limitSchema, Holders: []holder{}}
	if b == nil {
		return m, nil
	}
	if schema := canon.Schema(b); schema > limitSchema {
		return nil, diag.Newer(name, schema).At(name)
	}
	err := canon.Unmarshal(b, m)
	if err == nil {
		err = m.check()
	}
	if err != nil {
		return nil, diag.New(diag.Integrity, "damaged: %w", err).At(name).
			Hinted("delete it when nothing is being deployed; it holds nothing but who deploys now")
	}
	return m, nil
}

// check finds what the form alone does not: see FORMAT.md.
func (m *limit) check() error {
	if m.Schema != limitSchema {
		return fmt.Errorf("schema %d was never released", m.Schema)
	}
	seen := map[string]bool{}
	for i, h := range m.Holders {
		switch {
		case h.Nonce == "" || seen[h.Nonce]:
			return fmt.Errorf("holders/%d: the nonce %q is empty or repeated", i, h.Nonce)
		case h.TTL <= 0 || h.Aged < 0 || h.Dated < 0 || h.Most <= 0:
			return fmt.Errorf("holders/%d: ttl, aged, dated or most is out of range", i)
		}
		seen[h.Nonce] = true
	}
	return nil
}
