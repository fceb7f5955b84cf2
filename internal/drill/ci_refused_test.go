//go:build linux

package drill

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/pipe-build/pipe/internal/forge"
)

// refusal is a reason for which a push of the lock is refused.
type refusal struct {
	name  string
	on    forge.Trigger
	deny  func(w *ciWorld) // when the job has checked out
	words []string         // what is said of it
}

func refusals() []refusal {
	gone := func(w *ciWorld) { w.repo.Git("update-ref", "-d", "refs/heads/main") }
	anew := func(w *ciWorld) {
		w.repo.Git("update-ref", "refs/heads/main", w.repo.Git("commit-tree", "-m", "new", "main^{tree}"))
	}
	protect := func(rule forge.Rule) func(w *ciWorld) {
		return func(w *ciWorld) { w.repo.Protect("main", rule) }
	}
	job := forge.Trigger{Token: writes}
	return []refusal{
		{"branch protection", job, protect(forge.Protection), []string{"protected", "lock: {commit: pr}"}},
		{"ruleset", job, protect(forge.Ruleset), []string{"rule", "lock: {commit: pr}"}},
		{"the server's hook", job, protect(forge.Hook), []string{"hook", "The company's policy"}},
		{"a token that reads", forge.Trigger{Token: reads}, func(*ciWorld) {}, []string{"permissions: {contents: write}"}},
		{"a token that has ended", job, func(w *ciWorld) { w.forge.Revoke(writes) }, []string{"permissions: {contents: write}"}},
		{"no token is kept", forge.Trigger{Token: writes, NoPersist: true}, func(*ciWorld) {}, []string{"permissions: {contents: write}"}},
		{"branch gone", job, gone, []string{"branch"}},
		{"branch gone when it pushes", job, func(w *ciWorld) {
			w.repo.Git("tag", "kept", "main") // else the forge has nothing left that the commit could stand on
			w.repo.AtNextPush(func(context.Context) { gone(w) })
		}, []string{"branch"}},
		{"branch gone before it pushes", job, func(w *ciWorld) { w.atFirst("service=git-receive-pack", func() { gone(w) }) }, []string{"branch"}},
		{"branch written anew", job, anew, []string{"does not have commit"}},
		{"branch written anew before it pushes", job, func(w *ciWorld) { w.atFirst("service=git-receive-pack", func() { anew(w) }) }, []string{"does not have commit"}},
		{"repository gone", job, func(w *ciWorld) {
			w.forge.Allow(writes, forge.Token{Login: "x[bot]", Contents: forge.Write, Repos: []string{"a/b"}})
		}, nil},
	}
}

// A push that is refused is a warning with its cause and what to do. It stops no deployment, and the next
// run builds and deploys nothing again.
func TestARefusedPushCostsNothing(t *testing.T) {
	t.Parallel()
	for _, c := range refusals() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newCI(t, nil)
			first := w.repo.Tip("main")
			j := w.job(c.on)
			c.deny(w)
			said := j.ci(0)
			w.says(said, append(c.words, "pipe.lock was not committed: ")...)
			if strings.Contains(said, c.on.Token) {
				t.Errorf("it tells the token: %s", said)
			}
			w.logged("built", "build one")
			w.logged("shipped", "one")
			if tip := w.repo.Tip("main"); tip != "" && w.lock(tip) != "" || (tip == "") != strings.HasPrefix(c.name, "branch gone") {
				t.Errorf("the tip is %q", tip)
			}
			if s, err := j.Git(t.Context(), "rev-parse", "HEAD"); err != nil || s != first {
				t.Errorf("HEAD is %s: %v", s, err)
			}
			// In the same place, as on a runner that is kept, and in a new one.
			j.ci(0)
			w.forge.Allow(writes, forge.Token{Login: "github-actions[bot]", Contents: forge.Write})
			w.repo.Git("update-ref", "refs/heads/main", first)
			w.job(c.on).ci(0)
			w.logged("built", "build one")
			w.logged("shipped", "one")
		})
	}
}

