package release_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/mem"
)

// named opens an environment that may not be made.
func named(t *testing.T, s store.Cells, lister store.Lister, name string) *release.Environment {
	t.Helper()
	return open(t, s, func(o *release.Options) { o.Name, o.Lister, o.Create = name, lister, false })
}

// refused checks that neither question nor write lets the environment be made.
func refused(t *testing.T, e *release.Environment, hint string) {
	t.Helper()
	_, _, err := e.Begin(t.Context(), want("api=v1"))
	for what, err := range map[string]error{"CheckExists": e.CheckExists(t.Context()), "Begin": err, "Hold": e.Hold(t.Context(), ""), "Ask": e.Ask(t.Context(), sum("x"))} {
		var d *diag.Error
		if !errors.As(err, &d) || d.Kind != diag.Usage || !strings.Contains(d.What, `"`+e.Name()+`"`) || !strings.HasPrefix(d.Hint, hint) || !strings.Contains(d.Hint, "--create-env") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestATypingErrorMakesNoEnvironment(t *testing.T) {
	s := mem.New()
	refused(t, named(t, s, s, "staging"), "pipe env lists")
	if _, _, err := s.Load(t.Context(), cell); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("it was made: %v", err)
	}
	deploy(t, open(t, s), want("api=v1")) // with Create
	refused(t, named(t, s, s, "stagin"), "did you mean staging?")
	refused(t, named(t, s, silent{s}, "stagin"), "pipe env lists") // who may not list is told all the same
	refused(t, named(t, s, nil, "stagin"), "pipe env lists")
	// It exists now, whatever became of the deployment; and nobody must ask for the default one.
	for _, name := range []string{"staging", release.Default} {
		e := named(t, s, s, name)
		if err := e.CheckExists(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		deploy(t, e, want("api=v2"))
	}
}

func TestAnEnvironmentThatCannotBeReadIsNotCalledNew(t *testing.T) {
	s := mem.New()
	put(t, s, cell, "<html>")
	if err := named(t, s, s, "staging").CheckExists(t.Context()); !diag.Is(err, diag.Integrity) {
		t.Error(err)
	}
}
