package action

import (
	"slices"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/params"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

func someKey(s string) digest.Key { return digest.Key(sum(s)) }

// lockedAs returns the lock that a run of the stage leaves.
func lockedAs(s *spec.Stage, in Inputs) *lockfile.Stage {
	l := &lockfile.Stage{Name: s.Name, Key: KeyOf(s, in), Cmd: CmdDigest(s)}
	for _, d := range in.Deps {
		l.Deps = append(l.Deps, artifact.Input{Path: d.Path, Kind: d.Kind, Exec: d.Exec, Digest: d.Digest, Size: d.Size, Files: d.Files, In: d.In})
	}
	l.Tools, l.Images, l.URLs = slices.Clone(in.Tools), slices.Clone(in.Images), slices.Clone(in.URLs)
	for _, p := range in.Params {
		l.Params = append(l.Params, lockfile.Param{File: p.File, Key: p.Key, Value: p.Value})
	}
	for _, e := range in.Env {
		l.Env = append(l.Env, LockEnv(e))
	}
	for _, o := range s.Outs {
		l.Outs = append(l.Outs, artifact.Output{Path: o.Path, Digest: sum(string(o.Path))})
	}
	return l
}

// codes writes reasons as "code path".
func codes(why []Reason) (out []string) {
	for _, r := range why {
		out = append(out, strings.TrimSpace(r.Code+" "+r.Path))
	}
	return out
}

// TestDecideFollowsTheTable has a row for each row of the design's table of decisions.
func TestDecideFollowsTheTable(t *testing.T) {
	here := OutState{Path: "o", Here: true, Same: true}
	edited := OutState{Path: "o", Here: true}
	absent := OutState{Path: "p"}
	gitEdited := OutState{Path: "g", Here: true, NoCache: true}
	gitAbsent := OutState{Path: "g", NoCache: true}
	gitHere := OutState{Path: "g", Here: true, Same: true, NoCache: true}
	for _, c := range []struct {
		name string
		set  func(*Facts)
		verb Verb
		why  []string
	}{
		{"key is the lock's, outs are the recorded ones", func(f *Facts) { f.Outs = []OutState{here, gitHere} }, event.Skip, []string{"unchanged"}},
		{"key is the lock's, no outs to look at", func(*Facts) {}, event.Skip, []string{"unchanged"}},
		{"key is the lock's, outs absent", func(f *Facts) { f.Outs = []OutState{here, absent} }, event.Skip, []string{"outs-not-here"}}, // LESSONS 4
		{"key is the lock's, outs edited", func(f *Facts) { f.Outs = []OutState{edited} }, event.Restore, []string{"out-differs o"}},
		{"key is the lock's, one edited and one absent", func(f *Facts) { f.Outs = []OutState{absent, edited} }, event.Restore, []string{"out-differs o"}},
		{"key is the lock's, an uncached out edited", func(f *Facts) { f.Outs = []OutState{here, gitEdited} }, event.Run, []string{"out-differs g"}},
		{"key is the lock's, an uncached out absent", func(f *Facts) { f.Outs = []OutState{gitAbsent} }, event.Run, []string{"out-missing g"}},
		{"another key, a record exists", func(f *Facts) { f.Key, f.Recorded = someKey("new"), true }, event.Restore, []string{"recorded", "definition-changed"}},
		{"another key, a record exists, outs absent", func(f *Facts) { f.Key, f.Recorded, f.Outs = someKey("new"), true, []OutState{absent} }, event.Restore, []string{"recorded", "definition-changed"}},
		{"another key, recorded, an uncached out is not the recorded one", func(f *Facts) { f.Key, f.Recorded, f.Outs = someKey("new"), true, []OutState{gitEdited} }, event.Run, []string{"out-differs g"}},
		{"never ran here, a record exists", func(f *Facts) { f.Locked, f.Before, f.Recorded = nil, nil, true }, event.Restore, []string{"recorded"}},
		{"another key, no record", func(f *Facts) { f.Key = someKey("new") }, event.Run, []string{"definition-changed"}},
		{"never ran, no record", func(f *Facts) { f.Locked, f.Before = nil, nil }, event.Run, []string{"never-run"}},
		{"objects are nowhere", func(f *Facts) { f.Outs, f.Lost = []OutState{absent}, []repopath.Path{"p", "q"} }, event.Run, []string{"object-missing p", "object-missing q"}},
		{"forced", func(f *Facts) { f.Outs, f.Force = []OutState{here}, true }, event.Run, []string{"forced"}},
		{"always_changed", func(f *Facts) { f.Outs, f.Stage.AlwaysChanged = []OutState{here}, true }, event.Run, []string{"always-changed"}},
		{"frozen", func(f *Facts) { f.Stage.Frozen = true }, event.Frozen, []string{"frozen"}},
		{"frozen, though forced and changed", func(f *Facts) { f.Stage.Frozen, f.Force, f.Key = true, true, someKey("new") }, event.Frozen, []string{"frozen"}},
		{"frozen, though its objects are nowhere", func(f *Facts) { f.Stage.Frozen, f.Lost = true, []repopath.Path{"p"} }, event.Frozen, []string{"frozen"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, in := example()
			f := Facts{Stage: s, Key: KeyOf(s, in), Inputs: in, Locked: lockedAs(s, in)}
			f.Before = f.Locked
			c.set(&f)
			got := Decide(f)
			if got.Do != c.verb || !slices.Equal(codes(got.Because), c.why) {
				t.Errorf("%s because %q, want %s because %q", got.Do, codes(got.Because), c.verb, c.why)
			}
		})
	}
}

// LESSONS 24: every changed thing is named, with the old and the new value.
func TestEveryChangeIsNamed(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*spec.Stage, *Inputs)
		why  []string
	}{
		{"nothing", func(*spec.Stage, *Inputs) {}, []string{"definition-changed"}},
		{"command", func(s *spec.Stage, _ *Inputs) { s.Cmd[0] = "make" }, []string{"command-shell-or-wdir-changed"}},
		{"wdir", func(s *spec.Stage, _ *Inputs) { s.Wdir = "." }, []string{"command-shell-or-wdir-changed"}},
		{"shell", func(s *spec.Stage, _ *Inputs) { s.Shell = "sh" }, []string{"command-shell-or-wdir-changed"}},
		{"dep content", func(_ *spec.Stage, in *Inputs) { in.Deps[1].Digest = sum("new") }, []string{"dep-changed app/build.sh"}},
		{"dep mode", func(_ *spec.Stage, in *Inputs) { in.Deps[1].Exec = false }, []string{"dep-changed app/build.sh"}},
		{"dep added", func(_ *spec.Stage, in *Inputs) {
			in.Deps = append(in.Deps, artifact.Input{Path: "new", Digest: sum("n")})
		}, []string{"dep-added new"}},
		{"dep removed", func(_ *spec.Stage, in *Inputs) { in.Deps = in.Deps[:2] }, []string{"dep-removed lib"}},
		{"dep from directory to file", func(_ *spec.Stage, in *Inputs) { in.Deps[2].Kind = artifact.OneFile }, []string{"dep-changed lib"}},
		{"tool", func(_ *spec.Stage, in *Inputs) { in.Tools[0].Digest = sum("go1.27") }, []string{"tool-changed go version"}},
		{"tool added and removed", func(_ *spec.Stage, in *Inputs) { in.Tools[0].Cmd = "cc -v" }, []string{"dep-added cc -v", "dep-removed go version"}},
		{"image", func(_ *spec.Stage, in *Inputs) { in.Images[0].Answer = "sha256:bb" }, []string{"image-changed alpine"}},
		{"URL", func(_ *spec.Stage, in *Inputs) { in.URLs[0].Answer = "blake3:bb" }, []string{"url-changed https://h/x"}},
		{"image and URL, added and removed", func(_ *spec.Stage, in *Inputs) { in.Images, in.URLs[0].Name = nil, "https://h/y" }, []string{"dep-removed alpine", "dep-removed https://h/x", "dep-added https://h/y"}},
		{"param", func(_ *spec.Stage, in *Inputs) { in.Params[0].Value = "0.2" }, []string{"param-changed params.yaml:lr"}},
		{"param added and removed", func(_ *spec.Stage, in *Inputs) {
			in.Params[0] = params.Value{File: "params.yaml", Key: "a", Value: "1"}
		}, []string{"param-added params.yaml:a", "param-removed params.yaml:lr"}},
		{"variable", func(_ *spec.Stage, in *Inputs) { in.Env[1].Value = "-race" }, []string{"env-changed GOFLAGS"}},
		{"variable unset", func(_ *spec.Stage, in *Inputs) { in.Env[1] = EnvValue{Name: "GOFLAGS"} }, []string{"env-changed GOFLAGS"}},
		{"out added", func(s *spec.Stage, _ *Inputs) { s.Outs = append(s.Outs, spec.Out{Path: "x"}) }, []string{"outs-changed x"}},
		{"out option", func(s *spec.Stage, _ *Inputs) { s.Outs[0].NoPush = true }, []string{"definition-changed"}},
		{"all at once", func(s *spec.Stage, in *Inputs) {
			s.Cmd, s.Outs = nil, nil
			in.Deps, in.Params, in.Env = in.Deps[1:], in.Params[1:], in.Env[1:]
		}, []string{"command-shell-or-wdir-changed", "dep-removed app/*.go", "param-removed params.yaml:lr", "env-removed CGO_ENABLED", "outs-changed app/bin", "outs-changed app/report.txt"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, in := example()
			locked := lockedAs(s, in)
			c.set(s, &in)
			if got := codes(Changes(s, in, locked, nil)); !slices.Equal(got, c.why) {
				t.Errorf("%q, want %q", got, c.why)
			}
		})
	}
}

func TestAPathThatBecameADirectoryIsSaidToBeOne(t *testing.T) {
	for _, c := range []struct {
		was, now artifact.Kind
		note     string
	}{
		{artifact.OneFile, artifact.Dir, "now a directory, was a file"},
		{artifact.Dir, artifact.OneFile, "now a file, was a directory"},
		{artifact.OneFile, artifact.OneFile, ""},
		{artifact.Dir, artifact.Dir, ""},
	} {
		why := depChanges([]artifact.Input{{Path: "p", Kind: c.now, Digest: sum("1")}}, []artifact.Input{{Path: "p", Kind: c.was, Digest: sum("2")}})
		if len(why) != 1 || why[0].Code != event.DepChanged || why[0].Note != c.note {
			t.Errorf("%q to %q: %+v", c.was, c.now, why)
		}
	}
}

func TestAToolsFirstLineSaysWhatChangedWhereBothAreKnown(t *testing.T) {
	for _, c := range []struct{ was, is, want string }{
		{"go1.25", "go1.26", `the output of go version changed ("go1.25" -> "go1.26")`},
		{"", "go1.26", "the output of go version changed"},
		{"go1.26", "", "the output of go version changed"},
		{"go1.26", "go1.26", "the output of go version changed"},
	} {
		s, in := example()
		in.Tools[0].Line = c.was
		locked := lockedAs(s, in)
		in.Tools[0].Line, in.Tools[0].Digest = c.is, sum("new")
		if r := Changes(s, in, locked, nil); len(r) != 1 || r[0].String() != c.want || r[0].Old == r[0].New {
			t.Errorf("%q to %q: %+v, want %s", c.was, c.is, r, c.want)
		}
	}
}

