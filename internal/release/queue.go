package release

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/pipe-build/pipe/internal/lease"
)

// waitsFor returns the lease of the run that deploys, or of one that waits and comes first; nil when
// this run may begin. A run among those who wait that does not take a free environment has died,
// and is passed over.
func (b *beginning) waitsFor(seen lease.Seen, s *State) *lease.Lease {
	if s.Lease != nil && !b.doc.Dead(seen, s.Lease) {
		return s.Lease
	}
	for i := range s.Next {
		n := &s.Next[i]
		switch {
		case s.Lease != nil, n.Nonce == b.nonce, b.same(n):
			return nil
		case !b.doc.Dead(seen, &n.Lease):
			return &n.Lease
		}
	}
	return nil
}

// same reports whether a run that waits wants the same as this one; then either may go first.
func (b *beginning) same(n *Waiting) bool {
	return b.want.Newest && b.want.Automatic && n.Automatic && n.Commit != "" && n.Commit == b.want.Commit
}

// superseded ends a run when a newer commit waits for the environment: what this one would deploy
// would be replaced at once.
func (b *beginning) superseded(ctx context.Context, s *State, v Verdict) Verdict {
	if !b.want.Newest || !b.want.Automatic || b.want.Commit == "" {
		return v
	}
	for i := range s.Next {
		n := &s.Next[i]
		if n.Nonce != b.nonce && n.Automatic && b.precedes(ctx, b.want.Commit, b.want.Committed, n.Commit, n.Committed) {
			return Verdict{Superseded, "superseded by commit " + short(n.Commit) + by(n.By)}
		}
	}
	return v
}

// precedes reports whether commit x comes before y: by git, else by their dates.
func (b *beginning) precedes(ctx context.Context, x string, xAt time.Time, y string, yAt time.Time) bool {
	if x == y || y == "" {
		return false
	}
	older, known, err := b.opt.Older(ctx, x, y)
	if err == nil && known {
		return older
	}
	return xAt.Before(yAt)
}

// waiting is the time to live of a place among those who wait: how long a free environment may
// not be taken by the run that is next. Package lease adds its grace.
const waiting = 20 * time.Second

// wait waits until the environment is free, or may be: somebody has written, or its holder is
// dead. The first time it says so, and takes a place among those who wait.
func (b *beginning) wait(ctx context.Context, seen lease.Seen, s *State) error {
	if b.want.NoWait {
		return b.busy(s)
	}
	if b.registered {
		_, err := b.doc.Wait(ctx, seen, b.waitsFor(seen, s))
		return err
	}
	b.opt.Say(b.busy(s).What + "; waiting")
	// What was read a while ago makes the document look as young as it was then: the time between
	// reading and writing is lost to the age of the lease, and adds up where many come to wait.
	if _, err := b.doc.Read(ctx); err != nil {
		return err
	}
	_, err := b.change(ctx, b.nonce, func(now lease.Seen, s *State) error {
		if b.waitsFor(now, s) == nil {
			return errNothing
		}
		b.join(ctx, s)
		return nil
	})
	if errors.Is(err, errNothing) {
		return nil
	}
	// After an error the place may have been taken all the same.
	b.registered = true
	return err
}

// join takes a place. Where only the newest goes on, it takes that of runs with older commits,
// which then find out that they were superseded; a run for the same commit needs no second place.
func (b *beginning) join(ctx context.Context, s *State) {
	w := b.want
	if slices.ContainsFunc(s.Next, func(n Waiting) bool { return n.Nonce == b.nonce || b.same(&n) }) {
		return
	}
	if w.Newest && w.Automatic {
		s.Next = slices.DeleteFunc(s.Next, func(n Waiting) bool {
			return n.Automatic && b.precedes(ctx, n.Commit, n.Committed, w.Commit, w.Committed)
		})
	}
	me := b.lease(0)
	me.TTL = int64(waiting / time.Second)
	s.Next = append(s.Next, Waiting{Lease: *me, Commit: w.Commit, Committed: w.Committed.UTC().Truncate(time.Second), Automatic: w.Automatic})
}

// leave gives up the place among those who wait.
func (b *beginning) leave(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, leaveWithin)
	defer cancel()
	_, err := b.change(ctx, b.nonce, func(_ lease.Seen, s *State) error {
		before := len(s.Next)
		b.forget(s)
		if len(s.Next) == before {
			return errNothing
		}
		return nil
	})
	if err != nil && !errors.Is(err, errNothing) {
		// It costs the next run half a minute, and is no reason to fail.
		b.opt.Say("could not leave the queue of " + b.opt.Name + ": " + err.Error())
	}
	return nil
}

// forget takes this run off the list, and returns the beat of its place.
func (b *beginning) forget(s *State) (beat uint64) {
	s.Next = slices.DeleteFunc(s.Next, func(n Waiting) bool {
		if n.Nonce == b.nonce {
			beat = n.Beat
		}
		return n.Nonce == b.nonce
	})
	return beat
}
