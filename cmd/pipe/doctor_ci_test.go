package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/forge"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// doctor runs pipe doctor --ci in a job, and returns the exit code and the checks by their names.
func doctor(t *testing.T, j *forge.Job, script string, env ...string) (int, map[string]pipe.Check) {
	t.Helper()
	step, err := j.Step(t.Context(), script+" --json", env...)
	if err != nil {
		t.Fatal(err)
	}
	out, _ := step.Output()
	var answer struct{ Items []pipe.Check }
	if err := json.Unmarshal([]byte(strings.Split(string(out), "\n")[0]), &answer); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	by := map[string]pipe.Check{}
	for _, c := range answer.Items {
		by[c.Name] = c
	}
	return step.ProcessState.ExitCode(), by
}

const oldWorkflow = `jobs:
  pipe:
    steps:
      - uses: actions/checkout@v4
      - uses: "actions/setup-go@b7ad1dad31e06c5925ef5d2fc7ad053ef454303e" # v5.1.0
      - uses: actions/checkout@v4
      - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1
      - uses: somebody/else@v1
      - run: exec pipe ci
`

// diagnosis is what doctor says in a job.
type diagnosis struct {
	rule   forge.Rule
	on     forge.Trigger
	script string
	env    string
	code   int
	is     map[string]string // what a check says; FAIL before it: it fails
	hints  map[string]string
}

func TestDoctorLooksAtWhatCINeeds(t *testing.T) {
	const push, token, protection = "git push to origin", "GitHub token", "branch protection"
	f := forge.Start(t, forge.Options{})
	f.Allow("writes", forge.Token{Login: bot, Contents: forge.Write, PullRequests: forge.Write})
	f.Allow("reads", forge.Token{Login: bot, Contents: forge.Read})
	r := f.NewRepo("octo/app", forge.Kind{})
	r.Commit("main", "first", map[string]string{
		"pipe.yaml": plainStages, "in": "1\n", ".gitignore": "/out\n/.pipe/\n", "app/pipe.yaml": "lock: {commit: off}\n" + plainStages, "app/in": "1\n", "app/.gitignore": "/out\n/.pipe/\n",
		"pr/pipe.yaml": "lock: {commit: pr}\n" + plainStages, "pr/in": "1\n", "pr/.gitignore": "/out\n/.pipe/\n",
		".github/workflows/pipe.yml": oldWorkflow, ".github/workflows/other.yaml": "jobs: {}\n",
	})
	r.Git("tag", "v1", "main")
	for name, k := range map[string]diagnosis{
		"all is well": {forge.Free, forge.Trigger{Token: "writes"}, "pipe doctor --ci", "GITHUB_TOKEN=writes", 0, map[string]string{
			"CI system": "GitHub Actions, octo/app", "branch": "main (default branch: main)", "clone": "shallow or partial; enough for pipe ci", push: "allowed",
			token: "may push to octo/app", protection: "main is not protected", "git identity": "none",
			"workflow": ".github/workflows/pipe.yml; old: actions/checkout v4 (v7 is current)",
		}, map[string]string{"workflow": "update these actions"}},
		"a token that may only read": {forge.Free, forge.Trigger{Token: "reads", Depth: -1}, "pipe doctor --ci", "GH_TOKEN=reads", 1, map[string]string{
			"clone": "complete", push: "FAIL Permission to octo/app.git denied to github-actions[bot]. unable to access", token: "may only read octo/app",
		}, map[string]string{push: "permissions: {contents: write}"}},
		"and nothing is pushed":     {forge.Free, forge.Trigger{Token: "reads"}, "cd app && pipe doctor --ci", "GH_TOKEN=reads", 0, map[string]string{push: "not allowed, and not needed"}, nil},
		"no token":                  {forge.Free, forge.Trigger{Token: "writes"}, "pipe doctor --ci", "NONE=1", 0, map[string]string{token: "not visible: no token for GitHub"}, map[string]string{token: "GITHUB_TOKEN"}},
		"a token that is not known": {forge.Free, forge.Trigger{Token: "writes"}, "pipe doctor --ci", "GITHUB_TOKEN=wrong", 0, map[string]string{token: "not visible: "}, map[string]string{token: "GITHUB_TOKEN"}},
		"a protected branch": {forge.Protection, forge.Trigger{Token: "writes"}, "pipe doctor --ci", "GITHUB_TOKEN=writes", 0, map[string]string{
			protection: "main: branch protection; a push of pipe.lock is refused", push: "allowed, as far as a dry run shows",
		}, map[string]string{protection: "lock: {commit: pr}"}},
		"a ruleset": {forge.Ruleset, forge.Trigger{Token: "writes"}, "pipe -C pr doctor --ci", "GITHUB_TOKEN=writes", 0, map[string]string{
			protection: "main: pull_request; pipe ci does not push there (lock: {commit: pr})",
		}, nil},
		"a tag": {forge.Free, forge.Trigger{Token: "reads", Ref: "refs/tags/v1"}, "pipe doctor --ci", "GITHUB_TOKEN=reads", 0, map[string]string{"branch": "tag v1; ", push: "not allowed, and not needed"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r.Protect("main", k.rule)
			k.check(t, r)
		})
	}
}

// check runs doctor in a job of a repository, where nothing may change.
func (k *diagnosis) check(t *testing.T, r *forge.Repo) {
	t.Helper()
	j, err := r.Job(t.Context(), t.TempDir(), k.on)
	if err != nil {
		t.Fatal(err)
	}
	before := r.Git("for-each-ref")
	code, checks := doctor(t, j, k.script, k.env)
	if code != k.code {
		t.Errorf("exit code %d, %+v", code, checks)
	}
	for check, want := range k.is {
		want, fails := strings.CutPrefix(want, "FAIL ")
		if c := checks[check]; c.OK == fails || !strings.Contains(c.Text, want) || !strings.Contains(c.Hint, k.hints[check]) || c.Hint != "" && k.hints[check] == "" {
			t.Errorf("%s: %+v", check, c)
		}
	}
	if after := r.Git("for-each-ref"); after != before || len(r.Pushes()) > 0 {
		t.Errorf("changed:\n%s\n%s\n%+v", before, after, r.Pushes())
	}
}
