package view_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// reasons returns n reasons whose words are r1, r2 and so on.
func reasons(n int) (all []event.Reason) {
	for i := range n {
		all = append(all, event.Reason{Code: fmt.Sprintf("r%d", i+1)})
	}
	return all
}

func outs(n int) (all []artifact.Output) {
	for i := range n {
		all = append(all, artifact.Output{Path: repopath.Path(fmt.Sprintf("o%d", i+1)), Digest: digest.Of([]byte{byte(i)})})
	}
	return all
}

// printed returns what p prints for the events.
func printed(p *view.Progress, events ...event.Event) string {
	var b bytes.Buffer
	p.W, p.Now = &b, func() time.Time { return noon }
	for _, e := range events {
		p.Event(e)
	}
	return b.String()
}

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func want(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestOnlyTheFirstReasonsAndOutsAreListed(t *testing.T) {
	for n, words := range map[int]string{0: "", 1: "r1", 4: "r1, r2, r3, r4", 5: "r1, r2, r3, r4, r5", 6: "r1, r2, r3, r4, and 2 more"} {
		want(t, view.Words(reasons(n)), words)
	}
	for n, last := range map[int]string{1: "o1 ", 3: "o3 ", 4: "o4 ", 5: "and 2 more"} {
		list := strings.Split(view.Outs(outs(n)), ", ")
		if len(list) != min(n, 4) || !strings.HasPrefix(list[len(list)-1], last) {
			t.Errorf("%d: %q", n, list)
		}
	}
	want(t, view.Outs(outs(1)), "o1 "+digest.Of([]byte{0}).Short())
	want(t, view.Outs(nil), "")
}

// run is a build, a deployment, a failure and what is not run.
var run = []event.Event{
	{Type: event.Decided, Stage: "app", Verb: event.Run, Because: reasons(2)},
	{Type: event.Started, Stage: "app"},
	{Type: event.Output, Stage: "app", Text: "compiling"},
	{Type: event.Output, Stage: "app", Text: "linking"},
	{Type: event.Done, Stage: "app", Verb: event.Run, Outs: outs(1), Seconds: 1.25},
	{Type: event.Decided, Stage: "docs-site", Verb: event.Skip, Because: reasons(1)},
	{Type: event.Done, Stage: "docs-site", Verb: event.Restore, Outs: outs(1), Seconds: 3},
	{Type: event.Note, Stage: "app", Text: "adopted"},
	{Type: event.Note, Text: "waiting for another pipe"},
	{Type: event.Decided, Stage: "live", Deploy: true, Verb: event.Run, Because: reasons(1)},
	{Type: event.Done, Stage: "live", Deploy: true, Verb: event.Run, Seconds: 75},
	{Type: event.Decided, Stage: "live", Deploy: true, Verb: event.Skip, Because: reasons(1)},
	{Type: event.Started, Stage: "test"},
	{Type: event.Output, Stage: "test", Text: "panic"},
	{Type: event.Failed, Stage: "test", How: "exit code 2", Exit: 2},
	{Type: event.Failed, Stage: "other"},
	{Type: event.Moved, Where: "push", Bytes: 7},
	{Type: event.Summary, Counts: &event.Counts{Skipped: 1, Restored: 2, Ran: 3, Failed: 4, Not: 5, Seconds: 80}},
}

func TestProgressForPeople(t *testing.T) {
	o := view.Outs(outs(1))
	want(t, printed(&view.Progress{}, run...), `app  run      r1, r2
app  start
app | compiling
app | linking
app  done     `+o+` in 1.2 s
docs-site  skip     r1
docs-site  done     `+o+`
app        note     adopted
note: waiting for another pipe
live       deploy   r1
live       done     live, in 75 s
live       skip     r1
test       start
test | panic
test       FAILED   exit code 2
other      FAILED
3 ran, 2 restored, 1 unchanged, 4 failed, 5 not run in 80 s
`)
}

func TestAReasonThatIsTheVerbIsSaidOnce(t *testing.T) {
	frozen := event.Event{Type: event.Decided, Stage: "app", Verb: event.Frozen, Because: []event.Reason{{Code: event.IsFrozen}}}
	want(t, printed(&view.Progress{}, frozen), "app  frozen\n")
}

func TestQuietIsFailuresNotesAndTheSummary(t *testing.T) {
	want(t, printed(&view.Progress{Quiet: true}, run...), `app  note     adopted
note: waiting for another pipe
test | panic
test  FAILED   exit code 2
pipe log test shows all of its output
other  FAILED
3 ran, 2 restored, 1 unchanged, 4 failed, 5 not run in 80 s
`)
	long := []event.Event{{Type: event.Started, Stage: "a"}}
	for i := range 30 {
		long = append(long, event.Event{Type: event.Output, Stage: "a", Text: fmt.Sprint("line ", i)})
	}
	got := printed(&view.Progress{Quiet: true, Form: view.GitHubLog}, append(long, event.Event{Type: event.Failed, Stage: "a"})...)
	if n := strings.Count(got, "a | line "); n != 20 || !strings.HasPrefix(got, "a | line 10\n") {
		t.Errorf("%d lines in\n%s", n, got)
	}
	want(t, printed(&view.Progress{Quiet: true}, append(long, event.Event{Type: event.Done, Stage: "a"})...), "")
}

func TestTheSummarySaysWhatWasSaved(t *testing.T) {
	for text, c := range map[string]event.Counts{
		"2 unchanged in 0.1 s, saved 90 s\n":          {Skipped: 2, Seconds: 0.1, Saved: 90},
		"2 unchanged in 0.1 s, saved at least 90 s\n": {Skipped: 2, Seconds: 0.1, Saved: 90, Unsaved: 1},
		"2 unchanged in 0.1 s\n":                      {Skipped: 2, Seconds: 0.1, Unsaved: 2},
		"1 unchanged in 0.1 s\n":                      {Skipped: 1, Seconds: 0.1, Saved: 0.04},
	} {
		want(t, printed(&view.Progress{}, event.Event{Type: event.Summary, Counts: &c}), text)
	}
}

func TestProgressInJSONIsEveryEventOnALine(t *testing.T) {
	lines := strings.Split(strings.TrimSuffix(printed(&view.Progress{JSON: true, Quiet: true, Form: view.GitHubLog}, run...), "\n"), "\n")
	if len(lines) != len(run) {
		t.Fatalf("%d lines for %d events", len(lines), len(run))
	}
	for i, line := range lines {
		var e event.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil || fmt.Sprintf("%+v", e.Outs) != fmt.Sprintf("%+v", run[i].Outs) || e.Type != run[i].Type || e.Text != run[i].Text {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestASummaryOfNothing(t *testing.T) {
	want(t, printed(&view.Progress{}, event.Event{Type: event.Summary, Counts: &event.Counts{}}), "no stages in 0.0 s\n")
}

func TestNumbersForPeople(t *testing.T) {
	for s, text := range map[float64]string{
		0: "0.0 s", 1.26: "1.3 s", 9.94: "9.9 s", 9.96: "10 s", 10: "10 s", 119.4: "119 s", 119.6: "2 min 0 s", 120: "2 min 0 s", 3725: "62 min 5 s",
	} {
		want(t, view.Seconds(s), text)
	}
	for n, text := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 1049: "1.0 kB", 1500: "1.5 kB", 999_949: "999.9 kB", 999_999: "1.0 MB", 1_000_000: "1.0 MB",
		2_500_000_000: "2.5 GB", 7_000_000_000_000: "7.0 TB", 5_000_000_000_000_000: "5000.0 TB",
	} {
		want(t, view.Bytes(n), text)
	}
	for n, text := range map[int]string{0: "0 objects", 1: "1 object", 2: "2 objects"} {
		want(t, view.Count(n, "object"), text)
	}
}

func TestAnAnswerNamesItsForm(t *testing.T) {
	for _, c := range []struct {
		value any
		want  string
	}{
		{map[string]int{"a": 1}, `{"schema":"pipe.x/1","a":1}`},
		{struct{}{}, `{"schema":"pipe.x/1"}`},
		{[]int{1, 2}, `{"schema":"pipe.x/1","items":[1,2]}`},
		{[]int{}, `{"schema":"pipe.x/1","items":[]}`},
		{nil, `{"schema":"pipe.x/1","items":null}`},
	} {
		var b bytes.Buffer
		if err := view.Answer(&b, "pipe.x/1", "", c.value); err != nil {
			t.Error(err)
		}
		want(t, b.String(), c.want+"\n")
	}
	if err := view.Answer(&bytes.Buffer{}, "pipe.x/1", "", func() {}); err == nil {
		t.Error("a function became JSON")
	}
}
