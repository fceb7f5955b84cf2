package shell

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// GroupAlive reports whether any process of the group still works. A zombie does
// not: where process 1 reaps nobody (a container without an init), it would stay.
// kill(2) counts zombies, so its "no such process" is final, and its "yes" is checked
// in /proc. Without /proc the answer is the safe one, true. Process numbers are used
// again, so a group that ended long ago may seem alive.
func GroupAlive(pgid int) bool {
	if pgid <= 0 || errors.Is(syscall.Kill(-pgid, 0), syscall.ESRCH) {
		return false
	}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(stats) == 0 {
		return true
	}
	for _, name := range stats {
		if state, group := readStat(name); group == pgid && state != 'Z' && state != 'X' {
			return true
		}
	}
	return false
}

// Alive reports whether the process still works: GroupAlive's rules for one process.
func Alive(pid int) bool {
	if pid <= 0 || errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	state, _ := readStat(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	return state != 'Z' && state != 'X'
}

// readStat returns state and process group from a file as proc(5) describes it:
// "pid (name) state ppid pgrp ..."; zeros when it is gone.
func readStat(name string) (state byte, group int) {
	b, err := os.ReadFile(name)
	if err != nil {
		return 0, 0
	}
	// The name may hold spaces and parentheses, so the fields begin after the last one.
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(f) < 3 {
		return 0, 0
	}
	group, _ = strconv.Atoi(string(f[2]))
	return f[0][0], group
}
