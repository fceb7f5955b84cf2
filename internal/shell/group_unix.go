//go:build !windows

package shell

import (
	"os"
	"os/exec"
	"syscall"
)

// setGroup makes the command the leader of a new process group, so that its number is
// also the group's: one kill(2) of the negative number reaches all that it starts.
func setGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// askGroup passes sig on to all processes of the group; nil is SIGTERM. A group that
// has ended meanwhile is not an error.
func askGroup(pgid int, sig os.Signal) {
	s, ok := sig.(syscall.Signal)
	if !ok {
		s = syscall.SIGTERM
	}
	_ = syscall.Kill(-pgid, s)
}

// killGroup ends all processes of the group; none can refuse or clean up.
func killGroup(pgid int) { _ = syscall.Kill(-pgid, syscall.SIGKILL) }

// signalName returns the name of the signal that ended a process, "" if none did.
func signalName(s *os.ProcessState) string {
	if ws, ok := s.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return signalText(ws.Signal())
	}
	return ""
}
