package workflow

import (
	"strconv"
	"strings"

	"github.com/pipe-build/pipe/internal/yamldoc"
)

// The actions that the workflow uses, each pinned by the commit of its newest version.
const (
	checkoutAction = "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1"
	awsAction      = "aws-actions/configure-aws-credentials@e6de054238d6b7531b4efff3b6587d9aade6a06c # v6.2.3"
)

// Conditions of jobs and steps.
const (
	ofPull    = "github.event_name == 'pull_request'"
	ofSource  = "github.event_name == 'repository_dispatch'"
	notSource = "github.event_name != 'repository_dispatch'"
	// In a merge queue nothing is merged yet.
	unmerged  = "(" + ofPull + " || github.event_name == 'merge_group')"
	merged    = "github.event_name != 'pull_request' && github.event_name != 'merge_group'"
	notOfFork = "github.event.pull_request.head.repo.full_name == github.repository"
	canRead   = "vars.AWS_PLAN_ROLE != ''"
	hasKey    = "vars.AWS_PLAN_ACCESS_KEY_ID != ''"
)

// github is the workflow.
func github(p Project) string {
	return events(p) + plan(p) + check(p) + matrix(p) + ci(p)
}

// events says when the workflow runs, and how often at once.
func events(p Project) string {
	branches := make([]string, len(p.Branches))
	for i, b := range p.Branches {
		branches[i] = filter(b)
	}
	return `# Written by pipe init ci github. Edit it as you like: pipe overwrites a changed file only with --force.
name: ` + yamldoc.Quote(p.Title) + `
on:
  push:
    branches: [` + strings.Join(branches, ", ") + `]
  pull_request:
  merge_group:
  workflow_dispatch:
` + when(p.Sources, `  # The repositories under sources: in pipe.yaml send it after a push:
  #   gh api repos/OWNER/NAME/dispatches -f event_type=pipe-source
  # Twice or out of order gives the same result, because pipe update takes the newest commit.
  repository_dispatch:
    types: [pipe-source]
`) + `
permissions: {} # each job asks for what it needs

# In a shared group GitHub cancels the waiting run when a newer one comes, and that commit would never be built.
# So each push has a group of its own; pipe lets deployments to one environment wait for each other.
# Of a pull request only the newest run counts.
concurrency:
  group: ${{ github.workflow }}-${{ github.event.pull_request.number || github.run_id }}
  cancel-in-progress: ${{ ` + ofPull + ` }}

defaults:
  run:
    shell: bash
` + when(p.Dir != "", "    working-directory: "+literal(p.Dir)+"\n") + `
jobs:`
}

// plan is the job that says what a pull request changes. It runs no command of the project, so it may
// hold a token that writes comments.
func plan(p Project) string {
	condition := ofPull
	if p.AWS || p.Endpoint != "" || p.Comment {
		condition += " && " + notOfFork // it can neither read the remote nor write a comment
	}
	condition += when(p.AWS, " && "+canRead) + when(p.Endpoint != "", " && "+hasKey)
	run := "pipe plan || [ $? -eq 3 ] # 3: there is something to do"
	if p.Comment {
		run = "exec pipe plan --comment"
	}
	return `
  # Shows what the pull request changes. This job runs no command of the project.
  plan:
    if: ` + condition + machine(10) + when(p.Comment, `
      pull-requests: write # the comment`) + token(p, "which may only read") + `
    steps:` + checkout(false) + setup(p) + reader(p) + `
      - run: ` + run + env(when(p.Comment, apiToken), keys(p, "vars.AWS_PLAN_", "secrets.AWS_PLAN_")) + "\n"
}

// check is the job that builds pull requests.
func check(p Project) string {
	return `
  # Builds and checks the pull request, also one from a fork. Nothing is published, committed or deployed.
  check:
    if: ` + unmerged + machine(60) + token(p, "which may only read") + `
    steps:` + checkout(false) + setup(p) + reader(p) + `
      - run: exec pipe ci` + env(keys(p, "vars.AWS_PLAN_", "secrets.AWS_PLAN_")) + "\n"
}

// matrix are the jobs that build on several machines. Each takes from the remote what earlier waves made.
func matrix(p Project) string {
	if p.Waves == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString(`
  # Finds the stages that must run. A stage is in a later wave than those that it needs.
  matrix:
    if: ` + merged + machine(10) + token(p, "") + `
    outputs:`)
	for n := range p.Waves {
		name := "matrix-" + strconv.Itoa(n+1)
		b.WriteString("\n      " + name + ": ${{ steps.plan.outputs." + name + " }}")
	}
	b.WriteString(`
    steps:` + checkout(false) + setup(p) + writer(p) + `
      - id: plan
        run: exec pipe plan --matrix` + env(writerKeys(p), secrets(p.BuildSecrets)) + "\n") // a key tells whether a secret is set
	for n := range p.Waves {
		b.WriteString(wave(p, n+1))
	}
	return b.String()
}

