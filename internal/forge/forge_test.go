package forge_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/forge"
)

// person is somebody with a clone.
type person struct {
	t   *testing.T
	dir string
}

// clone clones a repository for somebody who has a token, "" for none.
func clone(t *testing.T, r *forge.Repo, token string) *person {
	t.Helper()
	p := &person{t, filepath.Join(t.TempDir(), "clone")}
	url := r.URL
	if token != "" {
		url = r.For(token)
	}
	if out, err := git(t, ".", "clone", "-q", url, p.dir); err != nil {
		t.Fatal(err, out)
	}
	return p
}

func git(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	c := exec.CommandContext(t.Context(), "git", args...)
	c.Dir = dir
	c.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com",
	}
	out, err := c.CombinedOutput()
	return string(out), err
}

// commits makes a commit with one file.
func (p *person) commits(name string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(name), 0o644); err != nil {
		p.t.Fatal(err)
	}
	for _, args := range [][]string{{"add", name}, {"commit", "-qm", name}} {
		if out, err := git(p.t, p.dir, args...); err != nil {
			p.t.Fatal(err, out)
		}
	}
}

// push pushes HEAD, and checks that it is refused with some words; none: that it is not.
func (p *person) push(words ...string) {
	p.t.Helper()
	out, err := git(p.t, p.dir, "push", "origin", "HEAD:main")
	if (err != nil) != (len(words) > 0) {
		p.t.Errorf("push: %v: %s", err, out)
	}
	for _, w := range words {
		if !strings.Contains(out, w) {
			p.t.Errorf("push says not %q, but %s", w, out)
		}
	}
}

// start starts a forge with the repository octo/app, which has one commit, and two tokens for it.
func start(t *testing.T, opt forge.Options, kind forge.Kind) (*forge.Forge, *forge.Repo) {
	f := forge.Start(t, opt)
	r := f.NewRepo("octo/app", kind)
	r.Commit("main", "first", map[string]string{"README": "hello\n", "dir/a b": "x\n"})
	f.Allow("writes", forge.Token{Login: "github-actions[bot]", Contents: forge.Write, PullRequests: forge.Write})
	f.Allow("reads", forge.Token{Login: "github-actions[bot]", Contents: forge.Read, PullRequests: forge.Read})
	f.Allow("elsewhere", forge.Token{Login: "hubot", Contents: forge.Write, Repos: []string{"octo/other"}})
	return f, r
}

func TestTokensSayWhoMayReadAndWrite(t *testing.T) {
	for _, public := range []bool{false, true} {
		f, r := start(t, forge.Options{}, forge.Kind{Public: public})
		for _, c := range []struct{ url, want string }{
			{r.URL, "could not read Username"},
			{r.For("nobody"), "Authentication failed"},
			{r.For("elsewhere"), "not found"},
			{f.URL + "/octo/none", "could not read Username"},
			{r.For("reads") + "x", "not found"},
		} {
			out, err := git(t, ".", "ls-remote", c.url)
			if public && !strings.HasSuffix(c.url, "x") && !strings.HasSuffix(c.url, "none") { // git asks without the token first
				if err != nil {
					t.Errorf("%s cannot be read: %s", c.url, out)
				}
			} else if err == nil || !strings.Contains(out, c.want) {
				t.Errorf("%s: %v: %s", c.url, err, out)
			}
		}
		reader := clone(t, r, "reads")
		reader.commits("x")
		reader.push("remote: Permission to octo/app.git denied to github-actions[bot].", "The requested URL returned error: 403")
		if len(r.Pushes()) != 0 {
			t.Errorf("pushed: %v", r.Pushes())
		}
		f.Revoke("reads")
		reader.push("Authentication failed")
	}
}

