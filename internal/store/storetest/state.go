package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/digest"
)

func race(t *testing.T, f func(ctx context.Context, i int) error) {
	t.Helper()
	if err := par.Each(t.Context(), racers, racers, f); err != nil {
		t.Fatal(err)
	}
}

func pick(i int, a, b store.Remote) store.Remote {
	if i%2 == 0 {
		return a
	}
	return b
}

func (s *suite) records(t *testing.T) {
	t.Run("Missing", func(t *testing.T) {
		_, err := s.handle(t).Lookup(t.Context(), key(t))
		wantError(t, "lookup", err, store.ErrNotFound)
	})
	t.Run("FirstWins", func(t *testing.T) {
		h, k := s.handle(t), key(t)
		for i, v := range []string{"first", "second", "first"} {
			got, err := h.Record(t.Context(), k, []byte(v))
			if err != nil || string(got) != "first" {
				t.Errorf("record %d: %q, %v", i, got, err)
			}
		}
		got, err := s.handle(t).Lookup(t.Context(), k)
		if err != nil || string(got) != "first" {
			t.Errorf("lookup: %q, %v", got, err)
		}
	})
	t.Run("AllRacersSeeOneWinner", s.recordRace)
}

func (s *suite) recordRace(t *testing.T) {
	a, b, k := s.handle(t), s.handle(t), key(t)
	winners := make([]string, racers)
	race(t, func(ctx context.Context, i int) error {
		v := fmt.Appendf(nil, "racer %d %s", i, bytes.Repeat([]byte("."), 3000))
		got, err := pick(i, a, b).Record(ctx, k, v)
		winners[i] = string(got)
		return err
	})
	final, err := a.Lookup(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range winners {
		if w != string(final) {
			t.Errorf("racer %d was told %.12q, the record is %.12q", i, w, final)
		}
	}
}

func (s *suite) cells(t *testing.T) {
	t.Run("Missing", func(t *testing.T) {
		_, _, err := s.handle(t).Load(t.Context(), name("cells"))
		wantError(t, "load", err, store.ErrNotFound)
	})
	t.Run("CreateOnce", func(t *testing.T) {
		h, n := s.handle(t), name("cells/deep/er")
		swap(t, h, n, "", "one")
		_, err := h.Swap(t.Context(), n, "", []byte("two"))
		wantError(t, "create again", err, store.ErrConflict)
		wantCell(t, h, n, "one")
	})
	t.Run("SwapByVersion", s.swapByVersion)
	t.Run("Look", s.look)
	t.Run("EmptyValue", func(t *testing.T) {
		h, n := s.handle(t), name("cells")
		swap(t, h, n, "", "")
		swap(t, h, n, wantCell(t, h, n, ""), "full")
		wantCell(t, h, n, "full")
	})
	t.Run("StaleVersionOfMissingCell", func(t *testing.T) {
		h, n := s.handle(t), name("cells")
		swap(t, h, n, "", "one")
		v := wantCell(t, h, n, "one")
		_, err := h.Swap(t.Context(), name("cells"), v, []byte("two"))
		wantError(t, "swap", err, store.ErrConflict)
	})
	t.Run("BadNames", func(t *testing.T) {
		h := s.handle(t)
		for _, n := range []string{"", ".", "/a", "a//b", "a/../b", "a/"} {
			if _, err := h.Swap(t.Context(), n, "", nil); err == nil || errors.Is(err, store.ErrConflict) {
				t.Errorf("swap %q: %v, want a refusal", n, err)
			}
		}
	})
	t.Run("OneOfManyCreates", s.createRace)
	t.Run("CountersLoseNothing", s.countRace)
}

func swap(t *testing.T, c store.Cells, name, old, value string) (version string) {
	t.Helper()
	version, err := c.Swap(t.Context(), name, old, []byte(value))
	if err != nil {
		t.Fatalf("swap %s: %v", name, err)
	}
	return version
}

// wantCell returns the cell's version.
func wantCell(t *testing.T, c store.Cells, name, want string) string {
	t.Helper()
	got, v, err := c.Load(t.Context(), name)
	if err != nil || string(got) != want || v == "" {
		t.Errorf("load %s: %q version %q, %v; want %q", name, got, v, err, want)
	}
	return v
}

// look expects ages on the store's own clock: those who look need not agree on the time.
func (s *suite) look(t *testing.T) {
	h, other, n := s.handle(t), s.handle(t), name("cells/looked")
	_, err := h.Look(t.Context(), n, "")
	wantError(t, "look", err, store.ErrNotFound)
	began := time.Now()
	swap(t, h, n, "", "one")
	c, err := other.Look(t.Context(), n, "")
	if err != nil || string(c.Value) != "one" || c.Version != wantCell(t, h, n, "one") {
		t.Errorf("look: %q version %q, %v", c.Value, c.Version, err)
	}
	// A store tells whole seconds, of the writing and of the reading.
	if most := time.Since(began) + 2*time.Second; c.Age < 0 || c.Age > most {
		t.Errorf("a value is %v old, written at most %v ago", c.Age, most)
	}
	for range 2 {
		_, err = other.Look(t.Context(), n, c.Version)
		wantError(t, "look again", err, store.ErrUnchanged)
	}
	swap(t, h, n, c.Version, "two")
	if c, err = other.Look(t.Context(), n, c.Version); err != nil || string(c.Value) != "two" || c.Version != wantCell(t, h, n, "two") {
		t.Errorf("look at a change: %q version %q, %v", c.Value, c.Version, err)
	}
}

func (s *suite) swapByVersion(t *testing.T) {
	h, other, n := s.handle(t), s.handle(t), name("cells")
	v1 := swap(t, h, n, "", "one")
	if v := wantCell(t, other, n, "one"); v != v1 {
		t.Errorf("written as version %q, read as %q", v1, v)
	}
	v2 := swap(t, other, n, v1, "two")
	_, err := h.Swap(t.Context(), n, v1, []byte("three"))
	wantError(t, "stale swap", err, store.ErrConflict)
	if v := wantCell(t, h, n, "two"); v1 == v2 || v != v2 {
		t.Errorf("two values have the versions %q and %q, the second is read as %q", v1, v2, v)
	}
	swap(t, h, n, v2, "three")
	wantCell(t, other, n, "three")
}

func (s *suite) createRace(t *testing.T) {
	a, b, n := s.handle(t), s.handle(t), name("cells")
	var mu sync.Mutex
	var won []string
	race(t, func(ctx context.Context, i int) error {
		v := strconv.Itoa(i)
		_, err := pick(i, a, b).Swap(ctx, n, "", []byte(v))
		if errors.Is(err, store.ErrConflict) {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		won = append(won, v)
		return err
	})
	if len(won) != 1 {
		t.Fatalf("winners of one creation: %q", won)
	}
	wantCell(t, a, n, won[0])
}

func (s *suite) countRace(t *testing.T) {
	const each = 5
	a, b, n := s.handle(t), s.handle(t), name("cells")
	swap(t, a, n, "", "0")
	race(t, func(ctx context.Context, i int) error {
		for range each {
			if err := increment(ctx, pick(i, a, b), n); err != nil {
				return err
			}
		}
		return nil
	})
	wantCell(t, a, n, strconv.Itoa(racers*each))
}

func increment(ctx context.Context, c store.Cells, name string) error {
	for {
		b, version, err := c.Load(ctx, name)
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(string(b))
		if err != nil {
			return err
		}
		_, err = c.Swap(ctx, name, version, []byte(strconv.Itoa(n+1)))
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}

func (s *suite) lists(t *testing.T) {
	h := s.handle(t)
	l, ok := h.(store.Lister)
	if !ok {
		return
	}
	t.Run("AllObjects", func(t *testing.T) { listObjects(t, h, l) })
	t.Run("NamesInOrder", func(t *testing.T) { listNames(t, h, l) })
	t.Run("AllRecords", func(t *testing.T) { listRuns(t, h, l) })
	t.Run("StopsWhenTheCallbackFails", func(t *testing.T) { listUntil(t, h, l) })
	t.Run("EndsWithItsContext", func(t *testing.T) {
		put(t, h, Noise(t, 10))
		ctx, cancel := context.WithCancelCause(t.Context())
		gone := errors.New("gone")
		cancel(gone)
		wantError(t, "objects", l.List(ctx, func(store.Entry) error { return nil }), gone)
		wantError(t, "records", l.Runs(ctx, func(object.RunID) error { return nil }), gone)
		wantError(t, "names", l.Names(ctx, "", func(string) error { return nil }), gone)
	})
}

func listRuns(t *testing.T, h store.Remote, l store.Lister) {
	first := key(t)
	again := object.RunID{Key: first.Key, Generation: 12}
	for _, id := range []object.RunID{first, again} {
		if _, err := h.Record(t.Context(), id, []byte("r")); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[object.RunID]int{}
	err := l.Runs(t.Context(), func(id object.RunID) error { seen[id]++; return nil })
	if err != nil || seen[first] != 1 || seen[again] != 1 {
		t.Errorf("runs: %v; the first record %d times, the rebuild's %d times", err, seen[first], seen[again])
	}
}

func listUntil(t *testing.T, h store.Remote, l store.Lister) {
	base, enough := name("until"), errors.New("enough")
	for _, n := range []string{"a", "b"} {
		put(t, h, Noise(t, 10))
		swap(t, h, base+"/"+n, "", "v")
		if _, err := h.Record(t.Context(), key(t), []byte("r")); err != nil {
			t.Fatal(err)
		}
	}
	calls := 0
	stop := func() error { calls++; return enough }
	for doing, err := range map[string]func() error{
		"list":  func() error { return l.List(t.Context(), func(store.Entry) error { return stop() }) },
		"runs":  func() error { return l.Runs(t.Context(), func(object.RunID) error { return stop() }) },
		"names": func() error { return l.Names(t.Context(), base, func(string) error { return stop() }) },
	} {
		calls = 0
		wantError(t, doing, err(), enough)
		if calls != 1 {
			t.Errorf("%s: the callback was called %d times after it failed", doing, calls-1)
		}
	}
}

func listObjects(t *testing.T, h store.Remote, l store.Lister) {
	b := Noise(t, 321)
	file := put(t, h, b)
	tree := object.Ref{Shelf: object.Trees, Digest: file.Digest}
	if err := h.Put(t.Context(), tree, store.Bytes(b)); err != nil {
		t.Fatal(err)
	}
	seen := map[object.Ref]int{}
	err := l.List(t.Context(), func(e store.Entry) error {
		seen[e.Ref]++
		if (e.Ref == file || e.Ref == tree) && (e.Size != int64(len(b)) || e.Unix == 0) {
			t.Errorf("entry %+v, want size %d and a time", e, len(b))
		}
		return nil
	})
	if err != nil || seen[file] != 1 || seen[tree] != 1 {
		t.Errorf("list: %v; the file %d times, the tree %d times", err, seen[file], seen[tree])
	}
}

func listNames(t *testing.T, h store.Remote, l store.Lister) {
	base := name("names")
	want := []string{base + "/log/1", base + "/log/10", base + "/log/2", base + "/log/deep/3"}
	for _, i := range []int{2, 0, 3, 1} {
		swap(t, h, want[i], "", "v")
	}
	swap(t, h, base+"/log-not/1", "", "v")
	if got := names(t, l, base+"/log"); !slices.Equal(got, want) {
		t.Errorf("names: %q, want %q", got, want)
	}
	if got := names(t, l, base+"/nothing"); len(got) != 0 {
		t.Errorf("names below nothing: %q", got)
	}
}

func names(t *testing.T, l store.Lister, prefix string) (got []string) {
	t.Helper()
	err := l.Names(t.Context(), prefix, func(n string) error {
		got = append(got, n)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func (s *suite) remote(t *testing.T) {
	t.Run("HasAName", func(t *testing.T) {
		if s.handle(t).URL() == "" {
			t.Error("URL is empty")
		}
	})
	t.Run("IsMarkedOnce", func(t *testing.T) {
		a, b, ref := s.handle(t), s.handle(t), File(Noise(t, 10))
		race(t, func(ctx context.Context, i int) error {
			// Each racer is a process of its own, that looks for itself.
			_, err := store.Marked(pick(i, a, b), store.Past{}).Record(ctx, object.RunID{Key: digest.Key(ref.Digest)}, []byte("r"))
			return err
		})
		wantCell(t, a, store.MarkerName, "{\"schema\":1}\n")
	})
	t.Run("PassesItsProbe", func(t *testing.T) {
		h := s.handle(t)
		for range 2 {
			if err := h.Probe(t.Context()); err != nil {
				t.Errorf("probe: %v", err)
			}
		}
	})
}
