package workflow

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/tool"
	"github.com/pipe-build/pipe/internal/yamldoc"
)

var update = flag.Bool("update", false, "write the golden files again")

// plainest is the project that needs the least.
func plainest() Project {
	return Project{Title: "pipe", Branches: []string{"main"}, Commits: true, Version: "0.1.0", Commit: strings.Repeat("0123456789", 4)}
}

// richest is a project that needs all that AWS allows.
func richest() Project {
	p := plainest()
	p.Title, p.Dir, p.Branches, p.Sources = "pipe web", "services/web", []string{"main", "release"}, true
	p.Apart, p.PullRequests, p.AWS, p.Region, p.Comment, p.Waves = true, true, true, "eu-central-1", true, 2
	p.Secrets, p.BuildSecrets = []string{"API_TOKEN", "NPM_TOKEN"}, []string{"NPM_TOKEN"}
	return p
}

// variants are the projects whose files are kept in testdata.
func variants() map[string]Project {
	aws := plainest()
	aws.AWS = true
	keys := plainest()
	keys.Endpoint, keys.Waves, keys.Secrets, keys.Sources = "https://minio.example.com", 1, []string{"API_TOKEN"}, true
	off := plainest()
	off.Commits, off.Comment = false, true
	return map[string]Project{"plain": plainest(), "aws": aws, "keys": keys, "off": off, "all": richest()}
}

func write(t *testing.T, s System, p Project) (file, text string) {
	t.Helper()
	return File(s, p, "web")
}

// golden compares a text with a file of testdata, or writes it.
func golden(t *testing.T, name, text string) string {
	t.Helper()
	at := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(at, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := os.ReadFile(at); err != nil || string(b) != text {
		t.Errorf("%s is not what is written: %v; go test ./internal/workflow -update\n%s", at, err, text)
	}
	return at
}

// TestTheWorkflowsAreRight holds each variant for GitHub to actionlint, and each for other systems to YAML.
func TestTheWorkflowsAreRight(t *testing.T) {
	var lint []string
	paths := map[System]string{GitHub: ".github/workflows/pipe.yml", GitLab: ".gitlab-ci.yml", CircleCI: ".circleci/config.yml", Buildkite: ".buildkite/pipeline.yml"}
	for name, p := range variants() {
		for _, s := range Systems() {
			file, text := write(t, s, p)
			if want := paths[s]; file != want && (s != GitHub || p.Dir == "" || file != ".github/workflows/pipe-web.yml") {
				t.Errorf("%s: %s is written to %s", name, s, file)
			}
			at := golden(t, name+"."+string(s)+".yml", text)
			if _, err := yamldoc.Parse(file, []byte(text), yamldoc.Options{}); err != nil {
				t.Errorf("%s: %v", at, err)
			}
			if s == GitHub {
				lint = append(lint, at)
			}
		}
	}
	actionlint(t, lint...)
}

func actionlint(t *testing.T, files ...string) {
	t.Helper()
	program, err := tool.Build(t.Context(), ".", "github.com/rhysd/actionlint/cmd/actionlint")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(program, files...).CombinedOutput(); err != nil {
		t.Errorf("actionlint: %v\n%s", err, out)
	}
}

// TestWhatPeopleNameIsOnlyAText: no name of a branch, directory or project becomes an expression, a command or
// another line.
func TestWhatPeopleNameIsOnlyAText(t *testing.T) {
	p := richest()
	p.Dir = "a b/${{ github.token }}'$(x)\"\\"
	p.Branches = []string{"main", "a+b!c]d", `say"hi"`, "it's", "$(x)"}
	for _, s := range Systems() {
		file, text := write(t, s, p)
		root, err := yamldoc.Parse(file, []byte(text), yamldoc.Options{})
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		switch s {
		case GitHub:
			if got := root.Get("defaults").Get("run").Get("working-directory").Value; got != `a b/${{ '${{' }} github.token }}'$(x)"\` {
				t.Error(got)
			}
			if got := root.Get("on").Get("push").Get("branches").Items[1].Value; got != `a\+b\!c]d` {
				t.Error(got)
			}
			at := filepath.Join(t.TempDir(), "odd.yml")
			if err := os.WriteFile(at, []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
			actionlint(t, at)
		case GitLab:
			if got := root.Get("workflow").Get("rules").Items[3].Get("if").Value; got != `$CI_COMMIT_BRANCH == 'say"hi"'` {
				t.Error(got)
			}
			if got := root.Get("pipe").Get("script").Items[0].Value; got != `cd 'a b/${{ github.token }}'\''$(x)"\'` {
				t.Error(got)
			}
		case Buildkite:
			if got := root.Get("steps").Items[0].Get("command").Value; !strings.Contains(got, `cd 'a b/$${{ github.token }}'\''$$(x)"\'`+"\n") {
				t.Error(got)
			}
		case CircleCI:
			if got := root.Get("jobs").Get("pipe").Get("steps").Items[2].Get("run").Get("working_directory").Value; got != p.Dir {
				t.Error(got)
			}
		}
	}
}

