package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// nobody is who calls pipe where the tests run as root, who may write everything.
const nobody = 65534

// asNobody calls pipe without root's rights, in p's directory, and returns what it printed.
func (p *place) asNobody(args ...string) (out string, code int) {
	p.t.Helper()
	c := &process{Cmd: &exec.Cmd{Path: "/proc/self/exe", Args: append([]string{"pipe"}, args...)}}
	if os.Getuid() == 0 {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	c.Stdout, c.Stderr = &c.out, &c.out
	code = p.end(p.started(c))
	return c.out.String(), code
}

// inMounts calls pipe where only it sees what the script mounts.
func (p *place) inMounts(script string, args ...string) (out string, code int) {
	p.t.Helper()
	c := &process{Cmd: exec.Command("sh", append([]string{"-ec", script + ` && exec pipe "$@"`, "sh"}, args...)...)}
	c.SysProcAttr = ownMounts()
	c.Stdout, c.Stderr = &c.out, &c.out
	code = p.end(p.started(c))
	return c.out.String(), code
}

// inMount calls pipe where the directory is mounted read-only.
func (p *place) inMount(args ...string) (out string, code int) {
	p.t.Helper()
	return p.inMounts(`mount --bind . . && mount -o remount,bind,ro . && cd "$PWD"`, args...)
}

// ownMounts are mounts that only a process and its children see, of a user who may mount.
func ownMounts() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if id := os.Getuid(); id != 0 {
		a.Cloneflags = syscall.CLONE_NEWUSER
		a.UidMappings = []syscall.SysProcIDMap{{HostID: id, Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	return a
}

// mayMount reports whether this user may have mounts of its own. In CI that is needed.
func mayMount(t *testing.T) bool {
	t.Helper()
	c := exec.Command("true")
	c.SysProcAttr = ownMounts()
	err := c.Run()
	if err != nil {
		t.Logf("nothing is mounted: %v", err)
	}
	if err != nil && os.Getenv("CI") == "true" {
		t.Error("this user may not mount")
	}
	return err == nil
}

// readOnlyPlace is a place of nobody's where everything was built, published and committed.
func readOnlyPlace(t *testing.T) (p *place, beside string) {
	p, beside = newPlace(t), quickDir(t)
	if os.Getuid() == 0 {
		must(t, errors.Join(os.Chown(p.dir, nobody, nobody), os.Chown(beside, nobody, nobody)))
	}
	p.env = append(p.env, "HOME="+beside, "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*", "XDG_CONFIG_HOME="+beside,
		"GIT_AUTHOR_NAME=Test", "GIT_AUTHOR_EMAIL=test@example.invalid", "GIT_COMMITTER_NAME=Test", "GIT_COMMITTER_EMAIL=test@example.invalid")
	p.write("pipe.yaml", strings.ReplaceAll(`project: shop
remote: DIR/remote
inputs: [data]
stages:
  a: {cmd: "mkdir out; cp src out/x; echo a >> DIR/ran", deps: [src], outs: [out]}
  b: {cmd: "echo b >> DIR/ran", deps: [out, data], deploy: true}
`, "DIR", beside))
	p.write("src", "one")
	p.write("data", "one")
	p.write(".gitignore", "out\ndata\n")
	p.own()
	for _, args := range [][]string{{"repro"}, {"push"}} {
		if out, code := p.asNobody(args...); code != 0 {
			t.Fatalf("%s", out)
		}
	}
	git := exec.Command("sh", "-ec", "git init -q && git add . && git commit -qm all")
	git.Dir, git.Env = p.dir, append(os.Environ(), p.env...)
	if out, err := git.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p.own()
	return p, beside
}

// own gives everything in the directory to nobody.
func (p *place) own() {
	p.t.Helper()
	if os.Getuid() != 0 {
		return
	}
	p.each(func(path string, _ fs.FileInfo) error { return os.Lchown(path, nobody, nobody) })
}

// each calls f for everything in the directory.
func (p *place) each(f func(path string, info fs.FileInfo) error) {
	p.t.Helper()
	must(p.t, filepath.Walk(p.dir, func(path string, info fs.FileInfo, err error) error {
		if err != nil {
			return err
		}
		return f(path, info)
	}))
}

// writable allows or forbids everything in the directory to be written.
func (p *place) writable(yes bool) {
	p.t.Helper()
	mode := "a-w"
	if yes {
		mode = "u+rwX"
	}
	if out, err := exec.Command("chmod", "-R", mode, p.dir).CombinedOutput(); err != nil {
		p.t.Fatalf("%v\n%s", err, out)
	}
}

// state lists everything in the directory, with times.
func (p *place) state() string {
	p.t.Helper()
	var b strings.Builder
	p.each(func(path string, info fs.FileInfo) error {
		st := info.Sys().(*syscall.Stat_t)
		fmt.Fprintln(&b, path, info.Mode(), info.Size(), st.Ino, st.Ctim)
		return nil
	})
	return b.String()
}

// questions are all calls that must work when there is nothing to do.
var questions = [][]string{
	{"repro"},
	{"repro", "--push"},
	{"plan"},
	{"status", "--exit-code"},
	{"why", "a"},
	{"push"},
	{"pull"},
	{"checkout"},
	{"find", "out/x"},
	{"diff"},
	{"dag"},
	{"hash", "src"},
	{"verify"},
	{"gc"},
	{"gc", "--yes"},
	{"lock", "commit"},
}

func TestAReadOnlyCheckoutWithNothingToDoWorks(t *testing.T) {
	t.Parallel()
	mount := mayMount(t)
	for name, bare := range map[string]bool{"with .pipe": false, "without .pipe": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, _ := readOnlyPlace(t)
			if bare {
				must(t, os.RemoveAll(p.path(".pipe")))
			}
			p.writable(false)
			t.Cleanup(func() { p.writable(true) })
			before := p.state()
			for _, call := range questions {
				if out, code := p.asNobody(call...); code != 0 || strings.Contains(out, "denied") {
					t.Errorf("pipe %s: exit code %d\n%s", call, code, out)
				}
				if !mount {
					continue
				}
				if out, code := p.inMount(call...); code != 0 || strings.Contains(out, "read-only") {
					t.Errorf("mounted read-only: pipe %s: exit code %d\n%s", call, code, out)
				}
			}
			if after := p.state(); after != before {
				t.Errorf("was\n%s\nis\n%s", before, after)
			}
		})
	}
}

// Nothing is half done: the command does not run, and lock, workspace and remote stay.
// Several projects share a cache, and some may only read it.
func TestASharedCacheThatIsMountedReadOnlyIsNoObstacle(t *testing.T) {
	t.Parallel()
	if !mayMount(t) {
		return
	}
	cache := quickDir(t)
	p := newPlace(t, "PIPE_CACHE="+cache)
	p.write("pipe.yaml", "stages:\n  a: {cmd: cp src out, deps: [src], outs: [out]}\n")
	p.write("src", "1")
	p.pipe("repro")
	mount := `mount --bind "$PIPE_CACHE" "$PIPE_CACHE" && mount -o remount,bind,ro "$PIPE_CACHE"`
	for _, verb := range []string{"repro", "checkout"} {
		if out, code := p.inMounts(mount, verb); code != 0 {
			t.Errorf("%s: exit code %d\n%s", verb, code, out)
		}
	}
}

func TestAReadOnlyCheckoutWithSomethingToDoIsRefused(t *testing.T) {
	t.Parallel()
	p, beside := readOnlyPlace(t)
	ran := func() string {
		b, err := os.ReadFile(filepath.Join(beside, "ran"))
		must(t, err)
		return string(b)
	}
	was := ran()
	callers := map[string]func(...string) (string, int){"not ours": p.asNobody}
	if mayMount(t) {
		callers["mounted"] = p.inMount
	}
	const todo, differs = " to run or restore", "out of stage a is not as in pipe.lock"
	for _, c := range []struct {
		name   string
		change func()
		calls  map[string]string // and what they say
	}{
		{"a source", func() { p.write("src", "two") }, map[string]string{"repro": todo, "repro --push": todo, "repro -s a": todo}},
		{"forced", func() { p.write("src", "one") }, map[string]string{"repro -f a": todo}},
		{"an input", func() { p.write("data", "two") }, map[string]string{"repro": todo, "repro data": todo, "add data": "pipe.lock has to change", "unadd data": "pipe.yaml has to change", "freeze a": "pipe.yaml has to change"}},
		{"an output", func() { must(t, os.Remove(p.path("out", "x"))) }, map[string]string{"pull": differs, "checkout": differs, "repro": todo}},
		{"no .pipe", func() { must(t, os.RemoveAll(p.path(".pipe"))) }, map[string]string{"pull": differs, "repro": todo}},
	} {
		p.writable(true)
		c.change()
		p.own()
		p.writable(false)
		t.Cleanup(func() { p.writable(true) })
		before := p.state()
		for call, want := range c.calls {
			for how, run := range callers {
				out, code := run(strings.Fields(call)...)
				if code != 1 || !strings.Contains(out, want) || !strings.Contains(out, ", but the workspace cannot be written: ") ||
					!strings.Contains(out, p.dir) || !strings.Contains(out, "hint: ") {
					t.Errorf("%s, %s: pipe %s: exit code %d\n%s", c.name, how, call, code, out)
				}
			}
		}
		if after := p.state(); after != before {
			t.Errorf("%s: was\n%s\nis\n%s", c.name, before, after)
		}
	}
	if got := ran(); got != was {
		t.Errorf("commands ran: %q", got)
	}
}
