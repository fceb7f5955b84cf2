package gitlog

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

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
		head, err := r.Head(ctx)
		if err != nil {
			return "", false, err
		}
		way, err := r.wayTo(ctx, head.Hash, path)
		if err != nil || way.file.isFile() && way.file.hash == file.hash {
			return head.Hash, false, err
		}
		if err := r.atRest(); err != nil {
			return "", false, err
		}
		if _, err := r.write(ctx, "blob", data); err != nil {
			return "", false, err
		}
		file.mode = way.mode()
		tree, err := r.plant(ctx, way, file)
		if err != nil {
			return "", false, err
		}
		commit, err := r.seal(ctx, tree, message, head.Hash)
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
		if err = r.advance(ctx, head.Hash, commit, message); err == nil {
			_ = index.put(ctx, path, file) // syncIndex sees what became of it
			index = nil
			return commit, true, nil
		}
		if now, err2 := r.Head(ctx); err2 != nil || now.Hash == head.Hash {
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

// adopt moves HEAD's branch from head to a commit that changes one file, and gives the index the
// file's entry, as CommitFile does.
func (r *Repo) adopt(ctx context.Context, head, commit string, path repopath.Path, file entry, message string) error {
	index, err := r.holdIndex(ctx)
	if err != nil {
		return err
	}
	// HEAD and the index move together, whatever ends the run meanwhile: an index that stays behind takes
	// the file back with the user's next commit.
	ctx = context.WithoutCancel(ctx)
	if err := r.advance(ctx, head, commit, message); err != nil {
		index.drop()
		return err
	}
	_ = index.put(ctx, path, file) // syncIndex sees what became of it
	return r.syncIndex(ctx, path)
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
