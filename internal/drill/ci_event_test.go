//go:build linux

package drill

import (
	"os"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/forge"
)

// A pull request is built and checked, and what its merge would deploy is said. Nothing is changed anywhere.
func TestAPullRequestChangesNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		fork    bool
		env     []string // takes away what the job may do
		words   []string
		rebuilt bool // what the base has built is built again
	}{
		{"of a branch", false, nil, []string{"ship"}, false},
		{"of a fork that may read the remote", true, nil, []string{"ship"}, false},
		{"of a fork without credentials", true, []string{"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY="}, []string{"cannot be read"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newCI(t, map[string]string{
				"pipe.yaml": strings.Replace(ciProject, "  ship:", "  old: {cmd: echo old >> DIR/built; cp big out, deps: [big], outs: [out]}\n  test: {check: true, cmd: grep -qv bad src, deps: [src]}\n  ship:", 1),
				"big":       "x\n", ".gitignore": "/.pipe/\n/app\n/out\n",
			})
			w.job(forge.Trigger{Token: writes}).ci(0)
			must(t, os.Remove(w.beside("built")))
			w.logged("shipped", "one")
			from := w.repo
			if c.fork {
				from = w.repo.Fork("hubot/shop")
			}
			from.Commit("topic", "topic", map[string]string{"src": "topic\n"})
			n := w.repo.NewPull("main", from, "topic", "A topic")
			w.says(w.pull(0, n, c.env...), c.words...)
			if got := strings.Count(w.read("built"), "old"); (got > 0) != c.rebuilt {
				t.Errorf("built:\n%s", w.read("built"))
			}
			if !strings.Contains(w.read("built"), "build topic") {
				t.Errorf("built:\n%s", w.read("built"))
			}

			before := w.listen()
			w.job(forge.Trigger{Token: writes, Event: "pull_request_target", Ref: "refs/heads/main", Pull: n}).ci(0)
			if got := strings.Join(before.ofRemote(), "\n"); len(before.pushed()) != 0 || strings.Contains(got, "PUT ") {
				t.Errorf("a run for the target: %+v\n%s", before.pushed(), got)
			}

			from.Commit("topic", "worse", map[string]string{"src": "bad\n"})
			w.repo.Merge(n, "main", from, "topic")
			w.says(w.pull(1, n, c.env...), "test")
		})
	}
}

// pull runs the job for a pull request, which must end with an exit code and change nothing anywhere, and returns what
// it printed.
func (c *ciWorld) pull(code, number int, env ...string) string {
	c.t.Helper()
	j := c.job(forge.Trigger{Token: reads, Pull: number})
	before, refs, shipped := c.listen(), c.repo.Git("for-each-ref"), c.read("shipped")
	said := c.ended(j.start("exec pipe ci", env...), code)
	for _, line := range before.ofRemote() {
		if !strings.HasPrefix(line, "GET ") && !strings.HasPrefix(line, "HEAD ") {
			c.t.Errorf("it wrote: %s\n%s", line, said)
		}
	}
	if len(before.pushed()) != 0 || c.repo.Git("for-each-ref") != refs || c.read("shipped") != shipped {
		c.t.Errorf("it pushed or deployed: %+v\n%s", before.pushed(), said)
	}
	return said
}

// A queue's ref is that of what will be merged if all goes well: as a pull request.
func TestAMergeQueueChangesNothing(t *testing.T) {
	t.Parallel()
	w := newCI(t, nil)
	w.job(forge.Trigger{Token: writes}).ci(0)
	const branch = "gh-readonly-queue/main/pr-7-0123456789abcdef0123456789abcdef01234567"
	w.repo.Commit(branch, "merge", map[string]string{"src": "two\n"})
	before := w.listen()
	w.job(forge.Trigger{Token: writes, Event: "merge_group", Ref: "refs/heads/" + branch}).ci(0)
	w.logged("shipped", "one")
	w.logged("built", "build one", "build two")
	if len(before.pushed()) != 0 {
		t.Errorf("pushed: %+v", before.pushed())
	}
}

// A tag names no branch: what it holds is built and published, and nothing is committed or deployed from it.
func TestATagIsBuiltAndPublished(t *testing.T) {
	t.Parallel()
	for _, project := range []string{ciProject, noEnvironments} {
		w := newCI(t, map[string]string{"pipe.yaml": project})
		w.repo.Git("tag", "v1", "main")
		before := w.listen()
		said := w.job(forge.Trigger{Token: writes, Ref: "refs/tags/v1"}).ci(0)
		w.logged("built", "build one")
		w.logged("shipped")
		if len(before.pushed()) != 0 {
			t.Errorf("pushed: %+v: %s", before.pushed(), said)
		}
		w.job(forge.Trigger{Token: writes}).ci(0)
		w.logged("built", "build one") // the tag's record is there
		w.logged("shipped", "one")
	}
}

// Another branch is built, and its lock is pushed to it; main's environment stays as it is.
func TestAnotherBranchIsBuiltAndNotDeployed(t *testing.T) {
	t.Parallel()
	for _, project := range []string{ciProject, noEnvironments} {
		w := newCI(t, map[string]string{"pipe.yaml": project})
		w.repo.Commit("feature/ä", "feature", map[string]string{"src": "two\n"})
		w.job(forge.Trigger{Token: writes, Ref: "refs/heads/feature/ä"}).ci(0)
		w.logged("built", "build two")
		w.logged("shipped")
		if w.lock("main") != "" || w.lock("feature/ä") == "" {
			t.Error("the lock is on another branch")
		}
		w.sound()
	}
}

// GitLab checks a commit out, and names its branch.
func TestADetachedHEADHasTheBranchOfTheVariables(t *testing.T) {
	t.Parallel()
	const detach = "git checkout -q --detach\ngit branch -qD main\n"
	nobody := []string{"GITHUB_ACTIONS=", "GITHUB_REF=", "GITHUB_REF_NAME="}
	gitlab := []string{"GITHUB_ACTIONS=", "GITLAB_CI=true", "CI_COMMIT_BRANCH=main", "CI_DEFAULT_BRANCH=main", "CI_PROJECT_PATH=acme/shop"}
	for _, c := range []struct {
		name    string
		first   string // what the step does first
		env     []string
		commits bool
	}{
		{"GitHub", detach, nil, true},
		{"GitLab", detach, gitlab, true},
		{"nobody says", detach, nobody, false},
		{"git says", "", nobody, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newCI(t, map[string]string{"pipe.yaml": noEnvironments})
			j := w.job(forge.Trigger{Token: writes})
			said := w.ended(j.start(c.first+"exec pipe ci", c.env...), 0)
			w.logged("built", "build one")
			if got := w.lock("main") != ""; got != c.commits {
				t.Errorf("the lock is committed: %v: %s", got, said)
			}
			if c.commits {
				w.logged("shipped", "one")
				w.quiet(forge.Trigger{Token: writes})
			} else {
				w.says(said, "pipe.lock was not committed: no branch is checked out")
				w.logged("shipped")
			}
			w.sound()
		})
	}
}
