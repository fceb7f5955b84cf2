//go:build linux

package drill

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/pkg/digest"
)

const historyProject = `project: shop
remote: REMOTE
stages:
  api-app: {cmd: cp api.src api.app, deps: [api.src], outs: [api.app]}
  web-app: {cmd: cp web.src web.app, deps: [web.src], outs: [web.app]}
  api: {deploy: true, cmd: sh deploy.sh api, deps: [api.app, deploy.sh]}
  web: {deploy: true, cmd: sh deploy.sh web, deps: [web.app, deploy.sh], needs: [api]}
environments:
  staging: {auto: main}
  production: {from: staging}
`

const historyScript = `exec 9>> DIR/busy.$PIPE_ENV.$1
flock -n 9 || echo $PIPE_DEPLOYMENT >> DIR/overlap
live=DIR/live.$PIPE_ENV.$1
echo $1 >> DIR/ran
test -e DIR/fails.$1 && exit 1
test -e DIR/breaks.$1 && { echo broken > $live; exit 1; }
test -e DIR/hangs.$1 && { echo half > $live; touch DIR/ready; while :; do sleep 0.02; done; }
cat $1.app > $live
`

// history is one that is made up as it goes on, with what the model says beside it.
type history struct {
	*world
	model
	rand   *rand.Rand
	clones []*clone
	made   map[string]string // versions by the hash of their artifact
	said   []string          // what was done, for people
	deaths int
}

// What pipe says is what the file says that the command wrote, and nothing is skipped that is not so,
// whatever came before.
func TestHistories(t *testing.T) {
	t.Parallel()
	for i := range count(10, 200) {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			h := newHistory(t)
			for range 16 {
				h.step()
				if t.Failed() {
					t.Fatalf("-args -seed=%d\n%s", *seed, strings.Join(h.said, "\n"))
				}
			}
		})
	}
}

func newHistory(t *testing.T) *history {
	make := []func(*testing.T) *world{onDirectory, onS3}
	h := &history{rand: random(t), made: map[string]string{}}
	h.world = make[h.rand.IntN(2)](t)
	h.envs = map[string]*modelled{}
	for _, name := range []string{"staging", "production"} {
		h.envs[name] = &modelled{stages: map[string]deployed{}, veto: map[string]bool{}}
	}
	h.env = append(h.env, "CI=true", "GITHUB_REF_NAME=main")
	for _, name := range []string{"a", "b"} {
		c := h.clone(name)
		c.git("init", "-qb", "main")
		h.clones = append(h.clones, c)
	}
	a := h.clones[0]
	a.write("pipe.yaml", strings.ReplaceAll(historyProject, "REMOTE", h.url))
	a.write("deploy.sh", strings.ReplaceAll(historyScript, "DIR", h.dir))
	a.write(".gitignore", ".pipe/\n*.app\npipe.lock\nsrc\n")
	h.commits = []version{{api: "api-0", web: "web-0"}}
	h.commit(a)
	return h
}

// commit commits the newest version's sources, and brings them to the other clone.
func (h *history) commit(c *clone) {
	v := &h.commits[len(h.commits)-1]
	for name, text := range map[string]string{"api.src": v.api, "web.src": v.web} {
		h.made[digest.Of([]byte(text+"\n")).String()] = text
		c.write(name, text+"\n")
	}
	c.git("add", ".")
	c.git("commit", "-qm", v.release(), "--allow-empty")
	v.commit = c.git("rev-parse", "HEAD")
	for _, o := range h.clones {
		if o != c {
			o.git("fetch", "-q", c.at, "HEAD")
		}
	}
}

// checkout brings a clone to a commit.
func (h *history) checkout(v version) *clone {
	c := h.clones[h.rand.IntN(len(h.clones))]
	c.git("checkout", "-q", "--force", "--detach", v.commit)
	return c
}

func (h *history) tell(format string, args ...any) {
	h.said = append(h.said, fmt.Sprintf(format, args...))
}

