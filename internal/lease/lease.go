// Package lease changes small documents in a store by compare-and-swap, and holds them.
//
// A document is one cell of a store. Whoever holds it has written a Lease into it and writes it
// again, again and again, a beat. Who else wants it waits until the lease is given up, or until
// no beat has come for longer than its time to live. The age of a document is told by the
// store's own clock, so clocks of clients do not matter.
package lease

import (
	"errors"
	"time"
)

// Lease is what a holder writes into the document that it holds.
type Lease struct {
	Nonce string `json:"nonce"`         // unlike any other
	N     uint64 `json:"n"`             // what it is held for: the number of a deployment
	By    string `json:"by,omitempty"`  // for people: who holds it
	Run   string `json:"run,omitempty"` // for people: the run, a URL of a CI system or host and process
	At    string `json:"at"`            // for people: since when, RFC 3339 in UTC
	TTL   int64  `json:"ttl"`           // seconds after a beat for which nobody else takes it
	Beat  uint64 `json:"beat"`          // grows with each beat
	// Aged is how old the last beat was when somebody else last wrote the document, in
	// milliseconds: each such write makes the document look new, so it is added up here.
	Aged int64 `json:"aged"`
	// Dated is what the store's clock said when Aged was found, in milliseconds since 1970. From
	// then on that clock counts, and not the time of the document: a server may tell the time of a
	// write and of an answer by two clocks that are a second apart, which each write would add.
	// Absent: no other has written since the beat, or the store does not tell the time.
	Dated int64 `json:"dated,omitempty"`

	counted bool // Aged has the age of the document that the lease was read from, too
}

// ErrLost says that a lease is not this process's any more.
var ErrLost = errors.New("the lease was lost")

// Grace is how long after the end of its time to live a lease is taken over.
const Grace = 10 * time.Second

// longest is the longest time that a lease may name; it keeps sums of what others have written
// from wrapping around.
const longest = 365 * 24 * time.Hour

// ttl returns the time to live.
func (l *Lease) ttl() time.Duration { return units(l.TTL, time.Second) }

// aged returns how old the last beat was when the document was written.
func (l *Lease) aged() time.Duration { return units(l.Aged, time.Millisecond) }

// age returns how old the last beat is by what the document and the store say.
func (l *Lease) age(seen Seen) time.Duration {
	if l.counted {
		return l.aged()
	}
	if l.Dated > 0 && !seen.Now.IsZero() {
		return l.aged() + max(seen.Now.Sub(time.UnixMilli(l.Dated)), 0)
	}
	return l.aged() + max(seen.Age, 0)
}

// Renew makes the lease as good as new: a beat of its holder's.
func (l *Lease) Renew() {
	l.Beat++
	l.Aged, l.Dated = 0, 0
}

// Silent returns for how long the holder has given no sign of life, by what the document and the
// store say; negative: the store does not tell.
func (l *Lease) Silent(seen Seen) time.Duration {
	if seen.Age < 0 {
		return -1
	}
	return l.age(seen)
}

func units(n int64, unit time.Duration) time.Duration {
	return unit * time.Duration(min(max(n, 0), int64(longest/unit)))
}
