//go:build !windows

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/forge"
	"github.com/pipe-build/pipe/internal/s3server"
)

// TestActRunsTheWorkflowAsGitHubWould: pushes, the commit of pipe.lock that comes of one, and pull requests.
func TestActRunsTheWorkflowAsGitHubWould(t *testing.T) {
	t.Parallel()
	r := newRunner(t, func(r *runner) string { return r.shop(filepath.Join(r.dir, "remote")) }, "--comment")
	first := r.repo.Tip("main")
	r.ran(r.succeed(forge.Trigger{}), "ci")
	r.worked("build test")
	r.isLive("1\n")
	second := r.repo.Tip("main")
	if r.repo.Git("show", "main:pipe.lock"); r.repo.Git("rev-parse", "main^") != first {
		t.Error("pipe.lock is not committed on the commit that was built")
	}

	// A push with a token of its own would start the workflow again. It does nothing and commits nothing.
	r.ran(r.succeed(forge.Trigger{}), "ci")
	r.worked("")
	if r.repo.Tip("main") != second {
		t.Error("the commit of pipe.lock has led to another commit")
	}

	// A pull request is built, and changes nothing but its comment.
	r.repo.Commit("topic", "Say two", map[string]string{"src": "2\n"})
	n := r.repo.NewPull("main", r.repo, "topic", "Say two")
	pushes := len(r.repo.Pushes())
	r.ran(r.succeed(forge.Trigger{Pull: n}), "check", "plan")
	r.worked("build test")
	r.isLive("1\n")
	if c := r.repo.Comments(n); len(c) != 1 || !strings.Contains(c[0].Body, "deploy") {
		t.Errorf("the comments are %v", c)
	}
	if r.repo.Tip("main") != second || len(r.repo.Pushes()) != pushes {
		t.Error("the run of a pull request has pushed")
	}

	// So is what a merge queue tries.
	queue := "refs/heads/gh-readonly-queue/main/pr-1-" + second
	r.repo.Git("update-ref", queue, r.repo.Git("rev-parse", "refs/pull/1/merge"))
	r.ran(r.succeed(forge.Trigger{Event: "merge_group", Ref: queue}), "check")
	r.worked("build test")
	r.isLive("1\n")
	if len(r.repo.Pushes()) != pushes {
		t.Error("the run of a merge queue has pushed")
	}

	// What fails is red, and is not deployed.
	r.repo.Commit("main", "Say bad", map[string]string{"src": "bad\n"})
	if out, err := r.run(forge.Trigger{}); err == nil || !strings.Contains(out, "Job failed") {
		t.Errorf("%v\n%s", err, out)
	}
	r.isLive("1\n")
}

// TestActRunsTheWorkflowWhenASourceTells: the event of another repository, once, twice and late.
func TestActRunsTheWorkflowWhenASourceTells(t *testing.T) {
	t.Parallel()
	var api *forge.Repo
	r := newRunner(t, func(r *runner) string {
		api = r.forge.NewRepo("acme/api", forge.Kind{Public: true})
		api.Commit("main", "First", map[string]string{"version": "a\n"})
		return `project: shop
remote: ` + filepath.Join(r.dir, "remote") + `
sources:
  api: {git: "` + api.URL + `", ref: main}
stages:
  build: {cmd: mkdir -p dist && cp api/version dist/app && echo build >>` + r.log() + `, deps: [api/], outs: [dist/app]}
  deploy: {deploy: true, cmd: '[ "$PIPE_ENV" = staging ] || cp dist/app "$LIVE"', deps: [dist/app]}
environments:
  staging: {auto: main}
  production: {from: staging, auto: true} # gets nothing that is not in git
`
	})
	r.ran(r.succeed(forge.Trigger{}), "ci")
	r.isLive("a\n")
	r.worked("build")

	// A push of the project itself keeps to the commit that is locked.
	api.Commit("main", "Second", map[string]string{"version": "b\n"})
	r.ran(r.succeed(forge.Trigger{}), "ci")
	r.isLive("a\n")
	r.worked("")

	told := forge.Trigger{Event: "repository_dispatch"}
	late := told
	late.SHA = r.repo.Tip("main")
	r.ran(r.succeed(told), "ci")
	r.isLive("b\n")
	r.worked("build")
	tip := r.repo.Tip("main")
	if !strings.Contains(r.repo.Git("show", "main:pipe.lock"), api.Tip("main")) {
		t.Error("pipe.lock does not name the source's newest commit")
	}
	r.ran(r.succeed(told), "ci")
	r.ran(r.succeed(late), "ci") // checked out before the run above has committed
	r.isLive("b\n")
	r.worked("")
	if r.repo.Tip("main") != tip {
		t.Error("an event that came again has led to a commit")
	}
}

