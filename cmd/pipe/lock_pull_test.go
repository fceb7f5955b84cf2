package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/forge"
)

// TestTheLockComesByPullRequest: one is open at most, and where there can be none, that is said, the branch has the
// commit, and the run has not failed.
func TestTheLockComesByPullRequest(t *testing.T) {
	f := forge.Start(t, forge.Options{})
	f.Allow("writes", forge.Token{Login: bot, Contents: forge.Write, PullRequests: forge.Write})
	f.Allow("pushes", forge.Token{Login: bot, Contents: forge.Write, PullRequests: forge.Read})
	r := f.NewRepo("octo/app", forge.Kind{})
	remote := t.TempDir()
	yaml := "project: app\nlock: {commit: pr}\nremote:\n  main: {url: " + remote + "}\n" + plainStages
	r.Commit("main", "first", map[string]string{"pipe.yaml": yaml, "in": "1\n", ".gitignore": "/out\n/.pipe/\n"})
	r.Protect("main", forge.Ruleset)
	run := func(env ...string) (stderr string) {
		t.Helper()
		j, err := r.Job(t.Context(), t.TempDir(), forge.Trigger{Token: "writes"})
		if err != nil {
			t.Fatal(err)
		}
		step, err := j.Step(t.Context(), "exec pipe ci", env...)
		if err != nil {
			t.Fatal(err)
		}
		var out, errs bytes.Buffer
		step.Stdout, step.Stderr = &out, &errs
		if err := step.Run(); err != nil {
			t.Fatalf("%v\n%s%s", err, &out, &errs)
		}
		return errs.String()
	}
	for _, k := range []struct{ env, words string }{
		{"NONE=1", "GITHUB_TOKEN is not set; in the workflow, give the step env:"},
		{"GITHUB_TOKEN=pushes", "403 Forbidden"},
	} {
		if stderr := run(k.env); !strings.Contains(stderr, "no pull request was opened for pipe-lock/main") || !strings.Contains(stderr, k.words) {
			t.Errorf("%s: %s", k.env, stderr)
		}
	}
	r.DenyApps(true)
	if stderr := run("GITHUB_TOKEN=writes"); !strings.Contains(stderr, "Settings > Actions > General") {
		t.Error(stderr)
	}
	r.DenyApps(false)
	if got := r.Pulls(); len(got) > 0 || r.Tip("pipe-lock/main") == "" {
		t.Fatalf("%+v, %q", got, r.Tip("pipe-lock/main"))
	}
	for range 2 {
		run("GITHUB_TOKEN=writes")
		got := r.Pulls()
		if len(got) != 1 || got[0].Head != "pipe-lock/main" || got[0].Base != "main" || got[0].Title != "Update pipe.lock" ||
			!strings.Contains(got[0].Body, "\n- `a`\n") || !strings.Contains(got[0].Body, "\nBuilt by [this run](<"+r.URL+"/actions/runs/") {
			t.Fatalf("%+v", got)
		}
	}
	if stderr := run("GITHUB_ACTIONS=", "GITLAB_CI=true", "CI_COMMIT_BRANCH=main", "GITHUB_TOKEN=writes"); !strings.Contains(stderr, "open one from pipe-lock/main to main") {
		t.Error(stderr)
	}
	if got := r.Pulls(); len(got) != 1 || got[0].Open != true {
		t.Errorf("%+v", got)
	}
}
