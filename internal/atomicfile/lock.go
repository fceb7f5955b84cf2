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

// again is how many looks a waiter is told after: every two seconds, as looking at all
// processes takes some milliseconds.
const again = 80

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
func Acquire(ctx context.Context, path string, mode Mode, waiting func() error) (*Lock, error) {
	return Files{}.Acquire(ctx, path, mode, waiting)
}

// Acquire takes the lock on path, making the file when there is none. When
// somebody else has it, waiting (which may be nil) is called, and again from time to
// time: the holder may be another one by then. If that returns an error, Acquire does,
// too; else it waits until ctx ends.
func (files Files) Acquire(ctx context.Context, path string, mode Mode, waiting func() error) (*Lock, error) {
	l, err := files.TryAcquire(path, mode)
	if err != nil || l != nil {
		return l, err
	}
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for n := 0; ; n++ {
		if waiting != nil && n%again == 0 {
			if err := waiting(); err != nil {
				return nil, err
			}
		}
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

// TryAcquire takes the lock on path, or returns nil when somebody else has it. A file
// that may only be read is locked all the same.
func (files Files) TryAcquire(path string, mode Mode) (*Lock, error) {
	f, err := files.Disk().OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if ReadOnly(err) {
		if r, rerr := files.Open(path); rerr == nil {
			f, err = r, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	ok, err := tryLock(f, mode)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
	}
	if !ok {
		return nil, f.Close()
	}
	return &Lock{f}, nil
}

// Lockless reports whether err, which came from taking the lock on path, says that there
// is no such file and that none may be made. Whoever is in this place cannot change what
// the lock guards, either, and may go on reading.
func Lockless(path string, err error) bool {
	if !ReadOnly(err) {
		return false
	}
	_, err = os.Lstat(path)
	return errors.Is(err, os.ErrNotExist)
}

// File returns the locked file, to be inherited by a child, or to hold a note on the holder.
func (l *Lock) File() *os.File { return l.f }

// Release frees the lock for every holder of its file, inherited ones too.
func (l *Lock) Release() error {
	err := unlock(l.f)
	if err != nil {
		err = fmt.Errorf("unlock %s: %w", l.f.Name(), err)
	}
	return errors.Join(err, l.f.Close())
}
