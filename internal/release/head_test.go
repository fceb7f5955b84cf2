package release_test

import (
	"testing"

	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/store/mem"
)

// c5 is live; c7 takes back what c6 did, so there is nothing to deploy for it. The run of c6 was slow,
// and comes last.
func TestALateRunDoesNotDeployWhatANewerCommitHasTakenBack(t *testing.T) {
	e := open(t, mem.New())
	deploy(t, e, auto("c5", want("api=v5")))
	before := read(t, e).Seq
	for range 2 {
		if _, v, err := e.Begin(t.Context(), auto("c7", want("api=v5"))); err != nil || v.Do != release.Nothing {
			t.Fatalf("%v, %v", v, err)
		}
	}
	if s := read(t, e); s.Head == nil || s.Head.Commit != "c7" || s.Seq != before+1 {
		t.Errorf("head %+v, written %d times", s.Head, s.Seq-before)
	}
	for _, w := range []*release.Want{auto("c6", want("api=v6")), auto("c6", want("api=v5"))} {
		d, v, err := e.Begin(t.Context(), w)
		if d != nil || err != nil || v.Do == release.Go || read(t, e).Head.Commit != "c7" {
			t.Errorf("%v, %v", v, err)
		}
	}
	by := want("api=v6") // whoever asks for it gets it, and the next automatic one still knows c7
	by.Commit = "c6"
	deploy(t, e, by)
	if _, v, err := e.Begin(t.Context(), auto("c6", want("api=v4"))); err != nil || v.Do != release.Superseded {
		t.Errorf("%v, %v", v, err)
	}
	deploy(t, e, auto("c8", want("api=v8")))
	if s := read(t, e); s.Head != nil {
		t.Errorf("head %+v, which is older than what is live", s.Head)
	}
}

func TestOnlyAutomaticRunsNoteThatThereWasNothingToDeploy(t *testing.T) {
	e := open(t, mem.New())
	deploy(t, e, auto("c5", want("api=v5")))
	before := read(t, e).Seq
	back := auto("c6", want("api=v5"))
	back.MayGoBack = true
	by := want("api=v5")
	by.Commit = "c6"
	for _, w := range []*release.Want{by, back, auto("", want("api=v5")), auto("c5", want("api=v5")), auto("c4", want("api=v5"))} {
		if _, v, err := e.Begin(t.Context(), w); err != nil || v.Do != release.Nothing || read(t, e).Seq != before {
			t.Errorf("%s: %v, %v", w.Commit, v, err)
		}
	}
}
