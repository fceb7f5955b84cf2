package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/forge"
)

const bot = "github-actions[bot]"

// pulled is a pull request of a project on a forge.
type pulled struct {
	t    *testing.T
	f    *forge.Forge
	r    *forge.Repo
	n    int
	job  *forge.Job
	head string // commit
}

// pull makes a repository with the files on main and on a branch, and a job of the branch's pull request.
func pull(t *testing.T, fork bool, files map[string]string) *pulled {
	t.Helper()
	f := forge.Start(t, forge.Options{})
	p := &pulled{t: t, f: f, r: f.NewRepo("octo/app", forge.Kind{Public: true})}
	f.Allow("writes", forge.Token{Login: bot, Contents: forge.Read, PullRequests: forge.Write})
	f.Allow("reads", forge.Token{Login: bot, Contents: forge.Read, PullRequests: forge.Read})
	p.r.Commit("main", "first", map[string]string{"README": "app\n"})
	from := p.r
	if fork {
		from = p.r.Fork("eve/app")
	} else {
		p.r.Git("branch", "topic", "main")
	}
	branch := "topic"
	if fork {
		branch = "main"
	}
	p.head = from.Commit(branch, "change", files)
	p.n = p.r.NewPull("main", from, branch, "A topic")
	p.checkout()
	return p
}

// checkout makes a job of the pull request as it is now.
func (p *pulled) checkout() {
	p.t.Helper()
	var err error
	if p.job, err = p.r.Job(p.t.Context(), p.t.TempDir(), forge.Trigger{Pull: p.n, Token: "reads"}); err != nil {
		p.t.Fatal(err)
	}
}

// run runs a step.
func (p *pulled) run(script string, env ...string) (code int, stdout, stderr string) {
	p.t.Helper()
	step, err := p.job.Step(p.t.Context(), script, env...)
	if err != nil {
		p.t.Fatal(err)
	}
	var out, errs bytes.Buffer
	step.Stdout, step.Stderr = &out, &errs
	err = step.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	for _, token := range []string{"writes", "reads"} {
		if text := out.String() + errs.String(); strings.Contains(text, token) && !strings.Contains(script, token) {
			p.t.Errorf("the log has the token:\n%s", text)
		}
	}
	return step.ProcessState.ExitCode(), out.String(), errs.String()
}

// comments returns the texts of the comments.
func (p *pulled) comments() (all []string) {
	for _, c := range p.r.Comments(p.n) {
		all = append(all, c.Body)
	}
	return all
}

// check runs a step that succeeds.
func (p *pulled) check(script string, env ...string) (stdout, stderr string) {
	p.t.Helper()
	code, stdout, stderr := p.run(script, env...)
	if code != 0 {
		p.t.Fatalf("%s: exit code %d\n%s%s", script, code, stdout, stderr)
	}
	return stdout, stderr
}

const plainStages = "stages:\n  a:\n    cmd: cp in out\n    deps: [in]\n    outs: [out]\n"

const planned = "a  run      never ran\n" // of plainStages

