package ci

import (
	"cmp"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/pipe-build/pipe/internal/atomicfile"
)

// github reads GitHub's default environment variables, and the payload of the event.
func (v vars) github(r *Run) {
	r.Repository, r.Commit = v.get("GITHUB_REPOSITORY"), v.get("GITHUB_SHA")
	r.Actor = cmp.Or(v.get("GITHUB_TRIGGERING_ACTOR"), v.get("GITHUB_ACTOR")) // they differ when a job is run again
	r.API = strings.TrimSuffix(v.get("GITHUB_API_URL"), "/")
	if server, id := v.get("GITHUB_SERVER_URL"), v.get("GITHUB_RUN_ID"); server != "" && id != "" {
		r.Home = server + "/" + r.Repository
		r.URL = r.Home + "/actions/runs/" + id
		if n := v.number("GITHUB_RUN_ATTEMPT"); n > 1 { // without it the page is that of the last attempt
			r.URL += "/attempts/" + strconv.Itoa(n)
		}
	}
	r.Asked = v.among("GITHUB_EVENT_NAME", "schedule", "workflow_dispatch", "repository_dispatch")
	e := payload(v.get("GITHUB_EVENT_PATH"))
	r.Default = e.Repository.Default
	ref := v.get("GITHUB_REF")
	name := cmp.Or(v.get("GITHUB_REF_NAME"), strings.TrimPrefix(strings.TrimPrefix(ref, "refs/heads/"), "refs/tags/"))
	number, merge := strings.CutPrefix(ref, "refs/pull/")
	switch {
	case v.get("GITHUB_EVENT_NAME") == "workflow_run" && e.WorkflowRun.behind(r):
	// pull_request_target has the ref of the branch that it goes to, and often checks out the other one.
	case merge, strings.HasPrefix(v.get("GITHUB_EVENT_NAME"), "pull_request"):
		r.Event = OfPullRequest
		// A review has neither variable.
		r.Branch = cmp.Or(v.get("GITHUB_HEAD_REF"), e.PullRequest.Head.Ref)
		r.Base = cmp.Or(v.get("GITHUB_BASE_REF"), e.PullRequest.Base.Ref)
		r.Head = e.PullRequest.Head.SHA
		number, _, _ = strings.Cut(number, "/")
		if r.Number, _ = strconv.Atoi(number); !merge {
			r.Number = e.PullRequest.Number
		}
		// Of a repository that was deleted nothing is known; then it was another one.
		r.Fork = !strings.EqualFold(e.PullRequest.Head.Repo.Name, r.Repository)
	case v.get("GITHUB_REF_TYPE") == "tag", strings.HasPrefix(ref, "refs/tags/"):
		r.Event, r.Tag = OfTag, name
	case name != "":
		r.Event, r.Branch = OfBranch, name
	}
}

// behind says of a run what the one that ended before it was of, and reports whether that is told. The ref is
// that of the default branch, also where the workflow checks out what somebody else wants to have merged.
func (w *workflowRun) behind(r *Run) bool {
	switch {
	case strings.HasPrefix(w.Event, "pull_request"):
		r.Event, r.Branch, r.Head = OfPullRequest, w.Branch, w.SHA
		r.Fork = !strings.EqualFold(w.Repo.Name, r.Repository)
		if len(w.PullRequests) > 0 { // GitHub names none of another repository
			r.Number, r.Base = w.PullRequests[0].Number, w.PullRequests[0].Base.Ref
		}
	case w.Event == "push" && w.Branch != "":
		r.Event, r.Branch = OfBranch, w.Branch
	default:
		return false
	}
	return true
}

// event is what is read of GitHub's payload.
type event struct {
	Repository struct {
		Default string `json:"default_branch"`
	} `json:"repository"`
	PullRequest struct {
		Number int `json:"number"`
		Head   struct {
			Ref  string `json:"ref"`
			SHA  string `json:"sha"`
			Repo struct {
				Name string `json:"full_name"`
			} `json:"repo"`
		} `json:"head"`
		Base struct {
			Ref string `json:"ref"`
		} `json:"base"`
	} `json:"pull_request"`
	WorkflowRun workflowRun `json:"workflow_run"`
}

// workflowRun is the run that has ended before this one, of the event of that name.
type workflowRun struct {
	Event  string `json:"event"`
	Branch string `json:"head_branch"`
	SHA    string `json:"head_sha"`
	Repo   struct {
		Name string `json:"full_name"`
	} `json:"head_repository"`
	PullRequests []struct {
		Number int `json:"number"`
		Base   struct {
			Ref string `json:"ref"`
		} `json:"base"`
	} `json:"pull_requests"`
}

// payload reads the event's file. One that cannot be read says nothing.
func payload(path string) (e event) {
	const largest = 32 << 20 // GitHub's are 25 MB at most
	if path == "" {
		return e
	}
	b, err := atomicfile.Read(path, largest)
	if err != nil || json.Unmarshal(b, &e) != nil {
		return event{}
	}
	return e
}
