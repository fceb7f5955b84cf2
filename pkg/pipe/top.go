package pipe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/gitlog"
	"github.com/pipe-build/pipe/internal/inputs"
	"github.com/pipe-build/pipe/internal/local"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// reading returns a file of the project, at one revision. Its error is fs.ErrNotExist where there is none.
type reading func(at repopath.Path) ([]byte, error)

// parse reads the pipe.yaml of this project as it is now.
func (p *Project) parse(data []byte) (*spec.Project, error) {
	opt := p.options(p.file)
	opt.Set = p.set
	return spec.ParseIn(spec.FileName, data, opt)
}

// parsePast reads a pipe.yaml as it was, with the files that it names at the same revision: vars of now
// would make stages that there never were.
func (p *Project) parsePast(data []byte, file reading) (*spec.Project, error) {
	opt := p.options(file)
	opt.Past = true
	return spec.ParseIn(spec.FileName, data, opt)
}

func (p *Project) options(file reading) spec.Options {
	dir := repopath.Path("")
	if p.repo != nil {
		dir = p.at()
	}
	return spec.Options{Dir: dir, Read: file}
}

// file reads a file of the project.
func (p *Project) file(at repopath.Path) ([]byte, error) {
	if text, ok := p.instead[at]; ok {
		return text, nil
	}
	return atomicfile.Read(p.path(string(at)), yamldoc.MaxSize)
}

// inCommit reads files of the project in a commit.
func (p *Project) inCommit(ctx context.Context, commit string) reading {
	return func(at repopath.Path) ([]byte, error) {
		data, err := p.repo.FileAt(ctx, commit, p.at().Child(string(at)))
		return data, absent(err)
	}
}

// absent makes git's error for a file that a revision does not have the one that files have.
func absent(err error) error {
	if errors.Is(err, gitlog.ErrNoFile) {
		return fmt.Errorf("%w: %w", err, fs.ErrNotExist)
	}
	return err
}

// openTop opens the git repository around the project, to be read only, if a stage reads
// something there. A project without such a stage does not pay for it.
func (p *Project) openTop(ctx context.Context) error {
	if !slices.ContainsFunc(p.spec.Stages, func(s spec.Stage) bool { return s.Outside() }) {
		return nil
	}
	rules, err := p.ignored(repopath.Root)
	if err != nil {
		return err
	}
	exec, err := p.execBits(ctx, repopath.Root)
	if err != nil {
		return err
	}
	w, err := worktree.Open(p.inTop(repopath.Root), worktree.Options{Workers: runtime.GOMAXPROCS(0), Note: p.note, Exec: exec, Home: p.work})
	if err != nil {
		return err
	}
	p.top = &local.Top{Work: w, Inputs: inputs.Outside(w, rules, p.at())}
	return nil
}

// fromTop returns the path from the top of the repository of what a reason or a list of files
// names.
func (p *Project) fromTop(name string) repopath.Path {
	if at, outside := strings.CutPrefix(name, artifact.AtTop); outside {
		return repopath.Path(at)
	}
	return p.at().Child(name)
}
