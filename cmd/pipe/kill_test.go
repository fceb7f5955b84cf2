//go:build !windows

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/s3server"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

var (
	killSeed = flag.Uint64("kill.seed", 0, "seed of the moments at which pipe is killed; 0: a new one")
	killReps = flag.Int("kill.reps", 100, "how often each of the tests kills pipe")
)

// patience ends a test that would else hang; no test depends on how long it is.
const patience = time.Minute

// place is a directory in which pipe is called.
type place struct {
	t   *testing.T
	dir string
	env []string
}

func newPlace(t *testing.T, env ...string) *place {
	return &place{t, quickDir(t), env}
}

// quickDir is a temporary directory, in memory where there is enough: thousands
// of files are made, and a killed process is no power cut.
func quickDir(t *testing.T) string {
	const memory, enough = "/dev/shm", 1 << 30
	var s syscall.Statfs_t
	if syscall.Statfs(memory, &s) != nil || uint64(s.Bavail)*uint64(s.Bsize) < enough {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(memory, "pipe-test-*")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func (p *place) path(names ...string) string {
	return filepath.Join(append([]string{p.dir}, names...)...)
}

func (p *place) write(name, text string) {
	p.t.Helper()
	must(p.t, os.WriteFile(p.path(name), []byte(text), 0o666))
}

func (p *place) read(names ...string) string {
	p.t.Helper()
	b, err := os.ReadFile(p.path(names...))
	must(p.t, err)
	return string(b)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// process is a pipe that was started, in its own process.
type process struct {
	*exec.Cmd
	out  bytes.Buffer // both streams; to be read after done
	done chan error
}

// start starts pipe, the program that TestMain puts into PATH.
func (p *place) start(args ...string) *process {
	p.t.Helper()
	c := &process{Cmd: exec.Command("pipe", args...), done: make(chan error, 1)}
	c.Dir, c.Env = p.dir, append(os.Environ(), "NO_COLOR=1", "USER=ada")
	c.Env = append(c.Env, p.env...)
	c.Stdout, c.Stderr = &c.out, &c.out
	must(p.t, c.Start())
	go func() { c.done <- c.Wait() }()
	return c
}

// end waits for the process and returns its exit code, -1 when a signal ended it.
func (p *place) end(c *process) int {
	p.t.Helper()
	select {
	case err := <-c.done:
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			p.t.Fatal(err)
		}
		return c.ProcessState.ExitCode()
	case <-time.After(patience):
		_ = c.Process.Kill()
		p.t.Fatalf("%s does not end", c.Args)
		return 0
	}
}

// pipe runs pipe, which must succeed, and returns what it printed.
func (p *place) pipe(args ...string) string {
	p.t.Helper()
	c := p.start(args...)
	if code := p.end(c); code != 0 {
		p.t.Fatalf("%s: exit code %d\n%s", c.Args, code, &c.out)
	}
	return c.out.String()
}

// kill runs pipe and kills it, and no process that it started, after a while.
// It returns false when pipe was done by then.
func (p *place) kill(after time.Duration, args ...string) bool {
	p.t.Helper()
	c := p.start(args...)
	select {
	case err := <-c.done:
		c.done <- err
	case <-time.After(after):
		_ = c.Process.Kill() // an error says that it has ended
	}
	code := p.end(c)
	if code > 0 {
		p.t.Fatalf("%s, before it was killed: exit code %d\n%s", c.Args, code, &c.out)
	}
	return code != 0
}

// until waits for something that another process does.
func (p *place) until(what string, ok func() bool) {
	p.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			p.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// moments is a source of random moments within a run.
type moments struct {
	rand   *rand.Rand
	run    time.Duration // how long one takes that nobody kills
	killed int
}

// measured times three runs; the middle one is what the moments are spread over.
func measured(t *testing.T, run func()) *moments {
	t.Helper()
	seed := *killSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	m := &moments{rand: rand.New(rand.NewPCG(seed, 0))}
	var took []time.Duration
	for range 3 {
		began := time.Now()
		run()
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	m.run = took[1]
	t.Logf("-kill.seed=%d, %s for a run", seed, m.run.Round(time.Millisecond))
	return m
}

func (m *moments) next() time.Duration { return time.Duration(m.rand.Int64N(int64(m.run))) }

func (m *moments) count(killed bool) {
	if killed {
		m.killed++
	}
}

// end fails when no run was killed in its middle: then nothing was tested.
func (m *moments) end(t *testing.T, reps int) {
	t.Helper()
	t.Logf("%d of %d runs were killed before their end", m.killed, reps)
	if m.killed == 0 && reps > 10 {
		t.Error("none was killed in its middle")
	}
}

// lies returns what a store in a directory says and is not so: an object whose
// bytes are others, a tree whose files are not there, a record whose outs are
// not there. What names others is read first, so a store that still grows is no
// liar.
func lies(t *testing.T, root string) (found []string) {
	t.Helper()
	bytesOf := map[object.Ref]int{} // 0: not looked at yet, 1: right, 2: wrong or absent
	has := func(ref object.Ref) bool {
		if bytesOf[ref] == 0 {
			bytesOf[ref] = 2
			b, err := os.ReadFile(filepath.Join(root, store.Path(ref)))
			if err == nil && digest.Of(b) == ref.Digest {
				bytesOf[ref] = 1
			}
		}
		return bytesOf[ref] == 1
	}
	each(t, filepath.Join(root, "runs"), func(name string, b []byte) {
		id, ok := store.RunAt("runs/k1/" + name[:2] + "/" + name)
		if !ok {
			t.Fatalf("%s is not the name of a record", name)
		}
		rec, err := object.ParseRecord(b, id)
		if err != nil {
			found = append(found, err.Error())
			return
		}
		for _, o := range rec.Outs {
			if !has(object.Of(o)) {
				found = append(found, fmt.Sprintf("the record of %s names %s", rec.Stage, object.Of(o)))
			}
		}
	})
	each(t, filepath.Join(root, "trees"), func(name string, b []byte) {
		tree, err := object.ParseTree(b)
		if err != nil {
			found = append(found, fmt.Sprintf("tree %s: %v", name, err))
			return
		}
		for _, e := range tree.Entries {
			if !has(object.Ref{Digest: e.Digest}) {
				found = append(found, fmt.Sprintf("tree %s names %s, %s", name, e.Digest, e.Path))
			}
		}
	})
	each(t, filepath.Join(root, "files"), func(name string, b []byte) {
		if d := digest.Of(b).Hex(); d != name {
			found = append(found, fmt.Sprintf("file %s has digest %s", name, d))
		}
	})
	return found
}

// each calls f for every object below dir, with its whole hash, first two digits
// and all. Names that begin with a dot are no objects' yet.
func each(t *testing.T, dir string, f func(name string, b []byte)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), ".") {
			return err
		}
		name := d.Name()
		b, err := os.ReadFile(path)
		f(name, b)
		return err
	})
	must(t, err)
}