func TestAReasonSaysWhatANameStoodForAndStandsForNow(t *testing.T) {
	hash := strings.Repeat("0123456789abcdef", 4)
	s, in := example()
	in.Images[0].Answer, in.URLs[0].Answer = "sha256:"+hash, `etag:"a-very-long-etag-of-a-server"`
	locked := lockedAs(s, in)
	in.Images[0].Answer, in.URLs[0].Answer = "sha512:f"+hash+hash[1:], "blake3:"+hash
	got := Changes(s, in, locked, nil)
	want := `image alpine changed (sha256:0123456789ab -> sha512:f0123456789a), https://h/x changed (etag:"a-very-long-etag-of-a-server" -> blake3:0123456789ab)`
	if text := event.Words(got, 9); text != want || got[0].Old != "sha256:"+hash || got[1].New != "blake3:"+hash {
		t.Errorf("%s, want %s: %+v", text, want, got)
	}
}

func TestReasonsOfAVariableShowNoValueFromOutside(t *testing.T) {
	s, in := example()
	locked := lockedAs(s, in)
	in.Env[0].Value, in.Env[1].Value = "1", "-secret"
	for _, r := range Changes(s, in, locked, nil) {
		if strings.Contains(r.New+r.Old, "secret") || strings.Contains(r.New+r.Old, "trimpath") {
			t.Errorf("%+v", r)
		}
		if r.Path == "CGO_ENABLED" && (r.Old != "0" || r.New != "1") {
			t.Errorf("%+v: a value of pipe.yaml is shown", r)
		}
	}
	in.Env[1] = EnvValue{Name: in.Env[1].Name, Secret: true}
	locked = lockedAs(s, in)
	in.Env[1].Set = true
	if r := Changes(s, in, locked, nil); len(r) != 1 || r[0].Old != "not set" || r[0].New != "set" {
		t.Errorf("%+v", r)
	}
}

func TestDecideAsksAndChangesNothing(t *testing.T) {
	s, in := example()
	f := Facts{Stage: s, Key: someKey("new"), Inputs: in, Locked: lockedAs(s, in), Before: lockedAs(s, in)}
	before := *f.Locked
	first := Decide(f)
	if second := Decide(f); !slices.Equal(codes(first.Because), codes(second.Because)) || f.Locked.Key != before.Key {
		t.Errorf("asked twice: %+v, then %+v", first, second) // LESSONS 19
	}
}

