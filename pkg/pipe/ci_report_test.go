package pipe

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/ci"
	"github.com/pipe-build/pipe/internal/engine"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// out is an output with this content.
func out(path, content string) artifact.Output {
	return artifact.Output{Path: repopath.Path(path), Digest: digest.Of([]byte(content)), Size: int64(len(content))}
}

// values are outputs by their names, and what was noted about them.
func values(r *CIResult) (all map[string]string, notes []string) {
	all = map[string]string{}
	for _, o := range outputs(r, func(text string) { notes = append(notes, text) }) {
		all[o.Name] = o.Value
	}
	return all, notes
}

func TestTheOutputsOfARun(t *testing.T) {
	const odd = "dist/\n::set-output name=x::y\"<<E"
	r := &CIResult{
		Lock: LockPublished{Commit: "c2"},
		Stages: []StageResult{
			{Stage: "same", Verb: event.Skip, Outs: []artifact.Output{out("a", "a")}},
			{Stage: "ran", Verb: event.Run, Outs: []artifact.Output{out(odd, "new"), out("kept", "k")}, Old: []artifact.Output{out(odd, "old"), out("kept", "k"), out("gone", "g")}},
			{Stage: "failed", Verb: event.Run, Error: "exit code 1"},
			{Stage: "restored", Verb: event.Restore},
		},
		Environments: []DeployedTo{
			{Env: "eu", Outcome: DeployedOK, Stages: []StageResult{{Stage: "web", Verb: event.Run}, {Stage: "db", Verb: event.Skip}}},
			{Env: "us", Outcome: DeployedOK, Stages: []StageResult{{Stage: "web", Verb: event.Run}}},
			{Env: "asia", Outcome: DeployPlanned, Stages: []StageResult{{Stage: "cdn", Verb: event.Run}}},
		},
	}
	got, notes := values(r)
	if got["changed"] != "true" || got["ran"] != `["ran","web"]` || got["lock-commit"] != "c2" || notes != nil {
		t.Errorf("%q, %q", got, notes)
	}
	var artifacts map[string]struct {
		Hash, Stage, Old string
		Size             int
	}
	if err := json.Unmarshal([]byte(got["artifacts"]), &artifacts); err != nil || len(artifacts) != 3 || strings.Contains(got["artifacts"], "\n") {
		t.Fatalf("%v: %s", err, got["artifacts"])
	}
	if a := artifacts[odd]; a.Hash != digest.Of([]byte("new")).String() || a.Old != digest.Of([]byte("old")).String() || a.Size != 3 || a.Stage != "ran" {
		t.Errorf("%+v", a)
	}
	if a := artifacts["a"]; a.Old+artifacts["kept"].Old != "" || a.Stage != "same" {
		t.Errorf("%+v", a)
	}
}

func TestAStageSaysWhatCameInPlaceOfWhatAndHowLongItRan(t *testing.T) {
	a, b := []artifact.Output{out("a", "1")}, []artifact.Output{out("a", "2")}
	for name, c := range map[string]struct {
		o     engine.Outcome
		old   bool
		fresh bool
		ran   bool
	}{
		"another":  {engine.Outcome{Verdict: action.Verdict{Do: event.Run}, Done: true, Old: a, Outs: b}, true, false, true},
		"the same": {engine.Outcome{Verdict: action.Verdict{Do: event.Run}, Done: true, Old: a, Outs: a}, false, false, true},
		"failed":   {engine.Outcome{Verdict: action.Verdict{Do: event.Run}, Old: a}, false, false, true},
		"new":      {engine.Outcome{Verdict: action.Verdict{Do: event.Run}, Done: true, Outs: a}, false, true, true},
		"restore":  {engine.Outcome{Verdict: action.Verdict{Do: event.Restore}, Done: true, Old: a, Outs: b}, true, false, false},
		"frozen":   {engine.Outcome{Verdict: action.Verdict{Do: event.Frozen}, Done: true, Outs: a}, false, false, false},
		"skip":     {engine.Outcome{Verdict: action.Verdict{Do: event.Skip}, Done: true, Old: a, Outs: a}, false, false, false},
	} {
		c.o.Stage, c.o.Seconds, c.o.Saved = &spec.Stage{}, 2, 3
		s := results(&engine.Result{Stages: []engine.Outcome{c.o}}).Stages[0]
		if (s.Old != nil) != c.old || s.fresh != c.fresh || (s.Seconds == 2) != c.ran || s.Saved != 3 {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestChangedIsWhatTheLockOrAnArtifactSays(t *testing.T) {
	kept := []artifact.Output{out("a", "a")}
	for name, c := range map[string]struct {
		r    CIResult
		want string
	}{
		"nothing":           {CIResult{}, "false"},
		"nothing ran":       {CIResult{Stages: []StageResult{{Verb: event.Skip, Outs: kept}}}, "false"},
		"the same came out": {CIResult{Stages: []StageResult{{Verb: event.Run, Outs: kept}}}, "false"},
		"the lock":          {CIResult{Lock: LockPublished{Changed: true}}, "true"},
		"another came out":  {CIResult{Stages: []StageResult{{Verb: event.Run, Outs: kept, Old: []artifact.Output{out("a", "b")}}}}, "true"},
		"one that is new":   {CIResult{Stages: []StageResult{{Verb: event.Run, Outs: kept, fresh: true}}}, "true"},
	} {
		if got, _ := values(&c.r); got["changed"] != c.want || got["ran"] == "null" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestAnOutputThatGitHubDoesNotTakeIsCutBetweenArtifacts(t *testing.T) {
	r := &CIResult{}
	for i := range 9000 {
		s := StageResult{Stage: "s", Outs: []artifact.Output{out(fmt.Sprintf("dist/%060d", i), "new")}}
		if i%1000 == 0 {
			s.Old = []artifact.Output{out(string(s.Outs[0].Path), "old")}
		}
		r.Stages = append(r.Stages, s)
	}
	got, notes := values(r)
	var few map[string]any
	if err := json.Unmarshal([]byte(got["artifacts"]), &few); err != nil || len(few) != 9 || len(notes) != 1 {
		t.Errorf("%d artifacts, %v, %q", len(few), err, notes)
	}
	for i := range r.Stages {
		r.Stages[i].fresh = true
	}
	if got, notes = values(r); got["artifacts"] != "{}" || len(notes) != 2 {
		t.Errorf("%.100s, %q", got["artifacts"], notes)
	}
}

func TestWhatARunIsOf(t *testing.T) {
	for want, j := range map[string]ci.Run{
		"Branch main": {Event: ci.OfBranch, Branch: "main"}, "Tag v1": {Event: ci.OfTag, Tag: "v1"},
		"Pull request #7": {Event: ci.OfPullRequest, Number: 7, Base: "main"}, "Pull request to main": {Event: ci.OfPullRequest, Base: "main"},
	} {
		if kind, ref := built(j, j.Branch); kind+" "+ref != want {
			t.Errorf("%s %s, want %s", kind, ref, want)
		}
	}
}
