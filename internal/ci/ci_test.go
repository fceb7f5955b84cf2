package ci_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/ci"
)

// gitHub is what all runs of a repository on GitHub have.
var gitHub = []string{
	"CI=true", "GITHUB_ACTIONS=true", "GITHUB_REPOSITORY=acme/shop", "GITHUB_ACTOR=ann", "GITHUB_API_URL=https://api.github.com",
	"GITHUB_SERVER_URL=https://github.com", "GITHUB_RUN_ID=42", "GITHUB_RUN_ATTEMPT=1",
}

// onMain is what a run of the default branch has, and some others that are not of one.
var onMain = []string{"GITHUB_REF=refs/heads/main", "GITHUB_REF_NAME=main", "GITHUB_REF_TYPE=branch", "GITHUB_HEAD_REF=", "GITHUB_BASE_REF="}

// repository is the member of that name in GitHub's payloads.
const repository = `"repository":{"full_name":"acme/shop","default_branch":"main"}`

// pull is a payload of a pull request that comes from a repository.
func pull(from string) string {
	return `{"action":"opened","number":7,"pull_request":{"number":7,"head":{"ref":"fix","sha":"c0ffee","repo":{"full_name":"` + from + `"}},"base":{"ref":"main"}},` + repository + `}`
}

// The variables and refs of these two tests are those that docs.github.com has on "Variables reference" and
// "Events that trigger workflows".
func TestWhatGitHubSaysOfABranchOrATag(t *testing.T) {
	main := func(r *ci.Run) { r.Event, r.Branch = ci.OfBranch, "main" }
	asked := func(r *ci.Run) { r.Event, r.Branch, r.Asked = ci.OfBranch, "main", true }
	checkGitHub(t, map[string]onGitHub{
		"push":                {append(onMain, "GITHUB_EVENT_NAME=push"), `{"ref":"refs/heads/main",` + repository + `}`, main},
		"schedule":            {append(onMain, "GITHUB_EVENT_NAME=schedule"), `{"schedule":"0 3 * * *",` + repository + `}`, asked},
		"workflow_dispatch":   {append(onMain, "GITHUB_EVENT_NAME=workflow_dispatch"), `{"inputs":{"number":"x"},` + repository + `}`, asked},
		"repository_dispatch": {append(onMain, "GITHUB_EVENT_NAME=repository_dispatch"), `{"client_payload":{"number":[]},` + repository + `}`, asked},
		"a comment is of the default branch": {
			append(onMain, "GITHUB_EVENT_NAME=issue_comment"), `{"issue":{"number":7,"pull_request":{}},` + repository + `}`, main,
		},
		"a branch with slashes": {
			[]string{"GITHUB_EVENT_NAME=push", "GITHUB_REF=refs/heads/pull/7", "GITHUB_REF_NAME=pull/7", "GITHUB_REF_TYPE=branch"},
			`{` + repository + `}`,
			func(r *ci.Run) { r.Event, r.Branch = ci.OfBranch, "pull/7" },
		},
		"a tag": {
			[]string{"GITHUB_EVENT_NAME=push", "GITHUB_REF=refs/tags/v1/x", "GITHUB_REF_NAME=v1/x", "GITHUB_REF_TYPE=tag"},
			`{` + repository + `}`,
			func(r *ci.Run) { r.Event, r.Tag = ci.OfTag, "v1/x" },
		},
		"a tag of an old runner": {[]string{"GITHUB_EVENT_NAME=release", "GITHUB_REF=refs/tags/v1", "GITHUB_REF_NAME=v1"}, `{` + repository + `}`, func(r *ci.Run) { r.Event, r.Tag = ci.OfTag, "v1" }},
		"run again by somebody else": {append(onMain, "GITHUB_EVENT_NAME=push", "GITHUB_RUN_ATTEMPT=3", "GITHUB_TRIGGERING_ACTOR=bob"), `{` + repository + `}`, func(r *ci.Run) {
			main(r)
			r.Actor, r.URL = "bob", r.URL+"/attempts/3"
		}},
		"a server of one's own": {append(onMain, "GITHUB_EVENT_NAME=push", "GITHUB_SERVER_URL=https://git.acme", "GITHUB_API_URL=https://git.acme/api/v3/"), `{` + repository + `}`, func(r *ci.Run) {
			main(r)
			r.API, r.Home, r.URL = "https://git.acme/api/v3", "https://git.acme/acme/shop", "https://git.acme/acme/shop/actions/runs/42"
		}},
	})
}