func TestPlanKeepsOneComment(t *testing.T) {
	p := pull(t, false, map[string]string{"pipe.yaml": plainStages, "in": "1\n"})
	p.r.AddComment(p.n, "mallory", "<!-- pipe-plan . -->\nforged")
	stdout, _ := p.check("pipe plan --comment", "GITHUB_TOKEN=writes")
	if !strings.Contains(stdout, planned+"comment: http") {
		t.Errorf("%s", stdout)
	}
	want := "<!-- pipe-plan . -->\n### pipe plan\n\n1 to run.\n\n| Stage | Verb | Reason |\n| --- | --- | --- |\n| `a` | run | `never ran` |\n\nCommit " + p.head + "\n"
	if got := p.comments(); len(got) != 2 || got[0] != "<!-- pipe-plan . -->\nforged" || got[1] != want {
		t.Fatalf("%q", got)
	}

	p.check("pipe plan --comment", "GH_TOKEN=writes")
	if n := p.f.Count("POST", "/comments") + p.f.Count("PATCH", "/comments"); n != 1 {
		t.Errorf("%d writes of what is unchanged", n)
	}

	p.r.Commit("topic", "more", map[string]string{"pipe.yaml": plainStages + "  b:\n    cmd: cp out two\n    deps: [out]\n    outs: [two]\n"})
	p.r.Merge(p.n, "main", p.r, "topic")
	p.checkout()
	p.check("pipe plan --comment", "GITHUB_TOKEN=writes")
	if got := p.comments(); len(got) != 2 || !strings.Contains(got[1], "1 to run, 1 waiting for others.") || !strings.Contains(got[1], "| `b` | depends | `a must run first` |") {
		t.Errorf("%q", got)
	}

	p.check("pipe repro -q && pipe plan --comment", "GITHUB_TOKEN=writes")
	if got := p.comments()[1]; !strings.Contains(got, "\n2 up to date.\n\n<details><summary>2 stages up to date</summary>\n\n| Stage") || !strings.Contains(got, "| `a` | skip |") {
		t.Errorf("%q", got)
	}

	p.check("pipe plan --comment --skip b", "GITHUB_TOKEN=writes")
	want = "\n1 up to date, 1 left out.\n\n<details><summary>2 stages up to date or left out</summary>\n\n| Stage"
	if got := p.comments()[1]; !strings.Contains(got, want) || !strings.Contains(got, "| `b` | omit | `left out by --skip b` |") {
		t.Errorf("%q", got)
	}
}

func TestEachProjectHasACommentOfItsOwn(t *testing.T) {
	p := pull(t, false, map[string]string{
		"pipe.yaml": plainStages, "in": "1\n", "services/a--> b/pipe.yaml": plainStages, "services/a--> b/in": "2\n",
	})
	for range 2 {
		p.check("pipe plan -R --comment", "GITHUB_TOKEN=writes")
		p.check("cd services/a*/ && pipe plan --comment", "GITHUB_TOKEN=writes")
		p.check("pipe -C services/a*/ plan --comment --env default", "GITHUB_TOKEN=writes")
	}
	got := p.comments()
	if len(got) != 3 || !strings.HasPrefix(got[0], "<!-- pipe-plan . -->\n### pipe plan\n") ||
		!strings.HasPrefix(got[1], "<!-- pipe-plan services/a-%2D%3E%20b -->\n### pipe plan of `services/a--> b`\n") ||
		!strings.HasPrefix(got[2], "<!-- pipe-plan services/a-%2D%3E%20b default -->\n") {
		t.Errorf("%q", got)
	}
	if n := p.f.Count("PATCH", "/comments"); n != 0 {
		t.Errorf("%d comments were edited", n)
	}
}

func TestTheTokenOfAForkMayNotWrite(t *testing.T) {
	p := pull(t, true, map[string]string{"pipe.yaml": plainStages, "in": "1\n"})
	for _, env := range []string{"GITHUB_TOKEN=reads", "NONE=1"} {
		stdout, stderr := p.check("pipe plan --comment", env)
		if stdout != planned || !strings.Contains(stderr, "note: no comment was written: the pull request comes from a fork") {
			t.Errorf("%s: %q, %q", env, stdout, stderr)
		}
	}
	stdout, _ := p.check("pipe plan --comment --json", "GITHUB_TOKEN=reads")
	var answer struct {
		Schema  string
		Pending bool
		Comment struct{ URL, Why string }
	}
	if err := json.Unmarshal([]byte(stdout), &answer); err != nil || answer.Schema != "pipe.plan/1" || !answer.Pending || answer.Comment.URL != "" || answer.Comment.Why == "" {
		t.Errorf("%v: %s", err, stdout)
	}
	if got := p.comments(); len(got) > 0 {
		t.Errorf("%q", got)
	}
}

