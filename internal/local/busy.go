package local

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/process"
)

// busy returns what is called when somebody else has the lock, and then every few seconds.
// It returns the error for whom would wait for ever or does not want to wait. To all
// others it says whom they wait for, again when that changes.
func (ask Wanted) busy(path string) func() error {
	said := ""
	return func() error {
		note, holders := look(path)
		if caller := note.caller(holders, process.Ancestry()); caller != "" {
			return diag.New(diag.Busy, "pipe %s was called by %s, which holds this workspace's lock", ask.Verb, caller).
				Hinted("run pipe %s after %s; the command of a stage can call only commands that change nothing, such as pipe status", ask.Verb, note.pipe())
		}
		who, stop := note.who(holders)
		switch {
		case ask.NoWait && stop != "":
			return diag.New(diag.Busy, "this workspace is in use by %s", who).Hinted("to stop it: %s", stop)
		case ask.NoWait:
			return diag.New(diag.Busy, "this workspace is in use by %s", who).Hinted("run pipe %s again later, or without --no-wait", ask.Verb)
		case stop != "":
			who += "; to stop it: " + stop
		default:
			who += " in this workspace"
		}
		if who != said {
			ask.Say("waiting for " + who)
		}
		said = who
		return nil
	}
}

// look reads the note, which is empty when it cannot be read, and returns the processes
// that hold the lock, as far as they can be seen.
func look(path string) (n holder, holders []process.Process) {
	if b, err := atomicfile.Read(path, atomicfile.MaxNote); err != nil || json.Unmarshal(b, &n) != nil {
		n = holder{}
	}
	if info, err := os.Stat(path); err == nil {
		holders = process.Holders(info)
	}
	return n, holders
}

// Inside reports whether a lock is held by this process or by one that started it.
func Inside(path string) bool {
	_, holders := look(path)
	return slices.ContainsFunc(process.Ancestry(), func(p process.Process) bool { return has(holders, p.PID) })
}

// caller says which part of the lock's holder called this process; "": none did. A call
// of pipe in its own workspace is not recognized by a variable, which may be unset, or
// left over in somebody's shell: whoever holds the very lock, by inheritance, or has an
// ancestor that does, would wait for itself. Where no holder can be seen (they are another
// user's, or the system is not Linux), the note's process groups tell.
func (n *holder) caller(holders, line []process.Process) string {
	held := slices.ContainsFunc(line, func(p process.Process) bool { return has(holders, p.PID) })
	if len(holders) > 0 && !held {
		return ""
	}
	starting := ""
	for _, stage := range slices.Sorted(maps.Keys(n.Stages)) {
		group := n.Stages[stage]
		if group == 0 {
			starting = stage
		} else if slices.ContainsFunc(line, func(p process.Process) bool { return p.Group == group }) {
			return "the command of stage " + strconv.Quote(stage)
		}
	}
	switch {
	case !held:
		return ""
	case len(n.Stages) == 1 && starting != "" && has(line, n.PID):
		return "the command of stage " + strconv.Quote(starting) // its group was not noted yet
	}
	return "a process of " + n.pipe()
}

// who describes the holder, and how to stop it if it is what a killed run left behind. The
// processes that hold the lock say more than the note, which a killed run cannot correct.
func (n *holder) who(holders []process.Process) (who, stop string) {
	visible := len(holders) > 0
	if has(holders, n.PID) || !visible && (n.PID == 0 || process.Alive(n.PID)) {
		return n.pipe(), ""
	}
	var stages, groups []string
	for _, stage := range slices.Sorted(maps.Keys(n.Stages)) {
		group := n.Stages[stage]
		inGroup := slices.ContainsFunc(holders, func(p process.Process) bool { return p.Group == group })
		if group != 0 && (inGroup || !visible && process.GroupAlive(group)) {
			stages = append(stages, fmt.Sprintf("%s (process group %d)", stage, group))
			groups = append(groups, fmt.Sprintf("-%d", group))
		}
	}
	if len(stages) > 0 {
		return fmt.Sprintf("the command of stage %s, which still runs although %s was killed", strings.Join(stages, ", "), n.pipe()),
			"kill -- " + strings.Join(groups, " ")
	}
	if !visible {
		return "a process that " + n.pipe() + " left running", ""
	}
	// Those that were started by another one come and go with it.
	all := holders
	holders = slices.DeleteFunc(slices.Clone(all), func(p process.Process) bool { return has(all, p.Parent) })
	who, stop = fmt.Sprintf("%s (pid %d)", holders[0].Name, holders[0].PID), "kill"
	if self := process.Ancestry(); len(self) > 0 && holders[0].Name == self[0].Name {
		return who, "" // a pipe that has not written its note yet
	}
	for _, p := range holders {
		stop += " " + strconv.Itoa(p.PID)
	}
	return who + ", which still runs although " + n.pipe() + " was killed", stop
}

// pipe names the pipe that wrote the note.
func (n *holder) pipe() string {
	if n.PID == 0 {
		return "another pipe process"
	}
	return fmt.Sprintf("pipe %s (pid %d)", n.Command, n.PID)
}

func has(all []process.Process, pid int) bool {
	return slices.ContainsFunc(all, func(p process.Process) bool { return p.PID == pid })
}