// The ref of a workflow_run is that of the default branch, also behind the run of a pull request.
func TestARunBehindAnotherIsOfWhatThatOneWasOf(t *testing.T) {
	behind := append(onMain, "GITHUB_EVENT_NAME=workflow_run")
	after := func(event, from, pulls string) string {
		return `{"workflow_run":{"event":"` + event + `","head_branch":"fix","head_sha":"c0ffee","head_repository":{"full_name":"` + from + `"},"pull_requests":` + pulls + `},` + repository + `}`
	}
	checkGitHub(t, map[string]onGitHub{
		"a push": {behind, after("push", "acme/shop", "[]"), func(r *ci.Run) { r.Event, r.Branch = ci.OfBranch, "fix" }},
		"a pull request": {behind, after("pull_request", "acme/shop", `[{"number":7,"base":{"ref":"main"}}]`), func(r *ci.Run) {
			r.Event, r.Branch, r.Base, r.Number, r.Head = ci.OfPullRequest, "fix", "main", 7, "c0ffee"
		}},
		"a fork's pull request": {behind, after("pull_request_target", "eve/shop", "[]"), func(r *ci.Run) {
			r.Event, r.Branch, r.Head, r.Fork = ci.OfPullRequest, "fix", "c0ffee", true
		}},
		"a clock": {behind, after("schedule", "acme/shop", "[]"), func(r *ci.Run) { r.Event, r.Branch = ci.OfBranch, "main" }},
	})
}

func TestWhatGitHubSaysOfAPullRequest(t *testing.T) {
	onPull := []string{"GITHUB_EVENT_NAME=pull_request", "GITHUB_REF=refs/pull/7/merge", "GITHUB_REF_NAME=7/merge", "GITHUB_REF_TYPE=branch", "GITHUB_HEAD_REF=fix", "GITHUB_BASE_REF=main"}
	asked := func(r *ci.Run) {
		r.Event, r.Branch, r.Base, r.Number, r.Head = ci.OfPullRequest, "fix", "main", 7, "c0ffee"
	}
	forked := func(r *ci.Run) {
		asked(r)
		r.Fork = true
	}
	checkGitHub(t, map[string]onGitHub{
		"pull_request":                        {onPull, pull("acme/shop"), asked},
		"pull_request of a fork":              {onPull, pull("eve/shop"), forked},
		"pull_request of a fork that is gone": {onPull, `{"pull_request":{"number":7,"head":{"sha":"c0ffee","repo":null}},` + repository + `}`, forked},
		"pull_request_target": {
			append(onMain, "GITHUB_EVENT_NAME=pull_request_target", "GITHUB_HEAD_REF=fix", "GITHUB_BASE_REF=main"), pull("eve/shop"),
			forked,
		},
		"a review":                      {[]string{"GITHUB_EVENT_NAME=pull_request_review", "GITHUB_REF=refs/pull/7/merge", "GITHUB_REF_NAME=7/merge", "GITHUB_REF_TYPE=branch"}, pull("acme/shop"), asked},
		"a pull request that is merged": {append(onMain, "GITHUB_EVENT_NAME=pull_request", "GITHUB_HEAD_REF=fix", "GITHUB_BASE_REF=main"), pull("acme/shop"), asked},
		"merge_group": {
			[]string{"GITHUB_EVENT_NAME=merge_group", "GITHUB_REF=refs/heads/gh-readonly-queue/fix/pr-1/pr-7-0a1b", "GITHUB_REF_NAME=gh-readonly-queue/fix/pr-1/pr-7-0a1b", "GITHUB_REF_TYPE=branch"},
			`{"merge_group":{"base_ref":"refs/heads/fix/pr-1"},` + repository + `}`,
			func(r *ci.Run) { r.Event, r.Base = ci.OfPullRequest, "fix/pr-1" },
		},
	})
}

// onGitHub is a run on GitHub, its payload, and what it adds to what all runs say.
type onGitHub struct {
	env     []string
	payload string
	want    func(r *ci.Run)
}

func checkGitHub(t *testing.T, rows map[string]onGitHub) {
	t.Helper()
	for name, c := range rows {
		want := ci.Run{
			System: ci.GitHub, Active: true, Repository: "acme/shop", Actor: "ann", API: "https://api.github.com",
			Default: "main", URL: "https://github.com/acme/shop/actions/runs/42", Home: "https://github.com/acme/shop",
		}
		c.want(&want)
		if got := ci.Detect(environ(gitHub, c.env, "GITHUB_EVENT_PATH="+file(t, c.payload))); got != want {
			t.Errorf("%s:\n%+v, want\n%+v", name, got, want)
		}
	}
}

