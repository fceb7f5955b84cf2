//go:build !linux && !windows

package shell

import (
	"errors"
	"syscall"
)

// GroupAlive reports whether any process of the group is there; a zombie counts, as
// kill(2) with signal 0 tells no more.
func GroupAlive(pgid int) bool {
	return pgid > 0 && !errors.Is(syscall.Kill(-pgid, 0), syscall.ESRCH)
}

// Alive reports whether the process is there.
func Alive(pid int) bool { return pid > 0 && !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }
