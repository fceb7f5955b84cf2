package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// lockers are the verbs that take the workspace's lock.
var lockers = [][]string{{"repro"}, {"push"}, {"pull"}, {"checkout"}, {"gc"}, {"lock", "commit"}}

// daemon is a stage whose command leaves a process in a session of its own, in DIR, which
// lives while DIR/hang is there, and calls pipe push when DIR/ask.PID is.
const daemon = `remote: DIR/remote
stages:
  served:
    cmd: |
      setsid sh DIR/daemon.sh > /dev/null 2>&1 < /dev/null &
      while ! test -e DIR/daemon; do sleep 0.02; done
      echo $$ > DIR/group
      while test -e DIR/stay; do sleep 0.02; done
      cat src > out
    deps: [src]
    outs: [out]
`

const daemonScript = `
echo $$ > DIR/daemon.tmp && mv DIR/daemon.tmp DIR/daemon
while test -e DIR/hang; do
  if test -e DIR/ask.$$; then rm DIR/ask.$$; { pipe push; echo "exit $?"; } > DIR/said.$$ 2>&1; fi
  sleep 0.02
done
`

// served is a place with that stage, in git, and the directory beside it.
func served(t *testing.T) (p *place, beside string) {
	p, beside = newPlace(t), quickDir(t)
	in := strings.NewReplacer("DIR", beside)
	p.write("pipe.yaml", in.Replace(daemon))
	p.write("src", "one")
	must(t, os.WriteFile(filepath.Join(beside, "daemon.sh"), []byte(in.Replace(daemonScript)), 0o666))
	must(t, os.WriteFile(filepath.Join(beside, "hang"), nil, 0o666))
	t.Cleanup(func() { _ = os.Remove(filepath.Join(beside, "hang")) })
	must(t, exec.Command("git", "-C", p.dir, "init", "-q").Run())
	return p, beside
}

// number waits for a file and returns the number in it.
func (p *place) number(name string) int {
	p.t.Helper()
	n := 0
	p.until(name, func() bool {
		b, err := os.ReadFile(name)
		n, _ = strconv.Atoi(strings.TrimSpace(string(b)))
		return err == nil && n > 0
	})
	return n
}

// wantBusy checks that every verb that takes the lock refuses at once with --no-wait, in
// words that match all of these.
func (p *place) wantBusy(words ...string) {
	p.t.Helper()
	for _, verb := range lockers {
		c := p.start(append(verb, "--no-wait")...)
		code := p.end(c)
		for _, w := range words {
			if code != 6 || !strings.Contains(c.out.String(), w) {
				p.t.Errorf("%s: exit code %d, want %q:\n%s", c.Args, code, w, &c.out)
			}
		}
	}
}

// Promise 9: who is killed leaves the lock to what it started, and that is who is named:
// first the command, then the daemon that outlives it.
func TestADaemonThatAKilledRunLeftIsNamed(t *testing.T) {
	t.Parallel()
	p, beside := served(t)
	must(t, os.WriteFile(filepath.Join(beside, "stay"), nil, 0o666))
	first := p.start("repro")
	group, pid := p.number(filepath.Join(beside, "group")), p.number(filepath.Join(beside, "daemon"))
	p.until("pipe's note of the command", func() bool { return strings.Contains(p.read(".pipe", "lock"), strconv.Itoa(group)) })
	p.wantBusy(fmt.Sprintf("this workspace is in use by pipe repro (pid %d)", first.Process.Pid), "again later, or without --no-wait")
	must(t, first.Process.Kill())
	p.end(first)

	p.wantBusy(fmt.Sprintf(`the command of stage served (process group %d), which still runs although pipe repro (pid %d) was killed`, group, first.Process.Pid),
		fmt.Sprintf("to stop it: kill -- -%d", group))
	waiter, said := p.startLogged("push")
	p.until("a word of the waiter", func() bool { return strings.Contains(said(), "\n") })
	must(t, syscall.Kill(-group, syscall.SIGKILL))
	// The same waiter says so when it waits for another one.
	want := fmt.Sprintf("waiting for sh (pid %d), which still runs although pipe repro (pid %d) was killed; to stop it: kill %d\n", pid, first.Process.Pid, pid)
	p.until("a word on the daemon", func() bool { return strings.Count(said(), "\n") > 1 })
	if !strings.Contains(said(), "waiting for the command of stage served") || !strings.Contains(said(), want) {
		t.Errorf("the waiter says %q, not %q", said(), want)
	}
	p.wantBusy(fmt.Sprintf("in use by sh (pid %d)", pid), fmt.Sprintf("to stop it: kill %d\n", pid))
	// The daemon itself would wait for itself.
	answer := p.ask(beside, pid)
	p.until("the daemon's answer", func() bool { return strings.Contains(answer(), "exit ") })
	if got := answer(); !strings.Contains(got, "exit 6") || !strings.Contains(got, "pipe push was called by a process of pipe repro") {
		t.Errorf("pipe, called by the daemon, says %q", got)
	}
	must(t, syscall.Kill(pid, syscall.SIGTERM))
	if code := p.end(waiter); code != 0 {
		t.Errorf("exit code %d\n%s", code, said())
	}
}

// ask makes a daemon call pipe, and returns how to read what that printed.
func (p *place) ask(beside string, pid int) (said func() string) {
	p.t.Helper()
	must(p.t, os.WriteFile(filepath.Join(beside, fmt.Sprintf("ask.%d", pid)), nil, 0o666))
	return func() string {
		b, err := os.ReadFile(filepath.Join(beside, fmt.Sprintf("said.%d", pid)))
		if !errors.Is(err, os.ErrNotExist) {
			must(p.t, err)
		}
		return string(b)
	}
}

// A daemon that a run left behind which ended by itself has the file, but not the lock: nobody
// waits for it, and pipe that it calls waits for others, like everybody's.
func TestADaemonOfAFinishedRunHoldsNothing(t *testing.T) {
	t.Parallel()
	p, beside := served(t)
	p.pipe("repro")
	pid := p.number(filepath.Join(beside, "daemon"))
	must(t, syscall.Kill(pid, 0))
	for _, verb := range lockers[:5] {
		p.pipe(append(verb, "--no-wait")...)
	}
	must(t, os.Remove(filepath.Join(beside, "daemon")))
	must(t, os.WriteFile(filepath.Join(beside, "stay"), nil, 0o666))
	p.write("src", "two")
	second := p.start("repro")
	p.number(filepath.Join(beside, "daemon"))
	p.until("the second command", func() bool { return strings.Contains(p.read(".pipe", "lock"), `"served":`) })
	p.wantBusy(fmt.Sprintf("this workspace is in use by pipe repro (pid %d)", second.Process.Pid))
	want := fmt.Sprintf("note: waiting for pipe repro (pid %d) in this workspace\n", second.Process.Pid)
	answer := p.ask(beside, pid)
	p.until("the first daemon's question", func() bool { return strings.Contains(answer(), "\n") })
	must(t, os.Remove(filepath.Join(beside, "stay")))
	p.until("the answer", func() bool { return strings.Contains(answer(), "exit ") })
	if got := answer(); !strings.HasPrefix(got, want) || !strings.Contains(got, "exit 0") {
		t.Errorf("pipe, called by the first daemon, says %q, not %q", got, want)
	}
	if code := p.end(second); code != 0 {
		t.Errorf("exit code %d\n%s", code, &second.out)
	}
}
