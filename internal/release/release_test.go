package release_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/store/mem"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
)

func clock() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC) }

func open(t *testing.T, s *mem.Store) *release.Environment {
	t.Helper()
	e, err := release.Open(s, options())
	if err != nil {
		t.Fatal(err)
	}
	return e
}

const cell = "projects/shop/env/staging/state"

func options() release.Options {
	return release.Options{
		Project: "shop", Name: "staging", Now: clock, Stamp: object.Stamp{By: "ann"},
		Probe: func(context.Context) error { return nil }, Create: true,
	}
}

func key(s string) digest.Key { return digest.Key(digest.Of([]byte(s))) }

func begin(t *testing.T, e *release.Environment, stage, k string) string {
	t.Helper()
	d, err := e.Begin(t.Context(), release.Deployment{
		Stage: stage, Key: key(k), Deps: []artifact.Input{{Path: "src", Kind: artifact.Dir, Digest: digest.Of([]byte(k))}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func deploy(k string) release.Deployment { return release.Deployment{Stage: "deploy", Key: key(k)} }

func end(ctx context.Context, e *release.Environment, stage, token, k string, ok bool) error {
	return e.End(ctx, release.Deployment{Stage: stage, Key: key(k)}, token, ok)
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
		if err := end(t.Context(), e, "deploy", d, "v1", c.ok); err != nil {
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
			for _, x := range ends {
				last = end(t.Context(), e, "deploy", x.token, x.version, true)
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
			if err := end(t.Context(), e, "deploy", again, "v2", true); err != nil {
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
		if err := end(t.Context(), e, "deploy", token, "v1", true); err != nil {
			t.Error(err)
		}
	}
	if st, err := e.Read(t.Context()); err != nil || st.Seq != 3 {
		t.Errorf("%d writes, %v: the first end is for the second run to write", st.Seq, err)
	}
	if live, err := e.Live(t.Context(), "deploy"); err != nil || live.Status != action.StatusOK {
		t.Errorf("%v, %+v", err, live)
	}
}

func TestTwoRunsThatDeployTheSameVersionDeployItOnce(t *testing.T) {
	e := open(t, mem.New())
	mine := begin(t, e, "deploy", "v1")
	theirs := begin(t, e, "deploy", "v1")
	if err := end(t.Context(), e, "deploy", mine, "v1", true); err != nil {
		t.Errorf("the other one writes how it ended: %v", err)
	}
	if err := end(t.Context(), e, "deploy", theirs, "v1", true); err != nil {
		t.Error(err)
	}
	before, err := e.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Begin(t.Context(), deploy("v1")); !errors.Is(err, release.ErrLive) {
		t.Errorf("it is live: %v", err)
	}
	if after, err := e.Read(t.Context()); err != nil || after.Seq != before.Seq {
		t.Errorf("the refusal was written: %v", err)
	}
	if _, err := e.Begin(t.Context(), release.Deployment{Stage: "deploy", Key: key("v1"), Again: true}); err != nil {
		t.Errorf("again, by force: %v", err)
	}
	// LESSONS 23: A, then B, then A again.
	for _, v := range []string{"A", "B", "A"} {
		if err := end(t.Context(), e, "deploy", begin(t, e, "deploy", v), v, true); err != nil || live(t, e, "deploy").Key != key(v) {
			t.Errorf("%s: %v", v, err)
		}
	}
}

func TestStagesOfOneEnvironmentDoNotLoseEachOther(t *testing.T) {
	s := mem.New()
	stages := []string{"a", "b", "c", "d", "e", "f"}
	err := par.Each(t.Context(), len(stages), len(stages), func(ctx context.Context, i int) error {
		e, err := release.Open(s, options())
		if err != nil {
			return err
		}
		d, err := e.Begin(ctx, release.Deployment{Stage: stages[i], Key: key(stages[i])})
		if err != nil {
			return err
		}
		return end(ctx, e, stages[i], d, stages[i], true)
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

func TestEnvironmentsHaveNamesThatEveryStoreTakes(t *testing.T) {
	for _, name := range []string{"default", "staging", "eu-1.prod_2", strings.Repeat("a", 63)} {
		if e, err := release.Open(mem.New(), release.Options{Name: name}); err != nil || e.Name() != name {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", ".", "..", "../x", "a/b", "Prod", "-a", "a b", "ü", "a.lock", strings.Repeat("a", 64)} {
		if _, err := release.Open(mem.New(), release.Options{Name: name}); !diag.Is(err, diag.Usage) {
			t.Errorf("%q: %v", name, err)
		}
	}
}
