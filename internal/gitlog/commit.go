package gitlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// tip is the commit that HEAD names, and the file's entry in it.
type tip struct {
	ref    string        // that moves: a branch, or HEAD when detached
	commit plumbing.Hash // zero on an unborn branch
	tree   plumbing.Hash
	file   treeEntry
}

func (r *Repo) tip(o *objects, path repopath.Path) (tip, error) {
	var t tip
	var err error
	if t.ref, t.commit, err = r.follow("HEAD"); err != nil || t.commit.IsZero() {
		return t, err
	}
	c, err := o.commit(t.commit)
	if err != nil {
		return t, r.explain(t.commit.String(), err)
	}
	t.tree = c.tree
	t.file, err = o.entryAt(c.tree, path)
	return t, r.explain(c.tree.String(), err)
}

func (t tip) has(blob plumbing.Hash) bool { return t.file.isFile() && t.file.hash == blob }

// CommitFile commits the new content of one file, alone, on the branch of HEAD
// or on a detached or unborn HEAD, and returns the commit. When HEAD has that
// content already it changes nothing and returns HEAD and false. The file in the
// work tree is not looked at; in the index only its own entry changes, so that
// staged and dirty work of the user stays as it was.
//
// Objects are durable before the reference names them. The index is held by
// git's own lock, and the reference changes only if it still is what the commit
// was built on, so no commit of another process is lost. CommitFile fails with
// diag.Busy when git keeps a lock, and with diag.Policy in the middle of a
// merge or rebase. The commit is not signed, whatever commit.gpgsign says, and
// no hook runs.
func (r *Repo) CommitFile(ctx context.Context, path repopath.Path, data []byte, message string) (hash string, changed bool, err error) {
	o := r.objects()
	defer o.close()
	blob := plumbing.ComputeHash(plumbing.BlobObject, data)
	at, err := r.tip(o, path)
	if err != nil {
		return "", false, fmt.Errorf("commit %s: %w", path, err)
	}
	if at.has(blob) {
		return at.commit.String(), false, nil
	}
	n := note{message: strings.TrimRight(message, "\n") + "\n"}
	if n.author, err = r.identity(ctx, "AUTHOR"); err != nil {
		return "", false, err
	}
	if n.committer, err = r.identity(ctx, "COMMITTER"); err != nil {
		return "", false, err
	}
	h, changed, err := r.commitFile(ctx, o, path, data, n)
	if err != nil {
		return "", false, fmt.Errorf("commit %s: %w", path, err)
	}
	return h.String(), changed, nil
}

// note is what a commit says of itself.
type note struct {
	author, committer identity
	message           string
}

// errMoved says that another process has moved the branch.
var errMoved = &diag.Error{Kind: diag.Busy, What: "the branch keeps moving", Hint: "run it again"}

func (r *Repo) commitFile(ctx context.Context, o *objects, path repopath.Path, data []byte, n note) (plumbing.Hash, bool, error) {
	none := plumbing.ZeroHash
	lock, err := r.lock(ctx, filepath.Join(r.gitDir, "index"))
	if err != nil {
		return none, false, err
	}
	defer lock.drop()
	if err := r.atRest(); err != nil {
		return none, false, err
	}
	blob, err := r.write(o, plumbing.BlobObject, data)
	if err != nil {
		return none, false, err
	}
	staged := false
	for range 100 { // moves by processes that do without the index, such as git fetch
		at, err := r.tip(o, path)
		if err != nil || at.has(blob) {
			return at.commit, false, err
		}
		file := treeEntry{at.fileMode(), path.Base(), blob}
		if !staged {
			if err := r.stage(ctx, lock, path, file); err != nil {
				return none, false, err
			}
			staged = true
		}
		h, err := r.build(o, at, path, file, n)
		if err != nil {
			return none, false, err
		}
		if err = r.advance(ctx, at, h, n); errors.Is(err, errMoved) {
			continue
		}
		if err != nil {
			return none, false, err
		}
		return h, true, lock.commit()
	}
	return none, false, errMoved
}

func (t tip) fileMode() string {
	if t.file.isFile() {
		return t.file.mode
	}
	return "100644"
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
		if _, err := os.Lstat(filepath.Join(r.gitDir, s[0])); err == nil {
			return diag.New(diag.Policy, "a %s is in progress", s[1]).Hinted("git %s --continue, or --abort", s[1])
		}
	}
	return nil
}

// build writes the trees above the file and the commit.
func (r *Repo) build(o *objects, at tip, path repopath.Path, file treeEntry, n note) (plumbing.Hash, error) {
	tree, err := r.replace(o, at.tree, strings.Split(string(path), "/"), file)
	if err != nil {
		return tree, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "tree %s\n", tree)
	if !at.commit.IsZero() {
		fmt.Fprintf(&b, "parent %s\n", at.commit)
	}
	fmt.Fprintf(&b, "author %s\ncommitter %s\n\n%s", n.author, n.committer, n.message)
	return r.write(o, plumbing.CommitObject, b.Bytes())
}

