package transfer

import (
	"io"
	"sync/atomic"

	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/event"
)

// course is one transfer as the meter shows it: the objects that it was begun with, and how far
// they are.
type course struct {
	where       string
	flow        *event.Flow
	total, done atomic.Int64
}

// course plans to copy the items, push or pull. The caller calls end.
func (c *Carrier) course(where string, items ...[]item) *course {
	t := &course{where: where}
	switch {
	case c.Meter == nil:
		t.flow = new(event.Flow)
	case where == "push":
		t.flow = &c.Meter.Push
	default:
		t.flow = &c.Meter.Pull
	}
	for _, some := range items {
		for _, it := range some {
			t.plan(it.size) // sizes are others' words: a sum that overflows is only shown
		}
	}
	return t
}

func (t *course) plan(n int64) {
	t.total.Add(n)
	t.flow.Plan(n)
}

// end takes back what was planned and not copied: after an error others go on, and the meter
// must not wait for this one.
func (t *course) end() { t.plan(t.done.Load() - t.total.Load()) }

// passage is one planned object on its way, with one worker at a time.
type passage struct {
	*course
	size, read int64
}

func (t *course) passage(it item) *passage { return &passage{course: t, size: it.size} }

// spared takes an object out of the plan that need not be copied.
func (p *passage) spared() { p.plan(-p.size) }

// over counts the whole object, however much of it was read: a store may have it already.
func (p *passage) over() { p.add(p.size - p.read) }

func (p *passage) add(n int64) {
	p.read += n
	p.done.Add(n)
	p.flow.Copy(n)
}

// of has the bytes of a source counted as they are read, each time from the beginning.
func (p *passage) of(src store.Source) store.Source {
	open := src.Open
	src.Open = func() (io.ReadCloser, error) {
		p.add(-p.read)
		r, err := open()
		if r == nil {
			return nil, err
		}
		return &counting{r, p}, err
	}
	return src
}

type counting struct {
	io.ReadCloser
	*passage
}

// Read implements io.Reader.
func (c *counting) Read(b []byte) (int, error) {
	n, err := c.ReadCloser.Read(b)
	c.add(int64(n))
	return n, err
}
