package gitlog

import (
	"os/exec"
	"syscall"
	"time"
)

// apart gives a command a process group of its own, so that a Ctrl-C in the console
// does not reach it.
func apart(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

// alone starts a command without a console: nothing that it starts can ask for a password there.
func alone(cmd *exec.Cmd) {
	const createNoWindow = 0x08000000 // CREATE_NO_WINDOW, which package syscall lacks
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP | createNoWindow}
	cmd.WaitDelay = 5 * time.Second // the output of what it has started is not waited for
}