// TestEachActionIsPinnedByItsCommit, and no word of a workflow's own is run by a shell.
func TestEachActionIsPinnedByItsCommit(t *testing.T) {
	pinned := regexp.MustCompile(`^\S+@[0-9a-f]{40} # v[0-9]+\.[0-9]+\.[0-9]+$`)
	for name, p := range variants() {
		_, text := write(t, GitHub, p)
		n, block := 0, false
		for line := range strings.Lines(text) {
			line = strings.TrimSpace(line)
			if _, uses, ok := strings.Cut(line, "uses: "); ok {
				if n++; !pinned.MatchString(uses) {
					t.Errorf("%s: %s", name, line)
				}
			}
			if _, run, ok := strings.Cut(line, "run: "); ok {
				block = run == "|"
				if strings.Contains(run, "${{") {
					t.Errorf("%s: %s", name, line)
				}
			} else if block = block && !strings.HasSuffix(line, ":"); block && strings.Contains(line, "${{") {
				t.Errorf("%s: %s", name, line)
			}
		}
		if n < 6 {
			t.Errorf("%s: %d actions", name, n)
		}
	}
}

// TestAJobGetsOnlyTheRightsThatItNeeds: a token that can write is never in a job that runs what a pull request brings.
func TestAJobGetsOnlyTheRightsThatItNeeds(t *testing.T) {
	for name, p := range variants() {
		file, text := write(t, GitHub, p)
		root, err := yamldoc.Parse(file, []byte(text), yamldoc.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if all := root.Get("permissions"); len(all.Pairs) != 0 {
			t.Errorf("%s: permissions for all jobs", name)
		}
		for _, job := range root.Get("jobs").Pairs {
			want := map[string]string{"contents": "read"}
			if p.AWS {
				want["id-token"] = "write"
			}
			switch job.Key {
			case "plan":
				if p.Comment {
					want["pull-requests"] = "write"
				}
			case "ci":
				if p.Commits {
					want["contents"] = "write"
				}
				if p.PullRequests {
					want["pull-requests"] = "write"
				}
			}
			got := job.Value.Get("permissions").Pairs
			for _, g := range got {
				if want[g.Key] != g.Value.Value {
					t.Errorf("%s: %s: %s: %s", name, job.Key, g.Key, g.Value.Value)
				}
			}
			if len(got) != len(want) {
				t.Errorf("%s: %s: %d rights, not %v", name, job.Key, len(got), want)
			}
			if job.Value.Get("timeout-minutes") == nil {
				t.Errorf("%s: %s has no timeout", name, job.Key)
			}
			for _, step := range job.Value.Get("steps").Items {
				if run := step.Get("run"); run != nil && job.Key == "plan" && !strings.Contains(run.Value, "pipe plan") {
					t.Errorf("%s: plan runs %s", name, run.Value)
				}
				if step.Get("with") == nil {
					continue
				}
				keeps := step.Get("with").Get("persist-credentials")
				if keeps != nil && (keeps.Value == "true") != (job.Key == "ci" && p.Commits) {
					t.Errorf("%s: %s: persist-credentials: %s", name, job.Key, keeps.Value)
				}
			}
		}
	}
}

// TestNoRunOfABranchIsCancelled: runs share a group, in which GitHub cancels, only if they are of one pull request.
func TestNoRunOfABranchIsCancelled(t *testing.T) {
	for name, p := range variants() {
		file, text := write(t, GitHub, p)
		root, err := yamldoc.Parse(file, []byte(text), yamldoc.Options{})
		if err != nil {
			t.Fatal(err)
		}
		c := root.Get("concurrency")
		if got := c.Get("group").Value; got != "${{ github.workflow }}-${{ github.event.pull_request.number || github.run_id }}" {
			t.Errorf("%s: %s", name, got)
		}
		if got := c.Get("cancel-in-progress").Value; got != "${{ github.event_name == 'pull_request' }}" {
			t.Errorf("%s: %s", name, got)
		}
		for _, job := range root.Get("jobs").Pairs {
			if job.Value.Get("concurrency") != nil {
				t.Errorf("%s: %s has a group of its own", name, job.Key)
			}
		}
	}
}

func TestThePoliciesAreExact(t *testing.T) {
	a := Access{
		Account: "123456789012", Repository: "acme/shop", Branches: []string{"main", "release"}, Deploy: "shop-deploy", Plan: "shop-plan", Approve: "shop-approve",
		Places: []Place{
			{Bucket: "artifacts", Prefix: "a/shop", Region: "eu-central-1", States: true, Project: "shop", Signed: []string{"production", "pr-*"}},
			{Bucket: "artifacts", Prefix: "nas", Region: "eu-central-1", Project: "shop", Signed: []string{"production"}},
			{Bucket: "china", Region: "cn-north-1"},
		},
	}
	type documents struct {
		Buckets map[string]Policy
		Deploy  Policy
		Plan    Policy
	}
	d := documents{Buckets: map[string]Policy{}, Deploy: a.DeployTrust(), Plan: a.PlanTrust()}
	for _, b := range a.Buckets() {
		d.Buckets[b] = a.BucketPolicy(b)
	}
	b, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "policies.json", string(b)+"\n")
	if got := a.Buckets(); !slices.Equal(got, []string{"artifacts", "china"}) {
		t.Error(got)
	}
	for region, want := range map[string]string{"": "arn:aws:iam", "us-gov-east-1": "arn:aws-us-gov:iam", "cn-north-1": "arn:aws-cn:iam"} {
		a.Places[0].Region = region
		if got := a.DeployTrust().Statement[0].Principal["Federated"][0]; got != want+"::123456789012:oidc-provider/"+issuer {
			t.Error(region, got)
		}
	}
	a.Repository = "acme@1/shop" // half of the numbers are none
	if got := string(a.PlanTrust().JSON()); !strings.Contains(got, "StringLike") {
		t.Error(got)
	}
	a.Repository = "acme@1/shop@2"
	if got := string(a.PlanTrust().JSON()); !strings.Contains(got, `"repo:acme@1/shop@2:pull_request"`) || strings.Contains(got, "StringLike") {
		t.Error(got)
	}
}

