// Package source keeps other git repositories at paths of this one.
//
// A source is what pipe.yaml names under sources: a repository, a ref, and a path that git ignores
// here. pipe.lock says which commit of it counts. Put makes the files at the path be those of
// that commit, byte for byte as git stores them: no filter, no conversion of line ends and no hook
// of anybody has a say, so that every machine has the same inputs.
//
// Pipe remembers what it has put there. What is as it was put is pipe's to replace; anything else
// is somebody's edit, which is named and never overwritten. Other files in the directory, such as
// a build leaves, are neither looked at nor removed.
//
// What was fetched is in a bare repository for each URL, below .pipe/sources. All methods that
// write are called under the workspace's lock.
package source

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/gitlog"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// own is the directory in pipe's own one for what was fetched, and for what was put where.
const own = "sources"

// Keeper keeps the sources of one workspace.
type Keeper struct {
	Work     *worktree.Work
	Env      []string // in the form of os.Environ
	Prompt   bool     // git may ask for a password on the terminal
	Modeless bool     // the file system does not keep executable bits
}

// State is what lies at the path of a source.
type State struct {
	Commit  string          // whose files pipe has put there; empty: none
	Tree    *object.Tree    // of them; nil without a commit
	Omitted []repopath.Path // submodules of the commit, which pipe does not fetch; relative to the source
}

// URL returns what git is asked for: a directory is relative to the project.
func (k *Keeper) URL(s spec.Source) string {
	colon, slash := strings.IndexByte(s.Git, ':'), strings.IndexByte(s.Git, '/')
	if filepath.IsAbs(s.Git) || colon >= 0 && (slash < 0 || colon < slash) {
		return s.Git
	}
	return filepath.Join(k.Work.Root(), filepath.FromSlash(s.Git))
}

// repo is where what was fetched from a source's URL lies: hashes have so many digits there.
func (k *Keeper) repo(s spec.Source, digits int) *gitlog.Bare {
	name := digest.Of([]byte(k.URL(s))).Hex()[:32]
	if digits == 64 {
		name += "-sha256"
	}
	return gitlog.OpenBare(filepath.Join(k.Work.Root(), worktree.Dir, own, name), gitlog.BareOptions{Env: k.Env, Prompt: k.Prompt})
}

// Tip asks the repository for the commit that a source's ref names. A full hash is its own answer.
func (k *Keeper) Tip(ctx context.Context, s spec.Source) (string, error) {
	if lockfile.IsCommit(s.Ref) {
		return s.Ref, nil
	}
	tips, err := k.repo(s, 40).Tips(ctx, k.URL(s))
	if err != nil {
		return "", k.about(s, err)
	}
	names := []string{"HEAD"}
	if s.Ref != "" {
		names = []string{s.Ref, "refs/heads/" + s.Ref, "refs/tags/" + s.Ref}
	}
	var found []string // names that the repository has
	for _, name := range names {
		if tips[name] != "" && (name == "HEAD" || strings.HasPrefix(name, "refs/")) {
			found = append(found, name)
		}
	}
	switch {
	case len(found) == 1 || len(found) > 1 && tips[found[0]] == tips[found[1]]:
		return tips[found[0]], nil
	case len(found) > 1:
		return "", diag.New(diag.Usage, "source %s: %s is both a branch and a tag", s.Path, s.Ref).At(s.Place).Hinted("write ref: %s", found[0])
	}
	e := diag.New(diag.NotFound, "source %s: %s has no branch or tag %q", s.Path, gitlog.Plain(s.Git), names[0]).At(s.Place)
	return "", e.Hinted("git ls-remote %s; a commit needs its full hash", gitlog.Plain(s.Git))
}

// about says of an error which source it is about.
func (k *Keeper) about(s spec.Source, err error) error {
	if list := diag.All(err); err != nil && len(list) == 1 && list[0].Kind != diag.Failed {
		e := *list[0]
		e.What, e.Err = fmt.Sprintf("source %s: %s", s.Path, e.What), err
		return &e
	}
	if err != nil {
		return fmt.Errorf("source %s: %w", s.Path, err)
	}
	return nil
}

// inTheWay is the error of a path at which something lies that pipe has not put there, and cannot
// have.
func (k *Keeper) inTheWay(s spec.Source) error {
	in, err := k.Work.Holder(s.Path)
	if worktree.Gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	info, err := in.Lstat(s.Path.Base())
	switch {
	case worktree.Gone(err):
		return nil
	case err != nil:
		return err
	case !info.IsDir():
		return diag.New(diag.Policy, "is not a directory, so the source cannot be put there").At(string(s.Path)).Hinted("move it away")
	}
	if _, err := os.Lstat(filepath.Join(k.Work.OS(s.Path), ".git")); err == nil {
		return diag.New(diag.Policy, "is a git repository of its own, which pipe does not change").At(string(s.Path)).
			Hinted("move it away; pipe repro then fetches the locked commit")
	}
	return nil
}