// content is every file below a path, by its relative name, with the digest of
// its bytes; a file itself is ".". Nothing there is nil.
type content map[string]string

func contentOf(t *testing.T, top string) content {
	t.Helper()
	c := content{}
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		rel, rerr := filepath.Rel(top, path)
		c[filepath.ToSlash(rel)] = digest.Of(b).Hex()
		return errors.Join(err, rerr)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	must(t, err)
	return c
}

// locked returns the content of each out that pipe.lock names, as the cache has
// it. An object that the cache lacks fails the test.
func (p *place) locked(why string) map[string]content {
	p.t.Helper()
	lock, err := lockfile.Parse(lockfile.FileName, []byte(p.read(lockfile.FileName)))
	must(p.t, err)
	bytesOf := func(ref object.Ref, at string) []byte {
		b, err := os.ReadFile(p.path(".pipe", "cache", store.Path(ref)))
		if err != nil || digest.Of(b) != ref.Digest {
			p.t.Fatalf("%s: the recorded bytes of %s are lost: %v", why, at, err)
		}
		return b
	}
	all := map[string]content{}
	for _, s := range lock.Stages {
		for _, o := range s.Outs {
			at := string(o.Path)
			b := bytesOf(object.Of(o), at)
			all[at] = content{".": o.Digest.Hex()}
			if !o.Dir {
				continue
			}
			tree, err := object.ParseTree(b)
			must(p.t, err)
			all[at] = content{}
			for _, e := range tree.Entries {
				bytesOf(object.Ref{Digest: e.Digest}, at+"/"+string(e.Path))
				all[at][string(e.Path)] = e.Digest.Hex()
			}
		}
	}
	return all
}

