package release_test

import (
	"bytes"
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
	if _, err := s.Swap(t.Context(), cell, "", []byte(value)); err != nil {
		t.Fatal(err)
	}
	return s
}

func written(t *testing.T, s *mem.Store) string {
	t.Helper()
	b, _, err := s.Load(t.Context(), cell)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const (
	someKey    = "k1:0000000000000000000000000000000000000000000000000000000000000001"
	someDigest = "blake3:0000000000000000000000000000000000000000000000000000000000000002"
	someStage  = `{"at":"2026-01-01T00:00:00Z","closure":"` + someDigest + `","deployment":"X","epoch":9,"key":"` + someKey + `","release":"r-7","status":"ok"}`
	// later is what a later version may have written.
	later = `{"hold":{"by":"bob","why":"<night>"},"project":"shop","schema":2,"seq":41,"stages":{"other":` + someStage + "}}\n"
)

func TestFieldsOfLaterVersionsSurvive(t *testing.T) {
	s := holding(t, later)
	e := open(t, s)
	if err := end(t.Context(), e, "deploy", begin(t, e, "deploy", "v1"), "v1", true); err != nil {
		t.Fatal(err)
	}
	got := written(t, s)
	for _, want := range []string{`"hold":{"by":"bob","why":"<night>"}`, `"other":` + someStage, `"seq":43`} {
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
		if _, err := open(t, s).Begin(t.Context(), deploy("v1")); !diag.Is(err, c.want) {
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
	_, err := e.Begin(t.Context(), deploy("v1"))
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
		s, o := mem.New(), options()
		spoil(&o)
		e, err := release.Open(s, o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Begin(t.Context(), deploy("v1")); err == nil {
			t.Errorf("%s: it was written", name)
		}
		if _, _, err := s.Load(t.Context(), cell); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestADeploymentSaysWhoMadeItOfWhat(t *testing.T) {
	s, o := mem.New(), options()
	o.Stamp.Commit = "0123abc"
	e, err := release.Open(s, o)
	if err != nil {
		t.Fatal(err)
	}
	begin(t, e, "deploy", "v1")
	st, err := e.Read(t.Context())
	if d := st.Stages["deploy"]; err != nil || d.By != "ann" || d.Commit != "0123abc" || !d.At.Equal(clock().Truncate(1e9)) {
		t.Errorf("%+v, %v", d, err)
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
	o := release.Options{Name: release.Default, Now: clock, Note: func(text string) { notes = append(notes, text) }}
	e, err := release.Open(s, o)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := end(t.Context(), e, "deploy", begin(t, e, "deploy", "v1"), "v1", false); err != nil {
			t.Fatal(err)
		}
	}
	b, _, err := s.Load(t.Context(), "env/default/state")
	if err != nil || bytes.Contains(b, []byte("project")) || len(notes) != 1 {
		t.Errorf("%s, %v; notes: %q", b, err, notes)
	}
}

// A store that ignores conditions is asked again, one that passed is not.
func TestTheProbeComesBeforeTheFirstDeploymentAlone(t *testing.T) {
	refused := diag.New(diag.Policy, "the server let both win")
	answers, asked, s := []error{refused, nil}, 0, mem.New()
	o := options()
	o.Probe = func(context.Context) error { asked++; return answers[min(asked, len(answers))-1] }
	e, err := release.Open(s, o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Begin(t.Context(), deploy("v1")); !errors.Is(err, refused) || !diag.Is(err, diag.Policy) {
		t.Errorf("%v", err)
	}
	if st, err := e.Read(t.Context()); err != nil || len(st.Stages) > 0 {
		t.Errorf("the refusal was written: %v, %v", st, err)
	}
	begin(t, e, "deploy", "v1")
	begin(t, e, "deploy", "v2")
	if asked != 2 {
		t.Errorf("asked %d times", asked)
	}
}

func TestProjectsOfOnePrefixDoNotMeet(t *testing.T) {
	s := mem.New()
	for _, project := range []string{"shop", "web"} {
		o := options()
		o.Project = project
		e, err := release.Open(s, o)
		if err != nil {
			t.Fatal(err)
		}
		if l := live(t, e, "deploy"); l.Status != "" {
			t.Errorf("%s: %+v", project, l)
		}
		if err := end(t.Context(), e, "deploy", begin(t, e, "deploy", project), project, true); err != nil {
			t.Error(err)
		}
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
	names := func(states []*release.State, err error) (out []string) {
		if err != nil {
			t.Error(err)
		}
		for _, st := range states {
			out = append(out, st.Env())
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
		o := options()
		o.Name = name
		e, err := release.Open(s, o)
		if err != nil {
			t.Fatal(err)
		}
		begin(t, e, "deploy", "v1")
	}
	if all, err := release.All(t.Context(), s, listing(s)); !diag.Is(err, diag.Integrity) || len(all) != 2 {
		t.Errorf("a damaged state between two others: %v, %v", all, err)
	}
	if all, err := release.All(t.Context(), s, listing(silent{s})); !errors.Is(err, errSilent) || len(all) > 0 {
		t.Errorf("a list that cannot be read: %v, %v", all, err)
	}
	if l, err := open(t, s).Live(t.Context(), "deploy"); !diag.Is(err, diag.Integrity) {
		t.Errorf("a damaged state says %+v, %v", l, err)
	}
	if _, err := release.All(t.Context(), s, release.Options{Name: "Bad Name"}); !diag.Is(err, diag.Usage) {
		t.Errorf("a name that is none: %v", err)
	}
}

func TestAStateNamesWhatWasDeployed(t *testing.T) {
	e, of := open(t, mem.New()), func(s string) digest.Digest { return digest.Of([]byte(s)) }
	token, err := e.Begin(t.Context(), release.Deployment{
		Stage: "deploy", Key: key("v1"), Closure: of("closure"), Deps: []artifact.Input{{Path: "conf", Digest: of("conf")}},
		Artifacts: []artifact.Output{{Path: "dist", Dir: true, Digest: of("dist")}, {Path: "app", Digest: of("app")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	begin(t, e, "other", "v1")
	st, err := e.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"closure", "conf", "dist", "app"} {
		got := st.Names(digest.Digest{}, of(d))
		if len(got) != 1 || got[0].Stage != "deploy" || got[0].Env != "staging" || got[0].Status != "unknown" || !got[0].At.Equal(clock().Truncate(1e9)) {
			t.Errorf("%s: %+v", d, got)
		}
	}
	if got := st.Names(of("nothing"), digest.Digest{}); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	for _, want := range []object.Ref{
		{Shelf: object.Trees, Digest: of("closure")},
		{Shelf: object.Inputs, Digest: of("conf")},
		{Shelf: object.Trees, Digest: of("dist")},
		{Shelf: object.Files, Digest: of("app")},
	} {
		if !slices.Contains(st.Roots(), want) {
			t.Errorf("%v is no root", want)
		}
	}
	if err := end(t.Context(), e, "deploy", token, "v1", true); err != nil {
		t.Error(err)
	}
	if st, err := e.Read(t.Context()); err != nil || st.Names(of("app"))[0].Status != "ok" {
		t.Errorf("%v", err)
	}
}
