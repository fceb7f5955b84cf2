package pipe

import (
	"cmp"
	"encoding/json"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/pipe-build/pipe/internal/ci"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/repopath"
)

const (
	// reportName is a file in pipe's own directory with the last run of CI as Markdown, for whoever wants to
	// post it.
	reportName = "report.md"
	// maxReport fits a comment of GitHub, which takes 65,536 characters.
	maxReport = 65_000
	// maxOutput is how many bytes a value has that a job of GitHub hands on: it takes 1 MB of each.
	maxOutput = 1_000_000
)

// Report shows what a run of CI did where people and later steps look: as Markdown in .pipe/report.md, and on
// GitHub in the summary and the outputs of the step. failure is the error of CI; r may be nil beside it.
// What cannot be written is noted: the run itself is over.
func (p *Project) Report(r *CIResult, failure error) {
	if r == nil {
		r = &CIResult{}
	}
	rep := p.report(r, failure)
	at := ""
	err := p.work.Prepare() // a run that failed early has not
	if err == nil {
		err = p.write(worktree.Dir+"/"+reportName, []byte(rep.Markdown(maxReport)))
	}
	if err == nil {
		at = p.fromWorkspace(p.path(worktree.Dir + "/" + reportName))
	} else {
		p.note("cannot write the report: " + err.Error())
	}
	publishReport(p.env, rep, append(outputs(r, p.note), ci.Output{Name: "report", Value: at}), p.note)
}

// ReportFailure is Report where the project could not be opened.
func ReportFailure(opt Options, failure error) {
	opt = opt.withDefaults()
	note := func(text string) {
		if opt.Emit != nil {
			opt.Emit(event.Event{Schema: event.Schema, Type: event.Note, Text: text})
		}
	}
	job := ci.Detect(opt.Environ)
	kind, ref := built(job, job.Branch)
	rep := &view.Report{Kind: kind, Ref: ref, RunPage: job.URL, PageOf: job.Page, Failed: true, Failures: failures(failure)}
	publishReport(opt.Environ, rep, append(outputs(&CIResult{}, note), ci.Output{Name: "report"}), note)
}

// publishReport hands the report and the outputs to GitHub.
func publishReport(environ []string, rep *view.Report, outputs []ci.Output, note func(string)) {
	if ci.SystemOf(environ) != ci.GitHub {
		return
	}
	if path, _ := shell.Getenv(environ, "GITHUB_STEP_SUMMARY"); path != "" {
		text := rep.Markdown(ci.Room(path))
		if text == "" {
			note("the summary of this step has no room for the report")
		} else if err := ci.Append(path, text); err != nil {
			note("cannot write the summary of this step: " + err.Error())
		}
	}
	if path, _ := shell.Getenv(environ, "GITHUB_OUTPUT"); path != "" {
		if err := ci.Append(path, ci.Outputs(outputs)); err != nil {
			note("cannot write the outputs of this step: " + err.Error())
		}
	}
}

// words puts it into the form that view shows.
func (l LockPublished) words() view.Published {
	return view.Published{Changed: l.Changed, Commit: l.Commit, Branch: l.Branch, URL: l.URL, Why: l.Why, Fix: l.Fix}
}

// String says what became of pipe.lock.
func (l LockPublished) String() string { return l.words().String() }

// Refused reports whether pipe.lock was to be pushed, and was not.
func (l LockPublished) Refused() bool { return l.words().Refused() }

// fromWorkspace returns a path as the steps of a job would write it: they begin in GITHUB_WORKSPACE, which
// lies elsewhere in a container.
func (p *Project) fromWorkspace(path string) string {
	if w := p.variable("GITHUB_WORKSPACE"); w != "" {
		if w, err := filepath.EvalSymlinks(w); err == nil {
			if rel, err := filepath.Rel(w, path); err == nil && filepath.IsLocal(rel) {
				path = rel
			}
		}
	}
	return filepath.ToSlash(path)
}

