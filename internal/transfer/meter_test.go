package transfer_test

import (
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/disk"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/pkg/event"
)

// reads checks how much was copied, of how much.
func reads(t *testing.T, f *event.Flow, done, total int64) {
	t.Helper()
	if d, n := f.Read(); d != done || n != total {
		t.Errorf("%d of %d bytes, want %d of %d", d, n, done, total)
	}
}

// all is how many bytes a project's outputs are.
func (p *project) all(t *testing.T) (n int64) {
	t.Helper()
	for _, r := range []object.Ref{ref("app"), ref("inside a"), ref("inside b"), p.tree} {
		size, err := p.cache.Stat(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		n += size
	}
	return n
}

func TestTheMeterCountsWhatIsCopied(t *testing.T) {
	p := newProject(t)
	c := p.carrier()
	c.Meter = &event.Meter{}
	if err := c.Publish(t.Context(), p.outs); err != nil {
		t.Fatal(err)
	}
	reads(t, &c.Meter.Push, p.all(t), p.all(t))
	reads(t, &c.Meter.Pull, 0, 0)

	again := p.carrier() // it finds the directory, and has to ask for the small file by sending it
	again.Meter = &event.Meter{}
	if err := again.Publish(t.Context(), p.outs); err != nil {
		t.Fatal(err)
	}
	reads(t, &again.Meter.Push, 3, 3)
	if err := again.Publish(t.Context(), p.outs); err != nil {
		t.Fatal(err)
	}
	reads(t, &again.Meter.Push, 3, 3)

	// In a directory, which takes batches.
	batched := &transfer.Carrier{Cache: p.cache, Remote: disk.Open(t.TempDir()), Workers: 4, Meter: &event.Meter{}}
	for range 2 {
		if err := batched.Publish(t.Context(), p.outs); err != nil {
			t.Fatal(err)
		}
		reads(t, &batched.Meter.Push, p.all(t), p.all(t))
	}
	fetch := &transfer.Carrier{Cache: disk.Open(t.TempDir()), Remote: p.remote, Workers: 4, Meter: &event.Meter{}}
	for range 2 {
		if err := fetch.Fetch(t.Context(), p.outs); err != nil {
			t.Fatal(err)
		}
		reads(t, &fetch.Meter.Pull, p.all(t), p.all(t))
	}
	mend := p.carrier()
	mend.Meter = &event.Meter{}
	if _, err := mend.Mend(t.Context(), nil, []object.Ref{ref("inside a")}); err != nil {
		t.Fatal(err)
	}
	reads(t, &mend.Meter.Push, 8, 8)
}

// slow reads four bytes at a time, and tells how far the meter was before each time.
type slow struct {
	io.ReadCloser
	before func()
}

func (s slow) Read(b []byte) (int, error) {
	s.before()
	return s.ReadCloser.Read(b[:min(4, len(b))])
}

func TestTheMeterGoesOnInsideAnObjectAndBackWhenItComesAgain(t *testing.T) {
	p := newProject(t)
	remote := disk.Open(t.TempDir())
	if err := (&transfer.Carrier{Cache: p.cache, Remote: remote}).Publish(t.Context(), p.outs[1:]); err != nil {
		t.Fatal(err)
	}
	var seen []int64
	c := &transfer.Carrier{Cache: disk.Open(t.TempDir()), Meter: &event.Meter{}}
	c.Remote = &shaky{Store: remote, times: 1, seen: map[object.Ref]int{}, how: func(r io.ReadCloser, ref object.Ref) io.ReadCloser {
		if ref.Shelf == object.Trees { // its first reading does not belong to the transfer
			return r
		}
		return after{slow{r, func() {
			done, _ := c.Meter.Pull.Read()
			seen = append(seen, done)
		}}, store.ErrCorrupt}
	}}
	if err := c.Fetch(t.Context(), p.outs[1:]); err != nil {
		t.Fatal(err)
	}
	// Two files of 8 bytes, each once in vain.
	if want := []int64{0, 4, 8, 8, 12, 16}; !slices.Equal(seen, want) {
		t.Errorf("%d, want %d", seen, want)
	}
	n := p.all(t) - 3
	reads(t, &c.Meter.Pull, n, n)
}

func TestAFailedTransferLeavesNothingPlanned(t *testing.T) {
	p := newProject(t)
	c := &transfer.Carrier{Cache: &failing{Store: p.cache, open: errDown}, Remote: p.remote, Workers: 1, Meter: &event.Meter{}}
	if err := c.Publish(t.Context(), p.outs[:1]); !errors.Is(err, errDown) {
		t.Fatal(err)
	}
	reads(t, &c.Meter.Push, 0, 0)
}
