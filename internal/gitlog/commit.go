package gitlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/repopath"
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
			err = fmt.Errorf("HEAD has it, but not the index: %w", err)
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
			_ = index.drop() // without an entry it changes nothing
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
			_ = index.put(path, file) // syncIndex sees what became of it
			index = nil
			return commit, true, nil
		}
		if now, err2 := r.Head(ctx); err2 != nil || now.Hash == head {
			return "", false, err
		}
	}
	return "", false, &diag.Error{Kind: diag.Busy, What: "the branch keeps moving", Hint: "run it again"}
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
			return diag.New(diag.Policy, "a %s is in progress", s[1]).Hinted("git %s --continue, or --abort", s[1])
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

// explainIdentity finds out whether a commit failed because git does not know who commits.
func (r *Repo) explainIdentity(ctx context.Context, err error) error {
	for _, role := range []string{"AUTHOR", "COMMITTER"} {
		if _, why := r.git(ctx, nil, "-c", "user.useConfigOnly=true", "var", "GIT_"+role+"_IDENT"); why != nil {
			e := diag.New(diag.Usage, "git does not know who commits")
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
	return diag.New(diag.Busy, "another git process holds it").At(lock).Hinted("wait for it to end; if it crashed: rm %s", lock)
}

// held is a git update-index that holds the lock of the user's index and waits
// for an entry. The lock must be a git process's and not pipe's own: when pipe is
// killed, with or without its process group, the process reads the end of its
// input, changes nothing, and takes its lock away. And as the lock is git's, a
// git add of the user either comes first and is read, or fails; it is never
// overwritten.
type held struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	stderr bytes.Buffer
}

func (r *Repo) holdIndex(ctx context.Context) (*held, error) {
	lock := filepath.Join(r.gitDir, "index.lock")
	free, err := until(ctx, r.wait, func() bool { return !exists(lock) })
	if err != nil {
		return nil, err
	}
	if !free {
		return nil, busy(lock)
	}
	h := &held{}
	if h.cmd, err = r.command(context.WithoutCancel(ctx), "update-index", "--add", "--index-info"); err != nil {
		return nil, err
	}
	apart(h.cmd)
	h.cmd.Stderr = &h.stderr
	if h.in, err = h.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := h.cmd.Start(); err != nil {
		return nil, err
	}
	// Git does not say when it has the lock. Should somebody else take it just
	// now, put fails, and syncIndex does it again.
	if _, err := until(ctx, lockWait, func() bool { return exists(lock) }); err != nil {
		return nil, errors.Join(err, h.drop())
	}
	return h, nil
}

// put sets one entry and frees the index. The line is one write, which no kill cuts in two.
func (h *held) put(path repopath.Path, e entry) error {
	_, err := io.WriteString(h.in, e.mode+" "+e.hash+"\t"+string(path)+"\n")
	return errors.Join(err, h.drop())
}

// drop frees the index.
func (h *held) drop() error {
	err := errors.Join(h.in.Close(), h.cmd.Wait())
	if err != nil {
		err = fmt.Errorf("git update-index: %w: %s", err, strings.TrimSpace(h.stderr.String()))
	}
	return err
}

// syncIndex gives the user's index the file's entry of HEAD, unless it has it.
// It looks again after each change: another process may have moved HEAD, or
// taken the index, meanwhile.
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
		failure = h.put(path, want)
	}
	return failure
}
