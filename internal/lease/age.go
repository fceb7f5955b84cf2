package lease

import (
	"sync"
	"time"
)

// slack is by how much an age that was seen may be too great. A server tells whole seconds, of
// the writing and of the reading: one second for that, and one for what the document says of
// beats before, of which the same is true.
const slack = 2 * time.Second

// sights remembers since when this process has seen beats. Others write the document, too, and
// each such write takes a part of a second from the age that the store tells, or all of it where
// it tells none; who has seen the same beat for a while knows better.
type sights struct {
	mu   sync.Mutex
	seen map[string]sight // by nonce
}

// sight is a beat, and how old it was at least at a time.
type sight struct {
	beat uint64
	age  time.Duration
	at   time.Time
}

// least returns how old a beat is at least, now.
func (s sight) least(now time.Time) time.Duration { return s.age + now.Sub(s.at) }

// look returns how old at least the last beat of l is now; l was read with seen.
func (s *sights) look(seen Seen, l *Lease) time.Duration {
	if s == nil {
		return 0 // seen was not read by a Doc
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	fresh := sight{l.Beat, l.aged(), seen.At}
	if seen.Age >= 0 {
		fresh.age = max(0, l.age(seen)-slack)
	}
	if old, ok := s.seen[l.Nonce]; ok && old.beat == l.Beat && old.least(now) >= fresh.least(now) {
		return old.least(now)
	}
	s.seen[l.Nonce] = fresh
	return fresh.least(now)
}

// age returns how old the last beat of l is: by what the document and the store say, or by what
// this process has seen. The time since the document was read is not added to the former: the
// store tells whole seconds, which add up to the truth only as long as each begins where the one
// before ended.
func (s *sights) age(seen Seen, l *Lease) time.Duration {
	return max(l.age(seen), s.look(seen, l))
}

// Age adds to all leases but the one with the nonce what a write by somebody else hides: the
// age of the document. It must be called on the leases of each value that Change writes,
// whoever writes it. Neither it nor Dead counts the age twice.
func Age(seen Seen, nonce string, leases ...*Lease) {
	for _, l := range leases {
		if l != nil && l.Nonce != nonce {
			age := seen.sights.age(seen, l)
			dated := int64(0)
			if !seen.Now.IsZero() {
				// How old it was then: who reads it counts from then on.
				age, dated = max(l.age(seen), age-time.Since(seen.At)), seen.Now.UnixMilli()
			}
			l.Aged, l.Dated, l.counted = age.Milliseconds(), dated, true
		}
	}
}

// Dead reports whether a lease that stands in the document may be taken over: no beat has come
// for its time to live and Grace. Where the store does not tell ages, one that this process has
// seen unchanged for that long is dead. No lease is dead.
func (d *Doc) Dead(seen Seen, l *Lease) bool { return l == nil || d.left(seen, l) <= 0 }

// left returns how long it is until a lease may be taken over.
func (d *Doc) left(seen Seen, l *Lease) time.Duration {
	return l.ttl() + Grace - d.sights.age(seen, l) + 1 // more than that, not as much
}
