//go:build !windows

package gitlog

import (
	"os/exec"
	"syscall"
)

// apart gives a command a process group of its own, so that a Ctrl-C in the terminal
// or a kill of pipe's group does not reach it.
func apart(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
