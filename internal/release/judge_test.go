package release_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/store/mem"
)

// refusal is what became of a deployment that did not begin.
func refusal(v release.Verdict, err error) string {
	switch {
	case diag.Is(err, diag.Policy):
		return "refused"
	case err != nil:
		return err.Error()
	}
	return map[release.Do]string{release.Go: "go", release.Nothing: "nothing", release.Superseded: "superseded", release.Held: "held"}[v.Do]
}

// rule is what becomes of a deployment.
type rule struct {
	before func(t *testing.T, e *release.Environment) // api=v5 of commit c5 is live
	want   *release.Want
	result string
	why    string
}

// rules are by what is wanted, and of which environment.
func rules() map[string]rule {
	at := func(day int) time.Time { return time.Date(2026, 1, day, 0, 0, 0, 0, time.UTC) }
	rolled := func(w *release.Want) *release.Want { w.Kind = release.KindRollback; return w }
	hold := func(t *testing.T, e *release.Environment) { must(t, e.Hold(t.Context(), "checkout 500s")) }
	veto := func(version string) func(t *testing.T, e *release.Environment) {
		return func(t *testing.T, e *release.Environment) {
			must(t, e.Keep(t.Context(), &release.Hold{By: "bob", At: clock().Truncate(time.Second), Until: release.UntilNext, Veto: []release.ID{want(version).Release}}, release.ID{}))
		}
	}
	dated := func(commit string, day int, w *release.Want) *release.Want {
		w.Commit, w.Committed = commit, at(day)
		return w
	}
	return map[string]rule{
		"another version":                    {nil, want("api=v6"), "go", ""},
		"what is live":                       {nil, want("api=v5"), "nothing", "live in staging"},
		"what is live, under a hold":         {hold, want("api=v5"), "nothing", ""},
		"under a hold, automatic":            {hold, auto("c6", want("api=v6")), "held", "staging is held by ann since 2026-01-02 03:04 UTC: checkout 500s"},
		"under a hold, by hand":              {hold, want("api=v6"), "refused", ""},
		"under a hold, a rollback":           {hold, rolled(want("api=v6")), "go", ""},
		"under a hold, that stays":           {hold, func() *release.Want { w := want("api=v6"); w.Held = true; return w }(), "go", ""},
		"vetoed, automatic":                  {veto("api=v6"), auto("c6", want("api=v6")), "held", "was rolled back by bob"},
		"vetoed, by hand":                    {veto("api=v6"), want("api=v6"), "refused", ""},
		"another than the vetoed, automatic": {veto("api=v6"), auto("c7", want("api=v7")), "go", ""},
		"an older commit, automatic":         {nil, auto("c4", want("api=v4")), "superseded", "commit c4 is older than c5, which api in staging has"},
		"an older commit, by hand":           {nil, func() *release.Want { w := want("api=v4"); w.Commit = "c4"; return w }(), "go", ""},
		"an older commit that may go back":   {nil, func() *release.Want { w := auto("c4", want("api=v4")); w.MayGoBack = true; return w }(), "go", ""},
		"the same commit, other values":      {nil, auto("c5", want("api=v6")), "go", ""},
		"a newer commit, automatic":          {nil, auto("c6", want("api=v6")), "go", ""},
		"no commit, automatic":               {nil, auto("", want("api=v6")), "go", ""},
		"an older commit, of another stage":  {nil, auto("c4", want("web=v4")), "superseded", ""},
		"unknown ancestry, an earlier date":  {nil, auto("x", dated("x", 4, want("api=v4"))), "superseded", "by commit date; git does not have both commits"},
		"unknown ancestry, a later date":     {nil, auto("x", dated("x", 6, want("api=v6"))), "go", ""},
		"unknown ancestry, the same date":    {nil, auto("x", dated("x", 5, want("api=v6"))), "go", ""},
		"unknown ancestry, no date":          {nil, auto("x", want("api=v6")), "go", ""},
		"an older commit, after a newer failed": {func(t *testing.T, e *release.Environment) {
			d := begin(t, e, dated("c9", 9, want("api=v9")))
			_, err := d.End(t.Context(), map[string]*release.End{"api": {}}, release.EndFailed, "")
			must(t, err)
		}, auto("c6", want("api=v6")), "superseded", "c9"},
		"an older commit, the newer is gone": {func(t *testing.T, e *release.Environment) {
			deploy(t, e, dated("c9", 9, want("api=v5", "web=v9")))
			deploy(t, e, dated("c5", 5, want("api=v6")))
		}, auto("c8", want("api=v8")), "go", ""},
		"a veto in a hold for all": {func(t *testing.T, e *release.Environment) { veto("api=v6")(t, e); hold(t, e) }, auto("c7", want("api=v7")), "held", "checkout 500s"},
	}
}

func TestTheRulesOfADeployment(t *testing.T) {
	for name, c := range rules() {
		t.Run(name, func(t *testing.T) {
			e := open(t, mem.New())
			live := want("api=v5")
			live.Commit, live.Committed = "c5", time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
			deploy(t, e, live)
			if c.before != nil {
				c.before(t, e)
			}
			st := read(t, e)
			v, err := e.Judge(t.Context(), st, c.want)
			if got := refusal(v, err); got != c.result || !strings.Contains(v.Why, c.why) {
				t.Errorf("judged %s, %q: %v", got, v.Why, err)
			}
			d, v, err := e.Begin(t.Context(), c.want)
			if got := refusal(v, err); got != c.result || !strings.Contains(v.Why, c.why) || (d != nil) != (got == "go") {
				t.Errorf("%s, %q: %v", got, v.Why, err)
			}
			if d != nil {
				finish(t, d)
			} else if now := read(t, e); now.Seq != st.Seq {
				t.Error("it was written")
			}
		})
	}
}

func TestTheGateIsAskedAboutTheVeryStateThatTheDeploymentBeginsOn(t *testing.T) {
	s := mem.New()
	e, refused := open(t, s), diag.New(diag.Policy, "not approved")
	var seen []uint64
	w := want("api=v1")
	w.Guard = sum("guard")
	w.Gate = func(_ context.Context, st *release.State, _ *release.Want) error {
		if seen = append(seen, st.Seq); len(seen) == 1 {
			must(t, open(t, s).Ask(t.Context(), sum("by somebody else"))) // meanwhile
		}
		return nil
	}
	finish(t, begin(t, e, w))
	if seen[len(seen)-1] != 1 || read(t, e).Guard != sum("guard") {
		t.Errorf("it saw %v", seen)
	}
	w = want("api=v2")
	w.Gate = func(context.Context, *release.State, *release.Want) error { return refused }
	if _, _, err := e.Begin(t.Context(), w); !errors.Is(err, refused) || shown(read(t, e), "v1") != "api=v1 ok" {
		t.Errorf("%v", err)
	}
	// What is live need not be allowed.
	w = want("api=v1")
	w.Gate = func(context.Context, *release.State, *release.Want) error { return refused }
	if _, v, err := e.Begin(t.Context(), w); err != nil || v.Do != release.Nothing {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestGitThatFailsStopsAnAutomaticDeployment(t *testing.T) {
	e := open(t, mem.New(), func(o *release.Options) {
		o.Older = func(context.Context, string, string) (bool, bool, error) { return false, false, errBroken }
	})
	w := want("api=v1")
	w.Commit = "c1"
	deploy(t, e, w)
	if _, _, err := e.Begin(t.Context(), auto("c2", want("api=v2"))); !errors.Is(err, errBroken) {
		t.Error(err)
	}
}