// atFirst does something when the forge gets the first request with a part, before it answers.
func (c *ciWorld) atFirst(part string, do func()) {
	var once sync.Once
	c.forge.Before(forge.Only(part, func(http.ResponseWriter, *http.Request) bool {
		once.Do(do)
		return false
	}))
}

// Somebody merges while the lock is pushed, again and again, and while a deployment runs.
func TestAMergeMeanwhileIsNoFailure(t *testing.T) {
	t.Parallel()
	w := newCI(t, map[string]string{"ship.sh": "until test -e DIR/go; do sleep 0.05; done\n" + ciShip})
	w.atFirst("service=git-receive-pack", func() { w.merge("w", map[string]string{"w": "w"}) })
	for _, name := range []string{"x", "y", "z"} {
		w.repo.AtNextPush(func(context.Context) { w.merge(name, map[string]string{name: name}) })
	}
	first := w.repo.Tip("main")
	p := w.job(forge.Trigger{Token: writes}).start("exec pipe ci")
	w.until("the lock's commit", func() bool { return w.lock("main") != "" || strings.Contains(p.String(), "ship") })
	w.merge("while it deploys", map[string]string{"src": "two\n"})
	w.write("go")
	said := w.ended(p, 0)
	if strings.Count(said, "another push came first") != 1 || strings.Contains(said, "cannot lock ref") {
		t.Errorf("it says otherwise why it tries again: %s", said)
	}
	w.logged("shipped", "one")
	if got := w.repo.Git("log", "--format=%s", first+"..main"); got != "while it deploys\nUpdate pipe.lock\nz\ny\nx\nw" {
		t.Errorf("the history is %q: %s", got, said)
	}
	if n := len(w.repo.Pushes()); n != 4 {
		t.Errorf("%d pushes", n)
	}
	w.sound()
	w.job(forge.Trigger{Token: writes}).ci(0)
	w.logged("shipped", "one", "two")
	w.quiet(forge.Trigger{Token: writes})
}

// Only pipe.lock is ever pushed: what a job has committed itself stays with the job.
func TestCommitsOfTheJobAreNotPushed(t *testing.T) {
	t.Parallel()
	w := newCI(t, nil)
	first := w.repo.Tip("main")
	j := w.job(forge.Trigger{Token: writes})
	said := w.ended(j.start("git -c user.name=a -c user.email=a@b commit -q --allow-empty -m mine\nexec pipe ci"), 0)
	w.says(said, "pipe.lock was not committed: ", "git push")
	w.logged("shipped", "one")
	if tip := w.repo.Tip("main"); tip != first || len(w.repo.Pushes()) != 0 {
		t.Errorf("pushed: %+v", w.repo.Pushes())
	}
}

// lock: {commit: ...} and --lock-commit say what becomes of the lock.
func TestTheLockGoesWhereItIsToGo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in, flag, branch string // the branch that has the lock; "": none
	}{
		{"off", "", ""},
		{"branch", "", "pipe-lock/main"},
		{"branch", "--lock-commit push", "main"},
		{"push", "--lock-commit off", ""},
	} {
		w := newCI(t, map[string]string{"pipe.yaml": ciProject + "lock: {commit: " + c.in + "}\n"})
		w.job(forge.Trigger{Token: writes}).ci(0, c.flag)
		w.logged("shipped", "one")
		for _, b := range []string{"main", "pipe-lock/main"} {
			has := w.repo.Tip(b) != "" && w.lock(b) != ""
			if has != (b == c.branch) {
				t.Errorf("%+v: the lock is on %s: %v", c, b, has)
			}
		}
		w.job(forge.Trigger{Token: writes}).ci(0, c.flag)
		w.logged("built", "build one")
		w.logged("shipped", "one")
	}
}
