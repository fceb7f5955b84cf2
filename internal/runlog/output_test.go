package runlog_test

import (
	"testing"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/runlog"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/event"
)

func TestALogSaysWhereAnAttemptBegins(t *testing.T) {
	o := runlog.NewOutput(nil)
	s := &spec.Stage{Name: "a", Retries: 2, Check: true}
	o.Add([]byte("one"))
	e := o.Again(s, 2, &shell.ExitError{Code: 3})
	o.Add([]byte("two"))
	if got := string(o.Bytes()); got != "one\n[exit code 3, starting attempt 2 of 3]\ntwo\n" || o.Run.Attempts != 2 {
		t.Errorf("%q, %d", got, o.Run.Attempts)
	}
	if e.Type != event.Retried || e.Stage != "a" || !e.Check || e.Attempt != 2 || e.Retries != 2 || e.Exit != 3 || e.How != "exit code 3" || e.Schema == "" {
		t.Errorf("%+v", e)
	}
	if err := o.Explain(s, &shell.ExitError{Code: 4}); err.Error() != "a: the command failed: exit code 4, in attempt 2 of 3" {
		t.Error(err)
	}
}

func TestWhatLooksLikeASecretIsMaskedWhereNobodyHasSaidWhetherItIsOne(t *testing.T) {
	if got := runlog.Masked("abc and def", []action.EnvValue{{Name: "TOKEN", Value: "abc", Mask: true}, {Name: "A", Value: "def"}}); got != "*** and def" {
		t.Error(got)
	}
}
