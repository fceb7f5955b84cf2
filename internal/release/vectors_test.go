package release_test

import (
	"encoding/json"
	"maps"
	"os"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/store/mem"
)

// vector is a case of testdata/vectors/state, which other languages read, too.
type vector struct {
	Name, Project, State, Refused string
	Read                          *struct {
		Seq    uint64
		Stages map[string]struct{ Status, Key string }
	}
	Writable bool
}

func TestVectors(t *testing.T) {
	b, err := os.ReadFile("../../testdata/vectors/state/state.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	if err := json.Unmarshal(b, &all); err != nil || len(all) == 0 {
		t.Fatalf("%d cases, %v", len(all), err)
	}
	for _, v := range all {
		t.Run(v.Name, func(t *testing.T) { v.run(t) })
	}
}

func (v *vector) run(t *testing.T) {
	s, o := mem.New(), options()
	o.Project, o.Note = v.Project, func(string) {}
	at := "projects/" + v.Project + "/env/staging/state"
	if v.Project == "" {
		at = "env/staging/state"
	}
	if _, err := s.Swap(t.Context(), at, "", []byte(v.State)); err != nil {
		t.Fatal(err)
	}
	e, err := release.Open(s, o)
	if err != nil {
		t.Fatal(err)
	}
	st, err := e.Read(t.Context())
	if v.Read == nil {
		if err == nil || diag.KindOf(err).String() != v.Refused {
			t.Errorf("%v, want a refusal of kind %s", err, v.Refused)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]struct{ Status, Key string }{}
	for name := range st.Stages {
		l := live(t, e, name)
		got[name] = struct{ Status, Key string }{l.Status, l.Key.String()}
	}
	if st.Seq != v.Read.Seq || !maps.Equal(got, v.Read.Stages) {
		t.Errorf("read seq %d, %v", st.Seq, got)
	}
	if _, err := e.Begin(t.Context(), deploy("new")); (err == nil) != v.Writable || err != nil && !diag.Is(err, diag.Policy) {
		t.Errorf("deploy: %v; writable: %v", err, v.Writable)
	}
}
