package gitlog

import (
	"context"
	"strings"

	"github.com/pipe-build/pipe/pkg/repopath"
)

// Dirty reports whether one of the paths, or a file below one, is not as in the commit that is
// checked out. Files that git ignores are in no commit, and do not count; nor does but, pipe's own
// lock, which follows from the others.
func (r *Repo) Dirty(ctx context.Context, paths []repopath.Path, but repopath.Path) (bool, error) {
	if len(paths) == 0 {
		return false, nil
	}
	// --literal: a path is no pattern, whatever characters it has. Without optional locks git leaves none
	// in the user's repository when it is killed.
	args := []string{"--no-optional-locks", "--literal-pathspecs", "status", "--porcelain", "-z", "--untracked-files=normal", "--ignore-submodules=none", "--"}
	for _, p := range paths {
		args = append(args, string(p))
	}
	out, err := r.git(ctx, nil, args...)
	for line := range strings.SplitSeq(string(out), "\x00") {
		const state = len("XY ")
		if line != "" && (len(line) < state || line[state:] != string(but)) {
			return true, err
		}
	}
	return false, err
}

// Same reports whether two commits have the same files at and below a path, but for one of them. What git
// cannot tell, because a commit is not here, is not known.
func (r *Repo) Same(ctx context.Context, a, b string, at, but repopath.Path) (same, known bool, err error) {
	cmd, err := r.command(ctx, "diff-tree", "-r", "--name-only", "-z", a, b, "--", string(at))
	if err != nil {
		return false, false, err
	}
	cmd.Env = append(cmd.Env, "GIT_ALLOW_PROTOCOL=none") // in a partial clone git would fetch what is absent
	out, err := output(cmd)
	if failed(err) {
		return false, false, nil
	}
	for name := range strings.SplitSeq(string(out), "\x00") {
		if name != "" && name != string(but) {
			return false, true, err
		}
	}
	return true, true, err
}
