//go:build !windows

package local

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/pipe-build/pipe/internal/process"
)

// The holders that can be seen decide; where none can, the note's groups do.
func TestACallFromInsideIsKnownByTheLock(t *testing.T) {
	pipe, sh, self := process.Process{PID: 10, Group: 10}, process.Process{PID: 20, Parent: 10, Group: 20}, process.Process{PID: 30, Parent: 20, Group: 20}
	apart := process.Process{PID: 31, Parent: 20, Group: 31} // setsid
	other := process.Process{PID: 99, Group: 99}
	all := func(p ...process.Process) []process.Process { return p }
	stages := func(group int) map[string]int { return map[string]int{"a": group} }
	for name, c := range map[string]struct {
		stages        map[string]int
		holders, line []process.Process
		want          string
	}{
		"by the run's command":                   {stages(20), all(pipe, sh, self), all(self, sh, pipe), `stage "a"`},
		"without the descriptor":                 {stages(20), all(pipe, sh), all(self, sh, pipe), `stage "a"`},
		"in a session of its own":                {stages(20), all(pipe, sh), all(apart, sh, pipe), `stage "a"`},
		"before its group was noted":             {stages(0), all(pipe, sh, self), all(self, sh, pipe), `stage "a"`},
		"before one of two groups was noted":     {map[string]int{"a": 0, "b": 40}, all(pipe, sh, self), all(self, sh, pipe), "a process of pipe repro (pid 10)"},
		"by a daemon of another stage":           {stages(0), all(pipe, self), all(self), "a process of pipe repro (pid 10)"},
		"by pipe itself":                         {nil, all(pipe), all(self, pipe), "a process of pipe repro (pid 10)"},
		"by nobody":                              {stages(40), all(other), all(self, sh), ""},
		"by nobody, in a group that comes again": {stages(20), all(other), all(self, sh), ""},
		"unseen, by the run's command":           {stages(20), nil, all(apart, sh, pipe), `stage "a"`},
		"unseen, by nobody":                      {stages(40), nil, all(self, sh), ""},
		"unseen, before its group was noted":     {stages(0), nil, all(self, sh, pipe), ""},
		"unseen, groups of another container":    {stages(0), nil, all(process.Process{PID: 5}), ""},
	} {
		n := holder{PID: 10, Command: "repro", Stages: c.stages}
		if got := n.caller(c.holders, c.line); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: called by %q, not %q", name, got, c.want)
		}
	}
}

func TestAWaiterIsToldForWhom(t *testing.T) {
	const dead = 1 << 30 // above any pid
	self, group := os.Getpid(), syscall.Getpgrp()
	daemon, its := process.Process{PID: 40, Parent: 1, Group: 40, Name: "served"}, process.Process{PID: 41, Parent: 40, Group: 40, Name: "worker"}
	second := process.Process{PID: 50, Parent: 1, Group: 50, Name: "other"}
	me := process.Ancestry()[0]
	for name, c := range map[string]struct {
		pid       int
		stages    map[string]int
		holders   []process.Process
		who, stop string
	}{
		"a pipe":                 {self, nil, []process.Process{me, daemon}, fmt.Sprintf("pipe repro (pid %d)", self), ""},
		"unseen, a pipe":         {self, nil, nil, fmt.Sprintf("pipe repro (pid %d)", self), ""},
		"a pipe without a note":  {dead, nil, []process.Process{me}, fmt.Sprintf("%s (pid %d)", me.Name, self), ""},
		"a command":              {dead, map[string]int{"a": 40}, []process.Process{daemon}, "the command of stage a (process group 40), which still runs", "kill -- -40"},
		"two commands":           {dead, map[string]int{"b": 50, "a": 40}, []process.Process{second, daemon}, "the command of stage a (process group 40), b (process group 50), which still runs", "kill -- -40 -50"},
		"unseen, a command":      {dead, map[string]int{"a": group}, nil, "the command of stage a (process group", fmt.Sprintf("kill -- -%d", group)},
		"a daemon with children": {dead, map[string]int{"a": dead}, []process.Process{its, daemon}, "served (pid 40), which still runs although pipe repro", "kill 40"},
		"two daemons":            {dead, map[string]int{"a": 0}, []process.Process{daemon, second}, "served (pid 40), which still runs", "kill 40 50"},
		"unseen, a daemon":       {dead, nil, nil, "a process that pipe repro (pid 1073741824) left running", ""},
		"unseen, no note":        {0, nil, nil, "another pipe process", ""},
	} {
		n := holder{PID: c.pid, Command: "repro", Stages: c.stages}
		if who, stop := n.who(c.holders); !strings.HasPrefix(who, c.who) || stop != c.stop {
			t.Errorf("%s: waits for %q, %q", name, who, stop)
		}
	}
}
