package forge

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Kind is what a repository is like; the zero value is a private one.
type Kind struct {
	Public  bool   // anybody may read it
	Default string // the default branch; "": main
	SHA256  bool   // its object names are SHA-256, which GitHub does not have
}

// Rule is what protects a branch.
type Rule string

// The rules.
const (
	Free       Rule = ""
	Protection Rule = "protection" // branch protection: GH006
	Ruleset    Rule = "ruleset"    // a rule of a ruleset: GH013
	Hook       Rule = "hook"       // a pre-receive hook, as GitHub Enterprise Server and GitLab have them
)

// Push is an update of a ref that somebody asked for.
type Push struct {
	Login    string // of who pushed
	Ref      string // refs/heads/main
	Old, New string // commits; zeroes: the ref was not there, or is deleted
	Refused  Rule   // what refused it; Free: git was asked
}

// Repo is a bare repository. It takes no pushes that are not fast-forward, and keeps a log of each ref.
type Repo struct {
	Name    string // OWNER/NAME
	URL     string // where git finds it
	Dir     string
	Default string // branch

	forge    *Forge
	public   bool
	format   string // of object names
	parent   *Repo  // that it is a fork of
	rules    map[string]Rule
	atPush   []func(context.Context)
	pushes   []Push
	pulls    []*pull
	comments []*comment
	denyApps bool // apps may not make pull requests
}

// NewRepo makes a repository OWNER/NAME without commits.
func (f *Forge) NewRepo(name string, kind Kind) *Repo {
	f.t.Helper()
	r := f.register(name, kind.Default)
	r.public = kind.Public
	if kind.SHA256 {
		r.format = "sha256"
	}
	f.must(os.MkdirAll(r.Dir, 0o755))
	r.Git("init", "--quiet", "--bare", "--initial-branch", r.Default, "--object-format="+r.format)
	r.configure()
	return r
}

// Fork makes a copy of a repository under another name OWNER/NAME.
func (r *Repo) Fork(name string) *Repo {
	r.forge.t.Helper()
	c := r.forge.register(name, r.Default)
	c.public, c.format, c.parent = r.public, r.format, r
	r.forge.must(os.MkdirAll(c.Dir, 0o755))
	c.Git("clone", "--quiet", "--bare", r.Dir, ".")
	c.configure()
	return c
}

func (f *Forge) register(name, branch string) *Repo {
	if branch == "" {
		branch = "main"
	}
	r := &Repo{Name: name, URL: f.URL + "/" + name, Dir: filepath.Join(f.Dir, filepath.FromSlash(name)+".git"), Default: branch, forge: f, format: "sha1", rules: map[string]Rule{}}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.repos[strings.ToLower(name)] = r
	return r
}

func (r *Repo) configure() {
	for _, set := range [][2]string{
		{"core.logAllRefUpdates", "always"},
		{"gc.auto", "0"},
		{"http.receivepack", "true"},
		{"receive.denyNonFastForwards", "true"},
		{"receive.fsckObjects", "true"},
		{"receive.hideRefs", "refs/pull"}, // they are the server's alone
		{"uploadpack.allowFilter", fmt.Sprint(!r.forge.opt.NoFilter)},
		{"uploadpack.allowAnySHA1InWant", fmt.Sprint(!r.forge.opt.OnlyTips)},
	} {
		r.Git("config", set[0], set[1])
	}
}

// Git runs git in the bare repository, past all rules, and returns what it printed.
func (r *Repo) Git(args ...string) string {
	r.forge.t.Helper()
	out, err := r.git(r.forge.t.Context(), args...)
	r.forge.must(err)
	return out
}

func (r *Repo) git(ctx context.Context, args ...string) (string, error) {
	c := exec.CommandContext(ctx, "git", args...)
	c.Dir, c.Env = r.Dir, gitEnv(r.forge.Dir)
	return output(c)
}

// output runs a command and returns what it printed, without the line break at its end.
func output(c *exec.Cmd) (string, error) {
	var said strings.Builder
	c.Stderr = &said
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(c.Args, " "), err, said.String())
	}
	return strings.TrimSuffix(string(out), "\n"), nil
}

// gitEnv is an environment in which git knows of no configuration but the repository's.
func gitEnv(home string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C",
		"GIT_AUTHOR_NAME=forge", "GIT_AUTHOR_EMAIL=forge@example.com", "GIT_COMMITTER_NAME=forge", "GIT_COMMITTER_EMAIL=forge@example.com",
	}
}

// Tip returns the commit of a branch; "": it is not there.
func (r *Repo) Tip(branch string) string {
	out, _ := r.git(r.forge.t.Context(), "rev-parse", "--verify", "--quiet", "refs/heads/"+branch)
	return out
}

// Protect puts a branch under a rule, or frees it.
func (r *Repo) Protect(branch string, rule Rule) {
	r.forge.mu.Lock()
	defer r.forge.mu.Unlock()
	r.rules[branch] = rule
}

// AtNextPush runs a function when the next push has come whole and before git looks at it: what it
// does to the branch has come first. Functions for several pushes wait in a row. Its context ends when the client goes.
func (r *Repo) AtNextPush(do func(context.Context)) {
	r.forge.mu.Lock()
	defer r.forge.mu.Unlock()
	r.atPush = append(r.atPush, do)
}

// Pushes returns what was asked for so far, also what was refused.
func (r *Repo) Pushes() []Push {
	r.forge.mu.Lock()
	defer r.forge.mu.Unlock()
	return append([]Push(nil), r.pushes...)
}

// Commit puts a commit with files on a branch, past all rules, and returns it: what somebody else merged
// meanwhile. A branch that is not there begins at the default branch.
func (r *Repo) Commit(branch, message string, files map[string]string) string {
	r.forge.t.Helper()
	index := filepath.Join(r.forge.t.TempDir(), "index")
	run := func(stdin string, args ...string) string {
		c := exec.Command("git", args...)
		c.Dir, c.Env, c.Stdin = r.Dir, append(gitEnv(r.forge.Dir), "GIT_INDEX_FILE="+index), strings.NewReader(stdin)
		out, err := output(c)
		r.forge.must(err)
		return out
	}
	tip := r.Tip(branch)
	var parents []string
	if parent := cmp.Or(tip, r.Tip(r.Default)); parent != "" {
		run("", "read-tree", parent)
		parents = []string{"-p", parent}
	}
	for name, text := range files {
		blob := run(text, "hash-object", "-w", "--stdin")
		run("", "update-index", "--add", "--cacheinfo", "100644,"+blob+","+name)
	}
	commit := run("", append([]string{"commit-tree", "-m", message, run("", "write-tree")}, parents...)...)
	run("", "update-ref", "-m", "commit", "refs/heads/"+branch, commit, tip)
	return commit
}

// Merge makes refs/pull/N/head and refs/pull/N/merge for what the branch of a repository, this one or a
// fork, would merge into base. It returns the merge.
func (r *Repo) Merge(n int, base string, from *Repo, branch string) string {
	r.forge.t.Helper()
	head := fmt.Sprintf("refs/pull/%d/head", n)
	r.Git("fetch", "--quiet", from.Dir, "+refs/heads/"+branch+":"+head)
	commit, tip := r.Git("rev-parse", head), r.Tip(base)
	tree := r.Git("merge-tree", "--write-tree", tip, commit)
	merge := r.Git("commit-tree", "-p", tip, "-p", commit, "-m", "Merge "+commit+" into "+tip, tree)
	r.Git("update-ref", fmt.Sprintf("refs/pull/%d/merge", n), merge)
	return merge
}
