package view_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/event"
)

func TestEachFurtherAttemptIsTold(t *testing.T) {
	for form, want := range map[view.Form]string{
		"":             "a  start\na | one\na  retry    exit code 3, starting attempt 2 of 4\na | two\na  done     passed in 0.0 s, attempt 2\n",
		view.GitHubLog: "a  start\na  retry    exit code 3, starting attempt 2 of 4\n::group::output of a\none\n[exit code 3, starting attempt 2 of 4]\ntwo\n::endgroup::\na  done     passed in 0.0 s, attempt 2\n",
	} {
		var b bytes.Buffer
		p := &view.Progress{W: &b, Form: form, Now: func() time.Time { return noon }}
		for _, e := range []event.Event{
			{Type: event.Started},
			{Type: event.Output, Text: "one"},
			{Type: event.Retried, Attempt: 2, Retries: 3, How: "exit code 3"},
			{Type: event.Output, Text: "two"},
			{Type: event.Done, Check: true, Verb: event.Run, Attempt: 2},
		} {
			e.Stage = "a"
			p.Event(e)
		}
		if b.String() != want {
			t.Errorf("%q:\n%s", form, b.String())
		}
	}
	var b bytes.Buffer
	p := &view.Progress{W: &b, Now: func() time.Time { return noon }}
	p.Event(event.Event{Type: event.Failed, Stage: "a", How: "exit code 3", Attempt: 4})
	if !strings.HasSuffix(b.String(), "exit code 3, attempt 4\n") || view.Attempts(1) != "" {
		t.Error(b.String())
	}
}
