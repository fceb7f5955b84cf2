package gitlog

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
)

const (
	// lockWait is how long git's locks are waited for: git commit holds the index for less than
	// a second in a repository of 100,000 files, so a longer hold is an editor or a crash.
	lockWait = 5 * time.Second
	lockPoll = 20 * time.Millisecond
)

// lockFile is git's kind of lock: FILE.lock, made exclusively, that becomes FILE.
type lockFile struct {
	f    *os.File
	path string // of FILE
	done bool
}

// lock takes git's lock on a file; it fails with diag.Busy when somebody keeps it.
func (r *Repo) lock(ctx context.Context, path string) (*lockFile, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, err
	}
	wait := time.NewTimer(r.wait)
	defer wait.Stop()
	poll := time.NewTicker(lockPoll)
	defer poll.Stop()
	for {
		f, err := os.OpenFile(path+".lock", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if err == nil {
			return &lockFile{f: f, path: path}, nil
		}
		if !errors.Is(err, os.ErrExist) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-wait.C:
			return nil, diag.New(diag.Busy, "another git process holds it").At(path+".lock").
				Hinted("wait for it to end; if it crashed: rm %s.lock", path)
		case <-poll.C:
		}
	}
}

// set makes b the whole content of the lock.
func (l *lockFile) set(b []byte) error {
	if err := l.f.Truncate(0); err != nil {
		return err
	}
	_, err := l.f.WriteAt(b, 0)
	return err
}

// commit puts the lock's content in the place of the file, durably, and frees it.
func (l *lockFile) commit() error {
	if st, err := os.Stat(l.path); err == nil {
		if st.IsDir() {
			if err := os.Remove(l.path); err != nil { // git leaves empty directories of old branches
				return err
			}
		} else if err := l.f.Chmod(st.Mode().Perm()); err != nil {
			return err
		}
	}
	if err := errors.Join(l.f.Sync(), l.f.Close()); err != nil {
		return err
	}
	if err := os.Rename(l.path+".lock", l.path); err != nil {
		return err
	}
	l.done = true
	return atomicfile.SyncDir(filepath.Dir(l.path))
}

// drop frees the lock and leaves the file as it is, unless commit was done.
func (l *lockFile) drop() {
	if !l.done {
		_ = l.f.Close()
		_ = os.Remove(l.path + ".lock")
	}
}
