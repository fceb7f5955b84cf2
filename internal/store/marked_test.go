package store_test

import (
	"context"
	"errors"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/mem"
	"github.com/pipe-build/pipe/internal/store/storetest"
	"github.com/pipe-build/pipe/pkg/digest"
)

func TestMarkedConformance(t *testing.T) {
	s := mem.New()
	storetest.Run(t, func(*testing.T) store.Remote { return store.Marked(s, store.Past{}) })
}

// counted counts the reads of the marker, and may fail its writes.
type counted struct {
	*mem.Store
	loads int
	swap  func() error
}

// Load implements store.Cells.
func (c *counted) Load(ctx context.Context, name string) ([]byte, string, error) {
	if name == store.MarkerName {
		c.loads++
	}
	return c.Store.Load(ctx, name)
}

// Swap implements store.Cells.
func (c *counted) Swap(ctx context.Context, name, old string, value []byte) (string, error) {
	if name == store.MarkerName && c.swap != nil {
		return "", c.swap()
	}
	return c.Store.Swap(ctx, name, old, value)
}

const marker = `{"schema":1}` + "\n"

// writes are all the ways to change a remote.
var writes = map[string]func(ctx context.Context, r store.Remote) error{
	"put": func(ctx context.Context, r store.Remote) error {
		return r.Put(ctx, storetest.File([]byte("x")), store.Bytes([]byte("x")))
	},
	"record": func(ctx context.Context, r store.Remote) error {
		_, err := r.Record(ctx, object.RunID{Key: digest.Key{1}}, []byte("r"))
		return err
	},
	"swap": func(ctx context.Context, r store.Remote) error {
		_, err := r.Swap(ctx, "cell", "", []byte("v"))
		return err
	},
	"ready": store.Ready,
	"probe": func(ctx context.Context, r store.Remote) error { return r.Probe(ctx) },
}

func TestTheFirstWritePutsTheMarkerAndReadsItOnce(t *testing.T) {
	for name, write := range writes {
		c := &counted{Store: mem.New()}
		r := store.Marked(c, store.Past{})
		_, _ = r.Stat(t.Context(), storetest.File([]byte("x")))
		_, _ = r.Lookup(t.Context(), object.RunID{Key: digest.Key{1}})
		_, _, _ = r.Load(t.Context(), "cell")
		if c.loads != 0 {
			t.Errorf("%s: readers looked at the marker", name)
		}
		err := par.Each(t.Context(), 8, 8, func(ctx context.Context, i int) error {
			if err := write(ctx, r); !errors.Is(err, store.ErrConflict) {
				return err
			}
			return nil
		})
		if b, _, lerr := c.Store.Load(t.Context(), store.MarkerName); err != nil || string(b) != marker || c.loads != 1 {
			t.Errorf("%s: %v; %q, %v after %d looks", name, err, b, lerr, c.loads)
		}
	}
}

func TestNothingIsWrittenWhereTheMarkerIsNotOurs(t *testing.T) {
	for text, want := range map[string]diag.Kind{
		`{"packed":true,"schema":2}` + "\n": diag.Policy, `{ "schema": 9 }`: diag.Policy,
		"": diag.Integrity, "hello": diag.Integrity, "{}\n": diag.Integrity, `{"schema":1}`: diag.Integrity, `{"schema":0}` + "\n": diag.Integrity,
	} {
		s := mem.New()
		if _, err := s.Swap(t.Context(), store.MarkerName, "", []byte(text)); err != nil {
			t.Fatal(err)
		}
		for name, write := range writes {
			r := store.Marked(s, store.Past{})
			for range 2 {
				if err := write(t.Context(), r); !diag.Is(err, want) {
					t.Errorf("%s with marker %q: %v", name, text, err)
				}
			}
		}
		n := 0
		for _, list := range []error{
			s.List(t.Context(), func(store.Entry) error { n++; return nil }),
			s.Runs(t.Context(), func(object.RunID) error { n++; return nil }),
			s.Names(t.Context(), "", func(name string) error {
				if name != store.MarkerName {
					n++
				}
				return nil
			}),
		} {
			if list != nil {
				t.Error(list)
			}
		}
		if n != 0 {
			t.Errorf("marker %q: %d things were written", text, n)
		}
	}
}

func TestAMarkerWhoseAnswerWasLostOrThatAnotherPutIsTaken(t *testing.T) {
	for _, answer := range []error{diag.New(diag.Network, "connection reset"), store.ErrConflict} {
		c := &counted{Store: mem.New()}
		c.swap = func() error {
			c.swap = nil
			_, err := c.Store.Swap(t.Context(), store.MarkerName, "", []byte(marker))
			return errors.Join(answer, err)
		}
		if err := writes["put"](t.Context(), store.Marked(c, store.Past{})); err != nil {
			t.Errorf("%v: %v", answer, err)
		}
	}
	c, down := &counted{Store: mem.New()}, diag.New(diag.Network, "no route")
	c.swap = func() error { return down }
	r := store.Marked(c, store.Past{})
	if err := writes["put"](t.Context(), r); !errors.Is(err, down) {
		t.Errorf("a marker that cannot be put: %v", err)
	}
	c.swap = nil
	if err := writes["put"](t.Context(), r); err != nil {
		t.Errorf("the next write looks again: %v", err)
	}
}

func TestAsFindsWhatAWrapperHides(t *testing.T) {
	s := mem.New()
	if l, ok := store.As[store.Lister](store.Marked(s, store.Past{})); !ok || l != store.Lister(s) {
		t.Error("the lister is hidden")
	}
	if _, ok := store.As[store.Cache](store.Marked(s, store.Past{})); ok {
		t.Error("a remote in memory is no cache")
	}
	if _, ok := store.As[store.Lister](nil); ok {
		t.Error("no remote lists")
	}
}
