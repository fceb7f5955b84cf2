// Package gitlog reads the history of one file and commits it, and says what git knows of others.
//
// pipe.lock lives in git, so the past of a project is the past of that file.
// Versions lists every content that it ever had, Containing says which branches
// and tags a commit is in, FileAt and Resolve answer for one commit, Snapshots
// for several, CommitFile adds a commit of its own, and Publish one to the branch of
// a remote. Of other files Tracked, LeftOut, Attributes and Pointers say how git keeps
// them. All hang on a Repo, from Open.
//
// Two programs do the work. go-git reads objects: a walk over the history needs
// many thousands of them, and no process for each. The git program does the
// rest: it lists references, finds revisions and does all writing, because it
// alone knows every format of references and index, signs, and locks as other
// git processes expect (adr/0017). So all but Versions and Containing work in a
// sha256 repository, which go-git cannot read. HEAD, the repository's
// configuration and the index are also read here, as plain files, where a
// process would cost each command time.
//
// The package caches nothing between calls: another process may commit, fetch,
// pack or collect garbage at any time. It never changes a file of the work tree.
package gitlog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/pkg/repopath"
)

var (
	// ErrNoRepo says that no git repository holds a directory.
	ErrNoRepo = errors.New("not in a git repository")
	// ErrNoFile says that a commit has no such file.
	ErrNoFile = errors.New("no such file in the commit")
)

// Options say what a Repo takes from outside. The zero value is right in a command.
type Options struct {
	Env []string // in the form of os.Environ, which nil stands for
	// LockWait is how long a lock that git holds is waited for, and the longest wait of a push that
	// came late; 0: 5 seconds.
	LockWait time.Duration
	// Longest is how long it may take to push, or to ask the remote for history; 0: ten minutes for each call of git.
	Longest time.Duration
}

// Repo is a git repository with a work tree. It holds nothing open and caches
// no reference, so it may be used by several goroutines and kept for long.
type Repo struct {
	root, gitDir, commonDir string
	objectDir               string // where git writes objects, if not beside the others
	env                     []string
	wait, longest           time.Duration
}

// Open finds the repository that holds dir: the nearest directory upwards with
// a .git directory, or a .git file as in linked worktrees and submodules. It
// reads no object. GIT_DIR and its like are not looked at. It fails with
// ErrNoRepo when there is none.
func Open(dir string, opt Options) (*Repo, error) {
	r := &Repo{env: opt.Env, wait: opt.LockWait, longest: opt.Longest}
	if r.env == nil {
		r.env = os.Environ()
	}
	if r.wait == 0 {
		r.wait = lockWait
	}
	if r.longest == 0 {
		r.longest = longestTalk
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	found, err := r.discover(abs)
	if err == nil && !found {
		// The names may lead here through a symlink from outside the repository.
		if abs, err = filepath.EvalSymlinks(abs); err == nil {
			found, err = r.discover(abs)
		}
	}
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, fmt.Errorf("%s: %w", dir, ErrNoRepo)
	}
	return r, nil
}

// discover tries dir and each directory above it. It goes by the names in the path,
// as they are written; Open tries the path behind the symlinks next.
func (r *Repo) discover(dir string) (bool, error) {
	for {
		if ok, err := r.at(dir); ok || err != nil {
			return ok, err
		}
		up := filepath.Dir(dir)
		if up == dir {
			return false, nil
		}
		dir = up
	}
}

// at sets the directories of r if dir is the top of a work tree. The layout is that
// of gitrepository-layout(5): .git is the directory itself, or a file with the one
// line "gitdir: PATH". A linked worktree's directory has a file commondir, which
// leads to the one with the objects. A .git file that leads nowhere is an error and
// not "no repository": the search would go on upwards and find the wrong one.
func (r *Repo) at(dir string) (bool, error) {
	git := filepath.Join(dir, ".git")
	st, err := os.Stat(git)
	if err != nil {
		return false, nil
	}
	if !st.IsDir() {
		b, err := readFile(git)
		if err != nil {
			return false, err
		}
		to, ok := strings.CutPrefix(strings.TrimRight(string(b), "\r\n"), "gitdir: ")
		if !ok {
			return false, fmt.Errorf("%s: not a gitdir file", git)
		}
		git = under(dir, to)
	}
	if _, err := os.Lstat(filepath.Join(git, "HEAD")); err != nil {
		if st.IsDir() {
			return false, nil // an empty .git directory is none
		}
		return false, diag.New(diag.Failed, "the repository that .git points to does not exist: %w", err).At(dir).Hinted("run git worktree repair, or clone again")
	}
	r.root, r.gitDir, r.commonDir = dir, git, git
	if b, err := readFile(filepath.Join(git, "commondir")); err == nil {
		r.commonDir = under(git, strings.TrimSpace(string(b)))
	}
	return true, nil
}

// Root returns the top directory of the work tree.
func (r *Repo) Root() string { return r.root }

// GitDir returns the directory of HEAD and the index: a linked worktree has its own.
func (r *Repo) GitDir() string { return r.gitDir }

// CommonDir returns the directory of objects and branches, which all worktrees share.
func (r *Repo) CommonDir() string { return r.commonDir }

// Shallow reports whether the history may be incomplete here: a shallow clone,
// or a partial one, whose objects come when asked for.
func (r *Repo) Shallow() bool {
	return r.cut() || r.partial()
}

// cut reports whether the clone is shallow.
func (r *Repo) cut() bool {
	st, err := os.Stat(filepath.Join(r.commonDir, "shallow"))
	return err == nil && st.Size() > 0
}

// partial reports whether packs came from a remote that keeps back a part of
// the objects: git marks those packs for as long as that lasts.
func (r *Repo) partial() bool {
	packs, _ := os.ReadDir(filepath.Join(r.commonDir, "objects", "pack"))
	return slices.ContainsFunc(packs, func(e os.DirEntry) bool { return strings.HasSuffix(e.Name(), ".promisor") })
}

// Rel returns the path inside the repository of a path of the file system,
// which may lead there through symlinks.
func (r *Repo) Rel(path string) (repopath.Path, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	// The names alone mostly answer. If they do not, both sides are resolved, but not the
	// last element: it may be a symlink that git tracks, or not exist yet.
	if rel, err := filepath.Rel(r.root, abs); err == nil && filepath.IsLocal(rel) {
		return repopath.FromOS(rel)
	}
	root, err := filepath.EvalSymlinks(r.root)
	if err != nil {
		return "", err
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(abs))
	if err != nil {
		return "", err
	}
	rel, err := filepath.Rel(root, filepath.Join(dir, filepath.Base(abs)))
	if err != nil {
		return "", err
	}
	return repopath.FromOS(rel)
}

// under returns name, which may be absolute, as seen from dir.
func under(dir, name string) string {
	name = filepath.FromSlash(name)
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(dir, name)
}

// readFile reads a file of the repository whole; the largest is an index.
func readFile(path string) ([]byte, error) { return atomicfile.Read(path, 4<<30) }
