package gitlog

import (
	"context"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/pkg/repopath"
)

// Ever returns the files that any commit of a branch, a tag or HEAD has changed and whose name fits a pattern of
// git's, as **/*.lock, sorted. Such a file need not be there any more.
func (r *Repo) Ever(ctx context.Context, patterns ...string) (files []repopath.Path, err error) {
	args := []string{"log", "--all", "--format=", "--name-only", "--no-renames", "-z"}
	if head, err := r.Head(ctx); err == nil && head.Hash != "" {
		args = append(args, head.Hash) // which no branch may have
	}
	args = append(args, "--")
	for _, p := range patterns {
		args = append(args, ":(top,glob)"+p)
	}
	cmd, err := r.plain(ctx, args...)
	if err != nil {
		return nil, err
	}
	out, err := output(cmd)
	if err != nil {
		return nil, err
	}
	for name := range strings.SplitSeq(string(out), "\x00") {
		if at, err := repopath.Parse(strings.TrimPrefix(name, "\n")); err == nil && at != repopath.Root {
			files = append(files, at)
		}
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}
