package gitlog

import (
	"context"
	"fmt"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Resolve returns the full hash of the commit that rev names, in any form of
// gitrevisions(7). It fails with diag.NotFound.
func (r *Repo) Resolve(ctx context.Context, rev string) (string, error) {
	out, err := r.git(ctx, nil, "rev-parse", "--verify", "--quiet", "--end-of-options", rev+"^{commit}")
	if failed(err) {
		return "", diag.New(diag.NotFound, "no commit named %q", rev).Hinted("run git fetch --all --tags, or choose one from git log --oneline --all")
	}
	return strings.TrimSpace(string(out)), err
}

// FileAt returns the bytes of the file in a commit, given by its full hash. It
// fails with ErrNoFile when the commit has none, and with diag.NotFound when git
// cannot read the commit. Git, not go-git, reads it: in a partial clone that fetches
// what is absent, and a sha256 repository works.
func (r *Repo) FileAt(ctx context.Context, hash string, path repopath.Path) ([]byte, error) {
	e, err := r.entryAt(ctx, hash, path)
	if failed(err) {
		return nil, r.explain(hash, plumbing.ErrObjectNotFound)
	}
	if err != nil {
		return nil, err
	}
	if !e.isFile() {
		return nil, fmt.Errorf("%s at %s: %w", path, short(hash), ErrNoFile)
	}
	return r.git(ctx, nil, "cat-file", "blob", e.hash)
}

// FilesAt returns the paths of the regular files at a path of a commit, given by its full hash: the
// path itself, or those below the directory there.
func (r *Repo) FilesAt(ctx context.Context, hash string, path repopath.Path) (files []repopath.Path, err error) {
	out, err := r.git(ctx, nil, "ls-tree", "-r", "-z", "--full-tree", hash, "--", string(path))
	for row := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if info, name, _ := strings.Cut(row, "\t"); parseEntry([]byte(info)).isFile() {
			files = append(files, repopath.Path(name))
		}
	}
	return files, err
}

// Message returns the message of a commit, given by its full hash.
func (r *Repo) Message(ctx context.Context, hash string) (string, error) {
	out, err := r.git(ctx, nil, "log", "--no-walk", "--no-show-signature", "--format=%B", "--end-of-options", hash)
	return string(out), err
}

// LastChange returns the hash of the last commit of HEAD's history that changed the file, "" when
// none did.
func (r *Repo) LastChange(ctx context.Context, path repopath.Path) (string, error) {
	out, err := r.git(ctx, nil, "log", "-n", "1", "--format=%H", "--", string(path))
	return strings.TrimSpace(string(out)), err
}

// entry is what a commit or the index has at a path; the zero value is nothing.
type entry struct {
	mode string
	hash string
}

// isFile reports whether a regular file is there, executable or not.
func (e entry) isFile() bool { return strings.HasPrefix(e.mode, "100") }

// isDir reports whether a directory is there.
func (e entry) isDir() bool { return e.mode == "040000" }

// entryAt returns what the commit has at the path; the zero entry without an error
// when it has nothing there.
func (r *Repo) entryAt(ctx context.Context, commit string, path repopath.Path) (entry, error) {
	out, err := r.git(ctx, nil, "ls-tree", "-z", "--full-tree", commit, "--", string(path))
	return parseEntry(out), err
}

// parseEntry reads a line of git ls-tree; an empty one is the zero entry.
func parseEntry(line []byte) entry {
	info := strings.Fields(string(line)) // mode, type, hash, path
	if len(info) < 3 {
		return entry{}
	}
	return entry{mode: info[0], hash: info[2]}
}

// entryInIndex returns what the user's index has at the path. A conflict, which has up
// to three entries at stages 1 to 3, is no entry.
func (r *Repo) entryInIndex(ctx context.Context, path repopath.Path) (entry, error) {
	out, err := r.git(ctx, nil, "ls-files", "-s", "-z", "--", string(path))
	info := strings.Fields(string(out)) // mode, hash, stage, path; more for a conflict
	if len(info) < 3 || info[2] != "0" || strings.Count(string(out), "\x00") > 1 {
		return entry{}, err
	}
	return entry{mode: info[0], hash: info[1]}, nil
}

// Origin returns the URL of the remote origin, "" when there is none.
func (r *Repo) Origin(ctx context.Context) string { return r.Setting(ctx, "remote.origin.url") }