func TestABranchCanBeProtected(t *testing.T) {
	_, r := start(t, forge.Options{}, forge.Kind{})
	p := clone(t, r, "writes")
	p.commits("x")
	for rule, words := range map[forge.Rule][]string{
		forge.Protection: {"remote: error: GH006: Protected branch update failed for refs/heads/main.", "[remote rejected] HEAD -> main (protected branch hook declined)"},
		forge.Ruleset:    {"remote: error: GH013: Repository rule violations found for refs/heads/main.", "(push declined due to repository rule violations)"},
		forge.Hook:       {"(pre-receive hook declined)"},
	} {
		r.Protect("main", rule)
		p.push(words...)
		pushes := r.Pushes()
		if last := pushes[len(pushes)-1]; last.Refused != rule || last.Ref != "refs/heads/main" || last.Login != "github-actions[bot]" {
			t.Errorf("%+v", last)
		}
	}
	r.Protect("main", forge.Free)
	before := r.Tip("main")
	p.push()
	if r.Tip("main") == before {
		t.Error("the branch did not move")
	}
}

func TestAPushThatIsNotFastForwardIsRefused(t *testing.T) {
	_, r := start(t, forge.Options{}, forge.Kind{})
	p := clone(t, r, "writes")
	p.commits("x")
	r.Commit("main", "another", map[string]string{"other": "y"})
	p.push("[rejected]", "fetch first")
	if out, err := git(t, p.dir, "push", "--force", "origin", "HEAD:main"); err == nil || !strings.Contains(out, "non-fast-forward") {
		t.Errorf("%v: %s", err, out)
	}
	if n := len(strings.Split(r.Git("reflog", "main"), "\n")); n != 2 {
		t.Errorf("%d entries in the log: %s", n, r.Git("reflog", "main"))
	}
	if got := r.Git("show", "main:other") + r.Git("show", "main:dir/a b"); got != "yx" {
		t.Errorf("files are %q", got)
	}
}

func TestACommitCanComeFirst(t *testing.T) {
	_, r := start(t, forge.Options{}, forge.Kind{})
	p := clone(t, r, "writes")
	p.commits("x")
	r.AtNextPush(func(context.Context) { r.Commit("main", "merged meanwhile", map[string]string{"other": "y"}) })
	p.push("cannot lock ref")
	if out, err := git(t, p.dir, "pull", "-q", "--rebase", "origin", "main"); err != nil {
		t.Fatal(out)
	}
	p.push()
	if pushes := r.Pushes(); len(pushes) != 2 {
		t.Errorf("%+v", pushes)
	}
}

func TestABranchCanBeDeletedMeanwhile(t *testing.T) {
	f, r := start(t, forge.Options{}, forge.Kind{})
	p := clone(t, r, "writes")
	p.commits("x")
	r.Git("update-ref", "-d", "refs/heads/main")
	p.push()
	if r.Tip("main") == "" {
		t.Error("no branch")
	}
	if f.Count("POST", "git-receive-pack") != 1 || f.Count("", "service=git-upload-pack") < 1 {
		t.Errorf("requests: %q", f.Log())
	}
}

func TestARequestCanBeHeldBack(t *testing.T) {
	f, r := start(t, forge.Options{}, forge.Kind{})
	p := clone(t, r, "writes")
	p.commits("x")
	f.Before(forge.Only("git-receive-pack", forge.Never))
	ctx, cancel := context.WithCancel(t.Context())
	c := exec.CommandContext(ctx, "git", "push", "origin", "HEAD:main")
	c.Dir = p.dir
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	for f.Count("", "git-receive-pack") == 0 {
		if ctx.Err() != nil {
			t.Fatal(ctx.Err())
		}
	}
	cancel()
	_ = c.Wait()
	f.Before(nil)
	p.push()
}

