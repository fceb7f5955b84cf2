package gitlog

import (
	"os/exec"
	"syscall"
)

// apart gives a command a process group of its own, so that a Ctrl-C in the console
// does not reach it.
func apart(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}
