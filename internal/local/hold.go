package local

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/pipe-build/pipe/internal/aside"
	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/worktree"
)

// Hold is the workspace's lock: one process at a time changes a workspace. The
// lock file tells the others who has it, and the commands that the holder started
// inherit the lock, so that it lasts as long as they do. So to hold the lock is to know
// that no command of an earlier run still writes, even if that run was killed.
type Hold struct {
	lock     *atomicfile.Lock // nil: there is none, and none can be made
	readOnly error
	mu       sync.Mutex
	note     holder
}

// holder is the note in the lock file. It is for people: who waits is told whom for. It
// stays when the lock is freed.
type holder struct {
	PID     int            `json:"pid"`
	Command string         `json:"command"`
	Stages  map[string]int `json:"stages,omitempty"` // process groups of running commands; 0: about to start
}

// Wanted is how a verb asks for the lock.
type Wanted struct {
	Verb   string
	NoWait bool         // fail when somebody else has it
	Say    func(string) // gets a line about whom it waits for, and about what was put back
}

// Acquire takes the workspace's lock, waiting for whoever has it, and puts back the
// outputs that a killed run had moved aside. Who waits for a command that waits for
// it would wait for ever, so pipe in the command of a stage is refused.
//
// A workspace that cannot be written is held, too: what is up to date needs no write.
// Where it has no lock file there is nothing to lock, as nobody can have changed it.
func Acquire(ctx context.Context, w *worktree.Work, ask Wanted) (*Hold, error) {
	path := filepath.Join(w.Root(), worktree.Dir, "lock")
	h := &Hold{note: holder{PID: os.Getpid(), Command: ask.Verb, Stages: map[string]int{}}}
	h.readOnly = w.Prepare()
	own, err := w.Own("")
	if err == nil {
		defer func() { _ = own.Close() }()
		h.lock, err = atomicfile.Files{Root: own}.Acquire(ctx, "lock", atomicfile.Exclusive, ask.busy(path))
	}
	if errors.Is(err, os.ErrNotExist) && h.readOnly != nil {
		err = h.readOnly // no directory, so no file in it
	}
	switch {
	case atomicfile.Lockless(path, err):
		h.readOnly = err
	case err != nil:
		return nil, err
	case h.write() != nil && h.readOnly == nil:
		// Another user's lock file may be the only thing that cannot be written.
		h.readOnly = atomicfile.Probe(w.OS(worktree.Dir + "/" + worktree.Tmp))
	}
	// With the lock, no command of the killed run is at work any more.
	stages, kept, err := aside.Recover(w)
	if err == nil {
		err = cleanFresh(w)
	}
	if err != nil {
		return nil, errors.Join(err, h.Release())
	}
	if len(stages) > 0 {
		ask.Say("a run was killed while running " + strings.Join(stages, ", ") + "; the previous outputs are restored")
	}
	for _, left := range kept {
		ask.Say("a run was killed while running " + left)
	}
	return h, nil
}

// ReadOnly returns why nothing can be written in the workspace, nil if it can.
func (h *Hold) ReadOnly() error { return h.readOnly }

// file is the locked file, which commands inherit; nil without a lock.
func (h *Hold) file() *os.File {
	if h == nil || h.lock == nil {
		return nil
	}
	return h.lock.File()
}

// running notes the process group of a stage's command; 0: it is about to start.
func (h *Hold) running(stage string, pgid int) { h.change(func() { h.note.Stages[stage] = pgid }) }

// ended notes that a stage's command has ended.
func (h *Hold) ended(stage string) { h.change(func() { delete(h.note.Stages, stage) }) }

func (h *Hold) change(f func()) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
	_ = h.write() // only a waiter's line would be the poorer
}

// write replaces the note in place: the lock is on this very file, and a new one
// renamed over it could be locked by another process. A reader may see half a
// note; who waits is then told less.
func (h *Hold) write() error {
	b, err := json.Marshal(h.note)
	if err != nil {
		return err
	}
	f := h.file()
	if f == nil {
		return nil
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.WriteAt(append(b, '\n'), 0)
	return err
}

// Release frees the lock.
func (h *Hold) Release() error {
	if h.lock == nil {
		return nil
	}
	return h.lock.Release()
}
