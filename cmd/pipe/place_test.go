//go:build !windows

package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
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
	c := &process{Cmd: exec.Command("pipe", args...)}
	c.Stdout, c.Stderr = &c.out, &c.out
	return p.started(c)
}

// startLogged is start with an output that can be read all the time.
func (p *place) startLogged(args ...string) (c *process, said func() string) {
	p.t.Helper()
	f, err := os.CreateTemp(p.t.TempDir(), "log")
	must(p.t, err)
	c = &process{Cmd: exec.Command("pipe", args...)}
	c.Stdout, c.Stderr = f, f
	p.started(c)
	must(p.t, f.Close())
	return c, func() string {
		b, err := os.ReadFile(f.Name())
		must(p.t, err)
		return string(b)
	}
}

func (p *place) started(c *process) *process {
	p.t.Helper()
	c.Dir, c.Env = p.dir, append(os.Environ(), "NO_COLOR=1", "USER=test")
	c.Env, c.done = append(c.Env, p.env...), make(chan error, 1)
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
