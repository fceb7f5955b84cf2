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

func (r *Repo) commitFile(ctx context.Context, path repopath.Path, data []byte, message string) (string, bool, error) {
	out, err := r.git(ctx, strings.NewReader(string(data)), "hash-object", "-w", "--stdin")
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
	for range 100 { // moves by other processes
		head, old, err := r.tip(ctx, path)
		if err != nil || old.isFile() && old.hash == file.hash {
			return head, false, err
		}
		if err := r.atRest(); err != nil {
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

// tip returns the commit of HEAD, "" when it is unborn, and the file in it.
func (r *Repo) tip(ctx context.Context, path repopath.Path) (string, entry, error) {
	head, err := r.Head(ctx)
	if err != nil || head.Unborn {
		return "", entry{}, err
	}
	e, err := r.entryAt(ctx, head.Hash, path)
	return head.Hash, e, err
}

// atRest refuses to commit in the middle of something that ends in a commit of its own.
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

// build writes a commit on head that changes the one file, by an index of its
// own, which lies outside the repository: what a crash leaves is in nobody's way.
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
	args := []string{"-c", "user.useConfigOnly=true", "commit-tree", strings.TrimSpace(string(tree)), "-F", "-"}
	if head != "" {
		args = append(args, "-p", head)
	}
	if out, _ := r.git(ctx, nil, "config", "--type=bool", "commit.gpgSign"); strings.TrimSpace(string(out)) == "true" {
		args = append(args, "-S")
	}
	out, err := r.git(ctx, strings.NewReader(strings.TrimRight(message, "\n")+"\n"), args...)
	if failed(err) {
		err = r.explainIdentity(ctx, err)
	}
	return strings.TrimSpace(string(out)), err
}

// explainIdentity finds out whether a commit failed because git has no author name or email.
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

// advance moves HEAD's branch from old to commit, if it still is old. The git
// program holds the reference's lock meanwhile: it runs to its end even when
// pipe and all of pipe's process group are killed.
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

func busy(lock string) error {
	return diag.New(diag.Busy, "another git process holds the lock").At(lock).Hinted("wait for it to finish; if it crashed, run rm %s", lock)
}

// held is the lock of the user's index, held by a shell in a process group of
// its own. Pipe must not make the lock itself: when pipe is killed, with or
// without its process group, the shell reads the end of its input and takes the
// lock away. As the lock is git's, a git add of the user either comes first and
// is in the copy that put changes, or fails; it is never overwritten.
type held struct {
	r   *Repo
	cmd *exec.Cmd
	in  io.WriteCloser
}

// hold makes the lock or fails, says so, and keeps it as long as it is told nothing.
const hold = `set -C; : >"$0" || exit 1; echo; read x; rm -f "$1" "$1.lock" "$0"`

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

// tryHold returns nil when somebody else was faster.
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

// put sets one entry of a copy of the index, and the copy in the index's place.
func (h *held) put(ctx context.Context, path repopath.Path, e entry) error {
	defer h.drop()
	index, tmp := filepath.Join(h.r.gitDir, "index"), h.r.indexCopy()
	b, err := os.ReadFile(index)
	if err != nil && !absent(err) {
		return err
	}
	if err = os.RemoveAll(tmp); err == nil && b != nil { // an orphan of a killed pipe may have made one
		err = os.WriteFile(tmp, b, 0o666)
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

// indexCopy is where the holder of the index makes the next one.
func (r *Repo) indexCopy() string { return filepath.Join(r.gitDir, "index.pipe") }

// drop frees the index.
func (h *held) drop() {
	_ = h.in.Close()
	_ = h.cmd.Wait()
}

// syncIndex gives the user's index the file's entry of HEAD, unless it has it.
// It looks again after each change: another process may have moved HEAD.
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
