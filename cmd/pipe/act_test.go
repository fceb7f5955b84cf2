//go:build !windows

package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/forge"
	"github.com/pipe-build/pipe/internal/s3server"
	"github.com/pipe-build/pipe/internal/tool"
)

// The version and the commit of pipe that the workflows name.
const (
	pinVersion = "7.8.9"
	pinCommit  = "0123456789012345678901234567890123456789"
)

// runner runs workflows as GitHub would, by act on this machine. Actions from outside are directories of this one: those
// of pipe itself are the real ones, and download pipe from a server of the test's.
type runner struct {
	t     *testing.T
	repo  *forge.Repo
	forge *forge.Forge
	dir   string   // for what is made on the way
	live  string   // what the deployments reach
	args  []string // of act, for each run
}

// token is the GITHUB_TOKEN of each job.
const token = "ghs_actions"

// newRunner makes a repository with a pipe.yaml, and the workflow that pipe init ci writes for it.
func newRunner(t *testing.T, pipeYAML func(r *runner) string, flags ...string) *runner {
	t.Helper()
	program, err := tool.Build(t.Context(), "act", "github.com/nektos/act")
	must(t, err)
	r := &runner{t: t, dir: quickDir(t), forge: forge.Start(t, forge.Options{})}
	r.live = filepath.Join(r.dir, "live")
	r.forge.Allow(token, forge.Token{Login: "github-actions[bot]", Contents: forge.Write, PullRequests: forge.Write, Issues: forge.Write})
	r.repo = r.forge.NewRepo("acme/shop", forge.Kind{})
	ours := filepath.Join(r.dir, "ours")
	must(t, os.CopyFS(filepath.Join(ours, ".github", "actions"), os.DirFS("../../.github/actions")))
	must(t, os.MkdirAll(filepath.Join(ours, "internal", "tools"), 0o777))
	must(t, os.WriteFile(filepath.Join(ours, "internal", "tools", "install.sh"), []byte(readFile(t, installer)), 0o755))
	stand, err := filepath.Abs("testdata/act")
	must(t, err)
	home := filepath.Join(r.dir, "home")
	must(t, os.MkdirAll(home, 0o777))
	rel := releases{}
	pipe, err := exec.LookPath("pipe")
	must(t, err)
	rel.addScript(t, "download/v"+pinVersion, pinVersion, "exec '"+pipe+"' \"$@\"")
	r.args = []string{
		program, "--platform", "ubuntu-latest=-self-hosted", "--no-skip-checkout", "--no-cache-server", "--secret", "GITHUB_TOKEN=" + token,
		"--local-repository", "pipe-build/pipe@" + pinCommit + "=" + ours,
		"--env", "PIPE_URL=" + rel.serve(t), "--env", "LIVE=" + r.live, "--env", "HOME=" + home, "--env", "GIT_CONFIG_NOSYSTEM=1",
	}
	r.start(pipeYAML(r), flags)
	for _, action := range r.actions() {
		name, _, _ := strings.Cut(action, "@")
		if name != "pipe-build/pipe/.github/actions/setup" {
			r.args = append(r.args, "--local-repository", action+"="+filepath.Join(stand, filepath.Base(name)))
		}
	}
	return r
}

// start makes the first commit, with the workflow that pipe init ci writes.
func (r *runner) start(pipeYAML string, flags []string) {
	t := r.t
	t.Helper()
	dir := filepath.Join(r.dir, "first")
	must(t, os.MkdirAll(dir, 0o777))
	must(t, os.WriteFile(filepath.Join(dir, "pipe.yaml"), []byte(pipeYAML), 0o666))
	must(t, os.WriteFile(filepath.Join(dir, "src"), []byte("1\n"), 0o666))
	r.command(dir, "git", "init", "-q", "-b", "main")
	r.command(dir, "pipe", "init")
	r.command(dir, "pipe", append([]string{"init", "ci", "github", "--pipe-version", pinVersion + "@" + pinCommit}, flags...)...)
	r.command(dir, "git", "add", ".")
	r.command(dir, "git", "commit", "-qm", "First")
	r.command(dir, "git", "push", "-q", r.repo.Dir, "main")
}

