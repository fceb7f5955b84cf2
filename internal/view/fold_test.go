package view_test

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/event"
)

// The forms are those of docs.github.com "Workflow commands", docs.gitlab.com "CI/CD job logs" and
// buildkite.com/docs/pipelines/managing-log-output.
func TestOutputIsFoldedInTheFormOfTheSystem(t *testing.T) {
	at := noon.Unix()
	for form, groups := range map[view.Form][]string{
		view.GitHubLog: {
			"app  start\n::group::output of app\ncompiling\nlinking\n::endgroup::\napp  done",
			"test       start\noutput of test:\npanic\ntest       FAILED",
		},
		view.GitLabLog: {
			fmt.Sprintf("app  start\n\x1b[0Ksection_start:%d:app.%d.1[collapsed=true]\r\x1b[0Koutput of app\ncompiling\nlinking\n\x1b[0Ksection_end:%d:app.%d.1\r\x1b[0K\napp  done", at, at, at, at),
			fmt.Sprintf("test       start\n\x1b[0Ksection_start:%d:test.%d.2\r\x1b[0Koutput of test\npanic\n\x1b[0Ksection_end:%d:test.%d.2\r\x1b[0K\ntest       FAILED", at, at, at, at),
		},
		view.BuildkiteLog: {
			"app  start\n--- output of app\ncompiling\nlinking\n+++ pipe\napp  done",
			"test       start\n+++ output of test\npanic\n+++ pipe\ntest       FAILED",
		},
		"circleci": {"app | compiling\napp | linking\napp  done", "test | panic\ntest       FAILED"},
		"":         {"app | compiling\napp | linking\napp  done", "test | panic\ntest       FAILED"},
	} {
		got := printed(&view.Progress{Form: form}, run...)
		for _, group := range groups {
			if strings.Count(got, group) != 1 {
				t.Errorf("%s: %q is not in\n%q", form, group, got)
			}
		}
		if n := strings.Count(got, "output of "); n != 0 && n != 2 {
			t.Errorf("%s: %d groups in\n%s", form, n, got)
		}
		again := append([]event.Event{}, run[1], run[2], run[4], run[4])
		if n := strings.Count(printed(&view.Progress{Form: form}, again...), "compiling"); n != 1 {
			t.Errorf("%s: an output is printed %d times", form, n)
		}
	}
}

func TestASectionOfGitLabHasANameOfItsOwnAndLastsAsLongAsTheStage(t *testing.T) {
	var b bytes.Buffer
	now := noon
	p := &view.Progress{W: &b, Form: view.GitLabLog, Now: func() time.Time { return now }}
	for _, e := range []event.Event{{Project: "a b/é", Env: "prod:eu", Stage: "x@[collapsed=true]"}, {Project: "a b/é", Env: "prod/eu", Stage: "x@[collapsed=true]"}} {
		for _, typ := range []event.Type{event.Started, event.Output, event.Done} {
			e.Type, e.Text = typ, "talk"
			p.Event(e)
			now = now.Add(time.Minute)
		}
	}
	starts := regexp.MustCompile(`\x1b\[0Ksection_start:(\d+):([a-zA-Z0-9_.-]+)\[collapsed=true\]\r\x1b\[0K`).FindAllStringSubmatch(b.String(), -1)
	ends := regexp.MustCompile(`\x1b\[0Ksection_end:(\d+):([a-zA-Z0-9_.-]+)\r\x1b\[0K\n`).FindAllStringSubmatch(b.String(), -1)
	if len(starts) != 2 || len(ends) != 2 || starts[0][2] == starts[1][2] {
		t.Fatalf("%q and %q in %q", starts, ends, b.String())
	}
	for i := range starts {
		from, to := noon.Add(time.Duration(3*i)*time.Minute), noon.Add(time.Duration(3*i+2)*time.Minute)
		if starts[i][2] != ends[i][2] || starts[i][1] != fmt.Sprint(from.Unix()) || ends[i][1] != fmt.Sprint(to.Unix()) {
			t.Errorf("%q ends with %q", starts[i], ends[i])
		}
	}
}

func TestAGroupThatGetsOldIsPrintedWhileTheStageRuns(t *testing.T) {
	for _, form := range []view.Form{view.GitHubLog, view.GitLabLog, view.BuildkiteLog} {
		var b bytes.Buffer
		now := noon
		p := &view.Progress{W: &b, Form: form, Now: func() time.Time { return now }}
		p.Event(event.Event{Type: event.Started, Stage: "a"})
		for i, parts := range []int{0, 1, 1, 2} { // after 4, 8, 12 and 16 minutes
			p.Event(event.Event{Type: event.Output, Stage: "a", Text: "talk"})
			now = now.Add(4 * time.Minute)
			p.Tick()
			if n := strings.Count(b.String(), "output of a\n"); n != parts || strings.Count(b.String(), "talk\n") != 2*parts {
				t.Errorf("%s: %d parts after %d minutes in\n%s", form, n, 4*(i+1), b.String())
			}
		}
		p.Event(event.Event{Type: event.Failed, Stage: "a"})
		if strings.Count(b.String(), "talk\n") != 4 || strings.Count(b.String(), "output of a") != 2 {
			t.Errorf("%s: %s", form, b.String())
		}
	}
}

func TestAGroupThatGetsLargeIsPrintedInParts(t *testing.T) {
	for form, marks := range map[view.Form][2]string{
		view.GitHubLog: {"::group::", "::endgroup::"}, view.GitLabLog: {"section_start", "section_end"}, view.BuildkiteLog: {"--- output", "+++ pipe"},
	} {
		var b bytes.Buffer
		p := &view.Progress{W: &b, Form: form, Now: func() time.Time { return noon }}
		p.Event(event.Event{Type: event.Started, Stage: "a"})
		for range 40 {
			p.Event(event.Event{Type: event.Output, Stage: "a", Text: strings.Repeat("x", 64<<10)})
		}
		if b.Len() < 2<<20 {
			t.Errorf("%s: only %d bytes were printed", form, b.Len())
		}
		p.Event(event.Event{Type: event.Done, Stage: "a"})
		if n := strings.Count(b.String(), "xxx\n"); n != 40 || strings.Count(b.String(), marks[0]) != 3 || strings.Count(b.String(), marks[1]) != 3 {
			t.Errorf("%s: %d lines", form, n)
		}
	}
}
