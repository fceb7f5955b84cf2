//go:build !windows

package shell

import (
	"os"
	"os/exec"
	"syscall"
)

// setGroup makes the command the leader of a new process group, so that its number is
// also the group's: one kill(2) of the negative number reaches all that it starts. Where the
// system can, one that is bound is killed when the thread ends that starts it.
func setGroup(cmd *exec.Cmd, bound bool) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if bound {
		bind(cmd.SysProcAttr)
	}
}

// inherit makes the command inherit one more open file.
func inherit(cmd *exec.Cmd, f *os.File) { cmd.ExtraFiles = append(cmd.ExtraFiles, f) }

// keepReader makes a keeper's command not inherit the end for reading of its own output,
// which is the first file that start lets a keeper inherit.
func keepReader() { syscall.CloseOnExec(3) }

// askGroup passes sig on to all processes of the group; nil is SIGTERM. A group that
// has ended meanwhile is not an error.
func askGroup(pgid int, sig os.Signal) {
	s, ok := sig.(syscall.Signal)
	if !ok {
		s = syscall.SIGTERM
	}
	_ = syscall.Kill(-pgid, s)
}

// killGroup ends all processes of the group; none can refuse or clean up. 0 means that there is none.
func killGroup(pgid int) {
	if pgid > 0 {
		_ = syscall.Kill(-pgid, syscall.SIGKILL)
	}
}

// killOne ends one process.
func killOne(pid int) { _ = syscall.Kill(pid, syscall.SIGKILL) }

// signalName returns the name of the signal that ended a process, "" if none did.
func signalName(s *os.ProcessState) string {
	if ws, ok := s.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return signalText(ws.Signal())
	}
	return ""
}
