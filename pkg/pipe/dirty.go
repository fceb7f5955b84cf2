package pipe

import (
	"context"
	"errors"
	"slices"

	"github.com/pipe-build/pipe/internal/gitlog"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// dirty reports whether one of the paths of the project, or of those from the repository's top, is
// not as in the commit that is checked out. Files of sources are in none, but pipe.lock says which they are: a
// source that was moved since the commit counts.
func (p *Project) dirty(ctx context.Context, paths, top []repopath.Path) (bool, error) {
	if p.set != nil { // values that no commit has
		return true, nil
	}
	for _, at := range paths {
		if at == repopath.Root {
			top = append(top, p.at())
		} else {
			top = append(top, p.at().Child(string(at)))
		}
	}
	yes, err := p.repo.Dirty(ctx, top, p.lockAt)
	if err != nil || yes || len(p.spec.Sources) == 0 {
		return yes, err
	}
	lock, err := p.lock()
	if err != nil {
		return false, err
	}
	commit := p.commit(ctx)
	if p.sealed != nil && p.sealed.Commit != "" { // this run has committed where it moved them
		commit = p.sealed.Commit
	}
	was, err := p.repo.FileAt(ctx, commit, p.lockAt)
	if errors.Is(err, gitlog.ErrNoFile) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	then, err := lockfile.Parse(lockfile.FileName, was)
	if err != nil {
		return true, nil // one that cannot be read is not this one
	}
	return !slices.Equal(lock.Sources, then.Sources), nil
}
