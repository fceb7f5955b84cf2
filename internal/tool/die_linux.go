package tool

import (
	"os/exec"
	"syscall"
)

// dieWithParent makes the server end when a test process is killed before it could call Stop.
func dieWithParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
