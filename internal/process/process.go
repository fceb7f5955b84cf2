// Package process looks at the machine's other processes: which of them live, who
// started this one, who holds a file's lock, and where a program to start lies.
//
// On Linux /proc answers. Elsewhere ps(1) says who started whom, and nobody says who
// holds a lock. Windows tells nothing but whether a process is there. What another
// user's processes hide is left out, so an empty answer means "not known".
package process

import (
	"strings"
	"unicode"
)

// Process is one process of this machine.
type Process struct {
	PID    int
	Parent int    // 0: none that can be seen
	Group  int    // its process group
	Name   string // of its program, fit for a terminal; arguments may be secrets and are not read
}

// shown returns a name without what could act on a terminal: a process gives itself any.
func shown(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && r != unicode.ReplacementChar {
			return r
		}
		return '?'
	}, name)
}

// all returns the processes below pid, parents first. The numbers were not read all at once,
// so there may be a circle: each is taken once.
func all(children map[int][]Process, pid int) (below []Process) {
	for next := []int{pid}; len(next) > 0; next = next[1:] {
		found := children[next[0]]
		delete(children, next[0])
		for _, p := range found {
			below = append(below, p)
			next = append(next, p.PID)
		}
	}
	return below
}
