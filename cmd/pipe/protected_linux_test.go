package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// protected leaves read-only directories, as the Go command does with its modules: as an out,
// as what a failed command left, and in the directory of a deployment.
const protected = `stages:
  modules:
    cmd: |
      mkdir -p mod/a/b
      cat src > mod/a/b/f; cat src > mod/g
      cp -R mod/a copy
      chmod -R a-w mod copy
      ! grep bad src
    deps: [src]
    outs: [mod, copy]
  inner:
    cmd: |
      mkdir -p kept; chmod u+w kept; mkdir -p kept/a/b; cat src > kept/a/b/f
      chmod a-w kept/a/b kept/a kept
    deps: [src]
    outs: [kept/a]
  ship:
    cmd: mkdir -p cache/x/y; cat mod/g > cache/x/y/f; chmod -R a-w cache
    deps: [mod]
    deploy: true
`

// nobodys is a place that belongs to a user without rights when this is root, and how that
// user runs pipe in it.
func nobodys(t *testing.T) (p *place, run func(want int, args ...string) string) {
	t.Helper()
	p = newPlace(t)
	bin := filepath.Join(quickDir(t), "pipe")
	copyFile(t, bin)
	must(t, os.Chmod(filepath.Dir(bin), 0o755))
	const nobody = 65534
	as := &syscall.SysProcAttr{}
	if os.Getuid() == 0 {
		as.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
		must(t, os.Chown(p.dir, nobody, nobody))
	}
	return p, func(want int, args ...string) string {
		t.Helper()
		c := exec.Command(bin, args...)
		c.Dir, c.SysProcAttr = p.dir, as
		c.Env = append(os.Environ(), "NO_COLOR=1", "USER=test", "HOME="+p.dir, "GIT_CONFIG_GLOBAL=/dev/null", "TMPDIR=/tmp")
		out, _ := c.CombinedOutput()
		if got := c.ProcessState.ExitCode(); got != want {
			t.Fatalf("pipe %s: exit code %d, want %d\n%s", strings.Join(args, " "), got, want, out)
		}
		return string(out)
	}
}

// copyFile copies this program, which is pipe when it is called so.
func copyFile(t *testing.T, to string) {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	from, err := os.Open(self)
	must(t, err)
	defer func() { _ = from.Close() }()
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE, 0o755)
	must(t, err)
	_, err = io.Copy(f, from)
	must(t, err)
	must(t, f.Close())
}

func (p *place) wantEmpty(dirs ...string) {
	p.t.Helper()
	for _, dir := range dirs {
		if left, err := os.ReadDir(p.path(dir)); err == nil && len(left) > 0 {
			p.t.Errorf("%s holds %v", dir, left)
		}
	}
}

func (p *place) wantFile(name, want string) {
	p.t.Helper()
	if got := p.read(name); got != want {
		p.t.Errorf("%s holds %q, want %q", name, got, want)
	}
}

func TestReadOnlyDirectoriesAmongOldOutsStopNothing(t *testing.T) {
	t.Parallel()
	p, run := nobodys(t)
	p.write("pipe.yaml", protected)
	step := func(src string, want int, args ...string) {
		t.Helper()
		p.write("src", src)
		run(want, args...)
		p.wantEmpty(".pipe/tmp", ".pipe/aside", ".pipe/trash")
	}
	step("one", 0, "repro")
	step("two", 0, "repro") // old outs are moved aside and removed, a parent is read-only
	for range 2 {           // what a failed command left is kept, and then replaced
		step("bad", 1, "repro")
		p.wantFile("mod/g", "two")
		p.wantFile(".pipe/partial/modules/mod/g", "bad")
	}
	step("two", 0, "checkout")
	step("one", 0, "repro") // restored over read-only ones
	p.wantFile("copy/b/f", "one")
	if info, err := os.Stat(p.path("kept")); err != nil || info.Mode().Perm()&0o222 != 0 {
		t.Errorf("the parent of an out is not read-only any more: %v, %v", info, err)
	}
	must(t, os.Chmod(p.path("mod"), 0o755))
	p.write("mod/mine", "an edit")
	must(t, os.Chmod(p.path("mod"), 0o555))
	step("one", 0, "checkout")
	if _, err := os.Lstat(p.path("mod", "mine")); err == nil {
		t.Error("the edited out was not replaced")
	}
}

// Nobody but root can make such files, so a test that is not root has nothing to see here.
func TestWhatCannotBeRemovedGoesToTheTrash(t *testing.T) {
	t.Parallel()
	p, run := nobodys(t)
	p.write("pipe.yaml", protected)
	p.write("src", "one")
	run(0, "repro")
	if os.Getuid() != 0 {
		return
	}
	must(t, os.MkdirAll(p.path(".pipe/tmp/left"), 0o777))
	must(t, os.Chown(p.path(".pipe/tmp/left"), 65534, 65534))
	p.put(".pipe/tmp/left/theirs/f", "")
	if out := run(0, "repro"); !strings.Contains(out, "could not remove old files") || !strings.Contains(out, "pipe gc --yes tries again") {
		t.Errorf("nothing is said: %s", out)
	}
	p.wantEmpty(".pipe/tmp")
	if out := run(0, "repro"); strings.Contains(out, "old files") {
		t.Errorf("it is said again: %s", out)
	}
	if out := run(0, "gc", "--yes"); !strings.Contains(out, ".pipe/trash/left-") {
		t.Errorf("gc does not say what is left: %s", out)
	}
	must(t, os.RemoveAll(p.path(".pipe/tmp/left")))
	left, err := filepath.Glob(p.path(".pipe/trash/left-*/theirs"))
	must(t, err)
	for _, dir := range left {
		must(t, os.Chown(dir, 65534, 65534))
	}
	if out := run(0, "gc", "--yes"); strings.Contains(out, "trash") || len(left) != 1 {
		t.Errorf("%q: %s", left, out)
	}
	p.wantEmpty(".pipe/trash")
}