// wave is the jobs of one wave.
func wave(p Project, n int) string {
	name := strconv.Itoa(n)
	return `
  wave-` + name + `:
    name: ${{ matrix.stage }}
    needs: [` + strings.Join(upto(n-1), ", ") + `]
    # GitHub fails on an empty matrix.
    if: ${{ !cancelled() && !failure() && needs.matrix.result == 'success' && needs.matrix.outputs.matrix-` + name + ` != '' }}
    strategy:
      fail-fast: false
      matrix: ${{ fromJSON(needs.matrix.outputs.matrix-` + name + `) }}` + machine(60) + token(p, "") + `
    steps:` + checkout(false) + setup(p) + writer(p) + `
      - run: |
          read -ra stages <<<"$STAGES" # more than one where a wave has over 256
          exec pipe repro --push --no-deploy "${stages[@]}"` + env("\n          STAGES: ${{ matrix.stage }}", writerKeys(p), secrets(p.BuildSecrets)) + "\n"
}

// upto are the names of the jobs before the wave behind n.
func upto(n int) []string {
	names := []string{"matrix"}
	for i := range n {
		names = append(names, "wave-"+strconv.Itoa(i+1))
	}
	return names
}

// ci is the one job that writes.
func ci(p Project) string {
	condition := "\n    if: " + merged
	if p.Waves > 0 {
		condition = "\n    needs: [" + strings.Join(upto(p.Waves), ", ") + "]\n    if: ${{ !cancelled() && !failure() && " + merged + " }}"
	}
	last := "\n      - "
	if p.Sources && p.Apart {
		last += "if: " + notSource + "\n        "
	}
	rights := machine(60)
	if p.Commits {
		rights = strings.Replace(rights, "contents: read", "contents: write # the commit of pipe.lock", 1)
	}
	return `
  # Builds, publishes, commits pipe.lock and deploys.
  ci:` + condition + rights + when(p.PullRequests, `
      pull-requests: write # the pull request with pipe.lock`) + token(p, "") + `
    steps:` + checkout(p.Commits) + setup(p) + writer(p) + apart(p) + last + `run: exec pipe ci # exec: when the job is cancelled, pipe gets the signal` + ciEnv(p) + "\n"
}

// apart is the step for what pipe update has found, where the commit of pipe.lock does not go to the branch itself.
// What is deployed before that is merged would count as edited, and go to no further environment: the merge deploys.
func apart(p Project) string {
	if !p.Sources || !p.Apart {
		return ""
	}
	return `
      - if: ` + ofSource + `
        run: exec pipe ci --no-deploy # the merge of pipe.lock deploys` + ciEnv(p)
}

// ciEnv is the environment of pipe ci.
func ciEnv(p Project) string {
	return env(when(p.PullRequests, apiToken), writerKeys(p), secrets(p.Secrets))
}

// machine is where a job runs, for how many minutes at most, and the least rights.
func machine(minutes int) string {
	return `
    runs-on: ubuntu-latest
    timeout-minutes: ` + strconv.Itoa(minutes) + `
    permissions:
      contents: read`
}

// token is the right to ask for a role in AWS.
func token(p Project, which string) string {
	return when(p.AWS, "\n      id-token: write # for the role in AWS"+when(which != "", ", "+which))
}

// checkout fetches one commit. Its credentials stay only where something is pushed.
func checkout(pushes bool) string {
	keep := "false"
	if pushes {
		keep = "true # to push the commit of pipe.lock"
	}
	return `
      - uses: ` + checkoutAction + `
        with:
          fetch-depth: 1
          persist-credentials: ` + keep
}

// setup installs pipe.
func setup(p Project) string {
	return `
      - uses: pipe-build/pipe/.github/actions/setup@` + p.Commit + ` # v` + p.Version + `
        with:
          version: ` + yamldoc.Quote(p.Version)
}

// reader takes the role of pull requests, which GitHub gives to none from a fork.
func reader(p Project) string {
	return when(p.AWS, `
      - if: `+canRead+` && `+notOfFork+` # none for forks
        uses: `+awsAction+role(p, "AWS_PLAN_ROLE"))
}

// writer takes the role that writes, and then the newest commits of the sources if one of them has sent the event.
func writer(p Project) string {
	return when(p.AWS, `
      - uses: `+awsAction+role(p, "AWS_ROLE")) + when(p.Sources, `
      - if: `+ofSource+`
        run: exec pipe update`)
}

func role(p Project, variable string) string {
	region := "${{ vars.AWS_REGION }}"
	if p.Region != "" {
		region = literal(p.Region)
	}
	return `
        with:
          role-to-assume: ${{ vars.` + variable + ` }}
          aws-region: ` + region
}

// apiToken is for GitHub's API.
const apiToken = "\n          GITHUB_TOKEN: ${{ github.token }}"

// keys are the credentials for a server that is not AWS, from what the names begin with. The key of pull
// requests is a variable, because a condition cannot ask for a secret.
func keys(p Project, id, secret string) string {
	return when(p.Endpoint != "", `
          AWS_ACCESS_KEY_ID: ${{ `+id+`ACCESS_KEY_ID }}
          AWS_SECRET_ACCESS_KEY: ${{ `+secret+`SECRET_ACCESS_KEY }}
          PIPE_TRUST_ENDPOINT: `+literal(p.Endpoint))
}

// writerKeys are the keys that may write.
func writerKeys(p Project) string { return keys(p, "secrets.AWS_", "secrets.AWS_") }

// secrets are variables that the project declares as secrets.
func secrets(names []string) (lines string) {
	for _, n := range names {
		lines += "\n          " + n + ": ${{ secrets." + n + " }}"
	}
	return lines
}

// env is the environment of a step, if there is one.
func env(variables ...string) string {
	all := strings.Join(variables, "")
	return when(all != "", "\n        env:"+all)
}
