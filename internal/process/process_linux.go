package process

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
	all := pids()
	for _, pid := range all {
		if p, state := read(pid); p.Group == pgid && !over(state) {
			return true
		}
	}
	return len(all) == 0
}

// Alive reports whether the process still works: GroupAlive's rules for one process.
func Alive(pid int) bool {
	if pid <= 0 || errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	_, state := read(pid)
	return !over(state)
}

// Ancestry returns this process, the one that started it, and so on up to the first
// whose parent has ended or cannot be seen.
func Ancestry() (line []Process) {
	for pid := os.Getpid(); pid > 0; pid = line[len(line)-1].Parent {
		p, state := read(pid)
		if state == 0 {
			break
		}
		line = append(line, p)
	}
	return line
}

// Descendants returns the processes that work below pid: its children, theirs, and so on.
// What an ended one left behind counts where it was given to a process that is below pid.
func Descendants(pid int) (below []Process) {
	children := map[int][]Process{}
	for _, n := range pids() {
		if p, state := read(n); state != 0 && !over(state) {
			children[p.Parent] = append(children[p.Parent], p)
		}
	}
	return all(children, pid)
}

// Holders returns the processes that hold a flock(2) on the file. It belongs to the
// open file, so all who inherited that one hold it, also when the process is dead
// that took it, which is the one /proc/locks names. A process that has opened the
// file by itself, or inherited a lock that was freed, is none of them.
func Holders(file os.FileInfo) (holders []Process) {
	for _, pid := range pids() {
		if holds(strconv.Itoa(pid), file) {
			if p, state := read(pid); state != 0 {
				holders = append(holders, p)
			}
		}
	}
	return holders
}

// holds reports whether one of the process's open files is the locked one. Only links
// that end in the file's name are followed: a stat of another one may wait for a dead server.
func holds(pid string, file os.FileInfo) bool {
	dir := filepath.Join("/proc", pid, "fd")
	fds, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, fd := range fds {
		path := filepath.Join(dir, fd.Name())
		if to, err := os.Readlink(path); err != nil || filepath.Base(to) != file.Name() {
			continue
		}
		info, err := os.Stat(path)
		if err != nil || !os.SameFile(info, file) {
			continue
		}
		locks, err := os.ReadFile(filepath.Join("/proc", pid, "fdinfo", fd.Name()))
		if err == nil && bytes.Contains(locks, []byte("FLOCK")) {
			return true
		}
	}
	return false
}

// pids returns the numbers of all processes; none where there is no /proc.
func pids() (all []int) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			all = append(all, pid)
		}
	}
	return all
}

// over reports whether a state is that of a process that has ended.
func over(state byte) bool { return state == 'Z' || state == 'X' }

// read returns a process and its state from what proc(5) describes: "pid (name) state
// ppid pgrp ..."; the state is 0 when it is gone.
func read(pid int) (p Process, state byte) {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	// The name may hold spaces and parentheses: it goes up to the last one.
	begin, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if err != nil || begin < 0 || end < begin {
		return p, 0
	}
	f := bytes.Fields(b[end+1:])
	if len(f) < 3 {
		return p, 0
	}
	p.PID, p.Name = pid, shown(string(b[begin+1:end]))
	p.Parent, _ = strconv.Atoi(string(f[1]))
	p.Group, _ = strconv.Atoi(string(f[2]))
	return p, f[0][0]
}
