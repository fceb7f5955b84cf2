// Package workflow writes the file by which a CI system runs pipe, and the AWS policies that it needs.
//
// Writing is pure: the same Project gives the same text. What people chose to name (branches,
// directories, projects) reaches a file only as a quoted text, and a shell only as the value of a variable.
package workflow

import (
	"strings"

	"github.com/pipe-build/pipe/internal/yamldoc"
)

// System is a CI system that a file can be written for.
type System string

// The systems.
const (
	GitHub    System = "github"
	GitLab    System = "gitlab"
	CircleCI  System = "circleci"
	Buildkite System = "buildkite"
)

// Systems returns all systems.
func Systems() []System { return []System{GitHub, GitLab, CircleCI, Buildkite} }

// Project is what a file depends on.
type Project struct {
	Title    string   // of the workflow
	Dir      string   // of pipe.yaml from the top of the repository, with slashes; empty: the top
	Branches []string // whose pushes are built and deployed; the default one first
	Sources  bool     // it has sources, which other repositories tell of

	Commits      bool     // pipe.lock is committed and pushed
	Apart        bool     // that commit does not go to the branch that was built
	PullRequests bool     // but comes as a pull request
	Secrets      []string // variables that stages declare as secrets
	BuildSecrets []string // those of stages that do not deploy

	AWS      bool   // a role of AWS opens a remote
	Region   string // of its bucket; empty: AWS_REGION says it
	Endpoint string // of another server that speaks like S3, which keys open; empty: there is none

	Version string // of pipe, without v
	Commit  string // of pipe's repository, which has the actions
	Comment bool   // pull requests get a comment
	Waves   int    // how many waves of jobs the stages make; 0: one job does all
}

// File returns the path of a system's file from the top of the repository, and its text. A
// project below the top has a file of its own on GitHub; elsewhere there is one for all.
func File(s System, p Project, name string) (path, text string) {
	switch s {
	case GitLab:
		return ".gitlab-ci.yml", gitlab(p)
	case CircleCI:
		return ".circleci/config.yml", circleci(p)
	case Buildkite:
		return ".buildkite/pipeline.yml", buildkite(p)
	}
	path = ".github/workflows/pipe.yml"
	if p.Dir != "" {
		path = ".github/workflows/pipe-" + name + ".yml"
	}
	return path, github(p)
}

// when returns text if it is to be there.
func when(there bool, text string) string {
	if there {
		return text
	}
	return ""
}

// literal is a quoted text in which GitHub finds no expression.
func literal(s string) string {
	return yamldoc.Quote(strings.ReplaceAll(s, "${{", "${{ '${{' }}"))
}

// filter is a branch as a pattern of GitHub's that matches it alone. git allows no other character
// of a pattern in a branch; see
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#filter-pattern-cheat-sheet
func filter(branch string) string {
	return yamldoc.Quote(strings.NewReplacer("!", `\!`, "+", `\+`).Replace(branch))
}

// shell is a text as one word of a shell.
func shell(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// text is a text in an expression of GitLab's, which has no escapes, but two kinds of quotes.
func text(s string) string {
	if strings.Contains(s, `"`) {
		return "'" + s + "'"
	}
	return `"` + s + `"`
}
