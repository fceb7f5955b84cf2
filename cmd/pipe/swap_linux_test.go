package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pipe-build/pipe/pkg/lockfile"
)

// under has outs at several depths below o/sub. The command of use always fails, after its
// inputs were placed and its old out was moved aside, so that this is put back; it writes
// nothing, for what a command writes by a path that is swapped is not pipe's.
const under = `stages:
  make:
    cmd: |
      mkdir -p o/sub/out/in o/sub/deep/er
      for i in $(seq 20); do cat src > o/sub/out/$i; echo $i >> o/sub/out/$i; cp o/sub/out/$i o/sub/out/in; done
      cat src > o/sub/file; cat src > o/sub/deep/er/f
    deps: [src]
    outs: [o/sub/out, o/sub/file, o/sub/deep/er/f]
  use:
    cmd: test -e src/ok && echo used > o/sub/use
    deps: [o/sub/out, o/sub/file, o/sub/deep/er/f, src]
    outs: [o/sub/use]
`

// alone deploys, and keeps what is live in the project.
const alone = `stages:
  ship: {deploy: true, cmd: "true", deps: [src]}
`

// secret is in all files that lie outside.
const secret = "a secret of somebody else"

// victim makes a directory outside the project that has the names of one inside, from what is
// below it on. What is in it must stay as it is.
func victim(t *testing.T) string {
	dir := filepath.Join(quickDir(t), "victim")
	for _, name := range []string{
		"sub/out/1", "sub/out/in/1", "sub/file", "sub/use", "sub/deep/er/f", "out/1", "out/in/1", "out/mine", "file", "use", "deep/er/f",
		"tmp/mine", "tmp/old/mine", "aside/mine", "aside/run-1/0", "run-1/0", "run-2/note.json", "checkout-1/x", "in/1", "1", "er/f", "f", "index", "lock", ".gitignore", "partial/use/x",
	} {
		must(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(secret+name), 0o644))
	}
	note := `{"stage":"use","outs":[{"path":"o/sub/use","kept":"0"}]}`
	for _, name := range []string{"run-1/note.json", "aside/run-1/note.json"} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(note), 0o644))
	}
	return dir
}

// all is what lies below a directory: names, modes, bytes and targets.
func all(t *testing.T, dir string) map[string]string {
	t.Helper()
	is := map[string]string{}
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		var b []byte
		switch {
		case info.Mode().IsRegular():
			b, err = os.ReadFile(path)
		case info.Mode()&fs.ModeSymlink != 0:
			var to string
			to, err = os.Readlink(path)
			b = []byte(to)
		}
		is[path] = fmt.Sprintf("%v %s", info.Mode(), b)
		return err
	}))
	return is
}

// swapping exchanges two names, each time after a moment of at most pause, until the returned
// function is called, which leaves them as they were.
func swapping(a, b string, pause time.Duration) (stop func()) {
	done := make(chan struct{})
	over := func() bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	}
	var ended sync.WaitGroup
	ended.Go(func() {
		swapped := false
		for !over() || swapped {
			wait := time.Duration(rand.Float64() * float64(pause))
			for began := time.Now(); time.Since(began) < wait && !over(); {
				runtime.Gosched()
			}
			err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
			if err == nil {
				swapped = !swapped
			} else if over() {
				return // pipe has moved one of them
			}
		}
	})
	return func() { close(done); ended.Wait() }
}

// attack swaps at for a symlink to target while pipe runs.
type attack struct {
	name, at, target string
	own              bool // the cache lies in the project, for all verbs
}

// verbs are the ways to make pipe write, move and remove below o/sub. Each prepares the
// workspace before anything is swapped, and says what to run then.
func verbs(p *place, locks [2]string) map[string]func(i int) []string {
	edit := func(i int) { // what lies there is replaced, and first saved as an edit
		must(p.t, os.RemoveAll(p.path("o")))
		for _, name := range []string{"out/1", "out/in/1", "out/mine", "file", "deep/er/f", "use"} {
			p.put("o/sub/"+name, fmt.Sprintf("edit %d", i))
		}
		p.write("pipe.lock", locks[i%2])
	}
	return map[string]func(i int) []string{
		"pull":     func(i int) []string { edit(i); return []string{"pull"} },
		"checkout": func(i int) []string { edit(i); return []string{"checkout"} },
		"repro": func(i int) []string {
			edit(i)
			p.write("src", []string{"one", "two"}[i%2])
			return []string{"repro", "--keep-going"}
		},
		"gc": func(i int) []string {
			edit(i)
			p.put(".pipe/aside/run-9/0", "old")
			p.put(".pipe/aside/run-9/note.json", `{"stage":"use","outs":[{"path":"o/sub/use","kept":"0"}]}`)
			p.put(".pipe/tmp/left/in/1", "left")
			return []string{"gc"}
		},
		"deploy": func(i int) []string {
			edit(i)
			p.put(".pipe/env/default/left", "left")
			p.write("pipe.yaml", alone)
			return []string{"repro"}
		},
		"find -o": func(i int) []string {
			edit(i)
			return []string{"find", p.read("tree"), "-o", fmt.Sprintf("o/sub/found%d", i)}
		},
	}
}

// put is write, and makes the directories above.
func (p *place) put(name, text string) {
	p.t.Helper()
	must(p.t, os.MkdirAll(filepath.Dir(p.path(name)), 0o777))
	p.write(name, text)
}

