package inputs

import (
	"context"
	"path/filepath"
	"slices"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/ignore"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/statindex"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// view is what a stage sees of a directory: the worktree.View of inputs.
type view struct {
	*Reader
	top     repopath.Path
	rules   *ignore.Rules            // above top
	isOut   func(repopath.Path) bool // paths that stages make: left out, their recorded digests stand for them; may be nil
	exclude []repopath.Pattern
	only    repopath.Pattern // when set, only files that it names
}

// Enter implements worktree.View. The scan begins at top without rules; those from above
// are put in there.
func (v *view) Enter(p repopath.Path, above *ignore.Rules, has func(name string) bool) (*ignore.Rules, error) {
	if p == v.top {
		above = v.rules
	}
	if above == nil {
		return nil, nil
	}
	return v.enter(above, p, has)
}

// Sees implements worktree.View. What it refuses is not entered, so nothing below an
// excluded directory counts. A glob is matched with files alone; any directory may
// hold one that it names.
func (v *view) Sees(p repopath.Path, k statindex.Kind) (bool, error) {
	switch {
	case k == statindex.IsOther, v.own(p), v.isOut != nil && v.isOut(p), v.excluded(p), p.IsGit():
		return false, nil
	}
	if s := v.source(p); s != nil && !s.sees(p, k) {
		return false, nil
	}
	if k == statindex.IsDir && v.only != "" && v.inner != "" {
		return v.only.Reaches(p), nil // ../*.json is not worth a walk over the whole repository
	}
	return v.only == "" || k == statindex.IsDir || v.only.Match(p), nil
}

// own reports whether p is pipe's own: its directory, its lock, and pipe.yaml,
// of which what matters to a stage is in the stage's key already.
func (v *view) own(p repopath.Path) bool {
	return p == worktree.Dir || p == lockfile.FileName || p == spec.FileName
}

// excluded reports whether one of the stage's ! patterns names p itself.
func (v *view) excluded(p repopath.Path) bool {
	return slices.ContainsFunc(v.exclude, func(x repopath.Pattern) bool { return x.Match(p) })
}

// Link implements worktree.View. The bytes behind a link count, wherever they
// are, else a change there would go unseen: a link to a file is that file. One to
// a directory is kept as a link if everything in that directory is an input anyway.
func (v *view) Link(ctx context.Context, p repopath.Path, target string) (object.Entry, bool, error) {
	inside := worktree.Inside(v.top.Rel(p), target)
	k, err := v.work.Kind(p)
	switch {
	case worktree.Gone(err):
		return object.Link(target), inside, nil // dangling; outside there is nothing to hash
	case err != nil:
		return object.Entry{}, false, err
	case k == statindex.IsFile && v.inner != "" && v.confined(p, string(p)) != nil:
		return object.Entry{}, false, v.confined(p, string(p))
	case k == statindex.IsFile:
		e, err := v.work.File(ctx, p)
		return e, true, err
	case k == statindex.IsDir && inside && v.only == "" && v.covers(p):
		return object.Link(target), true, nil
	}
	return object.Entry{}, false, diag.New(diag.Failed, "is a symlink to %s, which is neither a file nor a directory among the dependencies", target).At(string(p)).
		Hinted("add the target to deps, and exclude the link: \"!%s\"", p)
}

// covers reports whether the view shows the directory that a link leads to: it lies
// below top, and neither it nor a directory between is left out. If that cannot be
// found out, it does not.
func (v *view) covers(link repopath.Path) bool {
	real, err := filepath.EvalSymlinks(v.work.OS(link))
	if err != nil {
		return false
	}
	to, ok := v.project(real)
	if !ok || !v.top.Holds(to) {
		return false
	}
	for d := to; d != v.top; d = d.Dir() {
		ignored, err := v.Ignored(d, true)
		if err != nil || v.excluded(d) || v.rules != nil && ignored || v.isOut != nil && v.isOut(d) {
			return false
		}
	}
	return true
}