// TestActRunsAWaveAsAMatrixOfJobs: on S3, each job takes a role, and hands on by the bucket what it builds.
func TestActRunsAWaveAsAMatrixOfJobs(t *testing.T) {
	t.Parallel()
	server := s3server.Start(t, s3server.Options{})
	r := newRunner(t, func(r *runner) string {
		return `project: shop
remote: {main: {url: "s3://` + server.Bucket + `/shop", region: us-east-1}}
stages:
  left: {cmd: cp src l && echo left >>` + r.log() + `, deps: [src], outs: [l]}
  right: {cmd: cp src r && echo right >>` + r.log() + `, deps: [src], outs: [r]}
  both: {cmd: cat l r >b && echo both >>` + r.log() + `, deps: [l, r], outs: [b]}
  deploy: {deploy: true, cmd: cp b "$LIVE", deps: [b]}
`
	}, "--matrix")
	for _, kv := range server.Env() {
		name, value, _ := strings.Cut(kv, "=")
		switch name {
		case "AWS_ACCESS_KEY_ID":
			kv = "KEY_OF_ROLE=" + value
		case "AWS_SECRET_ACCESS_KEY":
			kv = "SECRET_OF_ROLE=" + value
		case "AWS_REGION":
			continue
		}
		r.args = append(r.args, "--env", kv)
	}
	roles := []string{"--var", "AWS_ROLE=deployer", "--var", "AWS_PLAN_ROLE=reader"}
	out := r.succeed(forge.Trigger{}, roles...)
	r.ran(out, "both", "ci", "left-1", "matrix", "right-2")
	r.worked("both left right")
	r.isLive("1\n1\n")
	if n := strings.Count(out, "assumed deployer"); n != 5 || strings.Contains(out, "assumed reader") {
		t.Errorf("%d jobs took the role that deploys\n%s", n, out)
	}
	r.ran(r.succeed(forge.Trigger{}, roles...), "ci", "matrix")
	r.worked("")

	// A pull request reads with a role of its own, and one from a fork has none.
	r.repo.Commit("topic", "Say two", map[string]string{"src": "2\n"})
	out = r.succeed(forge.Trigger{Pull: r.repo.NewPull("main", r.repo, "topic", "Say two")}, roles...)
	r.ran(out, "check", "plan")
	if strings.Count(out, "assumed reader") != 2 || strings.Contains(out, "assumed deployer") {
		t.Error(out)
	}
	r.worked("both left right")
	fork := r.repo.Fork("eve/shop")
	fork.Commit("topic", "Say three", map[string]string{"src": "3\n"})
	out = r.succeed(forge.Trigger{Pull: r.repo.NewPull("main", fork, "topic", "Say three")}, roles...)
	r.ran(out, "check")
	if strings.Contains(out, "assumed") {
		t.Error(out)
	}
	r.worked("both left right")
	r.isLive("1\n1\n")
}

