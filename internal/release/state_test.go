package release_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/canon"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/mem"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
)

// holding returns a store whose cell has the value.
func holding(t *testing.T, value string) *mem.Store {
	t.Helper()
	s := mem.New()
	put(t, s, cell, value)
	return s
}

const (
	someKey    = "k1:0000000000000000000000000000000000000000000000000000000000000001"
	someDigest = "blake3:0000000000000000000000000000000000000000000000000000000000000002"
	someStage  = `{"at":"2026-01-01T00:00:00Z","closure":"` + someDigest + `","key":"` + someKey + `","later":{"x":9},"status":"ok"}`
	// later is what a later version may have written.
	later = `{"later":{"by":"bob","why":"<night>"},"project":"shop","schema":2,"seq":41,"stages":{"other":` + someStage + "}}\n"
)

func TestFieldsOfLaterVersionsSurvive(t *testing.T) {
	s := holding(t, later)
	e := open(t, s)
	deploy(t, e, want("api=v1"))
	drifted(t, e, "other", 0) // a member of a stage that is written stays, too
	got := written(t, s)
	for _, want := range []string{`"later":{"by":"bob","why":"<night>"}`, `"gone":1,"key":"` + someKey + `","later":{"x":9},"status":"unknown"}`, `"seq":45`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not in %s", want, got)
		}
	}
	var any any
	if err := canon.Unmarshal([]byte(got), &any); err != nil {
		t.Error(err)
	}
}

func TestAStateThatCannotBeReadIsNotOverwritten(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want diag.Kind
	}{
		"newer":              {`{"leases":[],"schema":3}` + "\n", diag.Policy},
		"newer, not ours":    {`{ "schema": 3 }`, diag.Policy},
		"never released":     {`{"schema":1,"seq":1,"stages":{}}` + "\n", diag.Integrity},
		"another project":    {strings.Replace(later, `"shop"`, `"web"`, 1), diag.Policy},
		"no project":         {strings.Replace(later, `"project":"shop",`, "", 1), diag.Policy},
		"a newer key":        {strings.Replace(later, "k1:", "k2:", 1), diag.Policy},
		"needs what is new":  {strings.Replace(later, `"schema"`, `"requires":["hold"],"schema"`, 1), diag.Policy},
		"not JSON":           {"<html>", diag.Integrity},
		"not a state":        {"{}\n", diag.Integrity},
		"empty":              {"", diag.Integrity},
		"not canonical":      {strings.Replace(later, `"seq":41`, `"seq": 41`, 1), diag.Integrity},
		"a member twice":     {strings.Replace(later, `"seq":41`, `"seq":40,"seq":41`, 1), diag.Integrity},
		"another case":       {strings.Replace(later, `"seq"`, `"Seq"`, 1), diag.Integrity},
		"a stage's case":     {strings.Replace(later, `"status"`, `"Status"`, 1), diag.Integrity},
		"a stage without":    {strings.Replace(later, `,"status":"ok"`, "", 1), diag.Integrity},
		"a name with spaces": {strings.Replace(later, `"other"`, `"o t"`, 1), diag.Integrity},
	} {
		s := holding(t, c.text)
		if _, _, err := open(t, s).Begin(t.Context(), want("api=v1")); !diag.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if b := written(t, s); b != c.text {
			t.Errorf("%s: it is now %q", name, b)
		}
	}
}

// What needs a feature that is not known here can be read, and is not written.
func TestAStateThatNeedsANewerPipeIsReadAlone(t *testing.T) {
	e := open(t, holding(t, strings.Replace(later, `"schema"`, `"requires":["hold"],"schema"`, 1)))
	if l := live(t, e, "other"); l.Status != "ok" {
		t.Errorf("%+v", l)
	}
	_, _, err := e.Begin(t.Context(), want("api=v1"))
	if !diag.Is(err, diag.Policy) || !strings.Contains(err.Error(), `written by a newer pipe: it needs "hold"`) {
		t.Errorf("%v", err)
	}
}

func TestAStateOfTheFormThatWasNeverReleasedIsNotCalledNewer(t *testing.T) {
	_, err := open(t, holding(t, `{"schema":1,"seq":1,"stages":{}}`+"\n")).Read(t.Context())
	if err == nil || !strings.Contains(err.Error(), "schema 1, which no release of pipe wrote") {
		t.Errorf("%v", err)
	}
}

