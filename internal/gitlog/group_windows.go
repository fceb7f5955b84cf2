package gitlog

import (
	"os/exec"
	"syscall"
)

// apart gives a command a process group of its own, which what kills ours does not reach.
func apart(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}