func TestAPartialCloneIsServed(t *testing.T) {
	for opt, want := range map[forge.Options]int{{}: 1, {NoFilter: true}: 0, {OnlyTips: true}: 1} {
		_, r := start(t, opt, forge.Kind{})
		old := r.Tip("main")
		r.Commit("main", "second", map[string]string{"README": "bye\n"})
		dir := filepath.Join(t.TempDir(), "clone")
		if out, err := git(t, ".", "clone", "-q", "--no-checkout", "--filter=blob:none", r.For("reads"), dir); err != nil {
			t.Fatal(out)
		}
		out, _ := git(t, dir, "rev-list", "--objects", "--all", "--missing=print")
		if got := min(strings.Count(out, "\n?"), 1); got != want {
			t.Errorf("%+v: objects are missing: %v\n%s", opt, got, out)
		}
		_, err := git(t, t.TempDir(), "-c", "init.defaultBranch=x", "clone", "-q", "--depth=1", r.For("reads"), ".")
		if err != nil {
			t.Error(err)
		}
		bare := t.TempDir()
		_, _ = git(t, bare, "init", "-q")
		out, err = git(t, bare, "-c", "protocol.version=0", "fetch", "-q", r.For("reads"), old)
		if (err != nil) != opt.OnlyTips {
			t.Errorf("%+v: a commit by its name: %v: %s", opt, err, out)
		}
	}
}

func TestSHA256(t *testing.T) {
	_, r := start(t, forge.Options{}, forge.Kind{SHA256: true, Default: "trunk"})
	r.Commit("trunk", "first", map[string]string{"x": "y"})
	if len(r.Tip("trunk")) != 64 {
		t.Error(r.Tip("trunk"))
	}
}

func TestAJobIsAsOnGitHub(t *testing.T) {
	f, r := start(t, forge.Options{}, forge.Kind{})
	second := r.Commit("main", "second", map[string]string{"README": "two\n"})
	r.Commit("main", "third", map[string]string{"README": "three\n"})
	fork := r.Fork("hubot/app")
	fork.Commit("topic", "theirs", map[string]string{"topic": "x"})
	n := r.NewPull("main", fork, "topic", "A topic")
	r.Git("tag", "v1", "main")
	for _, c := range []struct {
		on     forge.Trigger
		head   string // what git status -bs begins with
		may    bool   // the checkout can push
		number string // of commits
	}{
		{forge.Trigger{Token: "writes"}, "## main...origin/main", true, "1"},
		{forge.Trigger{Token: "writes", OldVersion: true, Depth: -1, SHA: second}, "## main...origin/main", true, "2"},
		{forge.Trigger{Token: "writes", NoPersist: true}, "## main...origin/main", false, "1"},
		{forge.Trigger{Token: "writes", NoPersist: true, OldVersion: true}, "## main...origin/main", false, "1"},
		{forge.Trigger{Token: "writes", Pull: n}, "## HEAD (no branch)", true, "1"},
		{forge.Trigger{Token: "writes", Ref: "refs/tags/v1"}, "## HEAD (no branch)", true, "1"},
		{forge.Trigger{Token: "writes", Filter: "blob:none", Sparse: []string{"dir"}}, "## main...origin/main", true, "1"},
	} {
		j, err := r.Job(t.Context(), t.TempDir(), c.on)
		if err != nil {
			t.Fatal(err)
		}
		head, err := j.Git(t.Context(), "status", "-bs")
		if err != nil || head != c.head {
			t.Errorf("%+v: %v, %q", c.on, err, head)
		}
		step, err := j.Step(t.Context(), "git rev-list --count HEAD\ngit push -q origin HEAD:refs/heads/new >&2\ntest -f \"$GITHUB_EVENT_PATH\" && echo $GITHUB_REF $A", "A=b")
		if err != nil {
			t.Fatal(err)
		}
		out, err := step.Output()
		if (err == nil) != c.may || !strings.HasPrefix(string(out), c.number+"\n") {
			t.Errorf("%+v: %v, %q", c.on, err, out)
		}
		if ref := slices.IndexFunc(j.Env, func(kv string) bool { return strings.HasPrefix(kv, "GITHUB_REF=") }); c.may && !strings.HasSuffix(string(out), "\n"+strings.TrimPrefix(j.Env[ref], "GITHUB_REF=")+" b\n") {
			t.Errorf("%+v: %q", c.on, out)
		}
		r.Git("update-ref", "-d", "refs/heads/new")
	}
	if len(f.Log()) == 0 {
		t.Error("no requests")
	}
}