func TestAStateThatNoReaderWouldTakeIsNotWritten(t *testing.T) {
	for name, spoil := range map[string]func(*release.Options){
		"too large":       func(o *release.Options) { o.Stamp.By = strings.Repeat("x", store.MaxSmall) },
		"not JSON's time": func(o *release.Options) { o.Now = func() time.Time { return clock().AddDate(9000, 0, 0) } },
	} {
		s := mem.New()
		if _, _, err := open(t, s, spoil).Begin(t.Context(), want("api=v1")); err == nil {
			t.Errorf("%s: it was written", name)
		}
		if _, _, err := s.Load(t.Context(), cell); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestARefusalSaysBothProjects(t *testing.T) {
	_, err := open(t, holding(t, strings.Replace(later, `"shop"`, `"web"`, 1))).Read(t.Context())
	var d *diag.Error
	if !errors.As(err, &d) || !strings.Contains(d.What, "project web") || !strings.Contains(d.What, "project shop") || d.Hint == "" {
		t.Errorf("%v", err)
	}
}

func TestAWorkspacesOwnStateHasNoProject(t *testing.T) {
	s, notes := mem.New(), []string{}
	e := open(t, s, func(o *release.Options) {
		o.Project, o.Name, o.Probe, o.Say = "", release.Default, nil, func(text string) { notes = append(notes, text) }
	})
	for _, v := range []string{"v1", "v2"} {
		e.SayLocal()
		deploy(t, e, want("api="+v))
	}
	if b := cellOf(t, s, "env/default/state"); strings.Contains(b, "project") || len(notes) != 1 {
		t.Errorf("%s; notes: %q", b, notes)
	}
	sound(t, e, 2)
}

// A store that ignores conditions is asked again, one that passed is not. Who is turned down needs no proof.
func TestTheProbeComesBeforeTheFirstDeploymentAlone(t *testing.T) {
	refused := diag.New(diag.Policy, "the server let both win")
	answers, asked, day, s := []error{refused, nil}, 0, 0, mem.New()
	e := open(t, s, func(o *release.Options) {
		o.Probe = func(context.Context) error { asked++; return answers[min(asked, len(answers))-1] }
		o.Now = func() time.Time { return clock().AddDate(0, 0, day) }
	})
	if _, _, err := e.Begin(t.Context(), want("api=v1")); !errors.Is(err, refused) || !diag.Is(err, diag.Policy) {
		t.Errorf("%v", err)
	}
	if read(t, e).Exists() {
		t.Error("the refusal was written")
	}
	deploy(t, e, want("api=v1"))
	day = 29
	deploy(t, e, want("api=v2"))
	if asked != 2 {
		t.Errorf("asked %d times", asked)
	}
	day = 31
	if _, v, err := e.Begin(t.Context(), want("api=v2")); err != nil || v.Do != release.Nothing || asked != 2 {
		t.Errorf("%+v, %v, asked %d times", v, err, asked)
	}
	deploy(t, e, want("api=v3"))
	day = 2 // before the last proof: somebody's clock is wrong
	deploy(t, e, want("api=v4"))
	if asked != 4 {
		t.Errorf("asked %d times", asked)
	}
}

func TestProjectsOfOnePrefixDoNotMeet(t *testing.T) {
	s := mem.New()
	for _, project := range []string{"shop", "web"} {
		e := open(t, s, func(o *release.Options) { o.Project = project })
		if l := live(t, e, "api"); l.Status != "" {
			t.Errorf("%s: %+v", project, l)
		}
		deploy(t, e, want("api="+project))
	}
}

func TestAllReadsTheProjectsEnvironments(t *testing.T) {
	s := mem.New()
	empty := `{"project":"shop","schema":2,"seq":1,"stages":{}}` + "\n"
	for _, name := range []string{"shop/env/prod/state", "shop/env/a/state", "shop/env/a/log/1", "shop/env/Bad Name/state", "shop/env/x/y/state", "shop/env/a.lock/state", "web/env/b/state"} {
		if _, err := s.Swap(t.Context(), "projects/"+name, "", []byte(empty)); err != nil {
			t.Fatal(err)
		}
	}
	names := func(states []*release.Sight, err error) (out []string) {
		if err != nil {
			t.Error(err)
		}
		for _, st := range states {
			out = append(out, st.Env)
		}
		return out
	}
	if got := names(release.All(t.Context(), s, listing(s))); !slices.Equal(got, []string{"a", "prod"}) {
		t.Errorf("%q", got)
	}
	if got := names(release.All(t.Context(), s, options())); len(got) > 0 {
		t.Errorf("a store that cannot list knows the one that is named: %q", got)
	}
	o := options()
	o.Name = "prod"
	if got := names(release.All(t.Context(), s, o)); !slices.Equal(got, []string{"prod"}) {
		t.Errorf("a store that cannot list: %q", got)
	}
}

// silent lists no names.
type silent struct{ *mem.Store }

var errSilent = errors.New("cannot list")

// Names implements store.Lister.
func (silent) Names(context.Context, string, func(string) error) error { return errSilent }

// listing are options that find what lies in a store.
func listing(l store.Lister) release.Options {
	o := options()
	o.Lister = l
	return o
}

func TestAllReadsWhatItCanAndFailsForTheRest(t *testing.T) {
	s := holding(t, "<html>")
	for _, name := range []string{"a", "z"} {
		deploy(t, open(t, s, func(o *release.Options) { o.Name = name }), want("api=v1"))
	}
	if all, err := release.All(t.Context(), s, listing(s)); !diag.Is(err, diag.Integrity) || len(all) != 2 {
		t.Errorf("a damaged state between two others: %v, %v", all, err)
	}
	if all, err := release.All(t.Context(), s, listing(silent{s})); !errors.Is(err, errSilent) || len(all) > 0 {
		t.Errorf("a list that cannot be read: %v, %v", all, err)
	}
	if _, err := release.All(t.Context(), s, release.Options{Name: "Bad Name"}); !diag.Is(err, diag.Usage) {
		t.Errorf("a name that is none: %v", err)
	}
}

func TestAStateNamesWhatWasDeployed(t *testing.T) {
	s := mem.New()
	e := open(t, s)
	r := made()
	rid, err := e.Publish(t.Context(), r, "")
	must(t, err)
	w := want("api=v1", "other=v1<api")
	a := w.Stages["api"]
	a.Part.Closure, a.Part.Deps = sum("closure"), []artifact.Input{{Path: "conf", Digest: sum("conf")}}
	a.Part.Artifacts = []artifact.Output{{Path: "dist", Dir: true, Digest: sum("dist")}, {Path: "app", Digest: sum("app")}}
	w.Stages["api"], w.Release = a, rid
	d := begin(t, e, w)
	for _, what := range []string{"closure", "conf", "dist", "app"} {
		got := read(t, e).Names(digest.Digest{}, sum(what))
		if len(got) != 1 || got[0].Stage != "api" || got[0].Env != "staging" || got[0].Status != "unknown" || !got[0].At.Equal(clock().Truncate(time.Second)) {
			t.Errorf("%s: %+v", what, got)
		}
	}
	if got := read(t, e).Names(sum("nothing"), digest.Digest{}); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	must(t, d.Step(t.Context(), nil, []string{"other"}))
	_, err = d.End(t.Context(), map[string]*release.End{"api": {OK: true, Attempt: release.Attempt{Log: sum("log")}}, "other": {OK: true}}, release.EndOK, "")
	must(t, err)
	st := read(t, e)
	roots, err := e.Roots(t.Context(), st)
	must(t, err)
	for _, want := range []object.Ref{
		{Shelf: object.Trees, Digest: sum("closure")},
		{Shelf: object.Inputs, Digest: sum("conf")},
		{Shelf: object.Trees, Digest: sum("dist")},
		{Shelf: object.Files, Digest: sum("app")},
		{Shelf: object.Inputs, Digest: sum("v1")}, // of the release
		{Shelf: object.Logs, Digest: sum("log")},  // of the history
	} {
		if !slices.Contains(roots, want) {
			t.Errorf("%v is no root", want)
		}
	}
	if st.Names(sum("app"))[0].Status != "ok" || !slices.Equal(st.Releases(), []release.ID{rid}) {
		t.Errorf("%v", st.Releases())
	}
	// What cannot be read may name more: nothing is garbage then.
	if _, err := open(t, missing{s, logs + "1"}).Roots(t.Context(), st); err == nil {
		t.Error("the history was not looked at")
	}
}
