//go:build !windows

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/forge"
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
	r.command(dir, "pipe", "update") // locks the sources, if there are any
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
	c := exec.CommandContext(t.Context(), r.args[0], append([]string{event}, args...)...)
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
