package view_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/repopath"
)

var update = flag.Bool("update", false, "write the golden files again")

// golden compares a text with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil || string(b) != got {
		t.Errorf("%s (%v): run go test ./internal/view -update and read the difference; got\n%s", path, err, got)
	}
}

// made is an output with this content and size.
func made(path, content string, size int64) artifact.Output {
	return artifact.Output{Path: repopath.Path(path), Digest: digest.Of([]byte(content)), Size: size}
}

const hash = "0123456789abcdef0123456789abcdef01234567"

// shop is a run that built and deployed.
func shop() *view.Report {
	return &view.Report{
		Project: "shop", Kind: "Branch", Ref: "main", Commit: hash, RunPage: "https://github.com/acme/shop/actions/runs/42",
		PageOf: func(c string) string { return "https://github.com/acme/shop/commit/" + c },
		Counts: event.Counts{Ran: 2, Restored: 1, Skipped: 1, Seconds: 12.5, Saved: 90},
		Lock:   view.Published{Changed: true, Commit: "fedcba9876543210", Branch: "main"},
		Environments: []view.ReportEnvironment{
			{Name: "staging", Outcome: "deployed", N: 17, Release: "r-0a1b2c3d4e5f"},
			{Name: "production", Outcome: "held", Release: "r-0a1b2c3d4e5f", Why: "held by ann: release week"},
		},
		Stages: []view.ReportStage{
			{Name: "deps", Verb: event.Skip, Because: []event.Reason{{Code: event.Unchanged}}, Saved: 60, Outs: []artifact.Output{made("vendor", "v", 3e6)}},
			{
				Name: "build", Verb: event.Run, Because: []event.Reason{{Code: event.DepChanged, Path: "src/app.go"}}, Seconds: 9.5, Needs: []string{"deps"},
				Outs: []artifact.Output{made("dist/app", "2", 2e6), made("dist/new", "n", 10), made("dist/same", "s", 1)},
				Old:  []artifact.Output{made("dist/app", "1", 1e6), made("dist/same", "s", 1), made("dist/gone", "g", 7)},
			},
			{Name: "docs", Verb: event.Restore, Because: []event.Reason{{Code: event.Recorded}}, Saved: 30, Outs: []artifact.Output{made("site", "d", 5e3)}},
			{Name: "test", Verb: event.Run, Check: true, Because: []event.Reason{{Code: event.DepChanged, Path: "dist/app"}}, Seconds: 2, Needs: []string{"build", "elsewhere"}},
		},
		Deployed: []view.ReportStage{{Name: "staging:web", Verb: event.Run, Deploy: true, Because: []event.Reason{{Code: event.LiveOther, Path: "staging"}}, Seconds: 1.2}},
	}
}

func TestTheReportOfARun(t *testing.T) { golden(t, "summary.md", shop().Markdown(1<<20)) }

func TestTheReportOfAPullRequest(t *testing.T) {
	r := shop()
	r.Kind, r.Ref, r.PageOf, r.Environments, r.Deployed = "Pull request", "#7", nil, nil, nil
	r.Lock = view.Published{Changed: true}
	r.Planned = []view.ReportStage{{Name: "web", Verb: event.Run, Deploy: true, Because: []event.Reason{{Code: event.LiveOther, Path: "staging"}}}}
	golden(t, "summary-pull-request.md", r.Markdown(1<<20))
}

func TestTheReportOfAFailure(t *testing.T) {
	r := shop()
	r.Failed, r.Deployed, r.Environments = true, nil, nil
	r.Counts = event.Counts{Failed: 1, Not: 1, Skipped: 2, Seconds: 3}
	r.Stages[1].Failed, r.Stages[1].Outs, r.Stages[1].Old = true, nil, nil
	r.Stages[3].Verb, r.Stages[3].Because, r.Stages[3].Seconds = event.Blocked, []event.Reason{{Code: event.NeedFailed, Path: "build"}}, 0
	r.Lock = view.Published{Changed: true, Why: "branch main is protected", Fix: "allow this job to push to main"}
	r.Failures = []view.Failure{
		{Place: "pipe.yaml:4:3", What: "build: the command failed: exit code 2", Hint: "fix the command", Output: []string{"\x1b[31mapp.go:3: undefined: x\x1b[m", "", "\tmake: *** [all] Error 1"}},
		{What: "the remote cannot be reached"},
		{Place: "pipe.yaml", What: "outputs are nowhere:\n    dist/a\n    dist/b", Hint: "pipe repro --rebuild-missing"},
	}
	golden(t, "summary-failure.md", r.Markdown(1<<20))
}

func TestTheReportOfWhatDidNotBegin(t *testing.T) {
	r := &view.Report{Kind: "Branch", Ref: "main", Failed: true, Failures: []view.Failure{{Place: "pipe.yaml:1:1", What: "unknown field"}}}
	want(t, r.Markdown(1<<20), "## pipe ci failed\n\nBranch `main`\n\n\n### Failures\n\n`pipe.yaml:1:1`\n\n`unknown field`\n")
}

// evil is a text that would begin another row, block, picture or node, and ask for somebody.
const evil = "a|b`c\n```\n</details><img src=x>\n@octocat [x](http://e) \"]; n9[\"~~~ \x1b[31m\u202e #1 :+1: $x$"

