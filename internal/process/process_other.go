//go:build !linux && !windows

package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// GroupAlive reports whether any process of the group is there; a zombie counts, as
// kill(2) with signal 0 tells no more.
func GroupAlive(pgid int) bool {
	return pgid > 0 && !errors.Is(syscall.Kill(-pgid, 0), syscall.ESRCH)
}

// Alive reports whether the process is there.
func Alive(pid int) bool { return pid > 0 && !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

// Ancestry returns this process, the one that started it, and so on up to the first
// whose parent has ended or cannot be seen.
func Ancestry() (line []Process) {
	all := seen()
	for p, ok := all[os.Getpid()]; ok; p, ok = all[p.Parent] {
		line = append(line, p)
		delete(all, p.PID) // the numbers were not read all at once: a circle ends
	}
	return line
}

// Descendants returns the processes below pid: its children, theirs, and so on. What an
// ended one left behind is not found.
func Descendants(pid int) []Process {
	children := map[int][]Process{}
	for _, p := range seen() {
		children[p.Parent] = append(children[p.Parent], p)
	}
	return all(children, pid)
}

// seen returns all processes by their numbers.
func seen() map[int]Process {
	all := map[int]Process{}
	ps := exec.Command("ps", "-A", "-o", "pid=,ppid=,pgid=,comm=")
	out, err := ps.Output()
	if err != nil {
		return all
	}
	for row := range strings.Lines(string(out)) {
		var p Process
		if n, _ := fmt.Sscan(row, &p.PID, &p.Parent, &p.Group, &p.Name); n == 4 {
			p.Name = shown(filepath.Base(p.Name)) // ps prints the whole path on macOS
			all[p.PID] = p
		}
	}
	delete(all, ps.Process.Pid)
	return all
}

// Holders returns nothing: these systems do not tell.
func Holders(os.FileInfo) []Process { return nil }