// wantOuts checks that the workspace has exactly what pipe.lock names.
func (p *place) wantOuts(why string) {
	p.t.Helper()
	for at, want := range p.locked(why) {
		if got := contentOf(p.t, p.path(at)); !maps.Equal(got, want) {
			p.t.Fatalf("%s: %s is not what pipe.lock names: %d files, not %d", why, at, len(got), len(want))
		}
	}
}

// wantNoRest checks that nothing of an old run lies around.
func (p *place) wantNoRest(why string) {
	p.t.Helper()
	for _, dir := range []string{"aside", "tmp"} {
		rest, err := filepath.Glob(p.path(".pipe", dir, "*"))
		must(p.t, err)
		if len(rest) > 0 {
			p.t.Fatalf("%s: left behind: %s", why, rest)
		}
	}
}

// threeStages is a directory, a file that never comes out twice alike, and a
// deployment. Each command says when it begins, and when it is not alone.
const threeStages = `project: shop
remote: DIR/remote
stages:
  files:
    cmd: |
      echo files >> DIR/begun
      mkdir DIR/busy.files || echo files >> DIR/overlap
      mkdir out
      for i in $(seq 20); do echo $i > out/$i; done
      cat src > out/1
      sleep 0.02
      for i in $(seq 21 40); do echo $i > out/$i; done
      cat src > out/40
      rmdir DIR/busy.files
    deps: [src]
    outs: [out]
  stamp:
    cmd: |
      echo stamp >> DIR/begun
      mkdir DIR/busy.stamp || echo stamp >> DIR/overlap
      cat src > stamp
      sleep 0.02
      { date +%s%N; echo $$; } >> stamp
      rmdir DIR/busy.stamp
    deps: [src]
    outs: [stamp]
  ship:
    cmd: |
      echo ship >> DIR/begun
      mkdir DIR/busy.ship || echo ship >> DIR/overlap
      rm -rf DIR/live; mkdir DIR/live
      cp stamp DIR/live
      sleep 0.02
      cp -R out DIR/live
      rmdir DIR/busy.ship
    deps: [out, stamp]
    deploy: true
`

// Promise 8; LESSONS 2, 8, 12, 19, 22.
func TestKilledInTheMiddleOfAStageTheNextRunFinishes(t *testing.T) {
	t.Parallel()
	p, beside := newPlace(t), quickDir(t)
	p.write("pipe.yaml", strings.ReplaceAll(threeStages, "DIR", beside))
	version := 0
	change := func() { version++; p.write("src", fmt.Sprintf("version %d\n", version)) }
	m := measured(t, func() { change(); p.pipe("repro") })
	for i := range *killReps {
		why := fmt.Sprintf("repetition %d", i)
		old := p.locked(why)
		edit := ""
		restores := i%5 == 4
		switch {
		case restores: // the version before is recorded
			p.write("src", fmt.Sprintf("version %d\n", version-1))
		case i%5 == 2: // somebody's work lies in an out
			edit = digest.Of([]byte(why)).Hex()
			p.write("out/1", why)
			change()
		default:
			change()
		}
		m.count(p.kill(m.next(), "repro"))

		// Before the next run: whatever was recorded is still there, whole.
		p.pipe("verify")
		p.locked(why)
		for at, c := range old {
			for name, d := range c {
				if _, err := os.Stat(p.path(".pipe", "cache", "files", "blake3", d[:2], d)); err != nil && (name != "." || at == "stamp") {
					t.Fatalf("%s: the old bytes of %s, %s are lost: %v", why, at, name, err)
				}
			}
		}

		p.pipe("repro")
		if restores {
			p.pipe("checkout") // outs that are not here are not restored
		}
		p.wantOuts(why)
		p.wantNoRest(why)
		if b, err := os.ReadFile(filepath.Join(beside, "overlap")); err == nil {
			t.Fatalf("%s: two commands at once of %s", why, b)
		}
		if edit != "" {
			if _, err := os.Stat(p.path(".pipe", "cache", "files", "blake3", edit[:2], edit)); err != nil {
				t.Fatalf("%s: the edit of an out is lost: %v", why, err)
			}
		}
		wantLive(t, p, beside, why)
		begun, err := os.ReadFile(filepath.Join(beside, "begun"))
		must(t, err)
		if out := p.pipe("repro"); !strings.Contains(out, "3 unchanged") {
			t.Fatalf("%s: one more run did something:\n%s", why, out)
		}
		again, err := os.ReadFile(filepath.Join(beside, "begun"))
		must(t, err)
		if len(again) != len(begun) {
			t.Fatalf("%s: one more run ran a command", why)
		}
		if restores {
			change()
			p.pipe("repro")
		}
	}
	if rest := lies(t, p.path(".pipe", "cache")); rest != nil {
		t.Error(rest)
	}
	if rest := lies(t, filepath.Join(beside, "remote")); rest != nil {
		t.Error(rest)
	}
	m.end(t, *killReps)
}

