//go:build linux

package drill

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"
)

// holds and resumes are by hand, also while a dead run has the environment.
func (h *history) holds() {
	h.bare("staging", "hold")
	h.envs["staging"].held = true
}

func (h *history) resumes() {
	env := []string{"staging", "production"}[h.rand.IntN(2)]
	h.bare(env, "resume")
	h.envs[env].resume()
}

func (h *history) unlocks() { h.bare("staging", "env", "unlock", "-y") }

// bare runs a verb that runs no command of the project.
func (h *history) bare(env string, args ...string) {
	h.run(h.checkout(h.tip()), end{}, env, "", "", append(args, env)...)
}

// races starts two automatic jobs at once, one of them an old one: the newest commit is live in
// the end, whichever came first. Where it was live before, its job may find that just before the old
// one deploys.
func (h *history) races() {
	tip, old := h.tip(), h.commits[h.rand.IntN(len(h.commits))]
	var runs []*process
	for i, v := range []version{tip, old} {
		c := h.clones[i]
		c.git("checkout", "-q", "--force", "--detach", v.commit)
		runs = append(runs, c.start("deploy", "staging", "--auto"))
	}
	for _, p := range runs {
		if code := p.end(); code != 0 {
			h.t.Errorf("exit code %d: %s", code, p)
		}
	}
	was := h.envs["staging"]
	h.learn("staging")
	e := h.envs["staging"]
	h.tell("staging --auto: commit %d races with %d: %v", h.at(tip.commit), h.at(old.commit), e.statuses())
	switch {
	case was.held:
		h.same(was.statuses(), e.statuses())
	case len(was.pending(tip)) > 0:
		h.same(map[string]string{"api": "ok " + tip.api, "web": "ok " + tip.web}, e.statuses())
	}
}

// diesSomewhere kills a run at a random moment. What it has done by then is as it says.
func (h *history) diesSomewhere() {
	if h.deaths++; h.deaths > 2 {
		return
	}
	c := h.checkout(h.tip())
	p := c.start("deploy", "staging")
	if p.after(time.Duration(h.rand.IntN(500)) * time.Millisecond) {
		_ = p.killGroup() // it may be done
	}
	code := p.end()
	p.gone()
	h.still("staging")
	h.learn("staging")
	h.tell("deploy staging commit %d, killed: exit code %d, %v", h.at(h.tip().commit), code, h.envs["staging"].statuses())
}

// still waits until a request that the dead have left behind is done.
func (h *history) still(env string) {
	h.t.Helper()
	text := func() string {
		b, err := os.ReadFile(h.stateFile(env))
		if !errors.Is(err, os.ErrNotExist) {
			must(h.t, err)
		}
		return string(b)
	}
	for before := text(); ; {
		<-time.After(100 * time.Millisecond)
		now := text()
		if now == before {
			return
		}
		before = now
	}
}

// learn takes over what the state says, where the model cannot know: it depends on who was quicker. Whether
// it is so is checked against what is live, as always.
func (h *history) learn(env string) {
	h.t.Helper()
	var s struct {
		Live     string
		Verified []string
		Hold     *struct{ Veto []string }
		Lease    *struct{ N uint64 }
		Head     struct{ Commit string }
		Last     struct{ Release string }
		Stages   map[string]struct {
			Status, Release, Commit string
			N                       uint64
			Artifacts               []struct{ Hash string }
		}
	}
	b, err := os.ReadFile(h.stateFile(env))
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	must(h.t, err)
	must(h.t, json.Unmarshal(b, &s))
	e := &modelled{stages: map[string]deployed{}, live: h.release(s.Live), last: h.release(s.Last.Release), head: s.Head.Commit, veto: map[string]bool{}, held: s.Hold != nil}
	if s.Hold != nil {
		for _, id := range s.Hold.Veto {
			e.veto[h.release(id)] = true
		}
	}
	for _, id := range s.Verified {
		e.verified = append(e.verified, h.release(id))
	}
	for name, st := range s.Stages {
		if st.Status == "deploying" {
			st.Status = "unknown"
		}
		e.stages[name] = deployed{st.Status, h.made[st.Artifacts[0].Hash], h.release(st.Release), st.Commit}
		if s.Lease != nil && s.Lease.N == st.N {
			e.last = h.release(st.Release)
		}
	}
	h.envs[env] = e
}

// release returns what a release is made of, by its object.
func (h *history) release(id string) string {
	h.t.Helper()
	if id == "" {
		return ""
	}
	var r struct {
		Stages map[string]struct{ Artifacts []struct{ Hash string } }
	}
	b, err := os.ReadFile(filepath.Join(h.store, "projects", "shop", "releases", id))
	must(h.t, err)
	must(h.t, json.Unmarshal(b, &r))
	return version{api: h.made[r.Stages["api"].Artifacts[0].Hash], web: h.made[r.Stages["web"].Artifacts[0].Hash]}.release()
}
