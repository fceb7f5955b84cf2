package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A command that worked on would overwrite what the next run deploys. A daemon has left its
// group, and ignores SIGTERM.
func TestTheCommandOfAKilledDeploymentEndsWithIt(t *testing.T) {
	for name, kill := range map[string]func(pipe int) error{
		"pipe":      func(pipe int) error { return syscall.Kill(pipe, syscall.SIGKILL) },
		"its group": func(pipe int) error { return syscall.Kill(-pipe, syscall.SIGKILL) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, beside := newPlace(t, "PIPE_LEASE_TTL=2s"), quickDir(t)
			p.write("pipe.yaml", strings.ReplaceAll(`stages:
  ship:
    deploy: true
    cmd: |
      exec 9> DIR/lock; flock 9
      setsid sh -c 'trap "" TERM HUP; while :; do sleep 0.05; done' &
      trap 'echo asked >> DIR/said; exit 1' TERM
      touch DIR/ready; while :; do sleep 0.05; done
`, "DIR", beside))
			c := &process{Cmd: exec.Command("pipe", "repro")}
			c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			p.env = []string{"PIPE_LEASE_TTL=3s"} // the next run waits for its end
			p.started(c)
			p.env = nil
			p.until("the command", func() bool {
				_, err := os.Stat(filepath.Join(beside, "ready"))
				return err == nil
			})
			must(t, kill(c.Process.Pid))
			<-c.done
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if out, err := exec.CommandContext(ctx, "flock", filepath.Join(beside, "lock"), "cat", filepath.Join(beside, "said")).Output(); err != nil || string(out) != "asked\n" {
				t.Errorf("%q, %v", out, err)
			}
			// Nobody has the workspace's lock either.
			p.write("pipe.yaml", "stages: {ship: {deploy: true, cmd: 'true'}}\n")
			if out := p.pipe("repro"); !strings.Contains(out, "has not finished") {
				t.Error(out)
			}
		})
	}
}