// wantLive checks that the environment says ok, and that what is live is so.
func wantLive(t *testing.T, p *place, beside, why string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(beside, "remote", "projects", "shop", "env", "default", "state"))
	must(t, err)
	var state struct {
		Stages map[string]struct{ Status string }
	}
	must(t, json.Unmarshal(b, &state))
	if got := state.Stages["ship"].Status; got != "ok" {
		t.Fatalf("%s: the environment says %q", why, got)
	}
	for at, want := range p.locked(why) {
		if got := contentOf(t, filepath.Join(beside, "live", at)); !maps.Equal(got, want) {
			t.Fatalf("%s: what is live of %s is not what was built", why, at)
		}
	}
}

// many is one stage whose out has 300 small files and one of 3 MiB.
const many = `stages:
  many:
    cmd: |
      mkdir out
      { cat src; head -c 3145728 /dev/zero; } > out/big
      i=0
      while test $i -lt 300; do echo "$i of $(cat src)" > out/$i; i=$((i+1)); done
    deps: [src]
    outs: [out]
`

// remotes are where pushes and pulls are killed, and in how many of a hundred.
func remotes(t *testing.T, f func(t *testing.T, r remote, reps int)) {
	t.Run("directory", func(t *testing.T) {
		t.Parallel()
		dir := quickDir(t)
		f(t, remote{url: dir, dir: dir}, *killReps-*killReps*3/10)
	})
	t.Run("S3", func(t *testing.T) {
		t.Parallel()
		s := s3server.Start(t, s3server.Options{})
		f(t, remote{url: "s3://" + s.Bucket, dir: filepath.Join(s.Dir, s.Bucket), env: s.Env()}, *killReps*3/10)
	})
}

type remote struct {
	url, dir string // dir is where its objects lie as files
	env      []string
}

// below returns a remote of its own inside r.
func (r remote) below(name string) remote {
	return remote{r.url + "/" + name, filepath.Join(r.dir, name), append(slices.Clip(r.env), "PIPE_REMOTE="+r.url+"/"+name)}
}

// built returns a place where many was built.
func built(t *testing.T, env []string) *place {
	p := newPlace(t, env...)
	p.write("pipe.yaml", many)
	p.write("src", "one")
	p.pipe("repro")
	return p
}

