package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/pipe-build/pipe/internal/aside"
	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/internal/worktree"
)

// Hold is the workspace's lock: one process at a time changes a workspace. The
// lock file tells the others who has it, and the commands that the holder started
// inherit the lock, so that it lasts as long as they do. So to hold the lock is to know
// that no command of an earlier run still writes, even if that run was killed.
type Hold struct {
	lock *atomicfile.Lock
	mu   sync.Mutex
	note holder
}

// holder is the note in the lock file. It is for people: who waits is told whom for. It
// stays when the lock is freed, and nothing is decided by it.
type holder struct {
	PID     int            `json:"pid"`
	Command string         `json:"command"`
	Stages  map[string]int `json:"stages,omitempty"` // process groups of running commands
}

// Acquire takes the workspace's lock for a verb, waiting for whoever has it, and
// puts back the outputs that a killed run had moved aside. say gets a line about
// whom it waits for, and about what was put back.
func Acquire(ctx context.Context, w *worktree.Work, verb string, say func(string)) (*Hold, error) {
	if err := w.Prepare(); err != nil {
		return nil, err
	}
	path := filepath.Join(w.Root(), worktree.Dir, "lock")
	own, err := w.Own("")
	if err != nil {
		return nil, err
	}
	defer func() { _ = own.Close() }()
	lock, err := atomicfile.Files{Root: own.Root}.Acquire(ctx, "lock", atomicfile.Exclusive, func() { say("waiting for " + whoHolds(path)) })
	if err != nil {
		return nil, err
	}
	h := &Hold{lock: lock, note: holder{PID: os.Getpid(), Command: verb, Stages: map[string]int{}}}
	if err := h.write(); err != nil {
		return nil, errors.Join(err, h.Release())
	}
	// With the lock, no command of the killed run is at work any more.
	stages, err := aside.Recover(w)
	if err != nil {
		return nil, errors.Join(err, h.Release())
	}
	if len(stages) > 0 {
		say("a run was killed while running " + strings.Join(stages, ", ") + "; the previous outputs are restored")
	}
	return h, nil
}

// whoHolds describes the holder, for the line that a waiter prints.
func whoHolds(path string) string {
	var n holder
	b, err := atomicfile.Read(path, atomicfile.MaxNote)
	if err != nil || json.Unmarshal(b, &n) != nil || n.PID == 0 {
		return "another pipe process in this workspace"
	}
	if shell.Alive(n.PID) {
		return fmt.Sprintf("pipe %s (pid %d) in this workspace", n.Command, n.PID)
	}
	for stage, pgid := range n.Stages {
		if shell.GroupAlive(pgid) {
			return fmt.Sprintf("the command of stage %s (process group %d), which still runs although pipe %s (pid %d) was killed; to stop it: kill -- -%d",
				stage, pgid, n.Command, n.PID, pgid)
		}
	}
	return fmt.Sprintf("a process that pipe %s (pid %d) left running in this workspace", n.Command, n.PID)
}

// File is the locked file, which commands inherit.
func (h *Hold) File() *os.File { return h.lock.File() }

// Running notes the process group of a stage's command; 0: it ended.
func (h *Hold) Running(stage string, pgid int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if pgid == 0 {
		delete(h.note.Stages, stage)
	} else {
		h.note.Stages[stage] = pgid
	}
	_ = h.write() // only a waiter's line would be the poorer
}

// write replaces the note in place: the lock is on this very file, and a new one
// renamed over it could be locked by another process. A reader may see half a
// note; whoHolds then says less.
func (h *Hold) write() error {
	b, err := json.Marshal(h.note)
	if err != nil {
		return err
	}
	f := h.lock.File()
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.WriteAt(append(b, '\n'), 0)
	return err
}

// Release frees the lock.
func (h *Hold) Release() error { return h.lock.Release() }