// report puts a run of CI into the form that view shows.
func (p *Project) report(r *CIResult, failure error) *view.Report {
	job := p.job()
	kind, ref := built(job, r.Branch)
	rep := &view.Report{
		Kind: kind, Ref: ref, Commit: r.Commit, RunPage: job.URL, PageOf: job.Page, Failed: failure != nil, Failures: failures(failure), Counts: r.Counts,
		Lock: r.Lock.words(),
	}
	rep.Project = p.spec.Name
	if p.at() != repopath.Root {
		rep.Project = cmp.Or(rep.Project, string(p.at()))
	}
	needs := map[string][]string{}
	for _, s := range p.Dag().Stages {
		needs[s.Name] = s.Needs
	}
	for i := range r.Stages {
		s := reported(&r.Stages[i])
		s.Needs = needs[s.Name]
		rep.Stages = append(rep.Stages, s)
	}
	for i := range r.Planned {
		rep.Planned = append(rep.Planned, reported(&r.Planned[i]))
	}
	for i := range r.Environments {
		e := &r.Environments[i]
		rep.Environments = append(rep.Environments, view.ReportEnvironment{Name: e.Env, Outcome: e.Outcome, N: e.N, Release: shortName(e.Release), Why: e.Why})
		for k := range e.Stages {
			s := reported(&e.Stages[k])
			s.Name = e.Env + ":" + s.Name
			switch {
			case s.Verb != event.Run:
			case e.Outcome == DeployPlanned:
				rep.Planned = append(rep.Planned, s)
			case e.Outcome == DeployedOK || e.Outcome == DeployFailed:
				rep.Deployed = append(rep.Deployed, s)
			}
		}
	}
	return rep
}

// built says what a run is of.
func built(job ci.Run, branch string) (kind, ref string) {
	switch {
	case job.Event == ci.OfTag:
		return "Tag", job.Tag
	case job.Event == ci.OfPullRequest && job.Number > 0:
		return "Pull request", "#" + strconv.Itoa(job.Number)
	case job.Event == ci.OfPullRequest:
		return "Pull request to", job.Base // a merge queue
	}
	return "Branch", branch
}

// shortName is as much of a release's name as people need.
func shortName(release string) string { return release[:min(len(release), 14)] }

// reported puts a stage into the form that view shows.
func reported(s *StageResult) view.ReportStage {
	return view.ReportStage{
		Name: s.Stage, Verb: s.Verb, Deploy: s.Deploy, Check: s.Check, Failed: s.Error != "", Because: s.Because,
		Seconds: s.Seconds, Saved: s.Saved, Outs: s.Outs, Old: s.Old,
	}
}

// failures describes the errors of a run.
func failures(err error) (all []view.Failure) {
	for _, f := range Describe(err) {
		all = append(all, view.Failure{Place: f.Place, What: f.Message, Hint: f.Hint, Output: f.Output})
	}
	return all
}

// outputArtifact is an artifact as the output artifacts has it.
type outputArtifact struct {
	Hash  digest.Digest `json:"hash"`
	Size  int64         `json:"size"`
	Stage string        `json:"stage"`
	Old   string        `json:"old,omitempty"` // the hash that it had before, if it is another one
}

// outputs are what later steps of a job can read. They are there after a failure, too.
func outputs(r *CIResult, note func(string)) []ci.Output {
	changed := "false"
	if r.Lock.Changed || slices.ContainsFunc(r.Stages, func(s StageResult) bool { return s.fresh || len(s.Old) > 0 }) {
		changed = "true"
	}
	artifacts := asJSON(artifactsOf(r, false))
	if len(artifacts) > maxOutput {
		note("the output artifacts has only what changed: GitHub takes 1 MB")
		artifacts = asJSON(artifactsOf(r, true))
	}
	if len(artifacts) > maxOutput {
		note("the output artifacts is empty: GitHub takes 1 MB")
		artifacts = "{}"
	}
	return []ci.Output{
		{Name: "changed", Value: changed}, {Name: "ran", Value: asJSON(ranIn(r))}, {Name: "artifacts", Value: artifacts}, {Name: "lock-commit", Value: r.Lock.Commit},
	}
}

// artifactsOf returns the outputs of all stages by their paths, or of those alone that changed.
func artifactsOf(r *CIResult, changed bool) map[repopath.Path]outputArtifact {
	all := map[repopath.Path]outputArtifact{}
	for i := range r.Stages {
		s := &r.Stages[i]
		old := map[repopath.Path]digest.Digest{}
		for _, o := range s.Old {
			old[o.Path] = o.Digest
		}
		for _, o := range s.Outs {
			a := outputArtifact{Hash: o.Digest, Size: o.Size, Stage: s.Stage}
			if was, known := old[o.Path]; known && was != o.Digest {
				a.Old = was.String()
			}
			if !changed || s.fresh || a.Old != "" {
				all[o.Path] = a
			}
		}
	}
	return all
}

// ranIn returns the stages whose commands ran and succeeded, in any environment.
func ranIn(r *CIResult) []string {
	names := []string{}
	add := func(all []StageResult) {
		for _, s := range all {
			if s.Verb == event.Run && s.Error == "" && !slices.Contains(names, s.Stage) {
				names = append(names, s.Stage)
			}
		}
	}
	add(r.Stages)
	for _, e := range r.Environments {
		if e.Outcome == DeployedOK {
			add(e.Stages)
		}
	}
	return names
}

// asJSON encodes what always can be encoded.
func asJSON(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}