// command runs a command as a person would.
func (r *runner) command(dir, name string, args ...string) string {
	r.t.Helper()
	c := exec.Command(name, args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "CI=", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=You", "GIT_AUTHOR_EMAIL=you@example.com", "GIT_COMMITTER_NAME=You", "GIT_COMMITTER_EMAIL=you@example.com")
	out, err := c.CombinedOutput()
	if err != nil {
		r.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// actions are the actions of the workflow, with their commits.
func (r *runner) actions() (all []string) {
	for line := range strings.Lines(r.repo.Git("show", "main:.github/workflows/pipe.yml")) {
		if _, uses, ok := strings.Cut(line, "uses: "); ok {
			all = append(all, strings.Fields(uses)[0])
		}
	}
	return all
}

// run runs the workflow for an event, and returns what it printed.
func (r *runner) run(on forge.Trigger, more ...string) (string, error) {
	t := r.t
	t.Helper()
	at, err := os.MkdirTemp(r.dir, "job")
	must(t, err)
	on.Token = token
	job, err := r.repo.Job(t.Context(), at, on)
	must(t, err)
	args := append(append(r.args[1:len(r.args):len(r.args)], more...), "--directory", job.Dir)
	event := "push"
	for _, kv := range job.Env {
		name, value, _ := strings.Cut(kv, "=")
		switch {
		case name == "GITHUB_EVENT_NAME":
			event = value
		case name == "GITHUB_EVENT_PATH":
			args = append(args, "--eventpath", value)
		case name == "GITHUB_WORKSPACE", name == "GITHUB_ENV", name == "GITHUB_PATH", name == "GITHUB_OUTPUT", name == "GITHUB_STEP_SUMMARY":
		case strings.HasPrefix(name, "GITHUB_"):
			args = append(args, "--env", kv)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := exec.CommandContext(ctx, r.args[0], append([]string{event}, args...)...)
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Join(at, "act"), "TMPDIR=" + at, "NO_COLOR=1"}
	must(t, os.MkdirAll(filepath.Join(at, "act", ".config", "act"), 0o777))
	must(t, os.WriteFile(filepath.Join(at, "act", ".config", "act", "actrc"), nil, 0o666))
	out, err := c.CombinedOutput()
	return string(out), err
}

// succeed is run where the workflow must succeed.
func (r *runner) succeed(on forge.Trigger, more ...string) string {
	r.t.Helper()
	out, err := r.run(on, more...)
	if err != nil {
		r.t.Fatalf("%v\n%s", err, out)
	}
	return out
}

// isLive says what was deployed.
func (r *runner) isLive(want string) {
	r.t.Helper()
	if b, _ := os.ReadFile(r.live); string(b) != want {
		r.t.Errorf("%q is live, not %q", b, want)
	}
}

// jobs returns the jobs that succeeded, sorted.
func jobs(out string) []string {
	var all []string
	for _, m := range regexp.MustCompile(`(?m)^\[[^/]+/(\S+) *\] 🏁  Job succeeded`).FindAllStringSubmatch(out, -1) {
		all = append(all, m[1])
	}
	slices.Sort(all)
	return all
}

// ran checks which jobs a run had.
func (r *runner) ran(out string, want ...string) {
	r.t.Helper()
	if got := jobs(out); !slices.Equal(got, want) {
		r.t.Errorf("the jobs were %q, not %q\n%s", got, want, out)
	}
}

// shop is a project that builds, checks and deploys.
func (r *runner) shop(remote string) string {
	return `project: shop
remote: ` + remote + `
stages:
  build: {cmd: mkdir -p dist && cp src dist/app && echo build >>` + r.log() + `, deps: [src], outs: [dist/app]}
  test: {check: true, cmd: test -s dist/app && ! grep bad dist/app && echo test >>` + r.log() + `, deps: [dist/app]}
  deploy: {deploy: true, cmd: cp dist/app "$LIVE", deps: [dist/app], needs: [test]}
`
}

// log is a file to which the commands of stages write what they are.
func (r *runner) log() string { return filepath.Join(r.dir, "log") }

// worked checks which commands have run since it was called last.
func (r *runner) worked(want string) {
	r.t.Helper()
	b, _ := os.ReadFile(r.log())
	got := strings.Fields(string(b))
	slices.Sort(got)
	if s := strings.Join(got, " "); s != want {
		r.t.Errorf("these commands ran: %q, not %q", s, want)
	}
	must(r.t, os.WriteFile(r.log(), nil, 0o666))
}

// TestTheWorkflowRunsAsOnGitHub: pushes, the commit of pipe.lock that comes of one, and pull requests.
func TestTheWorkflowRunsAsOnGitHub(t *testing.T) {
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

	// What fails is red, and is not deployed.
	r.repo.Commit("main", "Say bad", map[string]string{"src": "bad\n"})
	if out, err := r.run(forge.Trigger{}); err == nil || !strings.Contains(out, "Job failed") {
		t.Errorf("%v\n%s", err, out)
	}
	r.isLive("1\n")
}

// TestTheWorkflowTakesWhatASourceTells: the event of another repository, once, twice and late.
func TestTheWorkflowTakesWhatASourceTells(t *testing.T) {
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
  deploy: {deploy: true, cmd: cp dist/app "$LIVE", deps: [dist/app]}
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

// TestAWaveIsAMatrixOfJobs: on S3, each job takes a role, and hands on by the bucket what it builds.
func TestAWaveIsAMatrixOfJobs(t *testing.T) {
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

// TestTheActionsOfTheProject: what people give them is never run by a shell, and what pipe says is handed on.
func TestTheActionsOfTheProject(t *testing.T) {
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
