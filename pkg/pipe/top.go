package pipe

import (
	"context"
	"runtime"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/inputs"
	"github.com/pipe-build/pipe/internal/local"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// parse reads the pipe.yaml of this project as it is now. Files that it names are those of the workspace.
func (p *Project) parse(data []byte) (*spec.Project, error) {
	dir := repopath.Path("")
	if p.repo != nil {
		dir = p.at()
	}
	return spec.ParseIn(spec.FileName, data, spec.Options{Dir: dir, Read: p.file})
}

// file reads a file of the project.
func (p *Project) file(at repopath.Path) ([]byte, error) {
	if text, ok := p.instead[at]; ok {
		return text, nil
	}
	return atomicfile.Read(p.path(string(at)), yamldoc.MaxSize)
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