// allowed says whether policy lets a role do that. It knows as much of AWS's rules as is used here.
func allowed(p Policy, role, action, resource, prefix string) bool {
	ok := false
	for _, s := range p.Statement {
		has := func(patterns []string, word string) bool {
			for _, pattern := range patterns {
				if like(pattern, word) {
					return true
				}
			}
			return false
		}
		if !has(s.Principal["AWS"], role) || !has(s.Action, action) || !has(s.Resource, resource) {
			continue
		}
		if c := s.Condition["StringLike"]["s3:prefix"]; c != nil && !has(c, prefix) {
			continue
		}
		if s.Effect == "Deny" {
			return false
		}
		ok = true
	}
	return ok
}

// like matches with stars that stand for any text, slashes too.
func like(pattern, word string) bool {
	q := regexp.QuoteMeta(pattern)
	return regexp.MustCompile("^" + strings.ReplaceAll(q, `\*`, ".*") + "$").MatchString(word)
}

func TestARoleOfAPullRequestWritesNothingThatTheMainBranchReads(t *testing.T) {
	a := Access{Account: "1", Deploy: "d", Plan: "p", Approve: "a", Places: []Place{{Bucket: "b", Prefix: "x", States: true, Project: "shop", Signed: []string{"production"}}}}
	p := a.BucketPolicy("b")
	const object, approval = "arn:aws:s3:::b/x/files/blake3/ab/cd", "arn:aws:s3:::b/x/projects/shop/env/production/approvals/1/2/3"
	deploy, plan, approve := "arn:aws:iam::1:role/d", "arn:aws:iam::1:role/p", "arn:aws:iam::1:role/a"
	for _, c := range []struct {
		role, action, resource, prefix string
		want                           bool
	}{
		{deploy, "s3:GetObject", object, "", true},
		{deploy, "s3:PutObject", object, "", true},
		{deploy, "s3:AbortMultipartUpload", object, "", true},
		{deploy, "s3:DeleteObject", object, "", false},
		{deploy, "s3:PutObject", approval, "", false},
		{deploy, "s3:GetObject", approval, "", true},
		{deploy, "s3:ListBucket", "arn:aws:s3:::b", "x/", true},
		{deploy, "s3:ListBucket", "arn:aws:s3:::b", "y/", false},
		{deploy, "s3:PutObject", "arn:aws:s3:::b/y/files", "", false},
		{deploy, "s3:GetObject", "arn:aws:s3:::b/xy/files", "", false},
		{plan, "s3:GetObject", object, "", true},
		{plan, "s3:PutObject", object, "", false},
		{plan, "s3:PutObject", approval, "", false},
		{approve, "s3:GetObject", object, "", true},
		{approve, "s3:PutObject", object, "", false},
		{approve, "s3:PutObject", approval, "", true},
		{"arn:aws:iam::1:role/other", "s3:GetObject", object, "", false},
	} {
		if got := allowed(p, c.role, c.action, c.resource, c.prefix); got != c.want {
			t.Errorf("%s %s %s %s: %t", path.Base(c.role), c.action, c.resource, c.prefix, got)
		}
	}
	// Whatever else allows the role to write, the bucket does not.
	last := p.Statement[3]
	if last.Effect != "Deny" || last.Principal["AWS"][0] != plan {
		t.Error(last)
	}
}