func TestACommentThatCannotBeWrittenIsAnError(t *testing.T) {
	p := pull(t, false, map[string]string{"pipe.yaml": plainStages, "in": "1\n"})
	for _, k := range []struct {
		script, env string
		code        int
		plan        bool
		words       string
	}{
		{"pipe plan --comment", "GITHUB_TOKEN=reads", 4, true, "write the comment: the server answered 403 Forbidden"},
		{"pipe plan --comment", "GITHUB_TOKEN=wrong", 4, true, "401 Unauthorized"},
		{"pipe plan --comment", "NONE=1", 4, false, "env: {GITHUB_TOKEN: \"${{ github.token }}\"}"},
		{"pipe plan --comment --pr 99", "GITHUB_TOKEN=writes", 8, true, "404 Not Found"},
		{"pipe plan --comment --pr 0", "GITHUB_TOKEN=writes", 2, false, "--pr must be"},
		{"pipe plan --pr 7", "GITHUB_TOKEN=writes", 2, false, "pipe plan --comment --pr 7"},
		{`env -i PATH="$PATH" pipe plan --comment`, "GITHUB_TOKEN=writes", 2, false, "GitHub Actions only"},
		{"GITHUB_EVENT_NAME=push GITHUB_REF=refs/heads/main GITHUB_REF_NAME=main pipe plan --comment", "GITHUB_TOKEN=writes", 2, false, "pipe plan --comment --pr NUMBER"},
		{"GITHUB_API_URL=http://api.example.com pipe plan --comment", "GITHUB_TOKEN=writes", 2, false, "must begin with https://"},
		{"GITHUB_ACTOR='dependabot[bot]' pipe plan --comment", "GITHUB_TOKEN=reads", 0, true, "Dependabot"},
	} {
		code, stdout, stderr := p.run(k.script, k.env)
		if code != k.code || (stdout == planned) != k.plan || !strings.Contains(stderr, k.words) {
			t.Errorf("%s (%s): %d, %q, %q", k.script, k.env, code, stdout, stderr)
		}
	}
	if got := p.comments(); len(got) > 0 {
		t.Errorf("%q", got)
	}
	p.check("GITHUB_EVENT_NAME=push GITHUB_REF=refs/heads/main pipe plan --comment --pr "+fmt.Sprint(p.n), "GITHUB_TOKEN=writes")
	if got := p.comments(); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

func TestAPlanThatFailsIsShownAsFarAsItGoes(t *testing.T) {
	p := pull(t, false, map[string]string{"pipe.yaml": plainStages + "  b:\n    cmd: cp absent two\n    deps: [absent]\n    outs: [two]\n", "in": "1\n"})
	code, stdout, stderr := p.run("pipe plan --comment", "GITHUB_TOKEN=writes")
	got := p.comments()
	if code == 0 || !strings.Contains(stdout, "a  run") || !strings.Contains(stderr, "absent") || len(got) != 1 ||
		!strings.Contains(got[0], "**The plan is not complete:** `") || !strings.Contains(got[0], "| `b` | unknown |") {
		t.Errorf("%d, %q, %q, %q", code, stdout, stderr, got)
	}
}

func TestALargePlanIsCut(t *testing.T) {
	var yaml strings.Builder
	yaml.WriteString("stages:\n")
	for i := range 2500 {
		fmt.Fprintf(&yaml, "  stage-with-a-name-%04d:\n    cmd: cp in out%d\n    deps: [in]\n    outs: [out%d]\n", i, i, i)
	}
	p := pull(t, false, map[string]string{"pipe.yaml": yaml.String(), "in": "1\n"})
	p.check("pipe plan --comment -q", "GITHUB_TOKEN=writes")
	got := p.comments()
	if len(got) != 1 || len(got[0]) > 65536 || len(got[0]) < 60000 {
		t.Fatalf("%d comments, %d bytes", len(got), len(strings.Join(got, "")))
	}
	rows := strings.Count(got[0], "| run |")
	want := fmt.Sprintf("\nand %d more stages; see [the job's log](<%s/octo/app/actions/runs/", 2500-rows, p.f.URL)
	if !strings.Contains(got[0], want) || !strings.HasSuffix(got[0], "\nCommit "+p.head+"\n") {
		t.Errorf("%d rows: ...%q", rows, got[0][len(got[0])-300:])
	}
}

func TestNothingFromOutsideActsInTheComment(t *testing.T) {
	const evil = "a|b`@octocat fixes #1 <b> (y) __c__ \u202e"
	remote := t.TempDir()
	long := strings.Repeat("d", 200) + "/" + strings.Repeat("e", 200)
	yaml := "project: app\nremote:\n  main: {url: " + remote + "}\nstages:\n  a:\n    cmd: cp a* out\n    deps: ['" + evil + "']\n    outs: [out]\n" +
		"  b:\n    cmd: cp ddd*/* two\n    deps: [" + long + "]\n    outs: [two]\n"
	p := pull(t, false, map[string]string{"pipe.yaml": yaml, evil: "1\n", long: "1\n"})
	p.check("pipe repro -q && echo 2 > '"+evil+"' && echo 2 > "+long+" && pipe plan --comment", "GITHUB_TOKEN=writes")
	want := "| `a` | run | `a`&#124;`b`&#96;`@octocat fixes #1 <b> (y) __c__ \\u202e changed` |\n| `b` | run | `" + long[:300] + "…` |\n"
	if got := p.comments(); len(got) != 1 || !strings.Contains(got[0], want) {
		t.Errorf("%q", got)
	}
}

func TestTheCommentSaysWhatWouldBeDeployedWhere(t *testing.T) {
	remote := t.TempDir()
	files := map[string]string{"in": "1\n", "pipe.yaml": "project: app\nremote:\n  main: {url: " + remote + "}\n" + plainStages +
		"  live:\n    cmd: cat out\n    deps: [out]\n    deploy: true\n" +
		"environments:\n  staging: {auto: main}\n  production: {from: staging, auto: true}\n  demo: {}\n"}
	p := pull(t, false, files)
	p.check("pipe deploy staging", "GITHUB_TOKEN=writes")
	stdout, _ := p.check("pipe plan --comment", "GITHUB_TOKEN=writes")
	if !strings.Contains(stdout, "\nstaging:\n") || !strings.Contains(stdout, "\nproduction:\n") {
		t.Errorf("%s", stdout)
	}
	got := strings.Join(p.comments(), "")
	for _, want := range []string{
		"1 up to date.",
		"| Environment | Deployed | Outcome | Stages | Reason |\n",
		"| `staging` | on branch `main` | current |  | `live in staging` |\n",
		"| `production` | after `staging` |",
		"| `demo` | by hand | planned | `live` |  |\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	p.check("pipe plan --comment --env demo", "GITHUB_TOKEN=writes")
	if all := p.comments(); len(all) != 2 || !strings.Contains(all[1], "pipe plan for `demo`\n\n1 to deploy, 1 up to date.") || !strings.Contains(all[1], "| `live` | deploy | `not deployed to demo yet` |") {
		t.Errorf("%q", all)
	}
}

func TestAPlanWithoutTheRemoteIsStillAPlan(t *testing.T) {
	p := pull(t, false, map[string]string{"in": "1\n", "pipe.yaml": "project: app\nremote:\n  main: {url: \"s3://bucket/x\", endpoint: \"http://127.0.0.1:9\"}\n" + plainStages +
		"  live:\n    cmd: cat out\n    deps: [out]\n    deploy: true\nenvironments:\n  staging: {auto: main}\n"})
	stdout, _ := p.check("pipe plan --comment --no-pull", "GITHUB_TOKEN=writes", "AWS_EC2_METADATA_DISABLED=true")
	got := strings.Join(p.comments(), "")
	if !strings.Contains(stdout, "failed: ") || !strings.Contains(got, "| `staging` | on branch `main` | not known |  | `") || !strings.Contains(got, "no AWS credentials") {
		t.Errorf("%s\n%s", stdout, got)
	}
}
