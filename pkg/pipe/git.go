package pipe

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"slices"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/gitlog"
	"github.com/pipe-build/pipe/internal/ignore"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// openGit finds the repository and what it ignores. Outside of one there are no rules above
// the project's own directory.
func (p *Project) openGit() (*ignore.Rules, error) {
	repo, err := gitlog.Open(p.root, gitlog.Options{Env: p.env})
	if errors.Is(err, gitlog.ErrNoRepo) {
		return ignore.NoRepoRules(), nil
	}
	if err != nil {
		return nil, err
	}
	at, err := repo.Rel(filepath.Join(p.root, lockfile.FileName))
	if err != nil {
		return nil, err
	}
	p.repo, p.lockAt = repo, at
	return p.ignored(at.Dir())
}

// ignored returns the rules above a directory of the repository.
func (p *Project) ignored(dir repopath.Path) (*ignore.Rules, error) {
	above := ignore.Repo{Root: p.repo.Root(), GitDir: p.repo.GitDir(), CommonDir: p.repo.CommonDir(), Env: p.env}
	return above.Rules(dir)
}

// needGit refuses what only git can answer, outside of a repository.
func (p *Project) needGit() error {
	if p.repo != nil {
		return nil
	}
	return diag.New(diag.Usage, "not in a git repository").At(p.root).Hinted("git init")
}

// checkOwn refuses a .pipe that the repository brought along: its files would decide what is
// live, what is up to date and what is moved where.
func (p *Project) checkOwn(ctx context.Context) error {
	there, err := p.work.CheckOwn()
	if err != nil || !there || p.repo == nil {
		return err
	}
	carried, err := p.repo.Carries(ctx, p.lockAt.Dir().Child(worktree.Dir))
	if err == nil && carried {
		err = diag.New(diag.Policy, "git tracks pipe's own directory, so pipe does not read it").At(worktree.Dir).
			Hinted("git rm -r --cached %s", worktree.Dir)
	}
	return err
}

// execBits returns who says whether a file is executable where its mode does not
// (core.fileMode is false, as on Windows): git's index, else commits that everybody
// shares would have other keys there. nil: the mode tells.
// Paths are in the directory top of the repository.
func (p *Project) execBits(ctx context.Context, top repopath.Path) (func(repopath.Path) (exec, known bool), error) {
	if p.repo == nil {
		return nil, nil
	}
	trust, executable, err := p.repo.FileMode(ctx)
	if err != nil || trust {
		return nil, err
	}
	return func(at repopath.Path) (exec, known bool) {
		exec, known, err := executable(top.Child(string(at)))
		return exec, known && err == nil
	}, nil
}

// tracked returns which of the files, by their absolute names, git tracks. What lies in no
// place of the repository is not.
func (p *Project) tracked(ctx context.Context, files []string) (tracked []string, err error) {
	const atOnce = 500 // arguments of one git
	for some := range slices.Chunk(files, atOnce) {
		named := map[repopath.Path]string{}
		for _, f := range some {
			if at, err := p.repo.Rel(f); err == nil {
				named[at] = f
			}
		}
		found, err := p.repo.Tracked(ctx, repopath.Root, slices.Collect(maps.Keys(named)))
		if err != nil {
			return nil, err
		}
		for _, at := range found {
			tracked = append(tracked, named[at])
		}
	}
	return tracked, nil
}