func TestWhoMayTakeARole(t *testing.T) {
	a := Access{Account: "1", Repository: "acme/shop", Branches: []string{"main", "rel$1"}}
	for _, c := range []struct {
		p    Policy
		sub  string
		want bool
	}{
		{a.DeployTrust(), "repo:acme/shop:ref:refs/heads/main", true},
		{a.DeployTrust(), "repo:acme@12/shop@34:ref:refs/heads/main", true},
		{a.DeployTrust(), "repo:acme/shop:pull_request", false},
		{a.DeployTrust(), "repo:acme/shop:ref:refs/heads/main2", false},
		{a.DeployTrust(), "repo:acme/shop:ref:refs/tags/main", false},
		{a.DeployTrust(), "repo:acme/shop2:ref:refs/heads/main", false},
		{a.DeployTrust(), "repo:acme@12/other@3:ref:refs/heads/x/shop@1/main", false},
		{a.PlanTrust(), "repo:acme@12/shop@34:pull_request", true},
		{a.PlanTrust(), "repo:evil/shop:pull_request", false},
		{a.PlanTrust(), "repo:acme/shop:ref:refs/heads/main", false},
	} {
		s := c.p.Statement[0]
		got := false
		for _, pattern := range s.Condition["StringLike"][issuer+":sub"] {
			got = got || like(pattern, c.sub)
		}
		if got != c.want || s.Condition["StringEquals"][issuer+":aud"][0] != "sts.amazonaws.com" {
			t.Errorf("%s: %t", c.sub, got)
		}
	}
	if got := string(a.DeployTrust().JSON()); !strings.Contains(got, "heads/rel${$}1") {
		t.Error(got)
	}
}