func TestAPayloadThatCannotBeReadSaysNothing(t *testing.T) {
	want := ci.Run{
		System: ci.GitHub, Active: true, Repository: "acme/shop", Actor: "ann", API: "https://api.github.com",
		URL: "https://github.com/acme/shop/actions/runs/42", Home: "https://github.com/acme/shop", Event: ci.OfPullRequest, Branch: "fix", Base: "main", Number: 7, Fork: true,
	}
	good := pull("acme/shop")
	for name, path := range map[string]string{
		"none":           "",
		"absent":         filepath.Join(t.TempDir(), "absent.json"),
		"a directory":    t.TempDir(),
		"no JSON":        file(t, good[:len(good)-1]),
		"another form":   file(t, strings.Replace(good, `"number":7`, `"number":"7"`, 2)),
		"more than JSON": file(t, good+"x"),
		"huge":           file(t, good+strings.Repeat(" ", 32<<20)),
	} {
		env := environ(gitHub, []string{"GITHUB_EVENT_NAME=pull_request", "GITHUB_REF=refs/pull/7/merge", "GITHUB_HEAD_REF=fix", "GITHUB_BASE_REF=main", "GITHUB_EVENT_PATH=" + path})
		if got := ci.Detect(env); got != want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// The variables are those of docs.gitlab.com, "Predefined CI/CD variables reference".
func TestWhatGitLabSays(t *testing.T) {
	always := []string{"CI=true", "GITLAB_CI=true", "CI_DEFAULT_BRANCH=main", "CI_JOB_URL=https://gitlab.com/acme/web/shop/-/jobs/1", "GITLAB_USER_LOGIN=ann", "CI_PROJECT_PATH=acme/web/shop", "CI_PROJECT_URL=https://gitlab.com/acme/web/shop"}
	merge := []string{
		"CI_MERGE_REQUEST_IID=7", "CI_MERGE_REQUEST_ID=900", "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME=fix", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME=main",
		"CI_MERGE_REQUEST_PROJECT_ID=1", "CI_MERGE_REQUEST_SOURCE_PROJECT_ID=1", "CI_COMMIT_REF_NAME=fix", "CI_MERGE_REQUEST_EVENT_TYPE=detached",
	}
	run := ci.Run{System: ci.GitLab, Active: true, Default: "main", URL: "https://gitlab.com/acme/web/shop/-/jobs/1", Actor: "ann", Repository: "acme/web/shop", Home: "https://gitlab.com/acme/web/shop"}
	check(t, run, always, map[string]row{
		"a branch":                {[]string{"CI_COMMIT_BRANCH=main", "CI_COMMIT_REF_NAME=main", "CI_PIPELINE_SOURCE=push"}, ci.Run{Event: ci.OfBranch, Branch: "main"}},
		"a schedule":              {[]string{"CI_COMMIT_BRANCH=main", "CI_COMMIT_REF_NAME=main", "CI_PIPELINE_SOURCE=schedule"}, ci.Run{Event: ci.OfBranch, Branch: "main", Asked: true}},
		"a branch with a request": {[]string{"CI_COMMIT_BRANCH=fix", "CI_OPEN_MERGE_REQUESTS=acme/web/shop!7"}, ci.Run{Event: ci.OfBranch, Branch: "fix"}},
		"a tag":                   {[]string{"CI_COMMIT_TAG=v1", "CI_COMMIT_REF_NAME=v1"}, ci.Run{Event: ci.OfTag, Tag: "v1"}},
		"a merge request":         {merge, ci.Run{Event: ci.OfPullRequest, Branch: "fix", Base: "main", Number: 7}},
		"a merge train":           {append(merge, "CI_MERGE_REQUEST_EVENT_TYPE=merge_train"), ci.Run{Event: ci.OfPullRequest, Branch: "fix", Base: "main", Number: 7}},
		"a fork's merge request":  {append(merge, "CI_MERGE_REQUEST_SOURCE_PROJECT_ID=2"), ci.Run{Event: ci.OfPullRequest, Branch: "fix", Base: "main", Number: 7, Fork: true}},
		"an external pull request": {
			[]string{
				"CI_COMMIT_BRANCH=fix", "CI_EXTERNAL_PULL_REQUEST_IID=7", "CI_EXTERNAL_PULL_REQUEST_SOURCE_BRANCH_NAME=fix", "CI_EXTERNAL_PULL_REQUEST_TARGET_BRANCH_NAME=main",
				"CI_EXTERNAL_PULL_REQUEST_SOURCE_REPOSITORY=eve/shop", "CI_EXTERNAL_PULL_REQUEST_TARGET_REPOSITORY=acme/shop",
			},
			ci.Run{Event: ci.OfPullRequest, Branch: "fix", Base: "main", Number: 7, Fork: true},
		},
	})
}

// The variables are those of circleci.com/docs/variables.
func TestWhatCircleCISays(t *testing.T) {
	always := []string{"CI=true", "CIRCLECI=true", "CIRCLE_BUILD_URL=https://circleci.com/gh/acme/shop/1", "CIRCLE_USERNAME=ann", "CIRCLE_PROJECT_USERNAME=acme", "CIRCLE_PROJECT_REPONAME=shop"}
	run := ci.Run{System: ci.CircleCI, Active: true, URL: "https://circleci.com/gh/acme/shop/1", Actor: "ann", Repository: "acme/shop"}
	check(t, run, always, map[string]row{
		"a branch":       {[]string{"CIRCLE_BRANCH=main"}, ci.Run{Event: ci.OfBranch, Branch: "main"}},
		"a tag":          {[]string{"CIRCLE_TAG=v1"}, ci.Run{Event: ci.OfTag, Tag: "v1"}},
		"a pull request": {[]string{"CIRCLE_BRANCH=fix", "CIRCLE_PULL_REQUEST=https://github.com/acme/shop/pull/7"}, ci.Run{Event: ci.OfPullRequest, Branch: "fix", Number: 7}},
		"a fork's pull request": {
			[]string{"CIRCLE_BRANCH=pull/7", "CIRCLE_PULL_REQUEST=https://github.com/acme/shop/pull/7", "CIRCLE_PR_NUMBER=7", "CIRCLE_PR_REPONAME=shop", "CIRCLE_PR_USERNAME=eve"},
			ci.Run{Event: ci.OfPullRequest, Branch: "pull/7", Number: 7, Fork: true},
		},
		"a fork's pull request without an address": {[]string{"CIRCLE_BRANCH=pull/7"}, ci.Run{Event: ci.OfPullRequest, Branch: "pull/7", Number: 7, Fork: true}},
		"a branch that looks like one":             {[]string{"CIRCLE_BRANCH=pull/docs"}, ci.Run{Event: ci.OfBranch, Branch: "pull/docs"}},
		"a merge queue":                            {[]string{"CIRCLE_BRANCH=gh-readonly-queue/main/pr-7-0a1b"}, ci.Run{Event: ci.OfPullRequest, Base: "main"}},
	})
}

// The variables are those of buildkite.com/docs/pipelines/environment-variables.
func TestWhatBuildkiteSays(t *testing.T) {
	always := []string{
		"CI=true", "BUILDKITE=true", "BUILDKITE_PIPELINE_DEFAULT_BRANCH=main", "BUILDKITE_BUILD_URL=https://buildkite.com/acme/shop/builds/1",
		"BUILDKITE_BUILD_CREATOR=Ann", "BUILDKITE_REPO=git@github.com:acme/shop.git", "BUILDKITE_TAG=",
	}
	none := []string{"BUILDKITE_PULL_REQUEST=false", "BUILDKITE_PULL_REQUEST_REPO=", "BUILDKITE_PULL_REQUEST_BASE_BRANCH="}
	asked := []string{"BUILDKITE_BRANCH=fix", "BUILDKITE_PULL_REQUEST=7", "BUILDKITE_PULL_REQUEST_BASE_BRANCH=main", "BUILDKITE_PULL_REQUEST_REPO=git://github.com/acme/shop.git"}
	run := ci.Run{System: ci.Buildkite, Active: true, Default: "main", URL: "https://buildkite.com/acme/shop/builds/1", Actor: "Ann"}
	check(t, run, always, map[string]row{
		"a branch":              {append(none, "BUILDKITE_BRANCH=main", "BUILDKITE_SOURCE=webhook"), ci.Run{Event: ci.OfBranch, Branch: "main"}},
		"a schedule":            {append(none, "BUILDKITE_BRANCH=main", "BUILDKITE_SOURCE=schedule"), ci.Run{Event: ci.OfBranch, Branch: "main", Asked: true}},
		"a tag":                 {append(none, "BUILDKITE_BRANCH=v1", "BUILDKITE_TAG=v1"), ci.Run{Event: ci.OfTag, Tag: "v1"}},
		"a pull request":        {asked, ci.Run{Event: ci.OfPullRequest, Branch: "fix", Base: "main", Number: 7}},
		"a fork's pull request": {append(asked, "BUILDKITE_BRANCH=eve:fix", "BUILDKITE_PULL_REQUEST_REPO=https://github.com/eve/shop"), ci.Run{Event: ci.OfPullRequest, Branch: "eve:fix", Base: "main", Number: 7, Fork: true}},
		"a merge queue":         {append(none, "BUILDKITE_BRANCH=gh-readonly-queue/main/pr-7-0a1b", "BUILDKITE_MERGE_QUEUE_BASE_BRANCH=main"), ci.Run{Event: ci.OfPullRequest, Base: "main"}},
	})
}

func TestAnotherSystemSaysOnlyThatNobodyIsThere(t *testing.T) {
	for set, want := range map[string]ci.Run{
		"CI=true": {Active: true}, "CI=1": {Active: true}, "CI=false": {}, "CI=": {}, "GITHUB_ACTIONS=false": {}, "GITHUB_REF_NAME=main": {},
	} {
		if got := ci.Detect([]string{set}); got != want {
			t.Errorf("%s: %+v", set, got)
		}
	}
}

func TestACommitHasAPageWhereTheSystemIsTheForge(t *testing.T) {
	for want, r := range map[string]ci.Run{
		"https://github.com/acme/shop/commit/c0":   {System: ci.GitHub, Home: "https://github.com/acme/shop"},
		"https://gitlab.com/acme/shop/-/commit/c0": {System: ci.GitLab, Home: "https://gitlab.com/acme/shop"},
		"": {System: ci.CircleCI},
	} {
		if got := r.Page("c0"); got != want || r.Page("") != "" {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// row is a run, and what it adds to what all of its system say.
type row struct {
	env  []string
	adds ci.Run
}

func check(t *testing.T, run ci.Run, always []string, rows map[string]row) {
	t.Helper()
	for name, c := range rows {
		want := run
		want.Event, want.Branch, want.Base, want.Tag, want.Number, want.Fork, want.Asked = c.adds.Event, c.adds.Branch, c.adds.Base, c.adds.Tag, c.adds.Number, c.adds.Fork, c.adds.Asked
		if got := ci.Detect(environ(always, c.env)); got != want {
			t.Errorf("%s:\n%+v, want\n%+v", name, got, want)
		}
	}
}

// environ joins variables; the last value of one counts.
func environ(always, more []string, last ...string) []string {
	values, names := map[string]string{}, []string{}
	for _, list := range [][]string{always, more, last} {
		for _, v := range list {
			name, value, _ := strings.Cut(v, "=")
			if _, known := values[name]; !known {
				names = append(names, name)
			}
			values[name] = value
		}
	}
	for i, name := range names {
		names[i] = name + "=" + values[name]
	}
	return names
}

// file returns a file with this content.
func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "event.json")
	if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAPartOfTheVariablesIsEnoughInCI(t *testing.T) {
	for text, want := range map[string]ci.Run{
		"GITHUB_REF_NAME=main":        {System: ci.GitHub, Event: ci.OfBranch, Branch: "main"},
		"GITHUB_REF=refs/heads/a/b":   {System: ci.GitHub, Event: ci.OfBranch, Branch: "a/b"},
		"GITHUB_REF=refs/tags/v1":     {System: ci.GitHub, Event: ci.OfTag, Tag: "v1"},
		"GITHUB_ACTOR=ann":            {System: ci.GitHub, Actor: "ann"},
		"CI_COMMIT_BRANCH=main":       {System: ci.GitLab, Event: ci.OfBranch, Branch: "main"},
		"GITLAB_USER_LOGIN=ann":       {System: ci.GitLab, Actor: "ann"},
		"CIRCLE_BRANCH=main":          {System: ci.CircleCI, Event: ci.OfBranch, Branch: "main"},
		"CIRCLE_USERNAME=ann":         {System: ci.CircleCI, Actor: "ann"},
		"BUILDKITE_BRANCH=main":       {System: ci.Buildkite, Event: ci.OfBranch, Branch: "main"},
		"BUILDKITE_BUILD_CREATOR=ann": {System: ci.Buildkite, Actor: "ann"},
	} {
		want.Active = true
		if got := ci.Detect([]string{"CI=true", text}); got != want {
			t.Errorf("%s: %+v", text, got)
		}
	}
}