// TestDecideDeployFollowsTheEnvironmentAlone has a row for each state that an environment can be in.
func TestDecideDeployFollowsTheEnvironmentAlone(t *testing.T) {
	s, in := example()
	key := KeyOf(s, in)
	for _, c := range []struct {
		name string
		live Live
		set  func(*spec.Stage)
		verb Verb
		why  []string
	}{
		{"never deployed", Live{}, nil, event.Run, []string{"not-deployed prod"}},
		{"live and the same", Live{Status: StatusOK, Key: key}, nil, event.Skip, []string{"live prod"}},
		// LESSONS 1: an older commit is checked out, production has the newer version.
		{"another version is live", Live{Status: StatusOK, Key: someKey("newer")}, nil, event.Run, []string{"live-is-other prod", "definition-param-or-variable-changed"}},
		// LESSONS 2: a deployment failed half-way.
		{"the last one failed, of the same key", Live{Status: StatusFailed, Key: key}, nil, event.Run, []string{"last-failed prod"}},
		{"the last one failed, of another key", Live{Status: StatusFailed, Key: someKey("x")}, nil, event.Run, []string{"last-failed prod"}},
		{"unknown, of the same key", Live{Status: StatusUnknown, Key: key}, nil, event.Run, []string{"last-unknown prod"}},
		{"still deploying, of the same key", Live{Status: StatusDeploying, Key: key}, nil, event.Run, []string{"last-unknown prod"}},
		{"a status of a later version", Live{Status: "paused", Key: key}, nil, event.Run, []string{"last-unknown prod"}},
		{"frozen", Live{}, func(s *spec.Stage) { s.Frozen = true }, event.Frozen, []string{"frozen"}},
		{"always_changed", Live{Status: StatusOK, Key: key}, func(s *spec.Stage) { s.AlwaysChanged = true }, event.Run, []string{"always-changed"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, in := example()
			if c.set != nil {
				c.set(s)
			}
			c.live.Env = "prod"
			for _, d := range in.Deps {
				c.live.Deps = append(c.live.Deps, artifact.Input{Path: d.Path, Kind: d.Kind, Exec: d.Exec, Digest: d.Digest})
			}
			c.live.Asked = in.Asked
			got := DecideDeploy(s, key, in, c.live, nil, false)
			if got.Do != c.verb || !slices.Equal(codes(got.Because), c.why) {
				t.Errorf("%s because %q, want %s because %q", got.Do, codes(got.Because), c.verb, c.why)
			}
		})
	}
	if got := DecideDeploy(s, key, in, Live{Env: "prod", Status: StatusOK, Key: key}, nil, true); got.Do != event.Run {
		t.Errorf("forced: %+v", got)
	}
}

// LESSONS 23: deploy A, then B, then A again deploys three times.
func TestDeployingAThenBThenADeploysThreeTimes(t *testing.T) {
	s, in := example()
	live := Live{Env: "default"}
	for i, script := range []string{"A", "B", "A", "A"} {
		s.Cmd = []string{script}
		key := KeyOf(s, in)
		want := event.Run
		if i == 3 {
			want = event.Skip
		}
		if got := DecideDeploy(s, key, in, live, nil, false); got.Do != want {
			t.Errorf("%d, %s: %+v, want %s", i, script, got, want)
		}
		live.Status, live.Key = StatusOK, key
	}
}

func TestReasonsOfAParamShowNoHiddenValue(t *testing.T) {
	v := params.Value{File: "secret.yaml", Key: "pin", Value: `"1234"`}
	in := Inputs{Params: []params.Value{v}, Hidden: []repopath.Path{"secret.yaml"}}
	locked := &lockfile.Stage{Cmd: CmdDigest(&spec.Stage{}), Params: []lockfile.Param{in.LockParam(params.Value{File: "secret.yaml", Key: "pin", Value: `"0000"`})}}
	why := Changes(&spec.Stage{}, in, locked, nil)
	if len(why) != 1 || why[0].Path != "secret.yaml:pin" || strings.Contains(why[0].Old+why[0].New, "1234") || why[0].Old == why[0].New || why[0].Old == "" {
		t.Errorf("%+v", why)
	}
	// A file that git ignores from now on has not changed by that.
	locked.Params = []lockfile.Param{{File: v.File, Key: v.Key, Value: v.Value}}
	if why := Changes(&spec.Stage{}, in, locked, nil); why[0].Code != "definition-changed" {
		t.Errorf("%+v", why)
	}
}
