package forge

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Trigger is what starts a job; the zero value is a push to the default branch.
type Trigger struct {
	Event string // GITHUB_EVENT_NAME; "": push, or pull_request where there is a Pull
	Ref   string // refs/heads/main; "": of the default branch, or of the pull request's merge
	SHA   string // that is checked out; "": the ref's
	Pull  int    // the number of a pull request
	Token string // GITHUB_TOKEN of the job, that actions/checkout takes; "": none

	Depth      int      // as of actions/checkout; 0: 1, negative: all history
	Filter     string   // of a partial clone
	Sparse     []string // directories of a sparse checkout
	NoPersist  bool     // persist-credentials: false
	OldVersion bool     // actions/checkout before v6 keeps the token in .git/config
}

// Job is a job of GitHub Actions on a runner that is used once, after actions/checkout.
type Job struct {
	Dir     string   // GITHUB_WORKSPACE
	Env     []string // of each step
	Summary string   // file of GITHUB_STEP_SUMMARY
	Output  string   // file of GITHUB_OUTPUT

	temp  string
	steps int
}

// Job makes a job's directories below dir, and checks the repository out. The checkout cannot be shared.
func (r *Repo) Job(ctx context.Context, dir string, on Trigger) (*Job, error) {
	if err := r.complete(ctx, &on); err != nil {
		return nil, err
	}
	_, name, _ := strings.Cut(r.Name, "/")
	j := &Job{Dir: filepath.Join(dir, "work", name, name), temp: filepath.Join(dir, "temp")}
	home := filepath.Join(dir, "home")
	for _, d := range []string{j.Dir, j.temp, home, filepath.Join(dir, "tools")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
	}
	file := func(name string) string { return filepath.Join(j.temp, name) }
	j.Summary, j.Output = file("summary"), file("output")
	for _, f := range []string{j.Summary, j.Output, file("env"), file("path")} {
		if err := os.WriteFile(f, nil, 0o644); err != nil {
			return nil, err
		}
	}
	payload, err := r.payload(&on)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(file("event.json"), payload, 0o644); err != nil {
		return nil, err
	}
	j.Env = append(r.variables(&on),
		"PATH="+os.Getenv("PATH"), "HOME="+home, "USER=runner", "LANG=C.UTF-8", "GIT_CONFIG_NOSYSTEM=1",
		"GITHUB_WORKSPACE="+j.Dir, "GITHUB_EVENT_PATH="+file("event.json"), "GITHUB_STEP_SUMMARY="+j.Summary,
		"GITHUB_OUTPUT="+j.Output, "GITHUB_ENV="+file("env"), "GITHUB_PATH="+file("path"),
		"RUNNER_TEMP="+j.temp, "RUNNER_TOOL_CACHE="+filepath.Join(dir, "tools"), "RUNNER_WORKSPACE="+filepath.Dir(j.Dir))
	return j, r.checkout(ctx, j, &on)
}

// complete fills in what a trigger does not say.
func (r *Repo) complete(ctx context.Context, on *Trigger) error {
	if on.Event == "" {
		on.Event = "push"
		if on.Pull > 0 {
			on.Event = "pull_request"
		}
	}
	if on.Ref == "" {
		on.Ref = "refs/heads/" + r.Default
		if on.Pull > 0 {
			on.Ref = fmt.Sprintf("refs/pull/%d/merge", on.Pull)
		}
	}
	if on.Depth == 0 {
		on.Depth = 1
	}
	var err error
	if on.SHA == "" {
		on.SHA, err = r.git(ctx, "rev-parse", "--verify", on.Ref+"^{commit}")
	}
	return err
}

// variables are those that GitHub sets for a repository and an event.
func (r *Repo) variables(on *Trigger) []string {
	owner, _, _ := strings.Cut(r.Name, "/")
	kind, name := "branch", strings.TrimPrefix(on.Ref, "refs/heads/")
	if tag, ok := strings.CutPrefix(on.Ref, "refs/tags/"); ok {
		kind, name = "tag", tag
	}
	name = strings.TrimPrefix(name, "refs/pull/")
	base, head := "", ""
	if p := r.pull(strconv.Itoa(on.Pull)); p != nil {
		base, head = p.base, p.head
	}
	return []string{
		"CI=true", "GITHUB_ACTIONS=true", "GITHUB_EVENT_NAME=" + on.Event, "GITHUB_SHA=" + on.SHA, "GITHUB_REF=" + on.Ref,
		"GITHUB_REF_NAME=" + name, "GITHUB_REF_TYPE=" + kind, "GITHUB_REF_PROTECTED=" + strconv.FormatBool(r.rule(name) != Free),
		"GITHUB_BASE_REF=" + base, "GITHUB_HEAD_REF=" + head, "GITHUB_REPOSITORY=" + r.Name, "GITHUB_REPOSITORY_OWNER=" + owner,
		"GITHUB_SERVER_URL=" + r.forge.URL, "GITHUB_API_URL=" + r.forge.API, "GITHUB_GRAPHQL_URL=" + r.forge.URL + "/api/graphql",
		"GITHUB_RUN_ID=" + strconv.FormatInt(r.forge.id(), 10), "GITHUB_RUN_NUMBER=1", "GITHUB_RUN_ATTEMPT=1", "GITHUB_RETENTION_DAYS=90",
		"GITHUB_WORKFLOW=pipe", "GITHUB_JOB=pipe", "GITHUB_ACTOR=octocat", "GITHUB_TRIGGERING_ACTOR=octocat",
		"RUNNER_OS=Linux", "RUNNER_ARCH=X64", "RUNNER_NAME=runner", "RUNNER_ENVIRONMENT=github-hosted",
	}
}

