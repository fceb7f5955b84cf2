package atomicfile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// poll is how often a waiter looks again: short against any command, long against a CPU.
const poll = 25 * time.Millisecond

// Lock is a held advisory lock on a file (flock(2); LockFileEx on Windows).
// It belongs to the open file, not to the process: a child that inherits File
// keeps it when this process is killed, and Release frees it for all of them.
// No library that was looked at hands out the descriptor, so this is our own.
type Lock struct{ f *os.File }

// Mode is how a lock is shared.
type Mode uint8

// The modes: one holder, or many readers.
const (
	Exclusive Mode = iota
	Shared
)

// Acquire is Files.Acquire on the files of the system.
func Acquire(ctx context.Context, path string, mode Mode, waiting func()) (*Lock, error) {
	return Files{}.Acquire(ctx, path, mode, waiting)
}

// TryAcquire is Files.TryAcquire on the files of the system.
func TryAcquire(path string, mode Mode) (*Lock, error) { return Files{}.TryAcquire(path, mode) }

// Acquire takes the lock on path, making the file when there is none. When
// somebody else has it, waiting (which may be nil) is called once, and Acquire
// waits until ctx ends.
func (files Files) Acquire(ctx context.Context, path string, mode Mode, waiting func()) (*Lock, error) {
	l, err := files.TryAcquire(path, mode)
	if err != nil || l != nil {
		return l, err
	}
	if waiting != nil {
		waiting()
	}
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-tick.C:
			if l, err := files.TryAcquire(path, mode); err != nil || l != nil {
				return l, err
			}
		}
	}
}

// TryAcquire takes the lock on path, or returns nil when somebody else has it.
func (files Files) TryAcquire(path string, mode Mode) (*Lock, error) {
	f, err := files.disk().OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if mode == Shared && errors.Is(err, os.ErrPermission) {
		f, err = files.Open(path)
	}
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	ok, err := tryLock(f, mode)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	if !ok {
		return nil, f.Close()
	}
	return &Lock{f}, nil
}

// File returns the locked file, to be inherited by a child, or to hold a note on the holder.
func (l *Lock) File() *os.File { return l.f }

// Release frees the lock for every holder of its file, inherited ones too.
func (l *Lock) Release() error { return errors.Join(unlock(l.f), l.f.Close()) }
