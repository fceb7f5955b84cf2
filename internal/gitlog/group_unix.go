//go:build !windows

package gitlog

import (
	"os/exec"
	"syscall"
	"time"
)

// apart gives a command a process group of its own, so that a Ctrl-C in the terminal
// or a kill of pipe's group does not reach it.
func apart(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// alone gives a command a session of its own, without a terminal: nothing that it starts can ask
// for a password there. When its context ends, it and all that it has started are asked to end.
func alone(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second // then it is killed, and the output of others is not waited for
}
