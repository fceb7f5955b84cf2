//go:build linux

package drill

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/forge"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

const runners = 8

// race is a project whose stages have a developer each.
type race struct {
	*ciWorld
	mu   sync.Mutex
	done []jobTime
}

// jobTime is when a job ran.
type jobTime struct {
	dir          string
	began, ended time.Time
}

// newRace makes a project with a stage for each runner. No two builds make the same output.
func newRace(t *testing.T) *race {
	files := map[string]string{
		".gitignore": "/.pipe/\n/out/\n",
		"build.sh":   "echo $1 $(cat code/$1) $(pwd) >> DIR/builds\n(cat code/$1; date +%s%N; pwd) > out/$1\n",
	}
	var stages strings.Builder
	for i := range runners {
		fmt.Fprintf(&stages, "  s%d: {cmd: sh build.sh %d, deps: [code/%d, build.sh], outs: [out/%d]}\n", i, i, i, i)
		files[fmt.Sprintf("code/%d", i)] = source(i, 0)
	}
	files["pipe.yaml"] = "project: shop\nremote: REMOTE\nstages:\n" + stages.String()
	return &race{ciWorld: newCI(t, files)}
}

// source is what a runner has in its file in a round.
func source(runner, round int) string { return fmt.Sprintf("%d of %d\n", round, runner) }

// Many push at once, each to its own stage, and a job runs for each push: no entry of a lock is lost, nothing is
// forced, and what a job has built, no job that begins after its end builds again.
func TestJobsThatPushAtOnceLoseNothing(t *testing.T) {
	t.Parallel()
	w := newRace(t)
	w.job(forge.Trigger{Token: writes}).ci(0)
	rounds := count(4, 50)
	began := time.Now()
	var all sync.WaitGroup
	for i := range runners {
		all.Go(func() { w.run(i, rounds) })
	}
	all.Wait()
	if t.Failed() {
		return
	}
	t.Logf("%d jobs in %s, %d pushes, %d builds", runners*rounds, time.Since(began).Round(time.Second), len(w.repo.Pushes()), strings.Count(w.read("builds"), "\n"))
	w.sound()
	w.hasEntries(rounds)
	w.builtOnce()

	before := w.listen()
	j := w.job(forge.Trigger{Token: writes})
	j.ci(0)
	if len(before.pushed()) != 0 || len(before.ofRemote()) != 0 {
		t.Errorf("the last job: %+v\n%s", before.pushed(), strings.Join(before.ofRemote(), "\n"))
	}
}

// run changes a runner's file, pushes, and runs the job for it, again and again.
func (w *race) run(runner, rounds int) {
	dir := w.beside(fmt.Sprintf("developer-%d", runner))
	if _, err := w.git(w.dir, "clone", "-q", w.repo.For(writes), dir); err != nil {
		w.t.Error(err)
		return
	}
	for round := 1; round <= rounds; round++ {
		if err := os.WriteFile(filepath.Join(dir, "code", fmt.Sprint(runner)), []byte(source(runner, round)), 0o666); err != nil {
			w.t.Error(err)
			return
		}
		if _, err := w.git(dir, "commit", "-qam", source(runner, round)); err != nil {
			w.t.Error(err)
			return
		}
		for {
			if _, err := w.git(dir, "pull", "-q", "--rebase"); err != nil {
				w.t.Error(err)
				return
			}
			if _, err := w.git(dir, "push", "-q"); err == nil {
				break
			}
		}
		head, err := w.git(dir, "rev-parse", "HEAD")
		if err != nil {
			w.t.Error(err)
			return
		}
		began := time.Now()
		j := w.job(forge.Trigger{Token: writes, SHA: head})
		j.ci(0)
		w.mu.Lock()
		w.done = append(w.done, jobTime{j.Dir, began, time.Now()})
		w.mu.Unlock()
		must(w.t, os.RemoveAll(j.Dir))
	}
}

// git runs git as a developer does.
func (w *race) git(dir string, args ...string) (string, error) {
	c := exec.Command("git", args...)
	c.Dir = dir
	c.Env = append(c.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
	out, err := c.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// hasEntries checks that the history of pipe.lock has an entry for each push, and that no commit took a stage back
// to what it was before.
func (w *race) hasEntries(rounds int) {
	w.t.Helper()
	of := map[digest.Digest]int{}
	for i := range runners {
		for round := range rounds + 1 {
			of[digest.Of([]byte(source(i, round)))] = round
		}
	}
	last, entries := map[string]int{}, 0
	for commit := range strings.Lines(w.repo.Git("rev-list", "--reverse", "main", "--", "pipe.lock")) {
		commit = strings.TrimSpace(commit)
		lock, err := lockfile.Parse("pipe.lock", []byte(w.lock(commit)+"\n"))
		must(w.t, err)
		if len(lock.Absent) > 0 || len(lock.Stages) != runners {
			w.t.Errorf("the lock of %s: %d stages, %+v", commit, len(lock.Stages), lock.Absent)
		}
		for i := range lock.Stages {
			s := &lock.Stages[i]
			at := slices.IndexFunc(s.Deps, func(d artifact.Input) bool { return strings.HasPrefix(string(d.Path), "code/") })
			round, ok := of[s.Deps[at].Digest]
			switch was := last[s.Name]; {
			case !ok || round < was:
				w.t.Errorf("%s took %s from round %d to %d", commit, s.Name, was, round)
			case round > was:
				entries++
			}
			last[s.Name] = round
		}
	}
	if entries != runners*rounds {
		w.t.Errorf("%d of %d entries", entries, runners*rounds)
	}
	w.t.Logf("%d of %d entries", entries, runners*rounds)
}

// builtOnce checks that no job built what a job that had ended before it began had built.
func (w *race) builtOnce() {
	w.t.Helper()
	when := map[string]jobTime{}
	for _, j := range w.done {
		when[j.dir] = j
	}
	by := map[string][]jobTime{} // what was built
	for line := range strings.Lines(w.read("builds")) {
		f := strings.Fields(line)
		what := strings.Join(f[:len(f)-1], " ")
		j, ok := when[f[len(f)-1]]
		if !ok {
			continue // the first job of all
		}
		if i := slices.IndexFunc(by[what], func(o jobTime) bool { return o.ended.Before(j.began) || j.ended.Before(o.began) }); i >= 0 {
			w.t.Errorf("%s was built again by %s after %s", what, j.dir, by[what][i].dir)
		}
		by[what] = append(by[what], j)
	}
	w.t.Logf("%d things were built", len(by))
}
