package history

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/pipe-build/pipe/internal/gitlog"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Build is one build of a stage, as the newest lock that names it has it.
type Build struct {
	*lockfile.Stage
	Now    bool            // the workspace's lock names it
	Commit []gitlog.Commit // those that introduced a lock which names it, newest first
}

// ID names the record of the build.
func (b *Build) ID() object.RunID { return object.RunID{Key: b.Key, Generation: b.Generation} }

// Builds returns the builds that are wanted of all that a lock names, newest first: those of the workspace's lock, now,
// then those of every commit that any branch or tag reaches. What cannot be read of the past is
// passed to bad and left out. repo may be nil.
func Builds(ctx context.Context, repo *gitlog.Repo, lockPath repopath.Path, now *lockfile.File, want func(*lockfile.Stage) bool, bad func(error)) ([]*Build, error) {
	var all []*Build
	seen := map[object.RunID]*Build{}
	add := func(l *lockfile.File) (named []*Build) {
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
			named = append(named, b)
		}
		return named
	}
	for _, b := range add(now) {
		b.Now = true
	}
	if repo == nil {
		return all, nil
	}
	var walked []walkedLock
	var parser lockfile.Parser
	kept := 0
	_, err := repo.Versions(ctx, lockPath, func(v *gitlog.Version) error {
		data, err := v.Data()
		if errors.Is(err, gitlog.ErrKeptBack) {
			kept++
			return nil
		}
		if err != nil {
			return err
		}
		lock, err := parser.Parse(lockfile.FileName, data)
		if err != nil {
			bad(fmt.Errorf("commit %.12s: %w", v.Last.Hash, err))
			return nil
		}
		walked = append(walked, walkedLock{v, add(lock)})
		return nil
	})
	if kept > 0 {
		bad(fmt.Errorf("%d versions of %s that this partial clone does not have; pipe find fetches them", kept, lockfile.FileName))
	}
	// Only now: Introduced grows until the walk has ended.
	for _, w := range walked {
		for _, b := range w.builds {
			b.Commit = append(b.Commit, w.Introduced...)
		}
	}
	for _, b := range all {
		slices.SortStableFunc(b.Commit, func(a, b gitlog.Commit) int { return b.When.Compare(a.When) })
	}
	return all, err
}

// walkedLock is a lock of the past with the builds that it names.
type walkedLock struct {
	*gitlog.Version
	builds []*Build
}
