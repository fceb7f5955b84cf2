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

// c6 is c5 with another pipe.lock, which the run of c5 has committed.
func TestARunOfTheLocksOwnCommitWritesNothingAndOneOfItsParentMayRunAgain(t *testing.T) {
	sealed := func(w *release.Want) *release.Want {
		w.Sealed = &release.Head{Commit: "c6"}
		return w
	}
	for name, first := range map[string]func(t *testing.T, e *release.Environment){
		"deployed": func(t *testing.T, e *release.Environment) { deploy(t, e, sealed(auto("c5", want("api=v5")))) },
		"found live": func(t *testing.T, e *release.Environment) {
			deploy(t, e, auto("c4", want("api=v5")))
			if _, v, err := e.Begin(t.Context(), sealed(auto("c5", want("api=v5")))); err != nil || v.Do != release.Nothing {
				t.Fatalf("%v, %v", v, err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := open(t, mem.New())
			first(t, e)
			if h := read(t, e).Head; h == nil || h.Commit != "c6" || h.Of != "c5" {
				t.Fatalf("head %+v", h)
			}
			before := read(t, e).Seq
			for _, commit := range []string{"c6", "c5", "c4"} {
				if _, v, err := e.Begin(t.Context(), auto(commit, want("api=v5"))); err != nil || v.Do != release.Nothing || read(t, e).Seq != before {
					t.Errorf("%s: %v, %v, written %d times", commit, v, err, read(t, e).Seq-before)
				}
			}
			if _, v, err := e.Begin(t.Context(), auto("c4", want("api=v4"))); err != nil || v.Do != release.Superseded {
				t.Errorf("an older one: %v, %v", v, err)
			}
			deploy(t, e, auto("c5", want("api=v5b"))) // somebody has started its job again
			if s := read(t, e); s.Stages["api"].Commit != "c5" {
				t.Errorf("live is %+v", s.Stages["api"])
			}
		})
	}
}