// step does one thing, and checks all.
func (h *history) step() {
	all := []func(){
		h.edits, h.edits, h.edits, h.reverts, h.deploysTip, h.deploysTip, h.deploysTip, h.deploysOld, h.reruns, h.reruns,
		h.fails, h.fails, h.dies, h.diesSomewhere, h.races, h.holds, h.resumes, h.resumes, h.unlocks, h.promotes, h.promotes, h.promotes, h.rollsBack, h.rollsBack, h.straysIntoProduction,
	}
	all[h.rand.IntN(len(all))]()
	h.check()
}

func (h *history) edits() {
	c := h.checkout(h.tip())
	next, n := h.tip(), len(h.commits)
	what := h.rand.IntN(3)
	if what != 0 {
		next.api = fmt.Sprintf("api-%d", n)
	}
	if what != 1 {
		next.web = fmt.Sprintf("web-%d", n)
	}
	h.commits = append(h.commits, next)
	h.commit(c)
	h.tell("commit %d: %s", n, next.release())
}

// reverts makes a commit that is as an older one.
func (h *history) reverts() {
	c := h.checkout(h.tip())
	old := h.commits[h.rand.IntN(len(h.commits))]
	h.commits = append(h.commits, old)
	h.commit(c)
	h.tell("commit %d: back to %s", len(h.commits)-1, old.release())
}

func (h *history) deploysTip() {
	h.deploys("staging", job{version: h.tip(), auto: h.rand.IntN(3) > 0})
}

func (h *history) deploysOld() {
	h.deploys("staging", job{version: h.commits[h.rand.IntN(len(h.commits))]})
}

// reruns is an old job of CI that somebody starts again.
func (h *history) reruns() {
	h.deploys("staging", job{version: h.commits[h.rand.IntN(len(h.commits))], auto: true})
}

func (h *history) straysIntoProduction() { h.deploys("production", job{version: h.tip()}) }

func (h *history) fails() {
	stage, how := stages()[h.rand.IntN(2)], []string{"fails", "breaks"}[h.rand.IntN(2)]
	at := h.beside(how + "." + stage)
	must(h.t, os.WriteFile(at, nil, 0o666))
	h.deploys("staging", job{version: h.tip(), auto: h.rand.IntN(2) > 0, fails: stage})
	must(h.t, os.Remove(at))
}

func (h *history) dies() {
	if h.deaths++; h.deaths > 2 {
		return // each takes thirteen seconds to be found out
	}
	stage := stages()[h.rand.IntN(2)]
	at := h.beside("hangs." + stage)
	must(h.t, os.WriteFile(at, nil, 0o666))
	h.deploys("staging", job{version: h.tip(), auto: h.rand.IntN(2) > 0, dies: stage})
	must(h.t, os.Remove(at))
}

// deploys deploys a commit from a clone.
func (h *history) deploys(env string, j job) {
	c := h.checkout(j.version)
	args := []string{"deploy", env}
	if j.auto {
		args = append(args, "--auto")
	}
	h.run(c, h.model.deploy(env, j), env, fmt.Sprintf(" commit %d, fails %q, dies %q", h.at(j.commit), j.fails, j.dies), j.dies, args...)
}

func (h *history) promotes() {
	c := h.checkout(h.tip())
	want := end{8, "", nil}
	if to := h.envs["staging"].proved(); to != "" {
		want = h.model.deploy("production", job{version: named(to)})
	}
	h.run(c, want, "production", "", "", "promote", "staging", "production")
}

func (h *history) rollsBack() {
	env := []string{"staging", "production"}[h.rand.IntN(2)]
	c, to := h.checkout(h.tip()), h.envs[env].back()
	want := end{8, "", nil}
	if to != "" {
		j := job{version: named(to), back: true}
		j.commit = h.committed(env, to)
		if want = h.model.deploy(env, j); want.outcome == "current" {
			h.envs[env].hold(to)
		}
	}
	h.run(c, want, env, " to "+to, "", "rollback", env)
}

// named returns what a release is made of.
func named(release string) (v version) {
	v.api, v.web, _ = strings.Cut(release, "+")
	return v
}

