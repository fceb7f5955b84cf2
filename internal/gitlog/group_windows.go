package gitlog

import (
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/windows"
)

// apart gives a command a process group of its own, so that a Ctrl-C in the console
// does not reach it.
func apart(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

// alone starts a command without a console: nothing that it starts can ask for a password there.
func alone(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP | windows.CREATE_NO_WINDOW}
	cmd.WaitDelay = 5 * time.Second // the output of what it has started is not waited for
}
