package pipe

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"iter"
	"sync"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/gitlog"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// declaredName is a copy of pipe.yaml, and of the files that it names, as they were when pipe.lock was
// last written here. It says what changed of a definition that nobody has committed, and nothing else is
// decided by it.
const declaredName = "declared.json"

// remember keeps the pipe.yaml of this run beside the lock that it has written. An error costs a
// later reason its details, so it is none of this run.
func (p *Project) remember() {
	files := map[repopath.Path][]byte{spec.FileName: p.yaml}
	for _, at := range p.spec.Files {
		files[at], _ = p.file(at)
	}
	if data, err := json.Marshal(files); err == nil {
		_ = p.write(worktree.Dir+"/"+declaredName, data)
	}
}

// remembered returns what remember has kept.
func (p *Project) remembered() (reading, error) {
	data, err := atomicfile.Read(p.path(worktree.Dir+"/"+declaredName), 4*yamldoc.MaxSize)
	files := map[repopath.Path][]byte{}
	if err == nil {
		err = json.Unmarshal(data, &files)
	}
	return func(at repopath.Path) ([]byte, error) {
		if data, ok := files[at]; ok {
			return data, nil
		}
		return nil, fs.ErrNotExist
	}, err
}

// past is what pipe.yaml was before, each version read once in a run. It explains, so what cannot
// be read is passed over.
type past struct {
	*Project
	mu    sync.Mutex               // stages are decided at once
	known map[string]*spec.Project // nil: cannot be read
}

func (p *Project) past() *past { return &past{Project: p, known: map[string]*spec.Project{}} }

// at yields pipe.yaml as this workspace last wrote the lock, in HEAD, and in the commit; "" stands
// for the one that last changed the lock. Git is asked only when what came before did not do.
func (p *past) at(ctx context.Context, commit string) iter.Seq[*spec.Project] {
	return func(yield func(*spec.Project) bool) {
		for _, from := range []struct {
			name string
			read func() (reading, error)
		}{
			{declaredName, p.remembered},
			{"HEAD", func() (reading, error) { return p.committed(ctx, "HEAD") }},
			{"commit " + commit, func() (reading, error) { return p.committed(ctx, commit) }},
		} {
			if was := p.project(from.name, from.read); was != nil && !yield(was) {
				return
			}
		}
	}
}

// project returns a version of pipe.yaml, nil when it cannot be read.
func (p *past) project(name string, read func() (reading, error)) *spec.Project {
	p.mu.Lock()
	defer p.mu.Unlock()
	was, ok := p.known[name]
	if ok {
		return was
	}
	if file, err := read(); err == nil {
		data, err := file(spec.FileName)
		if err == nil {
			was, err = p.parsePast(data, file)
		}
		if err != nil {
			was = nil
		}
	}
	p.known[name] = was
	return was
}

// committed reads the project's files in a commit; "" is the one that last changed the lock.
func (p *past) committed(ctx context.Context, commit string) (_ reading, err error) {
	if p.repo == nil {
		return nil, gitlog.ErrNoRepo
	}
	if commit == "" {
		commit, err = p.repo.LastChange(ctx, p.lockAt)
	} else {
		commit, err = p.repo.Resolve(ctx, commit) // it may come from outside
	}
	if err != nil || commit == "" {
		return nil, errors.Join(err, gitlog.ErrNoFile)
	}
	return p.inCommit(ctx, commit), nil
}

// yamlAt is pipe.yaml relative to git's root.
func (p *Project) yamlAt() repopath.Path { return p.lockAt.Dir().Child(spec.FileName) }

// besides returns the files that pipe.yaml names, in vars and include, relative to git's root.
func (p *Project) besides() (files []repopath.Path) {
	for _, at := range p.spec.Files {
		files = append(files, p.at().Child(string(at)))
	}
	return files
}
