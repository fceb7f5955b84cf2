package store_test

import (
	"context"
	"errors"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/mem"
	"github.com/pipe-build/pipe/internal/store/storetest"
	"github.com/pipe-build/pipe/pkg/digest"
)

// reads are all the ways to ask a remote for something that it has not.
var reads = map[string]func(ctx context.Context, r store.Remote) error{
	"stat": func(ctx context.Context, r store.Remote) error {
		_, err := r.Stat(ctx, storetest.File([]byte("y")))
		return err
	},
	"open": func(ctx context.Context, r store.Remote) error {
		_, err := r.Open(ctx, storetest.File([]byte("y")))
		return err
	},
	"lookup": func(ctx context.Context, r store.Remote) error {
		_, err := r.Lookup(ctx, object.RunID{Key: digest.Key{2}})
		return err
	},
	"load": func(ctx context.Context, r store.Remote) error {
		_, _, err := r.Load(ctx, "other")
		return err
	},
}

func TestAUsedRemoteWithoutItsMarkerIsNotThere(t *testing.T) {
	for _, mount := range []bool{false, true} {
		c := &counted{Store: mem.New()}
		r := store.Marked(c, store.Past{Used: true, Name: "main", Mount: mount})
		for range 2 {
			for name, f := range writes {
				if err := f(t.Context(), r); !diag.Is(err, diag.Network) {
					t.Errorf("%s: %v", name, err)
				}
			}
			for name, f := range reads {
				if err := f(t.Context(), r); !diag.Is(err, diag.Network) || errors.Is(err, store.ErrNotFound) {
					t.Errorf("%s: %v", name, err)
				}
			}
			if err := store.Present(t.Context(), r); !diag.Is(err, diag.Network) {
				t.Errorf("present: %v", err)
			}
		}
		n := 0
		if err := c.Names(t.Context(), "", func(string) error { n++; return nil }); err != nil || n != 0 {
			t.Errorf("%d cells, %v", n, err)
		}
		// It is mounted again, while the command goes on.
		if _, err := c.Store.Swap(t.Context(), store.MarkerName, "", []byte(marker)); err != nil {
			t.Fatal(err)
		}
		if err := writes["put"](t.Context(), r); err != nil {
			t.Error(err)
		}
	}
}

func TestARemoteIsRememberedWhenItsMarkerIsSeen(t *testing.T) {
	for name, c := range map[string]struct {
		past     store.Past
		marked   bool
		f        func(ctx context.Context, r store.Remote) error
		uses     int
		loads    int
		notFound bool
	}{
		"the first write":                {store.Past{}, false, writes["put"], 1, 1, false},
		"a write":                        {store.Past{}, true, writes["put"], 1, 1, false},
		"a write to a known one":         {store.Past{Used: true}, true, writes["put"], 0, 1, false},
		"a reader of a bucket":           {store.Past{}, true, reads["stat"], 0, 0, true},
		"a reader of a known bucket":     {store.Past{Used: true}, true, reads["stat"], 0, 1, true},
		"a reader of a directory":        {store.Past{Mount: true}, true, reads["stat"], 1, 1, true},
		"a reader of an empty directory": {store.Past{Mount: true}, false, reads["stat"], 0, 1, true},
	} {
		s, uses := &counted{Store: mem.New()}, 0
		if c.marked {
			if _, err := s.Store.Swap(t.Context(), store.MarkerName, "", []byte(marker)); err != nil {
				t.Fatal(err)
			}
		}
		c.past.Use = func() { uses++ }
		r := store.Marked(s, c.past)
		for range 3 {
			if err := c.f(t.Context(), r); errors.Is(err, store.ErrNotFound) != c.notFound || err != nil && !c.notFound {
				t.Errorf("%s: %v", name, err)
			}
		}
		if uses != c.uses || s.loads != c.loads {
			t.Errorf("%s: remembered %d times, looked %d times", name, uses, s.loads)
		}
	}
}

// What is wrong with a marker that is there concerns those who write.
func TestReadersDoNotMindAForeignMarker(t *testing.T) {
	s := mem.New()
	if _, err := s.Swap(t.Context(), store.MarkerName, "", []byte("hello")); err != nil {
		t.Fatal(err)
	}
	r := store.Marked(s, store.Past{Used: true, Mount: true})
	if err := reads["stat"](t.Context(), r); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("%v", err)
	}
	if err := writes["put"](t.Context(), r); !diag.Is(err, diag.Integrity) {
		t.Errorf("%v", err)
	}
}