// payload is the event, in what pipe reads of it and some more.
func (r *Repo) payload(on *Trigger) ([]byte, error) {
	owner, name, _ := strings.Cut(r.Name, "/")
	e := object{
		"ref": on.Ref, "after": on.SHA, "sender": user("octocat"),
		"repository": object{"name": name, "full_name": r.Name, "default_branch": r.Default, "private": !r.public, "owner": user(owner), "html_url": r.URL},
	}
	if p := r.pull(strconv.Itoa(on.Pull)); p != nil {
		e["action"], e["number"] = "synchronize", p.number
		e["pull_request"] = object{
			"number": p.number, "title": p.title,
			"head": object{"ref": p.head, "label": p.label(), "sha": p.from.Tip(p.head), "repo": object{"full_name": p.from.Name, "fork": p.from.parent != nil}},
			"base": object{"ref": p.base, "sha": r.Tip(p.base), "repo": object{"full_name": r.Name}},
		}
	}
	return json.MarshalIndent(e, "", "  ")
}

// checkout runs what actions/checkout runs.
func (r *Repo) checkout(ctx context.Context, j *Job, on *Trigger) error {
	at, branch := "refs/remotes/origin/"+strings.TrimPrefix(on.Ref, "refs/heads/"), strings.TrimPrefix(on.Ref, "refs/heads/")
	out := []string{"checkout", "--progress", "--force", "-B", branch, at}
	switch {
	case strings.HasPrefix(on.Ref, "refs/pull/"):
		at = "refs/remotes/" + strings.TrimPrefix(on.Ref, "refs/")
		out = []string{"checkout", "--progress", "--force", at}
	case strings.HasPrefix(on.Ref, "refs/tags/"):
		at = on.Ref
		out = []string{"checkout", "--progress", "--force", at}
	}
	fetch := []string{"-c", "protocol.version=2", "fetch", "--no-tags", "--prune", "--no-recurse-submodules"}
	if on.Filter != "" {
		fetch = append(fetch, "--filter="+on.Filter)
	}
	if on.Depth > 0 {
		fetch = append(fetch, "--depth="+strconv.Itoa(on.Depth), "origin", "+"+on.SHA+":"+at)
	} else {
		fetch = append(fetch, "origin", "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
		if on.Pull > 0 {
			fetch = append(fetch, "+"+on.SHA+":"+at)
		}
	}
	steps := [][]string{{"init", "--object-format=" + r.format, j.Dir}, {"remote", "add", "origin", r.URL}, {"config", "--local", "gc.auto", "0"}}
	if on.Token != "" {
		steps = append(steps, j.authorize(r.forge.URL, on)...)
	}
	steps = append(steps, fetch)
	if on.Depth < 0 && on.Pull == 0 { // the branch may have moved on
		steps = append(steps, []string{"fetch", "--no-tags", "--no-recurse-submodules", "origin", "+" + on.SHA + ":" + at})
	}
	if len(on.Sparse) > 0 {
		steps = append(steps, append([]string{"sparse-checkout", "set"}, on.Sparse...))
	}
	steps = append(steps, out)
	if on.NoPersist && on.Token != "" {
		steps = append(steps, j.forget(r.forge.URL, on)...)
	}
	for _, args := range steps {
		if _, err := output(j.command(ctx, "git", args...)); err != nil {
			return err
		}
	}
	return nil
}

// authorize returns the git calls that make a token known.
func (j *Job) authorize(server string, on *Trigger) [][]string {
	key := "http." + server + "/.extraheader"
	value := "AUTHORIZATION: basic " + base64.StdEncoding.EncodeToString([]byte("x-access-token:"+on.Token))
	if on.OldVersion {
		return [][]string{{"config", "--local", key, value}}
	}
	return [][]string{
		{"config", "--file", j.credentials(), key, value},
		{"config", "--local", j.include(""), j.credentials()},
		{"config", "--local", j.include("/worktrees/*"), j.credentials()},
	}
}

// forget returns the git calls that make it unknown again.
func (j *Job) forget(server string, on *Trigger) [][]string {
	if on.OldVersion {
		return [][]string{{"config", "--local", "--unset-all", "http." + server + "/.extraheader"}}
	}
	return [][]string{
		{"config", "--local", "--unset-all", j.include("")},
		{"config", "--local", "--unset-all", j.include("/worktrees/*")},
	}
}

func (j *Job) credentials() string { return filepath.Join(j.temp, "git-credentials.config") }

func (j *Job) include(sub string) string {
	return "includeIf.gitdir:" + path.Join(filepath.ToSlash(j.Dir), ".git") + sub + ".path"
}

func (j *Job) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir, c.Env = j.Dir, slices.Clone(j.Env)
	return c
}

// Git runs git in the checkout, and returns what it printed.
func (j *Job) Git(ctx context.Context, args ...string) (string, error) {
	return output(j.command(ctx, "git", args...))
}

// Step returns a step with `run: SCRIPT` and `env: ENV` that is not started yet, as the runner calls bash
// where the workflow says `shell: bash`. It has no standard input.
func (j *Job) Step(ctx context.Context, script string, env ...string) (*exec.Cmd, error) {
	j.steps++
	file := filepath.Join(j.temp, fmt.Sprintf("step-%d.sh", j.steps))
	if err := os.WriteFile(file, []byte(script+"\n"), 0o644); err != nil {
		return nil, err
	}
	c := j.command(ctx, "bash", "--noprofile", "--norc", "-eo", "pipefail", file)
	c.Env = append(c.Env, env...)
	return c, nil
}

// For is the URL of the repository with a token in it, for the clones of people.
func (r *Repo) For(token string) string {
	u, err := url.Parse(r.URL)
	if err != nil {
		return r.URL
	}
	u.User = url.UserPassword("x-access-token", token)
	return u.String()
}
