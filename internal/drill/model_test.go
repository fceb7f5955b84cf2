//go:build linux

package drill

import (
	"maps"
	"slices"
)

// model says what an environment must be, by the rules alone.
type model struct {
	commits []version // of main; each is an ancestor of those after it
	envs    map[string]*modelled
}

// version is what the sources of a commit make.
type version struct {
	commit   string
	api, web string
}

func (v version) of(stage string) string {
	if stage == "api" {
		return v.api
	}
	return v.web
}

// release names what the sources make: releases are named by their content.
func (v version) release() string { return v.api + "+" + v.web }

// stages is their order: web needs api.
func stages() []string { return []string{"api", "web"} }

// modelled is an environment.
type modelled struct {
	stages     map[string]deployed
	live, last string // releases
	head       string // the newest commit for which an automatic job found all live
	verified   []string
	held       bool
	veto       map[string]bool
}

// deployed is what a stage is.
type deployed struct {
	status, version, release string
	commit                   string
}

// job is a run that deploys to an environment.
type job struct {
	version
	auto, back bool   // it was asked for by nobody; it is a rollback
	fails      string // the stage whose command fails
	dies       string // the stage at which the run is killed
}

// end is how a job must end.
type end struct {
	code    int
	outcome string
	ran     []string // stages whose commands have begun
}

// at returns where a commit stands in main.
func (m *model) at(commit string) int {
	return slices.IndexFunc(m.commits, func(v version) bool { return v.commit == commit })
}

func (m *model) tip() version { return m.commits[len(m.commits)-1] }

// deploy is a deployment.
func (m *model) deploy(env string, j job) end {
	e := m.envs[env]
	pending := e.pending(j.version)
	current := len(pending) == 0
	against := end{}
	switch {
	case e.held && j.auto: // before anything is built
		return end{0, "held", nil}
	case e.held && !j.back:
		against = end{9, "refused", nil}
	case j.auto && m.older(e, j.commit):
		against = end{0, "superseded", nil}
	case env == "production" && !j.back && !slices.Contains(m.envs["staging"].verified, j.release()):
		against = end{9, "refused", nil}
	}
	switch {
	case current:
		if against.outcome == "" && (e.live != j.release() || !slices.Contains(e.verified, e.live)) {
			e.run(j, nil) // it came in parts
		}
		if j.auto && against.outcome == "" && !e.isAt(j.commit) {
			e.head = j.commit
		}
		return end{0, "current", nil}
	case against.outcome != "":
		return against
	}
	return e.run(j, pending)
}

// pending returns the stages that must run.
func (e *modelled) pending(v version) (names []string) {
	for _, name := range stages() {
		if st := e.stages[name]; st.status != "ok" || st.version != v.of(name) {
			names = append(names, name)
		}
	}
	return names
}

// isAt reports whether all stages are of a commit, or that commit was the last to find them live.
func (e *modelled) isAt(commit string) bool {
	if e.head != "" {
		return e.head == commit
	}
	for _, st := range e.stages {
		if st.commit != commit {
			return false
		}
	}
	return true
}

// older reports whether a stage is, or was to be, of a commit that comes after this one, or one that does
// has found all live.
func (m *model) older(e *modelled, commit string) bool {
	if m.at(e.head) > m.at(commit) {
		return true
	}
	for _, st := range e.stages {
		if m.at(st.commit) > m.at(commit) {
			return true
		}
	}
	return false
}

// run runs the commands of the pending stages.
func (e *modelled) run(j job, pending []string) end {
	result := end{0, "deployed", nil}
	if j.back {
		e.hold(j.release())
	}
	if j.auto {
		e.head = ""
	}
	e.live, e.last = "", j.release()
	for _, name := range pending {
		st := deployed{"ok", j.of(name), j.release(), j.commit}
		result.ran = append(result.ran, name)
		switch name {
		case j.fails:
			st.status, result.code, result.outcome = "failed", 1, "failed"
		case j.dies:
			st.status, result.code, result.outcome = "unknown", -1, ""
		}
		if e.stages[name] = st; st.status != "ok" {
			return result
		}
	}
	e.live = j.release()
	if !j.back || !slices.Contains(e.verified, e.live) {
		e.verified = append([]string{e.live}, slices.DeleteFunc(slices.Clone(e.verified), func(r string) bool { return r == e.live })...)
	}
	return result
}

// hold is what a rollback does: what was live, and what was tried last, is not to come again.
func (e *modelled) hold(to string) {
	e.held = true
	e.veto[e.live], e.veto[e.last] = true, true
	delete(e.veto, to)
	delete(e.veto, "")
}

// proved returns the newest release that is verified and was not rolled away from, "" when there is none.
func (e *modelled) proved() string {
	i := slices.IndexFunc(e.verified, func(r string) bool { return !e.held || !e.veto[r] })
	if i < 0 {
		return ""
	}
	return e.verified[i]
}

// resume ends a hold.
func (e *modelled) resume() { e.held, e.veto = false, map[string]bool{} }

// back returns the release that a rollback goes to, "" when there is none.
func (e *modelled) back() string {
	left := e.verified
	if i := slices.Index(left, e.live); i >= 0 {
		left = left[i+1:]
	}
	for _, r := range left {
		if r != e.live && r != e.last && !e.veto[r] {
			return r
		}
	}
	return ""
}

// statuses returns status and version of each stage that the environment has.
func (e *modelled) statuses() map[string]string {
	all := map[string]string{}
	for name, st := range maps.All(e.stages) {
		all[name] = st.status + " " + st.version
	}
	return all
}
