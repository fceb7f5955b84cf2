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
	"github.com/pipe-build/pipe/internal/params"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store/mem"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// made is a release of two stages.
func made() *release.Release {
	return &release.Release{Schema: release.ReleaseSchema, Project: "shop", Stages: map[string]release.Part{
		"api": {Cmd: []string{"./deploy.sh"}, Shell: "sh", Wdir: ".", Closure: sum("closure"), Size: 3, Deps: deps("v1"), Needs: []string{"db"}},
		"db":  {Cmd: []string{"./migrate.sh"}, Shell: "sh", Wdir: ".", Closure: sum("closure"), Timeout: time.Minute, Barrier: true, Mutex: "m"},
	}}
}

const releases = "projects/shop/releases/"

func TestAReleaseIsNamedByWhatItIs(t *testing.T) {
	s := mem.New()
	e := open(t, s)
	one, err := e.Publish(t.Context(), made(), "")
	must(t, err)
	two, err := open(t, s).Publish(t.Context(), made(), "c1")
	must(t, err)
	if one != two || id(cellOf(t, s, releases+one.String())) != one {
		t.Errorf("%s, %s", one, two)
	}
	got, err := e.Release(t.Context(), one)
	must(t, err)
	_, again, err := got.Encode()
	if err != nil || again != one || !slices.Equal(got.Names(), []string{"db", "api"}) {
		t.Errorf("%s, %v: %v", again, err, got.Names())
	}
	for _, ref := range []object.Ref{{Shelf: object.Trees, Digest: sum("closure")}, {Shelf: object.Inputs, Digest: sum("v1")}} {
		if !slices.Contains(got.Roots(), ref) {
			t.Errorf("%v is no root", ref)
		}
	}
	if _, err := e.Release(t.Context(), id("none")); !diag.Is(err, diag.NotFound) {
		t.Error(err)
	}
}

func TestAReleaseThatNobodyCouldReadIsNotWritten(t *testing.T) {
	for name, spoil := range map[string]func(r *release.Release){
		"no command":      func(r *release.Release) { r.Stages["db"] = release.Part{Closure: sum("x")} },
		"no closure":      func(r *release.Release) { r.Stages["db"] = release.Part{Cmd: []string{"x"}} },
		"a need":          func(r *release.Release) { delete(r.Stages, "db") },
		"a name":          func(r *release.Release) { r.Stages["a b"] = r.Stages["db"] },
		"too large":       func(r *release.Release) { r.Project = strings.Repeat("x", 17<<20) },
		"a circle":        func(r *release.Release) { p := r.Stages["db"]; p.Needs = []string{"api"}; r.Stages["db"] = p },
		"it needs itself": func(r *release.Release) { p := r.Stages["db"]; p.Needs = []string{"db"}; r.Stages["db"] = p },
	} {
		s, r := mem.New(), made()
		spoil(r)
		if _, err := open(t, s).Publish(t.Context(), r, "c1"); err == nil {
			t.Errorf("%s: it was written", name)
		}
	}
}

func TestAnAnswerThatIsLostPublishesOnce(t *testing.T) {
	for _, done := range []bool{true, false} {
		s := &faulty{Store: mem.New()}
		s.fails(nth(1, "", done))
		_, err := open(t, s).Publish(t.Context(), made(), "c1")
		must(t, err)
		rid, err := open(t, s).Publish(t.Context(), made(), "c1")
		must(t, err)
		s.fails(nth(1, "commits/c1/0", done))
		must(t, open(t, s).Note(t.Context(), "c1", rid))
		if ids, err := open(t, s).Of(t.Context(), "c1"); err != nil || !slices.Equal(ids, []release.ID{rid}) {
			t.Errorf("%v, %v", ids, err)
		}
	}
}