// Promises 7 and 8: names last.
func TestKilledInTheMiddleOfAPushTheNextPushFinishes(t *testing.T) {
	t.Parallel()
	remotes(t, func(t *testing.T, r remote, reps int) {
		p := built(t, r.env)
		want := contentOf(t, p.path("out"))
		n := 0
		fresh := func() remote {
			n++
			to := r.below(strconv.Itoa(n))
			p.env = to.env
			return to
		}
		m := measured(t, func() { fresh(); p.pipe("push") })
		for i := range reps {
			why := fmt.Sprintf("repetition %d", i)
			to := fresh()
			m.count(p.kill(m.next(), "push"))
			if found := lies(t, to.dir); found != nil {
				t.Fatalf("%s: after the kill: %s", why, found)
			}
			p.pipe("push")
			if found := lies(t, to.dir); found != nil {
				t.Fatalf("%s: after the next push: %s", why, found)
			}
			clone := newPlace(t, to.env...)
			for _, name := range []string{"pipe.yaml", "pipe.lock", "src"} {
				clone.write(name, p.read(name))
			}
			clone.pipe("pull")
			if got := contentOf(t, clone.path("out")); !maps.Equal(got, want) {
				t.Fatalf("%s: a clone pulled %d files, not the %d that were pushed", why, len(got), len(want))
			}
			must(t, errors.Join(os.RemoveAll(clone.dir), os.RemoveAll(to.dir))) // now: there are many
		}
		m.end(t, reps)
	})
}

func TestKilledInTheMiddleOfAPullTheNextPullFinishes(t *testing.T) {
	t.Parallel()
	remotes(t, func(t *testing.T, r remote, reps int) {
		r = r.below("shop")
		p := built(t, r.env)
		var locks []string
		var wants []content
		for i := range 2 {
			p.write("src", fmt.Sprintf("version %d", i))
			p.pipe("repro", "--push")
			locks = append(locks, p.read("pipe.lock"))
			wants = append(wants, contentOf(t, p.path("out")))
		}
		now := 1 // the version in the workspace
		forget := func() {
			now = 1 - now
			p.write("pipe.lock", locks[now])
			must(t, os.RemoveAll(p.path(".pipe", "cache")))
		}
		m := measured(t, func() { forget(); p.pipe("pull") })
		for i := range reps {
			why := fmt.Sprintf("repetition %d", i)
			forget()
			old, want := wants[1-now], wants[now]
			if i%5 == 4 {
				old = nil
				must(t, os.RemoveAll(p.path("out")))
			}
			m.count(p.kill(m.next(), "pull"))
			switch got := contentOf(t, p.path("out")); {
			case maps.Equal(got, want), maps.Equal(got, old):
			case got == nil: // between two renames: the old bytes, which nothing but the workspace had, are in the cache
				for name, d := range old {
					if _, err := os.Stat(p.path(".pipe", "cache", "files", "blake3", d[:2], d)); err != nil {
						t.Fatalf("%s: the old out is gone, and %s is not in the cache", why, name)
					}
				}
			default:
				t.Fatalf("%s: after the kill the out has %d files, neither the old nor the new ones", why, len(got))
			}
			if found := lies(t, p.path(".pipe", "cache")); found != nil {
				t.Fatalf("%s: after the kill: %s", why, found)
			}
			p.pipe("pull")
			p.wantOuts(why)
			p.wantNoRest(why)
			if got := contentOf(t, p.path("out")); !maps.Equal(got, want) {
				t.Fatalf("%s: pulled %d files, not the %d that were pushed", why, len(got), len(want))
			}
			p.pipe("verify")
		}
		m.end(t, reps)
	})
}

// slow is a stage that hangs, with a grandchild, while the file DIR/hang is there.
const slow = `stages:
  slow:
    cmd: |
      TRAP
      echo $$ > DIR/group.tmp
      mkdir DIR/busy || echo slow >> DIR/overlap
      echo half > out
      if test -e DIR/hang; then
        sh -c 'TRAP
        echo $$ > DIR/child
        mv DIR/group.tmp DIR/group
        while test -e DIR/hang; do sleep 0.02; done; :'
      fi
      cat src > out
      rmdir DIR/busy
    deps: [src]
    outs: [out]
`

