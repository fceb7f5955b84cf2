// Package ci says what a CI system tells of the run that pipe is part of.
//
// Each system tells it by environment variables of its own, which Detect reads; GitHub also by a
// file with the event that started the run. Nothing else is read and nothing is asked. What a
// system does not say is empty, and the caller finds it out in another way or does without.
package ci

import (
	"slices"
	"strconv"
	"strings"

	"github.com/pipe-build/pipe/internal/shell"
)

// System is a CI system.
type System string

// The systems whose variables are known. None is any other one, and no CI system at all.
const (
	None      System = ""
	GitHub    System = "github"
	GitLab    System = "gitlab"
	CircleCI  System = "circleci"
	Buildkite System = "buildkite"
)

// Event is what started a run.
type Event string

// The events. A run that somebody starts by hand, or a clock, is of a branch or a tag.
const (
	OfBranch      Event = "branch"
	OfTag         Event = "tag"
	OfPullRequest Event = "pull-request" // also a merge queue: nobody has merged it yet
)

// Run is what a CI system says of a run.
type Run struct {
	System     System
	Active     bool   // CI is set: nobody is there to answer
	Event      Event  // "" where the system is not known
	Asked      bool   // a person, a clock or another repository started it: no push did. Not every system tells
	Commit     string // that the run is of: what a step has checked out since may be another one. "": not told
	Branch     string // whose commit is checked out; of a pull request, the branch that it comes from
	Base       string // of a pull request: the branch that it goes to
	Tag        string // of OfTag
	Default    string // the repository's default branch
	Number     int    // of the pull request; 0: it has none
	Head       string // commit of the pull request; CI often builds its merge with Base. "": not told
	Fork       bool   // the pull request comes from another repository
	Repository string // OWNER/NAME
	Home       string // the page of the repository
	URL        string // the page of the run
	Actor      string // who started it
	API        string // address of GitHub's API, without a slash at the end
}

// SystemOf returns the system that runs pipe, by variables in the form of os.Environ. It reads nothing else.
func SystemOf(environ []string) System {
	for _, s := range [...]struct {
		variable string
		system   System
	}{{"GITHUB_ACTIONS", GitHub}, {"GITLAB_CI", GitLab}, {"CIRCLECI", CircleCI}, {"BUILDKITE", Buildkite}} {
		if shell.IsSet(environ, s.variable) {
			return s.system
		}
	}
	return None
}

// Detect reads what the variables, in the form of os.Environ, say.
func Detect(environ []string) Run {
	v := vars(environ)
	r := Run{Active: shell.IsSet(environ, "CI"), System: SystemOf(environ)}
	if r.Active && r.System == None {
		r.System = v.told()
	}
	switch r.System {
	case GitHub:
		v.github(&r)
	case GitLab:
		v.gitlab(&r)
	case CircleCI:
		v.circleci(&r)
	case Buildkite:
		v.buildkite(&r)
	}
	r.unqueue()
	return r
}

// told returns the system whose other variables are there: a container often gets only some of them.
func (v vars) told() System {
	for _, s := range [...]struct {
		system    System
		variables []string
	}{
		{GitHub, []string{"GITHUB_REF", "GITHUB_REF_NAME", "GITHUB_ACTOR", "GITHUB_RUN_ID"}},
		{GitLab, []string{"CI_COMMIT_BRANCH", "CI_COMMIT_TAG", "CI_MERGE_REQUEST_IID", "CI_JOB_URL", "GITLAB_USER_LOGIN"}},
		{CircleCI, []string{"CIRCLE_BRANCH", "CIRCLE_TAG", "CIRCLE_BUILD_URL", "CIRCLE_USERNAME"}},
		{Buildkite, []string{"BUILDKITE_BRANCH", "BUILDKITE_TAG", "BUILDKITE_BUILD_URL", "BUILDKITE_BUILD_CREATOR"}},
	} {
		if slices.ContainsFunc(s.variables, func(name string) bool { return v.get(name) != "" }) {
			return s.system
		}
	}
	return None
}

// queue begins the names of the branches of GitHub's merge queue: gh-readonly-queue/main/pr-7-HASH.
// Every system that builds all branches builds them, too.
const queue = "gh-readonly-queue/"

// unqueue makes a pull request of what looks like a branch and is an entry of a merge queue: nobody
// has merged it yet.
func (r *Run) unqueue() {
	name, queued := strings.CutPrefix(r.Branch, queue)
	if r.Event != OfBranch || !queued {
		return
	}
	// The branch that it goes to may have slashes itself.
	if end := strings.LastIndex(name, "/pr-"); end >= 0 {
		name = name[:end]
	}
	r.Event, r.Branch, r.Base = OfPullRequest, "", name
}

// Page returns the address of a commit's page; "" where the system is not the one that keeps the repository.
func (r Run) Page(commit string) string {
	switch {
	case r.Home == "" || commit == "":
		return ""
	case r.System == GitLab:
		return r.Home + "/-/commit/" + commit
	}
	return r.Home + "/commit/" + commit
}

// vars are environment variables.
type vars []string

func (v vars) get(name string) string {
	value, _ := shell.Getenv(v, name)
	return value
}

// among reports whether a variable has one of these values.
func (v vars) among(name string, values ...string) bool { return slices.Contains(values, v.get(name)) }

