package history

import (
	"context"
	"fmt"

	"github.com/pipe-build/pipe/internal/gitlog"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Build is one build of a stage, as the newest lock that names it has it.
type Build struct {
	*lockfile.Stage
	Named
}

// ID names the record of the build.
func (b *Build) ID() object.RunID { return object.RunID{Key: b.Key, Generation: b.Generation} }

// Builds returns the builds that are wanted, newest first: those of the workspace's lock, now, then
// those of the locks that any branch or tag reaches. What cannot be read of the past is passed to
// bad and left out. repo may be nil.
func Builds(ctx context.Context, repo *gitlog.Repo, lockPath repopath.Path, now *lockfile.File, want func(*lockfile.Stage) bool, bad func(error)) ([]*Build, error) {
	var all []*Build
	seen := map[object.RunID]*Build{}
	add := func(l *lockfile.File) (named []*Named) {
		for i := range l.Stages {
			b := &Build{Stage: &l.Stages[i]}
			if !want(b.Stage) {
				continue
			}
			if old := seen[b.ID()]; old != nil {
				b = old
			} else {
				seen[b.ID()], all = b, append(all, b)
			}
			named = append(named, &b.Named)
		}
		return named
	}
	for _, n := range add(now) {
		n.Now = true
	}
	if repo == nil {
		return all, nil
	}
	kept, _, err := walk(ctx, repo, lockPath, func(l *lockfile.File, _ *gitlog.Commit) []*Named { return add(l) }, bad)
	if len(kept) > 0 {
		bad(fmt.Errorf("%d versions of %s that this partial clone does not have; pipe find fetches them", len(kept), lockfile.FileName))
	}
	return all, err
}