// replace writes a tree (zero: an empty one) with the file at the path below it.
func (r *Repo) replace(o *objects, tree plumbing.Hash, elems []string, file treeEntry) (plumbing.Hash, error) {
	var old []byte
	if !tree.IsZero() {
		var err error
		if old, err = o.typed(tree, plumbing.TreeObject); err != nil {
			return tree, r.explain(tree.String(), err)
		}
	}
	e, ok := findEntry(old, elems[0])
	if ok && e.isDir() != (len(elems) > 1) {
		return tree, fmt.Errorf("HEAD has something else at %s", elems[0])
	}
	if len(elems) > 1 {
		sub, err := r.replace(o, e.hash, elems[1:], file)
		if err != nil {
			return tree, err
		}
		file = treeEntry{"40000", elems[0], sub}
	}
	return r.write(o, plumbing.TreeObject, putEntry(old, file))
}

// putEntry returns a tree object's bytes with e in its place.
func putEntry(tree []byte, e treeEntry) []byte {
	entry := append(append(append([]byte(e.mode+" "), e.name...), 0), e.hash[:]...)
	out := make([]byte, 0, len(tree)+len(entry))
	put := false
	for len(tree) > 0 {
		sp, nul := bytes.IndexByte(tree, ' '), bytes.IndexByte(tree, 0)
		if sp < 0 || nul < sp || len(tree) < nul+21 {
			break
		}
		old := treeEntry{mode: string(tree[:sp]), name: string(tree[sp+1 : nul])}
		if !put && (old.name == e.name || e.sortName() < old.sortName()) {
			out, put = append(out, entry...), true
		}
		if old.name != e.name {
			out = append(out, tree[:nul+21]...)
		}
		tree = tree[nul+21:]
	}
	if !put {
		out = append(out, entry...)
	}
	return out
}

// sortName is what git sorts a tree by: a directory counts as if its name ended in a slash.
func (e treeEntry) sortName() string {
	if e.isDir() {
		return e.name + "/"
	}
	return e.name
}

// stage writes the index with the file's new entry into the lock.
func (r *Repo) stage(ctx context.Context, lock *lockFile, path repopath.Path, file treeEntry) error {
	x, err := r.readIndex()
	if errors.Is(err, errForeignIndex) {
		return r.stageByProgram(ctx, lock, path, file)
	}
	if err != nil {
		return err
	}
	if err := x.set(string(path), file.mode, file.hash); err != nil {
		return err
	}
	return lock.set(x.encode())
}

// stageByProgram lets the git program change a copy of an index that we do not understand.
func (r *Repo) stageByProgram(ctx context.Context, lock *lockFile, path repopath.Path, file treeEntry) (err error) {
	b, err := os.ReadFile(lock.path)
	if err != nil {
		return err
	}
	tmp := lock.path + ".pipe" // the lock is ours, so nobody else makes it
	if err := os.WriteFile(tmp, b, 0o666); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(tmp)) }()
	_, err = r.git(ctx, []string{"GIT_INDEX_FILE=" + tmp}, "update-index", "--add", "--cacheinfo",
		file.mode+","+file.hash.String()+","+string(path))
	if errors.Is(err, errNoProgram) {
		return diag.New(diag.Failed, "the index is split or sparse: %w", err).Hinted("git update-index --no-split-index, or git sparse-checkout init --no-sparse-index")
	}
	if err != nil {
		return err
	}
	if b, err = os.ReadFile(tmp); err != nil {
		return err
	}
	return lock.set(b)
}

// advance moves the reference of at to h, if it and HEAD are still what they were.
func (r *Repo) advance(ctx context.Context, at tip, h plumbing.Hash, n note) error {
	lock, err := r.lock(ctx, r.refFile(at.ref))
	if err != nil {
		return err
	}
	defer lock.drop()
	ref, now, err := r.follow("HEAD")
	if err != nil {
		return err
	}
	if ref != at.ref || now != at.commit {
		return errMoved
	}
	if err := lock.set([]byte(h.String() + "\n")); err != nil {
		return err
	}
	if err := r.logMove(at, h, n); err != nil {
		return err
	}
	return lock.commit()
}

// logMove notes the move in the reflogs of HEAD and the branch, as core.logAllRefUpdates wants it.
func (r *Repo) logMove(at tip, h plumbing.Hash, n note) error {
	what := "commit"
	if at.commit.IsZero() {
		what = "commit (initial)"
	}
	subject, _, _ := strings.Cut(n.message, "\n")
	line := fmt.Sprintf("%s %s %s\t%s: %s\n", at.commit, h, n.committer, what, subject)
	files := []string{filepath.Join(r.gitDir, "logs", "HEAD")}
	if at.ref != "HEAD" {
		files = append(files, filepath.Join(r.commonDir, "logs", filepath.FromSlash(at.ref)))
	}
	conf, err := r.allSettings()
	if err != nil {
		return err
	}
	flag := os.O_APPEND | os.O_WRONLY
	if v, ok := conf.get("core.logallrefupdates"); !ok || isTrue(v) || strings.EqualFold(v, "always") {
		flag |= os.O_CREATE
	}
	for _, file := range files {
		if err := appendLine(file, flag, line); err != nil && !(flag&os.O_CREATE == 0 && absent(err)) {
			return err
		}
	}
	return nil
}

func appendLine(file string, flag int, line string) error {
	if flag&os.O_CREATE != 0 {
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(file, flag, 0o666)
	if err != nil {
		return err
	}
	_, err = f.WriteString(line)
	return errors.Join(err, f.Close())
}