// TestActRunsJobsWithKeys: a server that is not AWS is opened by keys, of which pull requests have one of their own.
func TestActRunsJobsWithKeys(t *testing.T) {
	t.Parallel()
	server := s3server.Start(t, s3server.Options{})
	r := newRunner(t, func(r *runner) string {
		return r.shop(`{main: {url: "s3://` + server.Bucket + `/shop", endpoint: "` + server.Endpoint + `", region: us-east-1}}`)
	})
	r.args = append(r.args, "--env", "AWS_EC2_METADATA_DISABLED=true")
	if out, err := r.run(forge.Trigger{}); err == nil {
		t.Errorf("the job did without a key\n%s", out)
	}
	keys := []string{"--secret", "AWS_ACCESS_KEY_ID=" + server.AccessKey, "--secret", "AWS_SECRET_ACCESS_KEY=" + server.SecretKey}
	r.ran(r.succeed(forge.Trigger{}, keys...), "ci")
	r.worked("build test")
	r.isLive("1\n")

	r.repo.Commit("topic", "Say two", map[string]string{"src": "2\n"})
	pull := forge.Trigger{Pull: r.repo.NewPull("main", r.repo, "topic", "Say two")}
	out := r.succeed(pull, keys...)
	r.ran(out, "check")
	if !strings.Contains(out, "the remote cannot be read") {
		t.Errorf("the pull request has the key that writes\n%s", out)
	}
	out = r.succeed(pull, "--var", "AWS_PLAN_ACCESS_KEY_ID="+server.AccessKey, "--secret", "AWS_PLAN_SECRET_ACCESS_KEY="+server.SecretKey)
	r.ran(out, "check", "plan")
	if strings.Contains(out, "cannot be read") {
		t.Error(out)
	}
}

// TestActRunsTheActionsOfTheProject: what people give them is never run by a shell, and what pipe says is handed on.
func TestActRunsTheActionsOfTheProject(t *testing.T) {
	t.Parallel()
	r := newRunner(t, func(r *runner) string { return r.shop(filepath.Join(r.dir, "remote")) })
	workflow := func(setup, run string) {
		r.repo.Commit("main", "Workflow", map[string]string{".github/workflows/pipe.yml": `name: pipe
on: [push]
jobs:
  own:
    runs-on: ubuntu-latest
    steps:
      - uses: ` + r.actions()[0] + `
      - uses: pipe-build/pipe/.github/actions/setup@` + pinCommit + `
        with: ` + setup + `
      - id: run
        uses: pipe-build/pipe/.github/actions/run@` + pinCommit + `
        with: ` + run + `
      - run: |
          echo "changed $CHANGED, ran $RAN, commit $COMMIT"
          test -s "$REPORT"
        env:
          CHANGED: ${{ steps.run.outputs.changed }}
          RAN: ${{ steps.run.outputs.ran }}
          COMMIT: ${{ steps.run.outputs.lock-commit }}
          REPORT: ${{ steps.run.outputs.report }}
`})
	}
	workflow("{version: v"+pinVersion+"}", `{args: "--lock-commit\noff\n-j\n1"}`)
	if out := r.succeed(forge.Trigger{}); !strings.Contains(out, `changed true, ran ["build","test","deploy"], commit `+"\n") {
		t.Error(out)
	}
	r.isLive("1\n")
	evil := filepath.Join(r.dir, "evil")
	for _, c := range []struct{ setup, run, want string }{
		{`{version: ""}`, "{}", "version must be that of a release"},
		{"{version: latest}", "{}", "version must be that of a release"},
		{"{version: 9.9.9}", "{}", "cannot download"},
		{"{version: " + pinVersion + ", sha256: 00}", "{}", "nothing was installed"},
		{`{version: "1.2.3$(touch ` + evil + `)"}`, "{}", "cannot download"},
		{"{version: " + pinVersion + "}", `{command: "version; touch ` + evil + `"}`, "unknown command"},
		{"{version: " + pinVersion + "}", `{args: "--lock-commit=$(touch ` + evil + `)"}`, "not $(touch"},
		{"{version: " + pinVersion + "}", `{working-directory: none}`, "Job failed"},
	} {
		workflow(c.setup, c.run)
		if out, err := r.run(forge.Trigger{}); err == nil || !strings.Contains(out, c.want) {
			t.Errorf("%s %s: %v\n%s", c.setup, c.run, err, out)
		}
	}
	if _, err := os.Stat(evil); err == nil {
		t.Error("an input was run by the shell")
	}
}
