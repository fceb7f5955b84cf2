package action

import (
	"testing"

	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

func TestWhatBecomesOfAnInput(t *testing.T) {
	s := &spec.Stage{Name: "input:a", Input: true, Outs: []spec.Out{{Path: "a"}}}
	out := func(text string, exec bool) *artifact.Output {
		return &artifact.Output{Path: "a", Digest: digest.Of([]byte(text)), Exec: exec}
	}
	locked := &lockfile.Stage{Name: s.Name, Outs: []artifact.Output{*out("one", false)}}
	for name, c := range map[string]struct {
		facts InputFacts
		do    event.Verb
		why   string
	}{
		"never added":               {InputFacts{Here: out("one", false)}, event.Add, event.NotAdded},
		"absent":                    {InputFacts{Locked: locked}, event.Skip, event.InputAbsent},
		"the same":                  {InputFacts{Locked: locked, Here: out("one", false), Take: true}, event.Skip, event.Unchanged},
		"edited":                    {InputFacts{Locked: locked, Here: out("two", false)}, event.Add, event.DepChanged},
		"made executable":           {InputFacts{Locked: locked, Here: out("one", true)}, event.Add, event.DepChanged},
		"an older version":          {InputFacts{Locked: locked, Here: out("two", false), Known: true}, event.Restore, event.OutEdited},
		"an older one, by pipe add": {InputFacts{Locked: locked, Here: out("two", false), Known: true, Take: true}, event.Add, event.DepChanged},
	} {
		c.facts.Stage = s
		if v := DecideInput(c.facts); v.Do != c.do || len(v.Because) != 1 || v.Because[0].Code != c.why {
			t.Errorf("%s: %+v, want %s because %s", name, v, c.do, c.why)
		}
	}
}

func TestTheKeyOfAnInputIsItsContent(t *testing.T) {
	s := &spec.Stage{Name: "input:a", Shell: "sh", Wdir: ".", Input: true, Outs: []spec.Out{{Path: "a"}}}
	one := artifact.Output{Path: "a", Digest: digest.Of([]byte("one"))}
	seen := map[digest.Key]string{}
	for name, o := range map[string]artifact.Output{
		"one": one, "two": {Path: "a", Digest: digest.Of([]byte("two"))}, "executable": {Path: "a", Digest: one.Digest, Exec: true},
		"directory": {Path: "a", Digest: one.Digest, Dir: true},
	} {
		k := InputKey(s, o)
		if seen[k] != "" {
			t.Errorf("%s and %s have one key", name, seen[k])
		}
		seen[k] = name
	}
	build := *s
	build.Input = false
	if InputKey(&build, one) == InputKey(s, one) {
		t.Error("a build has the key of an input")
	}
}
