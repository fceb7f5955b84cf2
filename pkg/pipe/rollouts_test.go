package pipe

import (
	"errors"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/spec"
)

// Of several environments, each error says which one it is about, once.
func TestAnErrorNamesItsEnvironment(t *testing.T) {
	failed := func(env, what string) *target {
		return &target{conf: &spec.Environment{Name: env}, err: diag.New(diag.Stage, "%s", what)}
	}
	r := &rollouts{targets: []*target{failed("a", "api: the command failed"), failed("b", "b is held by bob"), failed("c", "c: the pin is empty")}}
	got := errors.Join(r.errors()...).Error()
	if want := "a: api: the command failed\nb is held by bob\nc: the pin is empty"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
