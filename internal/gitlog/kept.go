package gitlog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Kept is Versions for whoever deletes what no content names. Beside the commits that
// references and worktrees' HEADs reach, it walks those that git keeps for its user
// without a reference: every stash, what a reflog says of the time since, and what an
// unfinished merge, rebase, bisect or fetch of any worktree notes. What is staged in a
// worktree is a version without a Last. A history of which a part is missing or damaged
// is an error, for that part may name anything. Nothing is fetched.
func (r *Repo) Kept(ctx context.Context, path repopath.Path, since time.Time, f func(*Version) error) error {
	if r.cut() {
		return diag.New(diag.Policy, "the clone is shallow, and the missing commits may use any cached object").At(r.root).
			Hinted("git fetch --unshallow")
	}
	tips, err := r.tipsStrict(ctx)
	if err != nil {
		return err
	}
	dirs, err := r.gitDirs()
	if err != nil {
		return err
	}
	w := newWalk(r, path, false)
	defer w.objects.close()
	for _, ref := range tips {
		if err := w.start(r, ref); err != nil {
			return err
		}
	}
	noted := map[string]bool{}
	for _, dir := range dirs {
		if err := errors.Join(r.in(dir).marks(ctx, noted), reflogs(dir, since, noted)); err != nil {
			return err
		}
	}
	for hash := range noted {
		// One that is not here was pruned: git lets a reflog and its own notes outlive their commits.
		if _, err := w.objects.commit(plumbing.NewHash(hash)); errors.Is(err, plumbing.ErrObjectNotFound) {
			continue
		}
		if err := w.start(r, Ref{Name: hash, Hash: hash}); err != nil {
			return err
		}
	}
	seen := map[string]bool{emptyBlob: true}
	if err := w.run(ctx, r, func(v *Version) error { seen[v.Blob] = true; return f(v) }); err != nil {
		return fmt.Errorf("read the history of %s: %w", path, err)
	}
	for _, dir := range dirs {
		if err := w.staged(ctx, r.in(dir), path, seen, f); err != nil {
			return err
		}
	}
	return nil
}

// emptyBlob is what git add -N puts into the index, often without such an object.
const emptyBlob = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"

// tipsStrict returns all references and the HEADs of all worktrees. Unlike refs it
// fails when one of them is broken, as git gc does: for-each-ref would leave it out.
// Where references are in tables, so are the reflogs, whose entries come whatever
// their age.
func (r *Repo) tipsStrict(ctx context.Context) ([]Ref, error) {
	args := []string{"rev-list", "--no-walk=unsorted", "--all"}
	if r.hasTables() {
		args = append(args, "--reflog")
	}
	out, err := r.git(ctx, nil, args...)
	if err != nil {
		return nil, diag.New(diag.Integrity, "cannot list all commits that git keeps: %w", err).At(r.root).Hinted("git fsck")
	}
	var tips []Ref
	for hash := range strings.FieldsSeq(string(out)) {
		tips = append(tips, Ref{Name: hash, Hash: hash})
	}
	return tips, r.checkFormat(tips)
}

// gitDirs returns the git directories of the repository and of its linked worktrees.
func (r *Repo) gitDirs() ([]string, error) {
	dirs := []string{r.commonDir}
	linked := filepath.Join(r.commonDir, "worktrees")
	entries, err := os.ReadDir(linked)
	if err != nil && !absent(err) {
		return nil, err
	}
	for _, e := range entries {
		if e.IsDir() {
			dirs = append(dirs, filepath.Join(linked, e.Name()))
		}
	}
	return dirs, nil
}

// in returns the repository as the worktree with this git directory has it.
func (r *Repo) in(dir string) *Repo {
	linked := *r
	linked.gitDir = dir
	return &linked
}

// noteDirs hold what an operation that is not finished yet must remember, among it
// commits that nothing else names, such as the autostash of a rebase; and the references
// that each worktree has for itself.
var noteDirs = []string{"rebase-merge", "rebase-apply", "sequencer", "refs/bisect", "refs/worktree", "refs/rewritten"}

