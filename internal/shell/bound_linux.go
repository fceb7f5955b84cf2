package shell

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// bind makes a process end with the one that starts it.
func bind(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGKILL }

// adopt makes this process the parent of all that its descendants leave behind, so that
// they can be found.
func adopt() error { return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }
