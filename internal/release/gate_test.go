package release_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/store/mem"
	"github.com/pipe-build/pipe/pkg/digest"
)

// What goes on now is another situation when it has ended: nobody is asked to approve of this one.
func TestTheGateIsNotAskedWhileSomebodyElseDeploys(t *testing.T) {
	s := mem.New()
	e := open(t, s)
	d := begin(t, e, want("api=v1"))
	w := want("api=v2")
	w.NoWait = true
	w.Gate = func(context.Context, *release.State, *release.Want) error { return errBroken }
	if _, _, err := open(t, s).Begin(t.Context(), w); !diag.Is(err, diag.Busy) {
		t.Error(err)
	}
	if _, err := e.Judge(t.Context(), read(t, e), w); err != nil {
		t.Error(err)
	}
	finish(t, d)
	if _, _, err := open(t, s).Begin(t.Context(), w); !errors.Is(err, errBroken) {
		t.Error(err)
	}
}

// Who takes over from a dead run is asked all the same, and a refusal writes nothing.
func TestTheGateIsAskedBeforeADeadRunIsReplaced(t *testing.T) {
	inCrowd(t, func(t *testing.T, c *crowd) {
		e := c.env()
		release.Die(begin(t, e, want("api=v1")))
		<-time.After(time.Hour) // of the crowd's own clock
		w := want("api=v2")
		w.Gate = func(context.Context, *release.State, *release.Want) error { return errBroken }
		if _, _, err := c.env().Begin(t.Context(), w); !errors.Is(err, errBroken) {
			t.Fatal(err)
		}
		if st := read(t, e); st.Lease == nil || st.N != 1 {
			t.Errorf("%+v", st)
		}
	})
}

func TestTheRulesOfADeploymentArePinnedWhenItBegins(t *testing.T) {
	e := open(t, mem.New())
	w := want("api=v1")
	w.Gate = func(_ context.Context, st *release.State, w *release.Want) error {
		w.Guard = sum("rules")
		return nil
	}
	deploy(t, e, w)
	deploy(t, e, want("api=v2")) // asks nobody, and changes no rule
	if got := read(t, e).Guard; got != sum("rules") {
		t.Error(got)
	}
	w = want("api=v3")
	w.Gate = func(context.Context, *release.State, *release.Want) error { return nil }
	deploy(t, e, w)
	if got := read(t, e).Guard; got != (digest.Digest{}) {
		t.Error(got)
	}
}

func TestWhatLiesBesideAStateNeverChanges(t *testing.T) {
	e := open(t, mem.New())
	if b, err := e.Beside(t.Context(), "requests/x"); b != nil || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	for _, value := range []string{"one", "two"} {
		if there, err := e.PutBeside(t.Context(), "requests/x", []byte(value)); string(there) != "one" || err != nil {
			t.Errorf("%q, %v", there, err)
		}
	}
	other := open(t, mem.New(), func(o *release.Options) { o.Name = "other" })
	if b, err := other.Beside(t.Context(), "requests/x"); b != nil || err != nil || other.BesideAt("a/b") != "projects/shop/env/other/a/b" {
		t.Errorf("%q, %v", b, err)
	}
	if b, err := e.Beside(t.Context(), "requests/x"); string(b) != "one" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
}
