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

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// CommitFile commits the new content of one file, alone, on the branch of HEAD
// or on a detached or unborn HEAD, and returns the commit. When HEAD has that
// content already it makes no commit and returns HEAD and false. The file in the
// work tree is not looked at. In the index only the file's own entry changes, to
// what HEAD has, so that staged and dirty work of the user stays as it was; that
// is done also when no commit is made, in case the last call was killed.
//
// Objects are durable before the reference names them. The reference changes
// only if it still is what the commit was built on, so no commit of another
// process is lost. CommitFile fails with diag.Busy when git keeps a lock, and
// with diag.Policy in the middle of a merge or rebase. The commit is signed when
// commit.gpgSign asks for it; no hook runs.
func (r *Repo) CommitFile(ctx context.Context, path repopath.Path, data []byte, message string) (hash string, changed bool, err error) {
	hash, changed, err = r.commitFile(ctx, path, data, message)
	if err == nil && r.atRest() == nil { // a merge's own commit settles its index
		if err = r.syncIndex(ctx, path); err != nil {
			err = fmt.Errorf("committed, but the index was not updated: %w", err)
		}
	}
	if err != nil {
		return "", false, fmt.Errorf("commit %s: %w", path, err)
	}
	return hash, changed, nil
}

// commitFile makes the commit; the index may be left for syncIndex. What each step
// leaves when pipe is killed after it:
//
//   - blob, tree and commit: objects that nothing names, which git gc removes;
//   - the index's lock: its holder removes it when pipe's end of the pipe closes;
//   - the reference: a whole commit, and an index with the old entry, as if the
//     user had staged the old file. The next call finds HEAD up to date and repairs it.
//
// When another process has moved HEAD, the reference is not changed and the next round
// builds on the new commit. Nothing but unnamed objects is left of the lost round, so a
// retry is safe. A failure with HEAD unmoved will not go away, and ends the loop.
func (r *Repo) commitFile(ctx context.Context, path repopath.Path, data []byte, message string) (string, bool, error) {
	// Written only when it is needed: what is committed already is no reason to write
	// in a repository that may be read-only.
	out, err := r.git(ctx, strings.NewReader(string(data)), "hash-object", "--stdin")
	if err != nil {
		return "", false, err
	}
	file := entry{hash: strings.TrimSpace(string(out))}
	var index *held
	defer func() {
		if index != nil {
			index.drop()
		}
	}()
	for range 100 { // a round is lost only to another process's commit, so 100 of them mean a storm
		head, old, err := r.tip(ctx, path)
		if err != nil || old.isFile() && old.hash == file.hash {
			return head, false, err
		}
		if err := r.atRest(); err != nil {
			return "", false, err
		}
		if _, err := r.git(ctx, strings.NewReader(string(data)), "hash-object", "-w", "--stdin"); err != nil {
			return "", false, err
		}
		if file.mode = old.mode; !old.isFile() {
			file.mode = "100644"
		}
		commit, err := r.build(ctx, head, path, file, message)
		if err != nil {
			return "", false, err
		}
		// While the index is held no git commit begins, which would pair the
		// new HEAD with the index's old entry and take the file back.
		if index == nil {
			if index, err = r.holdIndex(ctx); err != nil {
				return "", false, err
			}
		}
		if err = r.advance(ctx, head, commit, message); err == nil {
			_ = index.put(ctx, path, file) // syncIndex sees what became of it
			index = nil
			return commit, true, nil
		}
		if now, err2 := r.Head(ctx); err2 != nil || now.Hash == head {
			return "", false, err
		}
	}
	return "", false, &diag.Error{Kind: diag.Busy, What: "the branch keeps changing", Hint: "run the command again"}
}

// tip returns the commit of HEAD, "" when it is unborn, and the file in it; the zero
// entry when it has none.
func (r *Repo) tip(ctx context.Context, path repopath.Path) (string, entry, error) {
	head, err := r.Head(ctx)
	if err != nil || head.Unborn {
		return "", entry{}, err
	}
	e, err := r.entryAt(ctx, head.Hash, path)
	return head.Hash, e, err
}

// atRest refuses to commit in the middle of something that ends in a commit of its
// own: that commit would have a parent that the user has not seen, or a rebase would
// replay onto a moved HEAD. The files are git's own marks of what is in progress, in
// the worktree's git directory.
func (r *Repo) atRest() error {
	for _, s := range [][2]string{
		{"MERGE_HEAD", "merge"},
		{"rebase-merge", "rebase"},
		{"rebase-apply", "rebase"},
		{"CHERRY_PICK_HEAD", "cherry-pick"},
		{"REVERT_HEAD", "revert"},
	} {
		if exists(filepath.Join(r.gitDir, s[0])) {
			return diag.New(diag.Policy, "a %s is in progress", s[1]).Hinted("run git %s --continue or --abort", s[1])
		}
	}
	return nil
}

