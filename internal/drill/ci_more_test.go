//go:build linux

package drill

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/forge"
	"github.com/pipe-build/pipe/pkg/digest"
)

// Jobs of many commits run at once: each ends well, and the newest commit is live.
func TestJobsOfManyCommitsAtOnceLeaveTheNewestLive(t *testing.T) {
	t.Parallel()
	for _, project := range []string{ciProject, noEnvironments} {
		w := newCI(t, map[string]string{"pipe.yaml": project, "ship.sh": "sleep 0.3\n" + ciShip})
		var jobs []*ciJob
		for i := range 5 {
			sha := w.merge("next", map[string]string{"src": fmt.Sprintf("%d\n", i)})
			jobs = append(jobs, w.job(forge.Trigger{Token: writes, SHA: sha}))
		}
		var runs []*process
		for _, j := range jobs {
			runs = append(runs, j.start("exec pipe ci"))
		}
		for _, p := range runs {
			w.ended(p, 0)
		}
		shipped := strings.Fields(w.read("shipped"))
		if len(shipped) == 0 || shipped[len(shipped)-1] != "4" {
			t.Errorf("shipped: %s", shipped)
		}
		for i := 1; i < len(shipped); i++ {
			if shipped[i] <= shipped[i-1] {
				t.Errorf("shipped: %s", shipped)
			}
		}
		w.sound()
		w.job(forge.Trigger{Token: writes}).ci(0)
		if got := strings.Fields(w.read("shipped")); len(got) != len(shipped) {
			t.Errorf("shipped: %s", got)
		}
		w.quiet(forge.Trigger{Token: writes})
	}
}

// What pipe.lock names is in the remote when the lock's commit gets to the forge.
func TestNoLockIsPushedBeforeItsObjects(t *testing.T) {
	t.Parallel()
	w := newCI(t, nil)
	object := filepath.Join(w.store, "files", "blake3", "*", "*"+strings.TrimPrefix(digest.Of([]byte("one\n")).String(), "blake3:")[2:])
	there := func() bool {
		objects, err := filepath.Glob(object)
		must(t, err)
		records, err := filepath.Glob(filepath.Join(w.store, "runs", "*", "*"))
		must(t, err)
		return len(objects) == 1 && len(records) > 0
	}
	seen := false
	w.repo.AtNextPush(func(context.Context) { seen = there() })
	j := w.job(forge.Trigger{Token: writes})
	if there() {
		t.Error("the object is there before the run")
	}
	j.ci(0)
	if !seen {
		t.Error("the lock was pushed first")
	}

	// A remote that takes nothing gets no lock into git, and nothing is deployed.
	w = newCI(t, nil)
	w.env = append(w.env, "AWS_SECRET_ACCESS_KEY=wrong")
	p := w.job(forge.Trigger{Token: writes}).start("exec pipe ci")
	if p.end() == 0 {
		t.Errorf("it succeeded: %s", p)
	}
	w.logged("shipped")
	if len(w.repo.Pushes()) != 0 {
		t.Errorf("pushed: %+v", w.repo.Pushes())
	}
}

// A stage that fails is a failed job; what was built before it is published, and its lock is not lost.
func TestAFailedStageFailsTheJob(t *testing.T) {
	t.Parallel()
	for name, shipped := range map[string]string{"build.sh": "", "ship.sh": "one"} {
		w := newCI(t, map[string]string{name: "test -e DIR/go || exit 3\n" + map[string]string{"build.sh": ciBuild, "ship.sh": ciShip}[name]})
		w.says(w.job(forge.Trigger{Token: writes}).ci(1), "exit code 3")
		w.logged("shipped")
		if got := w.lock("main") != ""; got != (shipped != "") {
			t.Errorf("%s: the lock is there: %v", name, got)
		}
		w.write("go")
		w.job(forge.Trigger{Token: writes}).ci(0)
		w.logged("built", "build one")
		w.logged("shipped", "one")
		w.quiet(forge.Trigger{Token: writes})
	}
}

