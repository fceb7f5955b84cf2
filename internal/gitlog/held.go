package gitlog

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/pipe-build/pipe/pkg/repopath"
)

// held is the lock of the user's index, held by a shell in a process group of
// its own. Pipe must not make the lock file itself: after a kill nobody would remove
// it. When pipe is killed, with or without its process group, the shell reads the end
// of its input and removes the lock. As the lock is git's, a git add of the user
// either comes first and is in the copy that put changes, or fails; it is never
// overwritten.
type held struct {
	r   *Repo
	cmd *exec.Cmd
	in  io.WriteCloser
}

// hold makes the lock or fails, prints a line when it has it, and keeps it until its
// input has a line or ends. set -C (noclobber) lets ">" fail on a file that exists,
// as git's own O_EXCL does. $0 is the lock, $1 the copy of the index, and $1.lock
// what update-index makes while it writes the copy. The lock goes last, so that the
// next holder does not have its copy removed. The trap: pipe may be killed before it
// reads the line, and echo must not end the shell with the lock in place.
const hold = `trap '' PIPE; set -C; : >"$0" || exit 1; echo; read x; rm -f "$1" "$1.lock" "$0"`

// holdIndex takes the index's lock, waiting for LockWait for another process that has
// it, and fails with diag.Busy then. No shell is started while the lock file exists.
func (r *Repo) holdIndex(ctx context.Context) (*held, error) {
	lock := filepath.Join(r.gitDir, "index.lock")
	poll := time.NewTicker(lockPoll)
	defer poll.Stop()
	for end := time.Now().Add(r.wait); ; {
		if !exists(lock) {
			if h, err := r.tryHold(lock); h != nil || err != nil {
				return h, err
			}
		}
		if time.Now().After(end) {
			return nil, busy(lock)
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-poll.C:
		}
	}
}

// tryHold starts a holder. It returns nil without an error when another process took
// the lock first. The lock is held once the shell's line has come.
func (r *Repo) tryHold(lock string) (*held, error) {
	sh, err := r.program("sh")
	if err != nil {
		return nil, err
	}
	h := &held{r: r, cmd: exec.Command(sh, "-c", hold, lock, r.indexCopy())}
	apart(h.cmd)
	if h.in, err = h.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := h.cmd.Start(); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(out, make([]byte, 1)); err == nil {
		return h, nil
	}
	h.drop()
	return nil, nil
}

// put sets one entry of a copy of the index, and renames the copy over the index, as
// git does with index.lock: whoever reads the index sees the old one or the new one.
// The lock file itself must not become the index: that rename would free the lock, and
// the holder's rm could then remove the lock of another process. put frees the lock in
// any case.
func (h *held) put(ctx context.Context, path repopath.Path, e entry) error {
	defer h.drop()
	index, tmp := filepath.Join(h.r.gitDir, "index"), h.r.indexCopy()
	b, err := readFile(index)
	if err != nil && !absent(err) {
		return err
	}
	// The update-index of a killed pipe may live on and leave a copy after its holder is gone.
	if err = os.RemoveAll(tmp); err == nil && b != nil {
		err = copyIndex(index, tmp, b)
	}
	if err != nil {
		return err
	}
	cmd, err := h.r.command(ctx, "update-index", "-z", "--index-info")
	if err != nil {
		return err
	}
	cmd.Env = append(cmd.Env, "GIT_INDEX_FILE="+tmp)
	cmd.Stdin = strings.NewReader(e.replace(path))
	if _, err := output(cmd); err != nil {
		return err
	}
	return os.Rename(tmp, index)
}

// replace returns what git update-index --index-info takes for an entry that is to be the only one at
// the path. The old one is removed first: to look for it opens the directory of a sparse index that it
// lies in. Git appends behind the last entry without a look, and then the path is there twice.
func (e entry) replace(path repopath.Path) string {
	zero := strings.Repeat("0", len(e.hash))
	return fmt.Sprintf("0 %s\t%s\x00%s %s\t%s\x00", zero, path, e.mode, e.hash, path)
}

// copyIndex writes the index's bytes to another file of the same age. Git tells by the age which
// entries may have changed in the very moment that they were added, and marks these when it writes
// the next index: a copy that is younger would hide such a change for good.
func copyIndex(index, to string, b []byte) error {
	info, err := os.Stat(index)
	if err != nil {
		return err
	}
	if err := os.WriteFile(to, b, 0o666); err != nil {
		return err
	}
	return os.Chtimes(to, info.ModTime(), info.ModTime())
}

// indexCopy is where the holder of the index makes the next one.
func (r *Repo) indexCopy() string { return filepath.Join(r.gitDir, "index.pipe") }

// drop frees the index: the shell's input ends, and when the shell is gone, so is the lock.
func (h *held) drop() {
	_ = h.in.Close()
	_ = h.cmd.Wait()
}
