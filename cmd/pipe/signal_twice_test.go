//go:build !windows

package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// lingering is a build and a deployment that take eight seconds once they are asked to end: less
// than the ten that they have after the first signal. A daemon of the deployment never ends.
const lingering = `project: shop
remote: remote
stages:
  build:
    cmd: |
      trap 'touch DIR/asked; sleep 8; touch DIR/survived' INT TERM
      touch DIR/ready; while test -e DIR/hang; do sleep 0.05; done; cat src > out
    deps: [src]
    outs: [out]
  ship:
    deploy: true
    cmd: |
      exec 9> DIR/lock; flock 9
      setsid sh -c 'trap "" TERM INT HUP; while test -e DIR/hang; do sleep 0.05; done' &
      trap 'touch DIR/asked; sleep 8; touch DIR/survived' INT TERM
      touch DIR/ready; while test -e DIR/hang; do sleep 0.05; done
    deps: [conf]
`

// ENVIRONMENTS 4.7: GitHub Actions sends SIGINT, SIGTERM 7.5 seconds later, and SIGKILL 2.5 after that.
func TestTheSecondSignalKillsTheCommands(t *testing.T) {
	t.Parallel()
	first, both := []syscall.Signal{syscall.SIGINT}, []syscall.Signal{syscall.SIGINT, syscall.SIGTERM}
	for _, c := range []struct {
		name, stage, ci string
		signals         []syscall.Signal
		code            int
		survives        bool
	}{
		{"a build", "build", "", both, 130, false},
		{"a deployment", "ship", "", both, 130, false},
		{"the same signal twice", "ship", "", []syscall.Signal{syscall.SIGTERM, syscall.SIGTERM}, 143, false},
		{"a third and a fourth", "ship", "", []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGINT, syscall.SIGTERM}, 143, false},
		{"one signal", "ship", "false", first, 130, true},
		{"a build, in CI", "build", "true", first, 130, false},
		{"a deployment, in CI", "ship", "true", first, 130, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, beside := newPlace(t, "CI="+c.ci), quickDir(t)
			p.write("pipe.yaml", strings.ReplaceAll(lingering, "DIR", beside))
			p.write("src", "1")
			p.write("conf", "1")
			there := func(name string) bool { _, err := os.Stat(filepath.Join(beside, name)); return err == nil }
			must(t, os.WriteFile(filepath.Join(beside, "hang"), nil, 0o666))
			run := p.start("repro", c.stage)
			p.until("the command", func() bool { return there("ready") })
			must(t, run.Process.Signal(c.signals[0]))
			p.until("the end of the command", func() bool { return there("asked") })
			for _, s := range c.signals[1:] {
				_ = run.Process.Signal(s) // the last ones may find that it has ended
			}
			if code := p.end(run); code != c.code {
				t.Errorf("exit code %d, not %d\n%s", code, c.code, &run.out)
			}
			if there("survived") != c.survives {
				t.Errorf("survived: %v", there("survived"))
			}
			// What must be written is written, and nobody holds a lock.
			if out := p.pipe("env"); c.stage == "ship" && !strings.Contains(out, "failed") {
				t.Errorf("the environment does not say how it ended:\n%s", out)
			}
			must(t, os.Remove(filepath.Join(beside, "hang")))
			if out := p.pipe("repro", "--no-wait", c.stage); !strings.Contains(out, "1 ran") {
				t.Errorf("the next run:\n%s", out)
			}
		})
	}
}