func TestACommitMayHaveSeveralReleases(t *testing.T) {
	s := mem.New()
	e := open(t, s)
	ids := func() []release.ID {
		t.Helper()
		all, err := e.Of(t.Context(), "c1")
		must(t, err)
		return all
	}
	if got := ids(); len(got) > 0 {
		t.Errorf("%v", got)
	}
	for _, r := range []string{"a", "b", "a", "c", "b"} {
		must(t, e.Note(t.Context(), "c1", id(r)))
	}
	must(t, e.Note(t.Context(), "c2", id("a")))
	must(t, e.Note(t.Context(), "", id("z")))
	if got := ids(); !slices.Equal(got, []release.ID{id("a"), id("b"), id("c")}) {
		t.Errorf("%v", got)
	}
	if got := cellOf(t, s, "projects/shop/commits/c1/1"); got != id("b").String()+"\n" {
		t.Errorf("%q", got)
	}
	put(t, s, "projects/shop/commits/c1/1", "r-x\n")
	if _, err := e.Of(t.Context(), "c1"); !diag.Is(err, diag.Integrity) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Of(ctx, "c1"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// values are variables of all kinds.
func values() []action.EnvValue {
	return []action.EnvValue{
		{Name: "STACK", Value: "prd", Set: true, Literal: true},
		{Name: "REGION", Value: "in the process alone", Set: true},
		{Name: "TOKEN", Value: "a secret of the process", Set: true, Secret: true},
		{Name: "GIVEN", Value: "a secret that was given", Set: true, Literal: true, Secret: true},
		{Name: "NONE"},
	}
}

// What came from the process is not readable by whoever may read the remote, and no secret is.
func TestNoValueFromOutsideIsWritten(t *testing.T) {
	known, outside := release.Known(values())
	if len(known) != 1 || known["STACK"] != "prd" || outside["TOKEN"] != "set" || outside["GIVEN"] != "set" || outside["NONE"] != "unset" || len(outside["REGION"]) < 8 {
		t.Errorf("%v, %v", known, outside)
	}
	st := &spec.Stage{Name: "api", Deploy: true, Cmd: []string{"x"}, Shell: "sh", Wdir: "."}
	for _, v := range values() {
		e := spec.Env{Name: v.Name}
		if v.Secret {
			e.Secret = spec.IsSecret
		}
		st.Env = append(st.Env, e)
	}
	in := action.Inputs{Env: values(), Deps: deps("v1")}
	p := release.PartOf(st, in)
	p.Closure = sum("closure")
	s := mem.New()
	e := open(t, s)
	rid, err := e.Publish(t.Context(), &release.Release{Schema: 1, Project: "shop", Stages: map[string]release.Part{"api": p}}, "")
	must(t, err)
	w := want("api=v1")
	w.Stages["api"] = release.Aim{Part: p, Key: p.Key("api", values()), Values: known, Outside: outside}
	deploy(t, e, w)
	for _, name := range []string{releases + rid.String(), cell, logs + "1"} {
		text := cellOf(t, s, name)
		for _, v := range values() {
			if v.Set && v.Name != "STACK" && strings.Contains(text, v.Value) {
				t.Errorf("%s has the value of %s", name, v.Name)
			}
		}
		if strings.Contains(text, "prd") == (name == releases+rid.String()) {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// A release and the values make the key that the checkout has.
func TestAPartIsTheStageWithoutItsValues(t *testing.T) {
	yes := "yes"
	st := &spec.Stage{
		Name: "api", Deploy: true, Cmd: []string{"./deploy.sh", "b"}, Shell: "bash", Wdir: "sub", Timeout: time.Minute, Retries: 2, Mutex: "m", Barrier: true, Drift: "d", Undeploy: "u",
		Env:    []spec.Env{{Name: "STACK"}, {Name: "LOUD", Literal: true, Value: yes}, {Name: "TOKEN", Secret: spec.IsSecret}},
		Verify: spec.Verify{Cmd: "./smoke.sh", Retries: 2, Every: time.Second},
	}
	in := action.Inputs{
		Deps: deps("v1"), Params: []params.Value{{File: "params.yaml", Key: "a.b", Value: "1"}}, Platform: "linux/amd64",
		Asked: artifact.Asked{
			Tools:  []artifact.Tool{{Cmd: "go version", Digest: sum("go"), Size: 2, Line: "go1.26"}},
			Images: []artifact.Named{{Name: "alpine:3.20", Answer: "sha256:" + sum("a").Hex()}},
			URLs:   []artifact.Named{{Name: "https://example.com/x", Answer: `etag:"1"`}},
		},
		Env: []action.EnvValue{{Name: "STACK", Value: "prd", Set: true, Literal: true}, {Name: "LOUD", Value: yes, Set: true, Literal: true}, {Name: "TOKEN", Value: "x", Set: true, Secret: true}},
	}
	p := release.PartOf(st, in)
	if got := p.Key("api", in.Env); got != action.KeyOf(st, in) || got == (digest.Key{}) {
		t.Errorf("%s, want %s", got, action.KeyOf(st, in))
	}
	if p.Tools[0].Line != "" || in.Tools[0].Line == "" {
		t.Error("the line of a tool belongs to nobody's key")
	}
	back, _ := p.Stage("api", in.Env)
	if back.Timeout != st.Timeout || back.Retries != 2 || back.Mutex != "m" || !back.Barrier || back.Drift != "d" || back.Undeploy != "u" || back.Verify != st.Verify || !back.Deploy || back.Shell != "bash" {
		t.Errorf("%+v", back)
	}
	hidden := in
	hidden.Hidden = append(hidden.Hidden, "params.yaml")
	if p := release.PartOf(st, hidden); !p.Local || len(p.Params) > 0 {
		t.Errorf("a params file that must not be published: %+v", p)
	}
}

// An older pipe would take another key for that of the release.
func TestAReleaseSaysThatItHasNames(t *testing.T) {
	for name, c := range map[string]struct {
		asked artifact.Asked
		want  string
	}{
		"none":  {artifact.Asked{Tools: []artifact.Tool{{Cmd: "v", Digest: sum("v")}}}, ""},
		"image": {artifact.Asked{Images: []artifact.Named{{Name: "a", Answer: "sha256:" + sum("a").Hex()}}}, "names"},
		"URL":   {artifact.Asked{URLs: []artifact.Named{{Name: "a", Answer: sum("a").String()}}}, "names"},
	} {
		w := release.Want{Stages: map[string]release.Aim{"a": {}, "b": {Part: release.Part{Asked: c.asked}}, "c": {}}}
		if got := strings.Join(w.Made("shop").Requires, " "); got != c.want {
			t.Errorf("%s: it requires %q", name, got)
		}
	}
}

func TestTheHashesOfAPartAreThoseOfItsInputs(t *testing.T) {
	p := release.Part{
		Deps: deps("v1"), Whole: []repopath.Path{"dist"},
		Artifacts: []artifact.Output{{Path: "dist", Dir: true, Digest: sum("dist")}, {Path: "part", Dir: true, Digest: sum("part")}},
	}
	got := strings.Join(p.Hashes(), " ")
	if !strings.Contains(got, "PIPE_HASH_SRC="+sum("v1").Hex()) || !strings.Contains(got, "PIPE_HASH_DIST="+sum("dist").Hex()) || strings.Contains(got, "PART") {
		t.Error(got)
	}
}
