package pipe

import (
	"context"
	"errors"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/gitlog"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

// Diff compares the locks of two commits; an empty to is the workspace's lock,
// an empty from is HEAD.
func (p *Project) Diff(ctx context.Context, from, to string) ([]lockfile.Change, error) {
	if from == "" {
		from = "HEAD"
	}
	a, err := p.lockAtCommit(ctx, from)
	if err != nil {
		return nil, err
	}
	var b *lockfile.File
	if to == "" {
		b, err = p.lock()
	} else {
		b, err = p.lockAtCommit(ctx, to)
	}
	if err != nil {
		return nil, err
	}
	return lockfile.Diff(a, b), nil
}

// lockAtCommit reads the lock that a commit has; one without a lock has an empty one, as the
// first commits of a project do.
func (p *Project) lockAtCommit(ctx context.Context, rev string) (*lockfile.File, error) {
	if p.repo == nil {
		return nil, diag.New(diag.Usage, "not in a git repository").At(p.root).Hinted("git init")
	}
	hash, err := p.repo.Resolve(ctx, rev)
	if err != nil {
		return nil, err
	}
	data, err := p.repo.FileAt(ctx, hash, p.lockAt)
	if errors.Is(err, gitlog.ErrNoFile) {
		return &lockfile.File{}, nil
	}
	if err != nil {
		return nil, err
	}
	return lockfile.Parse(rev+":"+string(p.lockAt), data)
}
