package release_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/store/mem"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
)

func clock() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC) }

func open(t *testing.T, s *mem.Store) *release.Environment {
	t.Helper()
	e, err := release.Open(s, "staging", clock)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func key(s string) digest.Key { return digest.Key(digest.Of([]byte(s))) }

func begin(t *testing.T, e *release.Environment, stage, k string) string {
	t.Helper()
	d, err := e.Begin(t.Context(), stage, release.Stage{
		Key: key(k), By: "ann", Deps: []artifact.Input{{Path: "src", Kind: artifact.Dir, Digest: digest.Of([]byte(k))}},
	}, false)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func live(t *testing.T, e *release.Environment, stage string) action.Live {
	t.Helper()
	l, err := e.Live(t.Context(), stage)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestADeploymentIsDoneOnlyWhenItEndedWell(t *testing.T) {
	e := open(t, mem.New())
	if l := live(t, e, "deploy"); l.Status != "" || l.Env != "staging" {
		t.Errorf("never deployed: %+v", l)
	}
	for _, c := range []struct {
		ok   bool
		want string
	}{{false, action.StatusFailed}, {true, action.StatusOK}} { // LESSONS 2
		d := begin(t, e, "deploy", "v1")
		// LESSONS 2: killed here, nobody says that it is done.
		if l := live(t, e, "deploy"); l.Status != action.StatusUnknown || l.Key != key("v1") {
			t.Errorf("while it runs: %+v", l)
		}
		if err := e.End(t.Context(), "deploy", d, key("v1"), c.ok); err != nil {
			t.Fatal(err)
		}
		l := live(t, e, "deploy")
		want := []artifact.Input{{Path: "src", Kind: artifact.Dir, Digest: digest.Of([]byte("v1"))}}
		if l.Status != c.want || l.Key != key("v1") || !slices.Equal(l.Deps, want) {
			t.Errorf("ended %v: %+v", c.ok, l)
		}
	}
}

// Two commands that work on one target at once leave it in a state that nobody
// knows, whichever of them ends last.
func TestWhatTwoRunsDeployedAtOnceIsNotDone(t *testing.T) {
	for name, mineFirst := range map[string]bool{"the first ends first": true, "the first ends last": false} {
		t.Run(name, func(t *testing.T) {
			e := open(t, mem.New())
			mine := begin(t, e, "deploy", "v1")
			theirs := begin(t, e, "deploy", "v2")
			ends := []struct{ token, version string }{{theirs, "v2"}, {mine, "v1"}}
			if mineFirst {
				ends[0], ends[1] = ends[1], ends[0]
			}
			var last error
			for _, end := range ends {
				last = e.End(t.Context(), "deploy", end.token, key(end.version), true)
			}
			var d *diag.Error
			if !errors.As(last, &d) || d.Kind != diag.Busy || d.Hint == "" {
				t.Errorf("the last end: %v", last)
			}
			live, err := e.Live(t.Context(), "deploy")
			if err != nil || live.Status != action.StatusUnknown {
				t.Errorf("%v, %+v", err, live)
			}
			again := begin(t, e, "deploy", "v2")
			if err := e.End(t.Context(), "deploy", again, key("v2"), true); err != nil {
				t.Error(err)
			}
			if live, err := e.Live(t.Context(), "deploy"); err != nil || live.Status != action.StatusOK {
				t.Errorf("%v, %+v", err, live)
			}
		})
	}
}

func TestTwoRunsThatDeployTheSameVersionWellAreDone(t *testing.T) {
	e := open(t, mem.New())
	mine, theirs := begin(t, e, "deploy", "v1"), begin(t, e, "deploy", "v1")
	for _, token := range []string{mine, theirs} {
		if err := e.End(t.Context(), "deploy", token, key("v1"), true); err != nil {
			t.Error(err)
		}
	}
	if live, err := e.Live(t.Context(), "deploy"); err != nil || live.Status != action.StatusOK {
		t.Errorf("%v, %+v", err, live)
	}
}

func TestTwoRunsThatDeployTheSameVersionDeployItOnce(t *testing.T) {
	e := open(t, mem.New())
	mine := begin(t, e, "deploy", "v1")
	theirs := begin(t, e, "deploy", "v1")
	if err := e.End(t.Context(), "deploy", mine, key("v1"), true); err != nil {
		t.Errorf("the other one writes how it ended: %v", err)
	}
	if err := e.End(t.Context(), "deploy", theirs, key("v1"), true); err != nil {
		t.Error(err)
	}
	before, err := e.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Begin(t.Context(), "deploy", release.Stage{Key: key("v1")}, false); !errors.Is(err, release.ErrLive) {
		t.Errorf("it is live: %v", err)
	}
	if after, err := e.Read(t.Context()); err != nil || after.Seq != before.Seq {
		t.Errorf("the refusal was written: %v", err)
	}
	if _, err := e.Begin(t.Context(), "deploy", release.Stage{Key: key("v1")}, true); err != nil {
		t.Errorf("again, by force: %v", err)
	}
	// LESSONS 23: A, then B, then A again.
	for _, v := range []string{"A", "B", "A"} {
		if err := e.End(t.Context(), "deploy", begin(t, e, "deploy", v), key(v), true); err != nil || live(t, e, "deploy").Key != key(v) {
			t.Errorf("%s: %v", v, err)
		}
	}
}

func TestStagesOfOneEnvironmentDoNotLoseEachOther(t *testing.T) {
	s := mem.New()
	stages := []string{"a", "b", "c", "d", "e", "f"}
	err := par.Each(t.Context(), len(stages), len(stages), func(ctx context.Context, i int) error {
		e, err := release.Open(s, "staging", clock)
		if err != nil {
			return err
		}
		d, err := e.Begin(ctx, stages[i], release.Stage{Key: key(stages[i])}, false)
		if err != nil {
			return err
		}
		return e.End(ctx, stages[i], d, key(stages[i]), true)
	})
	if err != nil {
		t.Fatal(err)
	}
	e := open(t, s)
	for _, n := range stages {
		if l := live(t, e, n); l.Status != action.StatusOK || l.Key != key(n) {
			t.Errorf("%s: %+v", n, l)
		}
	}
	if st, err := e.Read(t.Context()); err != nil || st.Seq != uint64(2*len(stages)) {
		t.Errorf("%d writes are counted, %v", st.Seq, err)
	}
}

const later = `{"schema":1,"seq":41,"hold":{"by":"bob","why":"<night>"},"stages":{
"other":{"status":"ok","key":"k1:` + "0000000000000000000000000000000000000000000000000000000000000001" + `","deployment":"X","at":"2026-01-01T00:00:00Z",
"closure":"blake3:0000000000000000000000000000000000000000000000000000000000000002","deps":null,"release":"r-7","epoch":9}}}`

func TestFieldsOfLaterVersionsSurvive(t *testing.T) {
	s := mem.New()
	if err := s.Swap(t.Context(), "env/staging/state", "", []byte(later)); err != nil {
		t.Fatal(err)
	}
	e := open(t, s)
	if err := e.End(t.Context(), "deploy", begin(t, e, "deploy", "v1"), key("v1"), true); err != nil {
		t.Fatal(err)
	}
	b, _, err := s.Load(t.Context(), "env/staging/state")
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Seq    int
		Hold   struct{ By, Why string }
		Stages map[string]struct {
			Status, Release string
			Epoch           int
		}
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if got.Seq != 43 || got.Hold.By != "bob" || got.Hold.Why != "<night>" {
		t.Errorf("%+v", got)
	}
	if o := got.Stages["other"]; o.Status != "ok" || o.Release != "r-7" || o.Epoch != 9 {
		t.Errorf("the stage that was not written: %+v", o)
	}
}

func TestAStateThatCannotBeReadIsNotOverwritten(t *testing.T) {
	for name, text := range map[string]string{"another schema": `{"schema":2,"seq":1}`, "no JSON": "<html>", "no state": `{}`, "empty": ""} {
		s := mem.New()
		if err := s.Swap(t.Context(), "env/staging/state", "", []byte(text)); err != nil {
			t.Fatal(err)
		}
		e := open(t, s)
		if _, err := e.Begin(t.Context(), "deploy", release.Stage{}, false); !diag.Is(err, diag.Integrity) {
			t.Errorf("%s: %v", name, err)
		}
		if b, _, err := s.Load(t.Context(), "env/staging/state"); err != nil || string(b) != text {
			t.Errorf("%s: it is now %q, %v", name, b, err)
		}
	}
}

func TestEnvironmentsHaveNamesThatEveryStoreTakes(t *testing.T) {
	for _, name := range []string{"default", "staging", "eu-1.prod_2", strings.Repeat("a", 63)} {
		if e, err := release.Open(mem.New(), name, clock); err != nil || e.Name() != name {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", ".", "..", "../x", "a/b", "Prod", "-a", "a b", "ü", "a.lock", strings.Repeat("a", 64)} {
		if _, err := release.Open(mem.New(), name, clock); !diag.Is(err, diag.Usage) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestNamesListsTheEnvironments(t *testing.T) {
	s := mem.New()
	for _, cell := range []string{"env/prod/state", "env/a/state", "env/a/log/1", "env/Bad Name/state", "env/x/y/state", "other/b/state"} {
		if err := s.Swap(t.Context(), cell, "", []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	err := release.Names(t.Context(), s, func(n string) error { got = append(got, n); return nil })
	if err != nil || !slices.Equal(got, []string{"a", "prod"}) {
		t.Errorf("%q, %v", got, err)
	}
}