// run runs pipe and compares how it ended with what must be.
func (h *history) run(c *clone, want end, env, about, dies string, args ...string) {
	h.t.Helper()
	must(h.t, os.RemoveAll(h.beside("ran")))
	p := c.start(append(args, "--json")...)
	if dies != "" && slices.Contains(want.ran, dies) {
		h.kills(p)
	}
	code := p.end()
	ran := strings.Fields(h.read("ran"))
	h.tell("%s%s: exit code %d, ran %v", strings.Join(args, " "), about, code, ran)
	if outcome := p.outcome(env); code != want.code || outcome != want.outcome || !slices.Equal(ran, want.ran) {
		h.t.Errorf("exit code %d, %q, ran %v; want %+v\n%s", code, outcome, ran, want, p)
	}
}

// kills kills a run in the middle of a command, and waits until nothing of it is left.
func (h *history) kills(p *process) {
	h.t.Helper()
	h.until("a command", func() bool { _, err := os.Stat(h.beside("ready")); return err == nil || !p.after(0) })
	must(h.t, os.Remove(h.beside("ready")))
	if h.rand.IntN(2) > 0 {
		must(h.t, p.killGroup())
	} else {
		must(h.t, p.Process.Kill())
	}
	p.gone()
}

// outcome returns what became of an environment, by the answer.
func (p *process) outcome(env string) string {
	var d struct {
		Environments []struct{ Env, Outcome string }
	}
	for line := range strings.Lines(p.String()) {
		if _, text, ok := strings.Cut(line, `{"schema":"pipe.deploy/1"`); ok {
			if err := json.Unmarshal([]byte(`{"schema":""`+text), &d); err != nil {
				p.t.Fatalf("%v: %s", err, p)
			}
		}
	}
	for _, e := range d.Environments {
		if e.Env == env {
			return e.Outcome
		}
	}
	return ""
}

// check compares what pipe says of all environments with the model and with the truth.
func (h *history) check() {
	h.t.Helper()
	if text := h.read("overlap"); text != "" {
		h.t.Errorf("two commands at once: %s", text)
	}
	said := h.listed()
	for env, e := range h.envs {
		h.same(e.statuses(), said[env])
		for stage, is := range said[env] {
			if version, ok := strings.CutPrefix(is, "ok "); ok && version+"\n" != h.read("live."+env+"."+stage) {
				h.t.Errorf("%s of %s: pipe env says %s, and live is %q", stage, env, is, h.read("live."+env+"."+stage))
			}
		}
	}
}

func (h *history) same(want, got map[string]string) {
	h.t.Helper()
	if !maps.Equal(got, want) {
		h.t.Errorf("it is %v, want %v", got, want)
	}
}

// listed returns status and version of all stages, as pipe env tells them.
func (h *history) listed() map[string]map[string]string {
	h.t.Helper()
	var list struct {
		Environments []struct {
			Env    string
			Stages []struct {
				Stage, Status string
				Artifacts     []struct{ Hash string }
			}
		}
	}
	text := h.clones[0].pipe("env", "--json")
	must(h.t, json.Unmarshal([]byte(text[strings.Index(text, "{"):]), &list))
	all := map[string]map[string]string{}
	for _, e := range list.Environments {
		all[e.Env] = map[string]string{}
		for _, s := range e.Stages {
			if s.Status == "deploying" {
				s.Status = "unknown"
			}
			all[e.Env][s.Stage] = s.Status + " " + h.made[s.Artifacts[0].Hash]
		}
	}
	return all
}

// committed returns the commit of the newest deployment of a release that succeeded, by the history that
// the store keeps.
func (h *history) committed(env, release string) (commit string) {
	h.t.Helper()
	all, err := filepath.Glob(filepath.Join(h.store, "projects", "shop", "env", env, "log", "*"))
	must(h.t, err)
	var newest uint64
	for _, at := range all {
		if strings.HasSuffix(at, ".lock") {
			continue
		}
		var x struct {
			N              uint64
			Status, Commit string
		}
		b, err := os.ReadFile(at)
		must(h.t, err)
		must(h.t, json.Unmarshal(b, &x))
		if i := h.at(x.Commit); x.N > newest && x.Status == "ok" && i >= 0 && h.commits[i].release() == release {
			newest, commit = x.N, x.Commit
		}
	}
	return commit
}
