package release_test

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/store/mem"
	"github.com/pipe-build/pipe/pkg/digest"
)

// vectors returns the cases of a file in testdata/vectors, which other languages read, too.
func vectors[T any](t testing.TB, file string) (all []T) {
	t.Helper()
	b, err := os.ReadFile("../../testdata/vectors/" + file)
	if err == nil {
		err = json.Unmarshal(b, &all)
	}
	if err != nil || len(all) == 0 {
		t.Fatalf("%d cases, %v", len(all), err)
	}
	return all
}

// stateVector is a case of testdata/vectors/state.
type stateVector struct {
	Name, Project, State, Refused string
	Read                          *struct {
		Seq    uint64
		Stages map[string]struct{ Status, Key string }
	}
	Writable bool
}

func TestVectorsOfStates(t *testing.T) {
	for _, v := range vectors[stateVector](t, "state/state.json") {
		t.Run(v.Name, func(t *testing.T) { v.run(t) })
	}
}

func (v *stateVector) run(t *testing.T) {
	s, at := mem.New(), "projects/"+v.Project+"/env/staging/state"
	if v.Project == "" {
		at = "env/staging/state"
	}
	put(t, s, at, v.State)
	e := open(t, s, func(o *release.Options) { o.Project = v.Project })
	st, err := e.Read(t.Context())
	if v.Read == nil {
		if err == nil || diag.KindOf(err).String() != v.Refused {
			t.Errorf("%v, want a refusal of kind %s", err, v.Refused)
		}
		return
	}
	must(t, err)
	got := map[string]struct{ Status, Key string }{}
	for name := range st.Stages {
		l := st.StageNow(name)
		got[name] = struct{ Status, Key string }{l.Status, l.Key.String()}
	}
	if st.Seq != v.Read.Seq || !maps.Equal(got, v.Read.Stages) {
		t.Errorf("read seq %d, %v", st.Seq, got)
	}
	if err := e.Hold(t.Context(), ""); (err == nil) != v.Writable || err != nil && !diag.Is(err, diag.Policy) {
		t.Errorf("it is changed: %v; writable: %v", err, v.Writable)
	}
}

// releaseVector is a case of testdata/vectors/release.
type releaseVector struct {
	Name, Project, ID, Release, Refused string
	Order                               []string
}

func TestVectorsOfReleases(t *testing.T) {
	for _, v := range vectors[releaseVector](t, "release/release.json") {
		if v.ID == "" {
			v.ID = release.ID(digest.Of([]byte(v.Release))).String()
		}
		s := mem.New()
		put(t, s, releases+v.ID, v.Release)
		rid, err := release.ParseID(v.ID)
		must(t, err)
		r, err := open(t, s).Release(t.Context(), rid)
		if v.Refused != "" {
			if err == nil || diag.KindOf(err).String() != v.Refused {
				t.Errorf("%s: %v, want a refusal of kind %s", v.Name, err, v.Refused)
			}
			continue
		}
		if err != nil || !slices.Equal(r.Names(), v.Order) {
			t.Errorf("%s: %v", v.Name, err)
		}
	}
}

// entryVector is a case of testdata/vectors/entry.
type entryVector struct {
	Name, Project, Env, Entry, Refused string
	N                                  uint64
}

func TestVectorsOfEntries(t *testing.T) {
	for _, v := range vectors[entryVector](t, "entry/entry.json") {
		s := mem.New()
		put(t, s, "projects/"+v.Project+"/env/"+v.Env+"/log/183", v.Entry)
		x, err := open(t, s, func(o *release.Options) { o.Project, o.Name = v.Project, v.Env }).Entry(t.Context(), &release.State{N: 200}, v.N)
		if v.Refused != "" {
			if err == nil || diag.KindOf(err).String() != v.Refused {
				t.Errorf("%s: %v, want a refusal of kind %s", v.Name, err, v.Refused)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", v.Name, err)
			continue
		}
		if b, err := x.Encode(); err != nil || string(b) != v.Entry {
			t.Errorf("%s: written as %s, %v", v.Name, b, err)
		}
	}
}

// Whatever lies there is taken or refused; what is taken can be written, and is the same again.
func FuzzState(f *testing.F) {
	for _, v := range vectors[stateVector](f, "state/state.json") {
		f.Add(v.State)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := mem.New()
		put(t, s, cell, text)
		e := open(t, s)
		st, err := e.Read(t.Context())
		if err != nil {
			return
		}
		if err := e.Hold(t.Context(), "x"); err != nil {
			if !diag.Is(err, diag.Policy) {
				t.Errorf("%q is read, and not written: %v", text, err)
			}
			return
		}
		if now := read(t, e); now.Seq != st.Seq+1 || len(now.Stages) != len(st.Stages) || now.Hold == nil {
			t.Errorf("%q became %q", text, written(t, s))
		}
	})
}

func FuzzRelease(f *testing.F) {
	for _, v := range vectors[releaseVector](f, "release/release.json") {
		f.Add(v.Release)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, rid := mem.New(), id(text)
		put(t, s, releases+rid.String(), text)
		r, err := open(t, s).Release(t.Context(), rid)
		if err != nil {
			return
		}
		if len(r.Names()) != len(r.Stages) {
			t.Errorf("%q: %v", text, r.Names())
		}
		if _, _, err := r.Encode(); err != nil {
			t.Errorf("%q is read, and not written: %v", text, err)
		}
	})
}

func FuzzEntry(f *testing.F) {
	for _, v := range vectors[entryVector](f, "entry/entry.json") {
		f.Add(v.Entry)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := mem.New()
		put(t, s, logs+"183", text)
		x, err := open(t, s).Entry(t.Context(), &release.State{N: 200}, 183)
		if err != nil {
			return
		}
		if b, err := x.Encode(); err != nil || string(b) != text {
			t.Errorf("%q became %q, %v", text, b, err)
		}
	})
}
