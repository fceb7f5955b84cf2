//go:build !linux && !windows

package shell

import "syscall"

// bind does nothing: these systems have no way.
func bind(*syscall.SysProcAttr) {}

// adopt does nothing: what leaves its group is out of reach.
func adopt() error { return nil }
