package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// A remote in a directory that a group shares: what one user pushes with a umask of 077 another
// one of the group reads, adds to and deploys from, and nobody else does.
func TestASharedRemoteIsReadByItsGroupWhateverTheUmask(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		return // only root can be several users
	}
	const project = "project: p\nremote: ../remote\nstages:\n  a: {cmd: \"mkdir d; echo a > d/a; echo b > b\", outs: [d, b]}\n  ship: {deploy: true, cmd: cat b, deps: [b]}\n"
	const group, ann, ben, eve = 4242, 61001, 61002, 61003
	top := newPlace(t)
	must(t, os.Chmod(top.dir, 0o755))
	must(t, os.Mkdir(top.path("bin"), 0o755))
	must(t, exec.Command("cp", fmt.Sprintf("/proc/%d/exe", os.Getpid()), top.path("bin", "pipe")).Run()) // who runs a test may be the only one who can read it
	must(t, os.Chmod(top.path("bin", "pipe"), 0o755))
	remote := top.path("remote")
	must(t, os.Mkdir(remote, 0o700))
	must(t, os.Chown(remote, ann, group))
	must(t, os.Chmod(remote, 0o770|os.ModeSetgid))
	as := func(user uint32, groups []uint32, args ...string) (string, error) {
		t.Helper()
		name := map[uint32]string{ann: "ann", ben: "ben", eve: "eve"}[user]
		dir := top.path(name)
		if err := os.Mkdir(dir, 0o700); err == nil {
			must(t, os.WriteFile(dir+"/pipe.yaml", []byte(project), 0o644))
			if lock, err := os.ReadFile(top.path("ann", "pipe.lock")); err == nil {
				must(t, os.WriteFile(dir+"/pipe.lock", lock, 0o666))
				must(t, os.Chown(dir+"/pipe.lock", int(user), int(user)))
			}
			must(t, os.Chown(dir, int(user), int(user)))
		}
		c := exec.Command("sh", append([]string{"-c", `umask 077; exec pipe "$@"`, "sh"}, args...)...)
		c.Dir, c.Env = dir, append(os.Environ(), "HOME="+dir, "PATH="+top.path("bin")+":"+os.Getenv("PATH"))
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user, Groups: groups}}
		out, err := c.CombinedOutput()
		return string(out), err
	}
	team := []uint32{group}
	for _, args := range [][]string{{"repro", "-y"}, {"push"}} {
		if out, err := as(ann, team, args...); err != nil {
			t.Fatalf("ann %v: %v\n%s", args, err, out)
		}
	}
	for _, args := range [][]string{{"pull"}, {"verify", "--remote", "--read"}, {"repro", "-f", "a", "-y"}, {"push"}, {"repro", "-y"}} {
		if out, err := as(ben, team, args...); err != nil {
			t.Errorf("ben %v: %v\n%s", args, err, out)
		}
	}
	if out, err := as(ann, team, "verify", "--remote", "--all", "--read"); err != nil {
		t.Errorf("ann: %v\n%s", err, out)
	}
	if out, err := as(eve, nil, "pull"); err == nil || !strings.Contains(out, "permission denied") {
		t.Errorf("eve: %v\n%s", err, out)
	}
}
