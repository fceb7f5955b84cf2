//go:build !windows

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

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

	second, said := p.startLogged("repro")
	want := fmt.Sprintf("waiting for the command of stage slow (process group %d)", group)
	p.until("a word of the waiter", func() bool { return strings.Contains(said(), "\n") })
	if !strings.Contains(said(), want) {
		t.Errorf("the waiter says %q, not %q", said(), want)
	}
	if err := syscall.Kill(-group, 0); err != nil {
		t.Errorf("the command that is waited for: %v", err)
	}
	must(t, os.Remove(filepath.Join(beside, "hang")))
	if code := p.end(second); code != 0 {
		t.Fatalf("exit code %d\n%s", code, said())
	}
	if !strings.Contains(said(), "1 ran") || p.read("out") != "two" {
		t.Errorf("out is %q after\n%s", p.read("out"), said())
	}
	if b, err := os.ReadFile(filepath.Join(beside, "overlap")); err == nil {
		t.Errorf("two commands at once of %s", b)
	}
	p.wantNoRest("in the end")
}
