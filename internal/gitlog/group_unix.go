//go:build !windows

package gitlog

import (
	"os/exec"
	"syscall"
)

// apart gives a command a process group of its own, which what kills ours does not reach.
func apart(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