// marks adds every hash that stands in a worktree's own notes: HEAD, and the files beside
// it whose names are in capitals (ORIG_HEAD, MERGE_HEAD, MERGE_AUTOSTASH, FETCH_HEAD), and
// those in noteDirs. Whatever else the files say, and whatever git will call them: a hash
// too many keeps an object for longer, and one that is missed costs it. Some of them are
// in tables, where there are any.
func (r *Repo) marks(ctx context.Context, noted map[string]bool) error {
	// git rev-list passes over another worktree's HEAD that a power cut has emptied.
	head := filepath.Join(r.gitDir, "HEAD")
	b, err := readFile(head)
	if err == nil {
		_, _, err = parseRef(head, b)
	}
	if err != nil && !absent(err) {
		return err
	}
	if r.hasTables() {
		out, err := r.git(ctx, nil, "for-each-ref", "--include-root-refs", "--format=%(objectname)")
		if err != nil {
			return err
		}
		addHashes(out, noted)
	}
	return files(r.gitDir, func(rel string, d fs.DirEntry) error {
		if d.IsDir() {
			if slices.ContainsFunc(noteDirs, func(n string) bool { return rel == "." || isWithin(n, rel) || isWithin(rel, n) }) {
				return nil
			}
			return fs.SkipDir
		}
		if !strings.Contains(rel, "/") && strings.ToUpper(rel) != rel {
			return nil
		}
		b, err := atomicfile.Read(filepath.Join(r.gitDir, rel), atomicfile.MaxNote)
		if absent(err) || errors.Is(err, atomicfile.ErrLarge) || errors.Is(err, atomicfile.ErrSpecial) {
			return nil // done meanwhile, or a patch of the user's
		}
		addHashes(b, noted)
		return err
	})
}

// addHashes adds the words of a text that are hashes.
func addHashes(text []byte, noted map[string]bool) {
	isWord := func(c rune) bool { return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' }
	for word := range strings.FieldsFuncSeq(string(text), func(c rune) bool { return !isWord(c) }) {
		if isHash(word) {
			noted[word] = true
		}
	}
}

// reflogs adds what a git directory's reflogs say: where each reference stood before and
// after every change since the time. A line is "old new who <mail> seconds zone TAB why".
// Stashes count whatever their age: all but the newest are entries of a reflog alone.
// Like git, reflogs passes over lines of another form.
func reflogs(dir string, since time.Time, noted map[string]bool) error {
	return files(filepath.Join(dir, "logs"), func(rel string, d fs.DirEntry) error {
		if d.IsDir() {
			return nil
		}
		b, err := readFile(filepath.Join(dir, "logs", rel))
		if absent(err) {
			return nil // its branch was deleted meanwhile
		}
		for line := range strings.Lines(string(b)) {
			from, rest, _ := strings.Cut(line, " ")
			to, who, _ := strings.Cut(rest, " ")
			who, _, _ = strings.Cut(who, "\t")
			if _, at := parseIdent(who); at.Before(since) && at.Unix() != 0 && rel != "refs/stash" {
				continue
			}
			for _, hash := range []string{from, to} {
				if isHash(hash) {
					noted[hash] = true
				}
			}
		}
		return err
	})
}

// files calls f for all that lies below dir, with paths from there in git's form.
func files(dir string, f func(rel string, d fs.DirEntry) error) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if absent(err) {
			return nil
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		return f(filepath.ToSlash(rel), d)
	})
}

// isWithin reports whether a path is dir or lies below it.
func isWithin(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

// staged calls f with the contents of the file in a worktree's index: up to three in a
// conflict. Those in seen were read already.
func (w *walk) staged(ctx context.Context, r *Repo, path repopath.Path, seen map[string]bool, f func(*Version) error) error {
	out, err := r.git(ctx, nil, "ls-files", "-s", "-z", "--", string(path))
	if err != nil {
		return err
	}
	for line := range strings.SplitSeq(string(out), "\x00") {
		info := strings.Fields(line) // mode, hash, stage, path
		if len(info) < 4 || !(entry{mode: info[0]}).isFile() || seen[info[1]] {
			continue
		}
		seen[info[1]] = true
		if err := f(w.version(r, &node{blob: plumbing.NewHash(info[1])})); err != nil {
			return err
		}
	}
	return nil
}
