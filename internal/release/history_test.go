package release_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/mem"
)

func itoa(n int) string { return strconv.Itoa(n) }

func contextOf(t testing.TB, d time.Duration) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), d)
}

func written(t testing.TB, s store.Cells) string {
	t.Helper()
	return cellOf(t, s, cell)
}

func cellOf(t testing.TB, s store.Cells, name string) string {
	t.Helper()
	b, _, err := s.Load(t.Context(), name)
	must(t, err)
	return string(b)
}

func copyCell(t *testing.T, from, to store.Cells, name string) {
	t.Helper()
	put(t, to, name, cellOf(t, from, name))
}

// put writes a cell, whatever is there.
func put(t testing.TB, s store.Cells, name, value string) {
	t.Helper()
	_, version, err := s.Load(t.Context(), name)
	if !errors.Is(err, store.ErrNotFound) {
		must(t, err)
	}
	_, err = s.Swap(t.Context(), name, version, []byte(value))
	must(t, err)
}

const logs = "projects/shop/env/staging/log/"

// missing hides cells.
type missing struct {
	*mem.Store
	name string
}

// Load implements store.Cells.
func (m missing) Load(ctx context.Context, name string) ([]byte, string, error) {
	if name == m.name {
		return nil, "", store.ErrNotFound
	}
	return m.Store.Load(ctx, name)
}

func TestAHistoryThatWasChangedIsFound(t *testing.T) {
	edited := func(s *mem.Store, n int, old, text string) {
		put(t, s, logs+itoa(n), strings.Replace(cellOf(t, s, logs+itoa(n)), old, text, 1))
	}
	for name, c := range map[string]struct {
		spoil func(s *mem.Store) store.Cells
		want  string
	}{
		"as it was":  {func(s *mem.Store) store.Cells { return s }, ""},
		"changed":    {func(s *mem.Store) store.Cells { edited(s, 2, `"by":"ann"`, `"by":"eve"`); return s }, "#2 of staging is not the one that #3 names"},
		"the first":  {func(s *mem.Store) store.Cells { edited(s, 1, `"by":"ann"`, `"by":"eve"`); return s }, "#1 of staging is not the one that #2 names"},
		"the newest": {func(s *mem.Store) store.Cells { edited(s, 4, `"by":"ann"`, `"by":"eve"`); return s }, "#4 of staging is not the one that the state names"},
		"damaged":    {func(s *mem.Store) store.Cells { put(t, s, logs+"2", "<html>"); return s }, "cannot read deployment #2"},
		"swapped": {func(s *mem.Store) store.Cells {
			two, three := cellOf(t, s, logs+"2"), cellOf(t, s, logs+"3")
			put(t, s, logs+"2", three)
			put(t, s, logs+"3", two)
			return s
		}, "it is the entry of another deployment"},
		"of another environment": {func(s *mem.Store) store.Cells { edited(s, 2, `"env":"staging"`, `"env":"prod"`); return s }, "it is the entry of another deployment"},
		"of another project":     {func(s *mem.Store) store.Cells { edited(s, 2, `"project":"shop"`, `"project":"web"`); return s }, "it is the entry of another deployment"},
		"one is missing":         {func(s *mem.Store) store.Cells { return missing{s, logs + "2"} }, "lacks deployment #2"},
		"the newest is missing":  {func(s *mem.Store) store.Cells { return missing{s, logs + "4"} }, "lacks deployment #4"},
	} {
		s := mem.New()
		e := open(t, s)
		for _, v := range []string{"v1", "v2", "v3", "v4"} {
			deploy(t, e, want("api="+v))
		}
		e = open(t, c.spoil(s))
		err := e.Chain(t.Context(), read(t, e), func(*release.Entry) error { return nil })
		if c.want == "" && err != nil || c.want != "" && (!diag.Is(err, diag.Integrity) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnEntryOfALaterVersionIsKeptAsItIs(t *testing.T) {
	s := mem.New()
	e := open(t, s)
	deploy(t, e, want("api=v1"))
	for _, name := range []string{logs + "1", cell} {
		put(t, s, name, strings.Replace(cellOf(t, s, name), `"kind":"deploy"`, `"kind":"deploy","later":{"a":[1]}`, 1))
	}
	deploy(t, e, want("api=v2"))
	deploy(t, e, want("api=v3"))
	sound(t, e, 3)
	must(t, e.Hold(t.Context(), ""))
	sound(t, e, 3)
	put(t, s, logs+"2", strings.Replace(cellOf(t, s, logs+"2"), `"schema":1`, `"schema":2`, 1))
	if _, err := e.Entry(t.Context(), read(t, e), 2); !diag.Is(err, diag.Policy) {
		t.Error(err)
	}
}

func TestDeploymentsAreFoundByTheirNumbers(t *testing.T) {
	e := open(t, mem.New())
	if err := e.Chain(t.Context(), read(t, e), func(*release.Entry) error { return errBroken }); err != nil {
		t.Errorf("no history: %v", err)
	}
	w := want("api=v1", "web=v1")
	w.From, w.Commit, w.Dirty, w.Options, w.Kind = "dev", "c1", true, []string{"--only=api"}, release.KindPromote
	deploy(t, e, w)
	deploy(t, e, want("api=v2", "web=v1"))
	d := begin(t, e, want("api=v3"))
	st := read(t, e)
	x, err := e.Entry(t.Context(), st, 1)
	must(t, err)
	if x.From != "dev" || x.Commit != "c1" || !x.Dirty || x.Kind != release.KindPromote || len(x.Options) != 1 || x.Run != "host:1" || !x.Prev.IsZero() || x.Release != w.Release {
		t.Errorf("%+v", x)
	}
	x, err = e.Entry(t.Context(), st, 2)
	must(t, err)
	if a := x.Stages["web"]; x.Prev.IsZero() || a.Do != "skip" || a.Status != "ok" || x.Stages["api"].Seconds != 2 {
		t.Errorf("%+v", x)
	}
	for n, want := range map[uint64]string{0: "no deployment #0", 3: "has not ended", 4: "no deployment #4"} {
		if _, err := e.Entry(t.Context(), st, n); !diag.Is(err, diag.NotFound) || !strings.Contains(err.Error(), want) {
			t.Errorf("%d: %v", n, err)
		}
	}
	finish(t, d)
	if err := e.Chain(t.Context(), read(t, e), func(*release.Entry) error { return errBroken }); !errors.Is(err, errBroken) {
		t.Errorf("what is called fails: %v", err)
	}
}