// build writes a commit on head, "" for the first one, that changes the one file. It
// makes the tree in an index of its own, so that nothing the user has staged gets into
// the commit. That index lies outside the repository: what a crash leaves there is
// never mistaken for git's. A split index would write its other half into the
// repository after all, so it is off.
func (r *Repo) build(ctx context.Context, head string, path repopath.Path, file entry, message string) (string, error) {
	tmp, err := os.MkdirTemp("", "pipe-commit-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp) //nolint:errcheck // a temporary directory
	var tree []byte
	for _, args := range [][]string{{"read-tree", head}, {"update-index", "--add", "--cacheinfo", file.mode + "," + file.hash + "," + string(path)}, {"write-tree"}} {
		if head == "" && args[0] == "read-tree" {
			continue
		}
		cmd, err := r.command(ctx, append([]string{"-c", "core.splitIndex=false", "-c", "core.fsmonitor=false"}, args...)...)
		if err != nil {
			return "", err
		}
		cmd.Env = append(cmd.Env, "GIT_INDEX_FILE="+filepath.Join(tmp, "index"))
		if tree, err = output(cmd); err != nil {
			return "", err
		}
	}
	// useConfigOnly: git must not make up an address from the name of the machine.
	args := []string{"-c", "user.useConfigOnly=true", "commit-tree", strings.TrimSpace(string(tree)), "-F", "-"}
	if head != "" {
		args = append(args, "-p", head)
	}
	// commit-tree does not look at commit.gpgSign, as git commit does.
	if out, _ := r.git(ctx, nil, "config", "--type=bool", "commit.gpgSign"); strings.TrimSpace(string(out)) == "true" {
		args = append(args, "-S")
	}
	out, err := r.git(ctx, strings.NewReader(strings.TrimRight(message, "\n")+"\n"), args...)
	if failed(err) {
		err = r.explainIdentity(ctx, err)
	}
	return strings.TrimSpace(string(out)), err
}

// explainIdentity finds out whether a commit failed because git has no author name or
// email. It asks git again instead of reading its message, which may be translated.
func (r *Repo) explainIdentity(ctx context.Context, err error) error {
	for _, role := range []string{"AUTHOR", "COMMITTER"} {
		if _, why := r.git(ctx, nil, "-c", "user.useConfigOnly=true", "var", "GIT_"+role+"_IDENT"); why != nil {
			e := diag.New(diag.Usage, "git has no author name or email")
			e.Err = why
			return e.Hinted("git config user.name NAME && git config user.email ADDRESS; on CI set GIT_AUTHOR_NAME, GIT_AUTHOR_EMAIL, GIT_COMMITTER_NAME and GIT_COMMITTER_EMAIL")
		}
	}
	return err
}

// advance moves HEAD's branch from old to commit, if it still is old; "" stands for a
// branch that does not exist yet, which update-ref writes as zeros. Git holds the
// reference's lock meanwhile, and a git that is killed leaves the lock file behind. So
// it runs to its end even when ctx is cancelled, or pipe and all of pipe's process
// group are killed. Git itself waits for a lock, for LockWait; if one is still there
// after a failure, that is the reason, and the answer is diag.Busy.
func (r *Repo) advance(ctx context.Context, old, commit, message string) error {
	what := "commit"
	if old == "" {
		what, old = "commit (initial)", strings.Repeat("0", len(commit))
	}
	subject, _, _ := strings.Cut(message, "\n")
	cmd, err := r.command(context.WithoutCancel(ctx), "-c", fmt.Sprintf("core.filesRefLockTimeout=%d", r.wait.Milliseconds()),
		"update-ref", "-m", what+": "+subject, "HEAD", commit, old)
	if err != nil {
		return err
	}
	apart(cmd)
	if _, err = output(cmd); err == nil {
		return nil
	}
	names := []string{"HEAD"}
	if ref, _, err := r.follow("HEAD"); err == nil {
		names = append(names, ref)
	}
	for _, name := range names {
		if lock := r.refFile(name) + ".lock"; exists(lock) {
			return busy(lock)
		}
	}
	return err
}

// busy is the error of a lock that was waited for too long. Pipe never removes such a
// lock: it cannot know whether its owner has crashed.
func busy(lock string) error {
	return diag.New(diag.Busy, "another git process holds the lock").At(lock).Hinted("wait for it to finish; if it crashed, run rm %s", lock)
}

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
	cmd, err := h.r.command(ctx, "update-index", "--add", "--cacheinfo", e.mode+","+e.hash+","+string(path))
	if err != nil {
		return err
	}
	cmd.Env = append(cmd.Env, "GIT_INDEX_FILE="+tmp)
	if _, err := output(cmd); err != nil {
		return err
	}
	return os.Rename(tmp, index)
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

// syncIndex gives the user's index the file's entry of HEAD, unless it has it.
// It looks again after each change: another process may have moved HEAD. So the
// answer is never put's own, but what the index has in the end; put's error is
// returned only when the index is still wrong after the last try.
func (r *Repo) syncIndex(ctx context.Context, path repopath.Path) error {
	var failure error
	for range 10 {
		_, want, err := r.tip(ctx, path)
		if err != nil || !want.isFile() {
			return err
		}
		if has, err := r.entryInIndex(ctx, path); err != nil || has == want {
			return err
		}
		h, err := r.holdIndex(ctx)
		if err != nil {
			return err
		}
		failure = h.put(ctx, path, want)
	}
	return failure
}
