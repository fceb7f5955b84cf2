package inputs

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Hash returns what a stage that had p as a dep would take it for. outs are the
// outputs of all stages, as recorded; those that never were have no digest. What
// lies at an output, or inside one, is read as it is; an absent one is what was recorded.
// So the answer for an edited output is its own digest, which the lock need not name.
func (r *Reader) Hash(ctx context.Context, p repopath.Path, outs map[repopath.Path]artifact.Output) (artifact.Output, error) {
	is := func(q repopath.Path) bool { _, ok := outs[q]; return ok }
	inside := false
	for up := p; up != repopath.Root && up != ""; up = up.Dir() {
		inside = inside || is(up)
	}
	if inside {
		o, _, err := r.work.Output(ctx, p)
		if errors.Is(err, worktree.ErrAbsent) && !outs[p].Digest.IsZero() {
			return outs[p], nil
		}
		return o, err
	}
	var below []artifact.Output
	for path, o := range outs {
		if path != p && p.Holds(path) && !o.Digest.IsZero() {
			below = append(below, o)
		}
	}
	slices.SortFunc(below, func(a, b artifact.Output) int { return strings.Compare(string(a.Path), string(b.Path)) })
	in, tree, err := r.Read(ctx, spec.Dep{Path: p, Place: string(p)}, nil, Made{Is: is, Inside: below})
	return artifact.Output{Path: p, Dir: tree != nil, Exec: in.Exec, Digest: in.Digest, Size: in.Size, Files: in.Files}, err
}
