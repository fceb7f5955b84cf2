package pipe

import (
	"context"
	"io/fs"
	"os"
	"slices"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/dvc"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/internal/starter"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// maxSource is the largest file in bytes that is read for a proposal. No source that people
// write is larger, and of generated ones nothing is to be known.
const maxSource = 4 << 20

// propose returns a first pipe.yaml for what lies in the project's directory.
func (p *Project) propose(ctx context.Context) (*starter.Proposal, error) {
	if _, err := os.Lstat(p.path(dvc.StagesFile)); err == nil {
		return nil, isDVC(p.root).Hinted("pipe import dvc makes a pipe project of it: pipe.yaml, pipe.lock and the objects")
	}
	t := &starter.Tree{Read: p.readSource, Ignored: p.ignores, Set: func(name string) bool {
		v, _ := shell.Getenv(p.env, name)
		return v != ""
	}}
	t.Tracked = func(name string) (bool, error) {
		if p.repo == nil {
			return false, nil
		}
		tracked, err := p.repo.Tracked(ctx, p.lockAt.Dir(), []repopath.Path{repopath.Path(name)})
		return len(tracked) > 0, err
	}
	var err error
	if t.Files, err = p.sources(ctx, repopath.Root, nil); err != nil {
		return nil, err
	}
	slices.Sort(t.Files)
	return starter.Propose(p.proposedName(ctx), t)
}

// readSource reads a file. A file that is too large reads as empty; a directory counts as missing.
func (p *Project) readSource(name string) ([]byte, error) {
	info, err := os.Stat(p.path(name))
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, fs.ErrNotExist
	case info.Size() > maxSource:
		return nil, nil
	}
	return atomicfile.Read(p.path(name), maxSource)
}

// ignores reports whether git or a .pipeignore would ignore a path.
func (p *Project) ignores(name string, dir bool) (bool, error) {
	return p.inputs.Ignored(repopath.Path(name), dir)
}

// sources adds the files below a directory that git does not ignore. Installed packages are
// none, ignored or not, nor is what lies in a repository of its own. Names that no pipe.yaml
// can hold are left out.
func (p *Project) sources(ctx context.Context, dir repopath.Path, files []string) ([]string, error) {
	entries, err := os.ReadDir(p.work.OS(dir))
	if err != nil {
		return files, err
	}
	for _, e := range entries {
		at, err := repopath.Join(dir, e.Name())
		if err != nil || e.Name() == worktree.Dir || e.Name() == "node_modules" {
			continue
		}
		ignored, err := p.inputs.Ignored(at, e.IsDir())
		switch {
		case err != nil:
			return files, err
		case ignored:
		case !e.IsDir():
			files = append(files, string(at))
		default:
			if _, err := os.Lstat(p.work.OS(at.Child(".git"))); err == nil {
				continue
			}
			if files, err = p.sources(ctx, at, files); err != nil {
				return files, err
			}
		}
	}
	return files, ctx.Err()
}