// Whoever can rename directories of the project while pipe works in it gains no hand outside.
func TestADirectoryThatIsSwappedForASymlinkLeadsNothingOutside(t *testing.T) {
	t.Parallel()
	const outside = "OUTSIDE"
	for _, a := range []attack{
		{"the parent", "o/sub", outside + "/sub", false},
		{"the parent of the parent", "o", outside, false},
		{"a deep parent", "o/sub/deep", outside + "/deep", false},
		{"a directory", "o/sub/out", outside + "/out", false},
		{"inside a directory", "o/sub/out/in", outside + "/in", false},
		{"a file", "o/sub/file", outside + "/file", false},
		{"into git", "o/sub", "../.git", false},
		{"temporary files", ".pipe/tmp", outside + "/tmp", false},
		{"temporary files into git", ".pipe/tmp", "../.git", false},
		{"old outs", ".pipe/aside", outside + "/aside", false},
		{"pipe's own", ".pipe", outside, false},
		{"pipe's own into git", ".pipe", ".git", false},
		{"pipe's own with the cache", ".pipe", outside, true},
		{"the cache", ".pipe/cache", outside + "/cache", true},
		{"a directory of the cache", ".pipe/cache/files", outside + "/files", true},
		{"the cache into git", ".pipe/cache", "../.git", true},
		{"pipe's own with the cache into git", ".pipe", ".git", true},
		{"a directory of the cache into git", ".pipe/cache/files", "../../.git", true},
		{"the cache's temporary files into git", ".pipe/cache/tmp", "../../.git", true},
		{"the cache's temporary files", ".pipe/cache/tmp", outside + "/tmp", true},
		{"the cache's records", ".pipe/cache/runs", outside + "/runs", true},
		{"what is live", ".pipe/env", outside + "/env", true},
	} {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			a.run(t, outside)
		})
	}
}

func (a attack) run(t *testing.T, outside string) {
	cache, remote, out := quickDir(t), quickDir(t), victim(t)
	p := newPlace(t, a.environ("", remote, cache)...)
	p.write("pipe.yaml", under)
	git := exec.Command("git", "init", "-q")
	git.Dir = p.dir
	must(t, git.Run())
	var locks [2]string
	for i, src := range []string{"one", "two"} {
		p.write("src", src)
		p.pipe("repro", "make", "--push")
		locks[i] = p.read("pipe.lock")
	}
	lock, err := lockfile.Parse("pipe.lock", []byte(locks[1]))
	must(t, err)
	p.write("tree", lock.Stages[0].Outs[2].Digest.Hex())
	before := all(t, out)
	maps.Copy(before, all(t, p.path(".git")))
	alt := p.path(filepath.Dir(a.at), "alt")
	for verb, prepare := range verbs(p, locks) {
		p.env = a.environ(verb, remote, cache)
		for i := range kills() / 2 {
			must(t, os.RemoveAll(alt)) // pipe may have made room in place of the link
			if info, err := os.Lstat(p.path(a.at)); err != nil || !info.IsDir() {
				must(t, os.RemoveAll(p.path(a.at)))
			}
			args := prepare(i)
			must(t, os.MkdirAll(p.path(".pipe", "aside"), 0o777))
			must(t, os.MkdirAll(p.path(".pipe", "tmp"), 0o777))
			must(t, os.Symlink(strings.ReplaceAll(a.target, outside, out), alt))
			stop := swapping(p.path(a.at), alt, time.Duration(i%3)*3*time.Millisecond)
			c := p.start(args...)
			code := p.end(c)
			stop()
			if code < 0 || code == 2 && !a.own && !bytes.Contains(c.out.Bytes(), []byte("not a directory")) || bytes.Contains(c.out.Bytes(), []byte("goroutine ")) {
				t.Fatalf("%s: exit code %d\n%s", verb, code, &c.out)
			}
			after := all(t, out)
			maps.Copy(after, all(t, p.path(".git")))
			if diff := different(after, before); diff != "" {
				t.Fatalf("%s, round %d, exit code %d: %s\n%s", verb, i, code, &c.out, diff)
			}
		}
		p.write("pipe.yaml", under)
	}
	for _, dir := range []string{cache, remote, p.path(".pipe")} {
		for path, is := range all(t, dir) {
			if strings.Contains(is, secret) {
				t.Errorf("%s holds a secret", path)
			}
		}
	}
}

// environ is what a verb gets. gc cleans only the project's own cache, and without a remote what
// is live stands in the project.
func (a attack) environ(verb, remote, cache string) []string {
	switch {
	case verb == "deploy":
		return nil
	case a.own || verb == "gc":
		return []string{"PIPE_REMOTE=" + remote}
	}
	return []string{"PIPE_REMOTE=" + remote, "PIPE_CACHE=" + cache}
}

// different returns what is not the same, "" when nothing is.
func different(got, want map[string]string) string {
	var all []string
	for path := range want {
		if got[path] != want[path] {
			all = append(all, fmt.Sprintf("%s was %q, is %q", path, want[path], got[path]))
		}
	}
	for path := range got {
		if _, ok := want[path]; !ok {
			all = append(all, fmt.Sprintf("%s is new: %q", path, got[path]))
		}
	}
	return strings.Join(all, "\n")
}
