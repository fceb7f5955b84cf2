//go:build linux

package drill

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is a pipe that was started, with a group of its own.
type process struct {
	*exec.Cmd
	t    *testing.T
	said string // the file with what it printed
	done chan struct{}
	rest *os.File // ends when no process is left that comes from it
}

// start starts pipe.
func (c *clone) start(args ...string) *process {
	c.t.Helper()
	cmd := exec.Command(c.program, args...)
	cmd.Dir = c.at
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + c.at, "USER=test", "NO_COLOR=1", "GIT_CONFIG_NOSYSTEM=1", "PIPE_LEASE_TTL=" + ttl.String(),
		"PIPE_CACHE=" + c.at + ".cache",
	}
	cmd.Env = append(append(cmd.Env, c.world.env...), c.env...)
	return c.launch(cmd)
}

// launch starts a command in a group of its own.
func (w *world) launch(cmd *exec.Cmd) *process {
	w.t.Helper()
	f, err := os.CreateTemp(w.dir, "said-*")
	must(w.t, err)
	defer f.Close()
	p := &process{Cmd: cmd, t: w.t, said: f.Name(), done: make(chan struct{})}
	p.Stdout, p.Stderr = f, f
	p.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	rest, held, err := os.Pipe()
	must(w.t, err)
	defer held.Close()
	p.rest, p.ExtraFiles = rest, []*os.File{held}
	must(w.t, p.Start())
	w.t.Cleanup(func() {
		_ = p.killGroup()
		<-p.done
		_ = rest.Close()
	})
	go func() { _ = p.Wait(); close(p.done) }()
	return p
}

// killGroup kills the process and its group, unless it has ended: then the number may be another's.
func (p *process) killGroup() error {
	select {
	case <-p.done:
		return os.ErrProcessDone
	default:
	}
	return syscall.Kill(-p.Process.Pid, syscall.SIGKILL)
}

// after waits until the process has ended, or for a time, and reports whether it is at work still.
func (p *process) after(d time.Duration) bool {
	select {
	case <-p.done:
		return false
	case <-time.After(d):
		return true
	}
}

// end waits for the process and returns its exit code, -1 when a signal ended it.
func (p *process) end() int {
	p.t.Helper()
	if p.after(patience) {
		p.t.Fatalf("it does not end: %s", p)
	}
	return p.ProcessState.ExitCode()
}

// gone waits until no process is left that comes from this one.
func (p *process) gone() {
	p.t.Helper()
	must(p.t, p.rest.SetReadDeadline(time.Now().Add(patience)))
	if _, err := p.rest.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		p.t.Fatalf("processes are left: %v: %s", err, p)
	}
}

// String is what was called, and what it printed.
func (p *process) String() string {
	b, _ := os.ReadFile(p.said)
	return strings.Join(p.Args[1:], " ") + ": " + string(b)
}

// pipe runs pipe, which must succeed, and returns what it printed.
func (c *clone) pipe(args ...string) string {
	c.t.Helper()
	p := c.start(args...)
	if code := p.end(); code != 0 {
		c.t.Fatalf("exit code %d: %s\n%s", code, p, c.read("log"))
	}
	return p.String()
}
