package lease_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pipe-build/pipe/internal/lease"
)

// frozen is how a process that is stopped meets a server: the answer is there when it goes on.
type frozen struct {
	*line
	stop time.Duration // after the next write
}

// Swap implements store.Cells.
func (f *frozen) Swap(ctx context.Context, name, old string, value []byte) (string, error) {
	version, err := f.line.Swap(ctx, name, old, value)
	stop := f.stop
	f.stop = 0
	<-time.After(stop)
	return version, err
}

// A run that was stopped after its last write has told how it ended, and need not fail.
func TestALastWriteThatIsInCountsHoweverLateItsAnswerComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &frozen{line: &line{server: &server{}}}
		d := lease.Open(f, "doc")
		sent, err := d.Change(t.Context(), edit("mine", func(s *state) error {
			s.Lease = &lease.Lease{Nonce: "mine", TTL: int64(ttl / time.Second)}
			return nil
		}))
		if err != nil {
			t.Fatal(err)
		}
		h := d.Hold(t.Context(), ttl, sent, renew)
		f.stop = 2 * ttl
		free(t, h)
		if f.state(t).Lease != nil {
			t.Error("not free")
		}
	})
}
