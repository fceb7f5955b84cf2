package pipe

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/pipe-build/pipe/internal/engine"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// others are the projects beside one, opened when one of its deps lies in them. It is the engine's
// Others in one run: of each project, pipe.lock is read once.
type others struct {
	p     *Project
	mu    sync.Mutex
	by    map[string]*Project // by root; nil: there is none
	locks map[*Project]*lockfile.File
}

// Output implements engine.Others.
func (o *others) Output(ctx context.Context, at repopath.Path) (engine.Other, bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	owner, dir, err := o.owner(ctx, at)
	if err != nil || owner == nil {
		return engine.Other{}, false, err
	}
	for p := dir.Rel(at); p != repopath.Root; p = p.Dir() {
		if s, out := owner.maker(p); s != nil && !s.Check {
			found, err := o.state(owner, s, out)
			found.At = dir.Child(string(p))
			return found, true, err
		}
	}
	return engine.Other{}, false, nil
}

// maker returns the stage that makes a path, and the output; nil: none does.
func (p *Project) maker(at repopath.Path) (*spec.Stage, *spec.Out) {
	for i := range p.spec.Stages {
		if out := p.spec.Stages[i].Out(at); out != nil {
			return &p.spec.Stages[i], out
		}
	}
	return nil, nil
}

// state returns what an output is: what a plan has just decided, else what the lock says.
func (o *others) state(owner *Project, s *spec.Stage, out *spec.Out) (engine.Other, error) {
	found := engine.Other{Maker: owner.opt.name + ":" + s.Name, Private: out.NoPush, Unmade: true}
	known := func(outs []artifact.Output) {
		for _, made := range outs {
			if made.Path == out.Path {
				found.Output, found.Unmade = made, false
			}
		}
	}
	for _, planned := range owner.planned {
		if planned.Stage == s.Name {
			known(planned.Outs) // there are none where the command would run
			return found, nil
		}
	}
	if o.locks[owner] == nil {
		lock, err := owner.lock()
		if err != nil {
			return found, inProject(owner.opt.name, owner.root, err)
		}
		o.locks[owner] = lock
	}
	if l := o.locks[owner].Stage(s.Name); fits(owner.spec, l) {
		known(l.Outs)
		if !out.NoCache && !s.AlwaysChanged {
			found.ID = object.RunID{Key: l.Key, Generation: l.Generation}
		}
	}
	return found, nil
}

// Tree implements engine.Others.
func (o *others) Tree(ctx context.Context, out engine.Other) (*object.Tree, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	owner, dir, err := o.owner(ctx, out.At)
	if err != nil {
		return nil, err
	}
	c, err := owner.carry(ctx)
	if err != nil {
		return nil, err
	}
	return c.Tree(ctx, dir.Rel(out.At), out.Digest)
}

// Bring implements engine.Others. Where the output lies there already, nobody is waited for.
func (o *others) Bring(ctx context.Context, out engine.Other) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	owner, dir, err := o.owner(ctx, out.At)
	if err != nil {
		return err
	}
	at := dir.Rel(out.At)
	if here, _, err := owner.work.Output(ctx, at); err == nil && here.Same(out.Output) {
		return nil
	}
	s, _ := owner.maker(at)
	_, err = owner.bring(ctx, "pull", SyncOptions{Targets: []string{s.Name}})
	return inProject(owner.opt.name, owner.root, err)
}

// owner returns the other project that a path lies in, the nearest one, and its directory, both
// from the repository's top. What lies in another repository is nobody's here.
func (o *others) owner(ctx context.Context, at repopath.Path) (*Project, repopath.Path, error) {
	for dir := at.Dir(); dir != o.p.at(); dir = dir.Dir() {
		if _, err := os.Lstat(filepath.Join(o.p.inTop(dir), ".git")); err == nil && dir != repopath.Root {
			break
		}
		p, err := o.open(ctx, dir)
		if err != nil || p != nil || dir == repopath.Root {
			return p, dir, err
		}
	}
	return nil, "", nil
}

// at is the project's directory from the repository's top; without git the project is all there is.
func (p *Project) at() repopath.Path {
	if p.repo == nil {
		return repopath.Root
	}
	return p.lockAt.Dir()
}

// inTop returns where a path from the repository's top lies.
func (p *Project) inTop(at repopath.Path) string {
	top := p.root
	for dir := p.at(); dir != repopath.Root; dir = dir.Dir() {
		top = filepath.Dir(top)
	}
	return filepath.Join(top, filepath.FromSlash(string(at)))
}

// open returns the project whose root is a directory of the repository; nil: there is none. It is the
// one that OpenAll has opened, if it did, because a plan of it may be known there.
func (o *others) open(ctx context.Context, dir repopath.Path) (*Project, error) {
	root := o.p.inTop(dir)
	if p, ok := o.by[root]; ok {
		return p, nil
	}
	if _, err := os.Lstat(filepath.Join(root, spec.FileName)); err != nil || including(root) != root {
		o.by[root] = nil
		return nil, nil //nolint:nilerr // no project, or a part of one
	}
	for _, p := range o.p.beside {
		if p.root == root {
			o.by[root] = p
			return p, nil
		}
	}
	name := root
	if rel, err := filepath.Rel(o.p.root, root); err == nil {
		name = filepath.ToSlash(rel)
	}
	p, err := Open(ctx, o.p.opt.of(root, name))
	if err != nil {
		return nil, inProject(name, root, err)
	}
	// Each would wait for the other's lock to bring what it needs. What lies in the inner one of the
	// two is that one's own.
	own := func(at string) bool { return len(root) > len(o.p.root) && holds(root, at) }
	if slices.ContainsFunc(p.reads(), func(at string) bool { return holds(o.p.root, at) && !own(at) && o.p.makes(at) }) {
		return nil, errors.Join(eachOther(".", name, "."), p.Close())
	}
	o.by[root], o.p.beside = p, append(slices.Clip(o.p.beside), p)
	o.p.opened = append(o.p.opened, p)
	return p, nil
}
