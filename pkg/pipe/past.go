package pipe

import (
	"context"
	"iter"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// declaredName is the copy of pipe.yaml as it was when pipe.lock was last written here. It says
// what changed of a definition that nobody has committed, and nothing else is decided by it.
const declaredName = "declared.yaml"

// remember keeps the pipe.yaml of this run beside the lock that it has written. An error costs a
// later reason its details, so it is none of this run.
func (p *Project) remember() {
	_ = p.work.Files().Write(worktree.Dir+"/"+declaredName, p.yaml, 0o666, worktree.Dir+"/"+worktree.Tmp)
}

// past yields what pipe.yaml was before: as this workspace last wrote the lock, in HEAD, and in
// the commit; "" stands for the one that last changed the lock. Git is asked only when what came
// before did not do. It explains, so what cannot be read is passed over.
func (p *Project) past(ctx context.Context, commit string) iter.Seq[*spec.Project] {
	return func(yield func(*spec.Project) bool) {
		data, err := atomicfile.Read(p.path(worktree.Dir+"/"+declaredName), yamldoc.MaxSize)
		if err == nil && !yieldProject(data, yield) || p.repo == nil {
			return
		}
		if data, err := p.repo.FileAt(ctx, "HEAD", p.yamlAt()); err == nil && !yieldProject(data, yield) {
			return
		}
		at := ""
		if commit == "" {
			at, err = p.repo.LastChange(ctx, p.lockAt)
		} else {
			at, err = p.repo.Resolve(ctx, commit) // it comes from outside
		}
		if err != nil || at == "" {
			return
		}
		if data, err := p.repo.FileAt(ctx, at, p.yamlAt()); err == nil {
			yieldProject(data, yield)
		}
	}
}

// yamlAt is pipe.yaml relative to git's root.
func (p *Project) yamlAt() repopath.Path { return p.lockAt.Dir().Child(spec.FileName) }

// yieldProject yields a pipe.yaml that can be read, and reports whether to go on.
func yieldProject(data []byte, yield func(*spec.Project) bool) bool {
	project, err := spec.Parse(spec.FileName, data)
	return err != nil || yield(project)
}
