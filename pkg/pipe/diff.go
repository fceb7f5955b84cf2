package pipe

import (
	"context"
	"errors"
	"strings"

	"github.com/pipe-build/pipe/internal/gitlog"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

// Diff compares the locks of two commits, down to the files of directories whose lists or trees
// are in the cache; an empty to is the workspace's lock, an empty from is HEAD.
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
	return p.diffFiles(ctx, a, b)
}

// diffFiles adds the files to the directories that differ.
func (p *Project) diffFiles(ctx context.Context, a, b *lockfile.File) ([]lockfile.Change, error) {
	was, now := p.lists(p.offline(), a), p.lists(p.offline(), b)
	all := []lockfile.Change{}
	for _, c := range lockfile.Diff(a, b) {
		if c.What == "definition" && strings.HasPrefix(c.Stage, spec.InputPrefix) {
			continue // its key is of its content, which is there as an output
		}
		all = append(all, c)
		if c.Old == "" || c.New == "" {
			continue
		}
		old, ok := inputOf(a.Stage(c.Stage), c)
		new, is := inputOf(b.Stage(c.Stage), c)
		if !ok || !is {
			continue
		}
		files, note, err := differing(ctx, c.Stage, side{lists: was, in: old}, side{lists: now, in: new})
		if err != nil {
			return nil, err
		}
		all[len(all)-1].Note = note
		all = append(all, files...)
	}
	return lockfile.Renamed(all), nil
}

// inputOf returns the dep or output that a change is about as an input.
func inputOf(s *lockfile.Stage, c lockfile.Change) (artifact.Input, bool) {
	switch c.What {
	case "dep":
		for _, d := range s.Deps {
			if d.Name() == c.Path {
				return d, true
			}
		}
	case "out":
		for _, o := range s.Outs {
			if string(o.Path) == c.Path && o.Dir {
				return whole(o), true
			}
		}
	}
	return artifact.Input{}, false
}

// lockAtCommit reads the lock that a commit has; one without a lock has an empty one, as the
// first commits of a project do.
func (p *Project) lockAtCommit(ctx context.Context, rev string) (*lockfile.File, error) {
	if err := p.needGit(); err != nil {
		return nil, err
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
