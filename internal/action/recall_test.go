package action

import (
	"slices"
	"testing"

	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// words are the reasons of a stage that was locked, and then set otherwise; what pipe.yaml was
// is offered when old is true.
func words(set func(*spec.Stage, *Inputs), old bool) string {
	s, in := example()
	s.Platform = in.Platform
	was, wasIn := example()
	was.Platform = wasIn.Platform
	locked := lockedAs(was, wasIn)
	set(s, &in)
	w := Recall(Definition{Stage: s, Loose: in.Loose, Platform: in.Platform}, in, locked, func(yield func(Definition) bool) {
		if old {
			yield(Definition{Stage: was, Loose: wasIn.Loose, Platform: wasIn.Platform})
		}
	})
	return event.Words(Changes(s, in, locked, w), 9)
}

// Nobody has written down which variables an old pipe.yaml had from its env files, but the lock.
func TestAnOldDefinitionHasTheVariablesOfItsEnvFiles(t *testing.T) {
	was, in := example()
	was.Platform = in.Platform
	in.Env = slices.Insert(in.Env, 1, EnvValue{Name: "FROM_FILE", Value: "1", Set: true})
	now := *was // with what its file says; the old one is read from git, without
	now.Env = slices.Insert(slices.Clone(was.Env), 1, spec.Env{Name: "FROM_FILE"})
	locked := lockedAs(was, in)
	now.Cmd, now.Check = []string{"make"}, true
	for name, c := range map[string]struct {
		set  func(*spec.Stage)
		want string
	}{
		"it had files":           {func(*spec.Stage) {}, "the command changed, the definition changed: check false -> true"},
		"it had none":            {func(s *spec.Stage) { s.EnvFiles = nil }, "the command changed"},
		"it passed the variable": {func(s *spec.Stage) { s.PassEnv = []string{"FROM_*"} }, "the command changed"},
	} {
		old := *was
		c.set(&old)
		w := Recall(Definition{Stage: &now, Platform: in.Platform}, in, locked, func(yield func(Definition) bool) {
			yield(Definition{Stage: &old, Platform: in.Platform})
		})
		if got := event.Words(Changes(&now, in, locked, w), 9); got != c.want {
			t.Errorf("%s: %q", name, got)
		}
		live := Live{Key: locked.Key, Deps: in.Deps, Asked: in.Asked, Values: map[string]string{"CGO_ENABLED": "0"}}
		w = RecallLive(Definition{Stage: &now, Platform: in.Platform}, in, live, func(yield func(Definition) bool) {
			yield(Definition{Stage: &old, Platform: in.Platform})
		})
		if (w != nil) != (name == "it had files") {
			t.Errorf("%s: what is live comes from %+v", name, w)
		}
	}
}

// What the lock has only in a hash is told where a definition has that hash.
func TestAChangedDefinitionIsToldFieldByField(t *testing.T) {
	for name, c := range map[string]struct {
		set              func(*spec.Stage, *Inputs)
		guessed, offered string // without and with the old pipe.yaml
	}{
		"nothing":  {func(*spec.Stage, *Inputs) {}, "the definition changed", "the definition changed"},
		"shell":    {func(s *spec.Stage, _ *Inputs) { s.Shell = "sh" }, "the definition changed: shell bash -> sh", ""},
		"wdir":     {func(s *spec.Stage, _ *Inputs) { s.Wdir = "." }, "the definition changed: wdir app -> .", ""},
		"wdir new": {func(s *spec.Stage, _ *Inputs) { s.Wdir = "elsewhere" }, "the definition changed: wdir app -> elsewhere", ""},
		"both": {
			func(s *spec.Stage, _ *Inputs) { s.Shell, s.Wdir = "sh", "." },
			"the definition changed: shell bash -> sh; wdir app -> .", "",
		},
		"command": {
			func(s *spec.Stage, _ *Inputs) { s.Cmd = []string{"make"} },
			"the command, its shell or its working directory changed", "the command changed",
		},
		"command and shell": {
			func(s *spec.Stage, _ *Inputs) { s.Cmd, s.Shell = []string{"make"}, "sh" },
			"the command, its shell or its working directory changed", "the command changed, the definition changed: shell bash -> sh",
		},
		"platform":     {func(_ *spec.Stage, in *Inputs) { in.Platform = "linux/arm64" }, "the definition changed: platform linux/amd64 -> linux/arm64", ""},
		"platform off": {func(_ *spec.Stage, in *Inputs) { in.Platform = "" }, "the definition changed: platform, -linux/amd64", ""},
		"env_mode":     {func(_ *spec.Stage, in *Inputs) { in.Loose = true }, "the definition changed: env_mode strict -> loose", ""},
		"check":        {func(s *spec.Stage, _ *Inputs) { s.Check = true }, "the definition changed: check false -> true", ""},
		"cache":        {func(s *spec.Stage, _ *Inputs) { s.Outs[1].NoCache = false }, "the definition changed: cache of app/report.txt false -> true", ""},
		"exclude": {
			func(s *spec.Stage, _ *Inputs) { s.Excludes = append(s.Excludes, "x/*") }, "the definition changed: deps, +!x/*", "",
		},
		"no exclude": {
			func(s *spec.Stage, _ *Inputs) { s.Excludes = nil }, "the definition changed", "the definition changed: deps, -!lib/**/*.md",
		},
		"outs": {
			func(s *spec.Stage, _ *Inputs) { s.Outs = []spec.Out{s.Outs[0], {Path: "dist/b"}} },
			"the definition changed: outs, -app/report.txt, +dist/b", "",
		},
		"outs and shell": {
			func(s *spec.Stage, _ *Inputs) { s.Outs, s.Shell = s.Outs[:1], "sh" },
			"the definition changed: shell bash -> sh; outs, -app/report.txt", "",
		},
		"a dep": {func(_ *spec.Stage, in *Inputs) { in.Deps[1].Digest = sum("new") }, "app/build.sh changed", ""},
		"a variable from outside, and shell": {
			func(s *spec.Stage, in *Inputs) { in.Env[1].Value, s.Shell = "-race", "sh" },
			"the definition changed: shell bash -> sh, variable GOFLAGS changed", "",
		},
	} {
		if c.offered == "" {
			c.offered = c.guessed
		}
		if got := words(c.set, false); got != c.guessed {
			t.Errorf("%s: %q, want %q", name, got, c.guessed)
		}
		if got := words(c.set, true); got != c.offered {
			t.Errorf("%s, with the old pipe.yaml: %q, want %q", name, got, c.offered)
		}
	}
}

// A candidate that is not what the lock was made from is not believed, whoever offers it.
func TestAnotherDefinitionThanTheLocksIsNotBelieved(t *testing.T) {
	s, in := example()
	locked := lockedAs(s, in)
	other, now := *s, *s
	other.Cmd, now.Cmd = []string{"one"}, []string{"two"}
	if w := Recall(Definition{Stage: &now, Platform: in.Platform}, in, locked, slices.Values([]Definition{{Stage: &other}})); w != nil {
		t.Errorf("%+v", w)
	}
	other = *s
	other.Excludes = []repopath.Pattern{"no"}
	now.Excludes = nil
	w := Recall(Definition{Stage: &now, Platform: in.Platform}, in, locked, slices.Values([]Definition{{Stage: &other, Platform: in.Platform}}))
	if w == nil || w.Whole {
		t.Errorf("%+v: only the command has the lock's hash", w)
	}
}

// Nothing is looked for that no reason needs: the old pipe.yaml costs processes of git.
func TestTheOldDefinitionIsAskedForOnlyWhereItCanTellMore(t *testing.T) {
	for name, set := range map[string]func(*spec.Stage, *Inputs){
		"a dep":    func(_ *spec.Stage, in *Inputs) { in.Deps[1].Digest = sum("new") },
		"a param":  func(_ *spec.Stage, in *Inputs) { in.Params[0].Value = "2" },
		"a shell":  func(s *spec.Stage, _ *Inputs) { s.Shell = "sh" },
		"platform": func(_ *spec.Stage, in *Inputs) { in.Platform = "" },
		"variable": func(_ *spec.Stage, in *Inputs) { in.Env[1].Value = "-race" },
	} {
		s, in := example()
		locked := lockedAs(s, in)
		set(s, &in)
		Recall(Definition{Stage: s, Platform: in.Platform}, in, locked, func(func(Definition) bool) { t.Errorf("%s: asked", name) })
	}
}

// Of what is live only the dependencies and the key are known.
func TestWhatChangedOfALiveDefinitionIsTold(t *testing.T) {
	for name, c := range map[string]struct {
		set          func(*spec.Stage, *Inputs)
		alone, known string // without and with the old pipe.yaml
	}{
		"a dep":    {func(_ *spec.Stage, in *Inputs) { in.Deps[1].Digest = sum("new") }, "app/build.sh changed", ""},
		"a tool":   {func(_ *spec.Stage, in *Inputs) { in.Tools[0].Digest = sum("go1.27") }, "the output of go version changed", ""},
		"an image": {func(_ *spec.Stage, in *Inputs) { in.Images[0].Answer = "sha256:bb" }, "image alpine changed (sha256:aa -> sha256:bb)", ""},
		"command":  {func(s *spec.Stage, _ *Inputs) { s.Cmd = []string{"make"} }, "its definition, a param or a variable changed", "the command changed"},
		"workdir":  {func(s *spec.Stage, _ *Inputs) { s.InRepo = true }, "its definition, a param or a variable changed", "the definition changed: workdir, +repo"},
		"variable": {func(_ *spec.Stage, in *Inputs) { in.Env[1].Value = "-race" }, "its definition, a param or a variable changed", ""},
		"a value of pipe.yaml": {func(s *spec.Stage, in *Inputs) {
			s.Env = []spec.Env{{Name: "CGO_ENABLED", Value: "1", Literal: true}, {Name: "GOFLAGS"}}
			in.Env[0].Value = "1"
		}, "its definition, a param or a variable changed", "variable CGO_ENABLED changed"},
		"command and dep": {func(s *spec.Stage, in *Inputs) { s.Cmd, in.Deps[1].Digest = []string{"make"}, sum("new") }, "app/build.sh changed, its definition, a param or a variable changed", "the command changed, app/build.sh changed"},
	} {
		was, wasIn := example()
		was.Deploy = true
		live := Live{Env: "prod", Status: StatusOK, Key: KeyOf(was, wasIn), Deps: wasIn.Deps, Asked: wasIn.Asked}
		if c.known == "" {
			c.known = c.alone
		}
		for _, old := range []bool{false, true} {
			s, in := example()
			s.Deploy = true
			c.set(s, &in)
			found := RecallLive(Definition{Stage: s, Platform: in.Platform}, in, live, func(yield func(Definition) bool) {
				if old {
					yield(Definition{Stage: was, Platform: wasIn.Platform})
				}
			})
			want := "another version is live in prod, " + c.alone
			if old {
				want = "another version is live in prod, " + c.known
			}
			if got := event.Words(DecideDeploy(s, KeyOf(s, in), in, live, found, false).Because, 9); got != want {
				t.Errorf("%s, known %v: %q, want %q", name, old, got, want)
			}
		}
	}
}

// An environment knows the values that it was given: neither those of today, nor that another
// environment has other ones, is a change.
func TestAValueThatAnEnvironmentHasIsNoChange(t *testing.T) {
	at := func(s *spec.Stage, in Inputs, given map[string]string) Inputs {
		in.Env = Declared(s, given, func(name string) (string, bool) {
			return map[string]string{"GOFLAGS": "outside"}[name], name == "GOFLAGS"
		})
		return in
	}
	for name, c := range map[string]struct {
		then, now map[string]string
		set       func(*spec.Stage, *Inputs)
		want      string
	}{
		"a dep":                {map[string]string{"REGION": "us"}, map[string]string{"REGION": "us"}, func(_ *spec.Stage, in *Inputs) { in.Deps[1].Digest = sum("new") }, "app/build.sh changed"},
		"a value":              {map[string]string{"REGION": "us"}, map[string]string{"REGION": "eu"}, nil, "variable REGION changed"},
		"a value that is new":  {nil, map[string]string{"REGION": "eu"}, nil, "variable REGION changed"},
		"a value that is gone": {map[string]string{"REGION": "us"}, nil, nil, "variable REGION changed"},
		"no longer given": {
			map[string]string{"GOFLAGS": "outside"}, nil, func(_ *spec.Stage, in *Inputs) { in.Deps[1].Digest = sum("new") }, "app/build.sh changed",
		},
		"given in place of pipe.yaml's": {
			map[string]string{"CGO_ENABLED": "1"},
			map[string]string{"CGO_ENABLED": "1"},
			func(_ *spec.Stage, in *Inputs) { in.Deps[1].Digest = sum("new") },
			"app/build.sh changed",
		},
	} {
		s, in := example()
		s.Deploy, s.Env = true, []spec.Env{{Name: "CGO_ENABLED", Value: "0", Literal: true}, {Name: "GOFLAGS"}, {Name: "REGION"}}
		then, now := at(s, in, c.then), at(s, in, c.now)
		live := Live{Env: "prod", Status: StatusOK, Key: KeyOf(s, then), Deps: then.Deps, Asked: then.Asked, Values: map[string]string{"CGO_ENABLED": "0"}}
		for k, v := range c.then {
			live.Values[k] = v
		}
		now.Deps = slices.Clone(now.Deps)
		if c.set != nil {
			c.set(s, &now)
		}
		found := RecallLive(Definition{Stage: s, Platform: now.Platform}, now, live, nil)
		if got := event.Words(DecideDeploy(s, KeyOf(s, now), now, live, found, false).Because, 9); got != "another version is live in prod, "+c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}