func (v vars) number(name string) int {
	n, err := strconv.Atoi(v.get(name))
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// gitlab reads GitLab's predefined variables. CI_COMMIT_BRANCH is not there in pipelines of merge
// requests and of tags; an external pull request is one of a repository that is elsewhere.
func (v vars) gitlab(r *Run) {
	r.Commit = v.get("CI_COMMIT_SHA")
	r.Default, r.URL, r.Actor = v.get("CI_DEFAULT_BRANCH"), v.get("CI_JOB_URL"), v.get("GITLAB_USER_LOGIN")
	r.Repository, r.Home = v.get("CI_PROJECT_PATH"), v.get("CI_PROJECT_URL")
	r.Asked = v.among("CI_PIPELINE_SOURCE", "schedule", "web", "api", "trigger", "pipeline", "chat")
	switch {
	case v.get("CI_MERGE_REQUEST_IID") != "":
		r.Event, r.Branch, r.Base = OfPullRequest, v.get("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME"), v.get("CI_MERGE_REQUEST_TARGET_BRANCH_NAME")
		r.Number = v.number("CI_MERGE_REQUEST_IID")
		r.Fork = v.get("CI_MERGE_REQUEST_SOURCE_PROJECT_ID") != v.get("CI_MERGE_REQUEST_PROJECT_ID")
	case v.get("CI_EXTERNAL_PULL_REQUEST_IID") != "":
		r.Event, r.Branch, r.Base = OfPullRequest, v.get("CI_EXTERNAL_PULL_REQUEST_SOURCE_BRANCH_NAME"), v.get("CI_EXTERNAL_PULL_REQUEST_TARGET_BRANCH_NAME")
		r.Number = v.number("CI_EXTERNAL_PULL_REQUEST_IID")
		r.Fork = v.get("CI_EXTERNAL_PULL_REQUEST_SOURCE_REPOSITORY") != v.get("CI_EXTERNAL_PULL_REQUEST_TARGET_REPOSITORY")
	case v.get("CI_COMMIT_TAG") != "":
		r.Event, r.Tag = OfTag, v.get("CI_COMMIT_TAG")
	case v.get("CI_COMMIT_BRANCH") != "":
		r.Event, r.Branch = OfBranch, v.get("CI_COMMIT_BRANCH")
	}
}

// circleci reads CircleCI's built-in variables. They do not name the default branch. A build of a
// branch with an open pull request is one of the pull request, where CircleCI knows of it; one from
// another repository has pull/NUMBER as its branch.
func (v vars) circleci(r *Run) {
	r.Commit = v.get("CIRCLE_SHA1")
	r.URL, r.Actor = v.get("CIRCLE_BUILD_URL"), v.get("CIRCLE_USERNAME")
	if owner := v.get("CIRCLE_PROJECT_USERNAME"); owner != "" {
		r.Repository = owner + "/" + v.get("CIRCLE_PROJECT_REPONAME")
	}
	branch, url := v.get("CIRCLE_BRANCH"), v.get("CIRCLE_PULL_REQUEST")
	number, pull := strings.CutPrefix(branch, "pull/")
	if url != "" {
		number = url[strings.LastIndexByte(url, '/')+1:]
	}
	n, err := strconv.Atoi(number)
	switch {
	case url != "", pull && err == nil:
		r.Event, r.Branch, r.Number = OfPullRequest, branch, n
		r.Fork = v.get("CIRCLE_PR_REPONAME") != "" || pull
	case v.get("CIRCLE_TAG") != "":
		r.Event, r.Tag = OfTag, v.get("CIRCLE_TAG")
	case branch != "":
		r.Event, r.Branch = OfBranch, branch
	}
}

// buildkite reads Buildkite's variables. BUILDKITE_PULL_REQUEST is false where there is none, and
// in builds of tags BUILDKITE_BRANCH has the tag.
func (v vars) buildkite(r *Run) {
	r.Default, r.URL = v.get("BUILDKITE_PIPELINE_DEFAULT_BRANCH"), v.get("BUILDKITE_BUILD_URL")
	r.Commit = v.get("BUILDKITE_COMMIT") // HEAD where a build was started by hand
	r.Actor = v.get("BUILDKITE_BUILD_CREATOR")
	r.Asked = v.among("BUILDKITE_SOURCE", "schedule", "ui", "api", "trigger_job")
	switch {
	case v.number("BUILDKITE_PULL_REQUEST") > 0:
		r.Event, r.Branch, r.Base = OfPullRequest, v.get("BUILDKITE_BRANCH"), v.get("BUILDKITE_PULL_REQUEST_BASE_BRANCH")
		r.Number = v.number("BUILDKITE_PULL_REQUEST")
		from := v.get("BUILDKITE_PULL_REQUEST_REPO")
		r.Fork = from != "" && bare(from) != bare(v.get("BUILDKITE_REPO"))
	case v.get("BUILDKITE_TAG") != "":
		r.Event, r.Tag = OfTag, v.get("BUILDKITE_TAG")
	case v.get("BUILDKITE_BRANCH") != "":
		r.Event, r.Branch = OfBranch, v.get("BUILDKITE_BRANCH")
	}
}

// bare returns what the URLs of one repository have in common: git@host:a/b.git and
// https://host/a/b.
func bare(url string) string {
	if _, rest, ok := strings.Cut(url, "://"); ok {
		url = rest
	}
	if _, rest, ok := strings.Cut(url, "@"); ok {
		url = rest
	}
	return strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(strings.Replace(url, ":", "/", 1), "/"), ".git"))
}