// lock: {commit: pr} keeps one pull request, which does not change what a run finds to do.
func TestTheLockGoesIntoAPullRequest(t *testing.T) {
	t.Parallel()
	w := newCI(t, map[string]string{"pipe.yaml": ciProject + "lock: {commit: pr}\n"})
	w.env = append(w.env, "GITHUB_TOKEN="+writes)
	w.repo.Protect("main", forge.Ruleset)
	first := w.repo.Tip("main")
	for range 2 {
		w.job(forge.Trigger{Token: writes}).ci(0)
		w.logged("built", "build one")
		w.logged("shipped", "one")
		if all := w.repo.Pulls(); len(all) != 1 || all[0].Base != "main" || !all[0].Open || w.lock(all[0].Head) == "" {
			t.Fatalf("pull requests: %+v", all)
		}
	}
	w.merge("second", map[string]string{"src": "two\n"})
	w.job(forge.Trigger{Token: writes}).ci(0)
	w.logged("shipped", "one", "two")
	all := w.repo.Pulls()
	if len(all) != 1 || w.repo.Git("diff", "--name-only", "main..."+all[0].Head) != "pipe.lock" {
		t.Errorf("pull requests: %+v, %s", all, w.repo.Git("diff", "--stat", "main..."+all[0].Head))
	}
	w.repo.Git("update-ref", "refs/heads/main", all[0].Head) // merged
	w.repo.Git("merge-base", "--is-ancestor", first, "main")
	w.job(forge.Trigger{Token: writes}).ci(0) // a commit that the environment has not met is noted there
	w.quiet(forge.Trigger{Token: writes})

	// Where apps may not make pull requests, the branch is there, and that is said.
	w = newCI(t, map[string]string{"pipe.yaml": ciProject + "lock: {commit: pr}\n"})
	w.env = append(w.env, "GITHUB_TOKEN="+writes)
	w.repo.DenyApps(true)
	w.says(w.job(forge.Trigger{Token: writes}).ci(0), "not permitted to create")
	w.logged("shipped", "one")
	if len(w.repo.Pulls()) != 0 {
		t.Errorf("pull requests: %+v", w.repo.Pulls())
	}
}

// A project may be in a directory of the repository, beside others, and have an odd name.
func TestTwoProjectsOfARepository(t *testing.T) {
	t.Parallel()
	const sub = "services/web app"
	w := newCI(t, map[string]string{
		sub + "/pipe.yaml": strings.ReplaceAll(ciProject, "project: shop", "project: web"),
		sub + "/build.sh":  ciBuild, sub + "/ship.sh": ciShip, sub + "/src": "web\n", sub + "/.gitignore": "/.pipe/\n/app\n",
	})
	j := w.job(forge.Trigger{Token: writes})
	w.ended(j.start("pipe ci -C 'services/web app'\nexec pipe ci"), 0)
	w.logged("shipped", "web", "one")
	if got := w.repo.Git("diff", "--name-only", "main~2", "main"); got != "pipe.lock\n"+sub+"/pipe.lock" {
		t.Errorf("changed: %q", got)
	}
	const both = "(cd 'services/web app' && pipe ci)\nexec pipe ci"
	w.ended(w.job(forge.Trigger{Token: writes}).start(both), 0) // the second lock's commit is one more for the first project
	j = w.job(forge.Trigger{Token: writes})
	before := w.listen()
	w.ended(j.start(both), 0)
	if len(before.pushed()) != 0 || len(before.ofForge()) != 0 || len(before.ofRemote()) != 2 {
		t.Errorf("%v, %v", before.ofForge(), before.ofRemote())
	}
	w.logged("shipped", "web", "one")
	w.sound()
}

// A runner that is killed leaves a place in which the next run goes on, and so does one in a new place.
func TestAKilledJobIsMadeGoodByTheNextOne(t *testing.T) {
	t.Parallel()
	rand := random(t)
	for i := range count(6, 200) {
		w := newCI(t, map[string]string{"pipe.yaml": strings.SplitAfter(ciProject, "outs: [app]}\n")[0]})
		j := w.job(forge.Trigger{Token: writes})
		p := j.start("exec pipe ci")
		p.after(time.Duration(rand.IntN(400)) * time.Millisecond)
		_ = p.killGroup() // an error says that it has ended
		p.end()
		if i%2 == 0 {
			j = w.job(forge.Trigger{Token: writes})
		}
		j.ci(0)
		if got := w.repo.Git("log", "--format=%s", "main"); strings.Count(got, "Update pipe.lock") != 1 {
			t.Errorf("the history is %q", got)
		}
		w.sound()
		w.job(forge.Trigger{Token: writes}).ci(0)
		if n := strings.Count(w.read("built"), "build one"); n > 2 {
			t.Errorf("built %d times", n)
		}
		must(t, os.RemoveAll(w.dir))
		must(t, os.MkdirAll(w.dir, 0o777))
	}
}