func TestNothingInTheReportBreaksOut(t *testing.T) {
	r := &view.Report{
		Project: evil, Kind: "Branch", Ref: evil, Commit: evil, RunPage: "https://x/>" + evil, PageOf: func(string) string { return "javascript:alert(1)" }, Failed: true,
		Lock:         view.Published{Changed: true, Why: evil, Fix: evil},
		Failures:     []view.Failure{{Place: evil, What: "</code></summary>@octocat\x1b[31m" + evil, Hint: evil, Output: []string{evil, "```", "````", "</details>"}}, {What: evil}},
		Environments: []view.ReportEnvironment{{Name: evil, Outcome: "failed", Release: evil, Why: evil}},
		Stages: []view.ReportStage{
			{Name: "a", Verb: event.Run}, {Name: evil, Verb: event.Run, Because: []event.Reason{{Code: event.DepChanged, Path: evil}}, Needs: []string{"a"}, Outs: []artifact.Output{made(evil, "1", 1)}},
		},
	}
	golden(t, "summary-hostile.md", r.Markdown(1<<20))
}

// many is a run of n stages that all ran, each of which needs so many others.
func many(n, needs int) *view.Report {
	r := shop()
	r.Stages, r.Deployed = nil, nil
	for i := range n {
		s := view.ReportStage{Name: fmt.Sprintf("stage-%04d", i), Verb: event.Run, Seconds: 1, Outs: outs(1)}
		for k := max(0, i-needs); k < i; k++ {
			s.Needs = append(s.Needs, fmt.Sprintf("stage-%04d", k))
		}
		r.Stages = append(r.Stages, s)
	}
	return r
}

func TestAReportOfAThousandStagesIsWhole(t *testing.T) {
	got := many(1000, 1).Markdown(1 << 20)
	if strings.Count(got, "\n| `stage-") != 1000 || len(got) > 1<<20 || strings.Contains(got, "mermaid") {
		t.Errorf("%d bytes, %d stages", len(got), strings.Count(got, "\n| `stage-"))
	}
	if !strings.HasSuffix(got, "\nThe graph of the stages is left out: GitHub draws at most 500 edges and 50000 characters, and it has 999 and 42971.\n") {
		t.Error(got[max(0, len(got)-200):])
	}
}

func TestAGraphThatGitHubDoesNotDrawIsLeftOut(t *testing.T) {
	for drawn, r := range map[bool]*view.Report{true: many(501, 1), false: many(502, 1)} {
		if got := r.Markdown(1 << 20); strings.Contains(got, "```mermaid") != drawn || strings.Contains(got, "is left out") == drawn {
			t.Errorf("%d edges: drawn is %t", len(r.Stages)-1, !drawn)
		}
	}
	long := many(450, 1)
	for i := range long.Stages {
		long.Stages[i].Name, long.Stages[i].Needs = strings.Repeat("x", 90)+long.Stages[i].Name, nil
		if i > 0 {
			long.Stages[i].Needs = []string{long.Stages[i-1].Name}
		}
	}
	if got := long.Markdown(1 << 20); strings.Contains(got, "```mermaid") || !strings.Contains(got, "449 and 5") {
		t.Error("a graph of more than 50,000 characters is drawn")
	}
	if got := many(3, 0).Markdown(1 << 20); strings.Contains(got, "graph") || strings.Contains(got, "mermaid") {
		t.Error("a graph without edges is drawn")
	}
}

func TestAReportThatHasNoRoomIsCutWithWords(t *testing.T) {
	r := many(1000, 1)
	r.Failures = []view.Failure{{What: "build failed", Output: []string{strings.Repeat("x", 9000)}}}
	for range 30 {
		r.Failures = append(r.Failures, r.Failures[0])
	}
	whole := r.Markdown(1 << 20)
	if strings.Count(whole, "<details") != 10 || !strings.Contains(whole, "\n21 more failures in the log.\n") || strings.Contains(whole, strings.Repeat("x", 301)) {
		t.Error("failures are not cut")
	}
	for limit := 0; limit < len(whole); limit += 997 {
		got := r.Markdown(limit)
		rows := strings.Count(got, "\n| `stage-")
		switch {
		case len(got) > limit:
			t.Fatalf("%d bytes of %d", len(got), limit)
		case got == "" && limit > 2000:
			t.Errorf("nothing in %d bytes", limit)
		case got != "" && rows > 0 && !strings.Contains(got, fmt.Sprintf("\n%d more stages left out: there is no room for more.\n", 1000-rows)) && rows < 1000:
			t.Errorf("%d bytes: it is not said that stages are missing after %d", limit, rows)
		case got != "" && rows == 0 && !strings.Contains(got, "\n1000 stages left out: there is no room for more.\n"):
			t.Errorf("%d bytes: it is not said that stages are missing", limit)
		}
	}
}

func TestWhatBecameOfTheLock(t *testing.T) {
	for want, l := range map[string]view.Published{
		"pipe.lock is unchanged":                                                              {},
		"pipe.lock changed and was not committed":                                             {Changed: true},
		"pushed pipe.lock to main: 0123456789ab":                                              {Changed: true, Commit: hash, Branch: "main"},
		"pipe.lock is on main already":                                                        {Changed: true, Branch: "main"},
		"pipe.lock was not committed: it is protected":                                        {Changed: true, Why: "it is protected", Fix: "allow it"},
		"pipe.lock is on pipe-lock/main already, with a pull request: https://x/1":            {Changed: true, Branch: "pipe-lock/main", URL: "https://x/1"},
		"pushed pipe.lock to pipe-lock/main (0123456789ab), with a pull request: https://x/1": {Changed: true, Commit: hash, Branch: "pipe-lock/main", URL: "https://x/1"},
	} {
		if got := l.String(); got != want || l.Refused() != (l.Fix != "") {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