// hanging is a place whose stage has an old out, "one", and hangs when it is run
// again, and the directory beside it that the stage's command uses.
func hanging(t *testing.T, trap string) (p *place, beside string) {
	p, beside = newPlace(t), quickDir(t)
	p.write("pipe.yaml", strings.NewReplacer("DIR", beside, "TRAP", trap).Replace(slow))
	p.write("src", "one")
	p.pipe("repro")
	must(t, os.WriteFile(filepath.Join(beside, "hang"), nil, 0o666))
	t.Cleanup(func() { _ = os.Remove(filepath.Join(beside, "hang")) }) // nothing hangs on after a failure
	p.write("src", "two")
	return p, beside
}

// group waits for the command and returns its process group.
func (p *place) group(beside string) int {
	p.t.Helper()
	name := filepath.Join(beside, "group")
	p.until("the command", func() bool { _, err := os.Stat(name); return err == nil })
	b, err := os.ReadFile(name)
	must(p.t, err)
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	must(p.t, err)
	return n
}

// LESSONS 12.
func TestSignalsEndTheWholeRun(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, trap string
		signal     syscall.Signal
		code       int
	}{
		{"SIGTERM", ":", syscall.SIGTERM, 143},
		{"SIGINT", ":", syscall.SIGINT, 130},
		{"SIGTERM to a command that will not end", `trap "" TERM INT`, syscall.SIGTERM, 143},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, beside := hanging(t, c.trap)
			lock := p.read("pipe.lock")
			run := p.start("repro")
			group := p.group(beside)
			must(t, run.Process.Signal(c.signal))
			if code := p.end(run); code != c.code {
				t.Errorf("exit code %d, not %d\n%s", code, c.code, &run.out)
			}
			// One that was killed may still be a zombie; one that was not never ends.
			p.until("the end of the command's group", func() bool { return errors.Is(syscall.Kill(-group, 0), syscall.ESRCH) })
			if out := p.read("out"); out != "one" {
				t.Errorf("the old out is not back: %q", out)
			}
			if p.read("pipe.lock") != lock {
				t.Error("pipe.lock changed")
			}
			p.wantNoRest("after the signal")
			must(t, errors.Join(os.Remove(filepath.Join(beside, "hang")), os.Remove(filepath.Join(beside, "busy"))))
			if out := p.pipe("repro"); !strings.Contains(out, "1 ran") {
				t.Errorf("the next run:\n%s", out)
			}
			if out := p.read("out"); out != "two" {
				t.Errorf("the next run made %q", out)
			}
		})
	}
}

// Promises 8 and 9.
func TestAWaiterNamesTheOrphanedCommand(t *testing.T) {
	t.Parallel()
	p, beside := hanging(t, ":")
	first := p.start("repro")
	group := p.group(beside)
	p.until("pipe's note of the command", func() bool { return strings.Contains(p.read(".pipe", "lock"), strconv.Itoa(group)) })
	must(t, first.Process.Kill())
	if code := p.end(first); code != -1 {
		t.Fatalf("exit code %d of a killed pipe", code)
	}
	if err := syscall.Kill(-group, 0); err != nil {
		t.Fatalf("the command did not live on: %v", err)
	}

	log := filepath.Join(beside, "log")
	f, err := os.Create(log)
	must(t, err)
	second := exec.Command("pipe", "repro")
	second.Dir, second.Stderr = p.dir, f
	must(t, second.Start())
	want := fmt.Sprintf("waiting for the command of stage slow (process group %d)", group)
	said := func() string {
		b, err := os.ReadFile(log)
		must(t, err)
		return string(b)
	}
	p.until("a word of the waiter", func() bool { return strings.Contains(said(), "\n") })
	if !strings.Contains(said(), want) {
		t.Errorf("the waiter says %q, not %q", said(), want)
	}
	if err := syscall.Kill(-group, 0); err != nil {
		t.Errorf("the command that is waited for: %v", err)
	}
	must(t, os.Remove(filepath.Join(beside, "hang")))
	if err := second.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, said())
	}
	must(t, f.Close())
	if !strings.Contains(said(), "1 ran") || p.read("out") != "two" {
		t.Errorf("out is %q after\n%s", p.read("out"), said())
	}
	if b, err := os.ReadFile(filepath.Join(beside, "overlap")); err == nil {
		t.Errorf("two commands at once of %s", b)
	}
	p.wantNoRest("in the end")
}
