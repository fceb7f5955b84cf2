package pipe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/pipe-build/pipe/internal/aside"
	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/internal/worktree"
)

// leftOver is the age from which a temporary file in a store is a killed
// process's: no batch takes so long.
const leftOver = 24 * time.Hour

// hold is the workspace's lock: one process at a time changes a workspace. The
// lock file tells the others who has it, and the commands that it started
// inherit the lock, so that it lasts as long as they do.
type hold struct {
	lock *atomicfile.Lock
	mu   sync.Mutex
	note holder
}

// holder is the note in the lock file.
type holder struct {
	PID     int            `json:"pid"`
	Command string         `json:"command"`
	Stages  map[string]int `json:"stages,omitempty"` // process groups of running commands
}

// hold takes the workspace's lock, waiting for whoever has it, and cleans up
// after a run that was killed.
func (p *Project) hold(ctx context.Context, command string) (*hold, error) {
	if err := p.work.Prepare(); err != nil {
		return nil, err
	}
	path := filepath.Join(p.root, worktree.Dir, "lock")
	lock, err := atomicfile.Acquire(ctx, path, atomicfile.Exclusive, func() { p.note("waiting for " + whoHolds(path)) })
	if err != nil {
		return nil, err
	}
	h := &hold{lock: lock, note: holder{PID: os.Getpid(), Command: command, Stages: map[string]int{}}}
	if err := h.write(); err != nil {
		return nil, errors.Join(err, h.release())
	}
	stages, err := aside.Recover(p.work)
	if err != nil {
		return nil, errors.Join(err, h.release())
	}
	if err := p.cache.Tidy(p.opt.Now().Add(-leftOver).Unix()); err != nil {
		return nil, errors.Join(err, h.release())
	}
	if len(stages) > 0 {
		p.note("a run was killed in " + strings.Join(stages, ", ") + "; the outs from before it are back")
	}
	return h, nil
}

// whoHolds describes the holder, for the line that a waiter prints.
func whoHolds(path string) string {
	var n holder
	b, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(b, &n) != nil || n.PID == 0 {
		return "another pipe in this workspace"
	}
	if shell.Alive(n.PID) {
		return fmt.Sprintf("pipe %s, pid %d, in this workspace", n.Command, n.PID)
	}
	for stage, pgid := range n.Stages {
		if shell.GroupAlive(pgid) {
			return fmt.Sprintf("the command of stage %s (process group %d), which still works though its pipe %s (pid %d) was killed; end it with: kill -- -%d",
				stage, pgid, n.Command, n.PID, pgid)
		}
	}
	return fmt.Sprintf("what pipe %s (pid %d) left behind in this workspace", n.Command, n.PID)
}

// running notes the process group of a stage's command; 0: it ended.
func (h *hold) running(stage string, pgid int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if pgid == 0 {
		delete(h.note.Stages, stage)
	} else {
		h.note.Stages[stage] = pgid
	}
	_ = h.write() // only a waiter's line would be the poorer
}

// write replaces the note in place: the lock is on this very file.
func (h *hold) write() error {
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

func (h *hold) release() error { return h.lock.Release() }

// useCache keeps gc out of the cache until the returned function is called.
func (p *Project) useCache(ctx context.Context) (func() error, error) {
	return p.lockCache(ctx, atomicfile.Shared)
}

func (p *Project) lockCache(ctx context.Context, mode atomicfile.Mode) (func() error, error) {
	dir := p.cache.URL()
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	l, err := atomicfile.Acquire(ctx, filepath.Join(dir, "lock"), mode, func() { p.note("waiting for another pipe that uses the cache " + dir) })
	if err != nil {
		return nil, err
	}
	return l.Release, nil
}

// holdBoth takes the workspace's lock and keeps gc out of the cache.
func (p *Project) holdBoth(ctx context.Context, verb string) (func() error, error) {
	h, err := p.hold(ctx, verb)
	if err != nil {
		return nil, err
	}
	unlock, err := p.useCache(ctx)
	if err != nil {
		return nil, errors.Join(err, h.release())
	}
	return func() error { return errors.Join(unlock(), h.release()) }, nil
}
