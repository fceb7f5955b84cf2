package pipe

import (
	"context"
	"slices"

	"github.com/pipe-build/pipe/internal/remote"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// own returns which outputs have a remote of their own, as pipe.yaml says it here or in another
// commit; nil: none has. One that cannot be opened is an error of those that ask it, not of others.
func (p *Project) own(ctx context.Context, project *spec.Project) (func(repopath.Path) store.Remote, error) {
	main, err := p.openRemote(ctx)
	if err != nil || main == nil || project == nil {
		return nil, err
	}
	by := map[repopath.Path]store.Remote{}
	for i := range project.Stages {
		for _, o := range project.Stages[i].Outs {
			if o.Remote == "" {
				continue
			}
			r, err := p.named(ctx, project, o.Remote)
			if err != nil {
				return nil, err
			}
			if r != main {
				by[o.Path] = r
			}
		}
	}
	if len(by) == 0 {
		return nil, nil
	}
	return func(at repopath.Path) store.Remote {
		for ; at != repopath.Root && at != at.Dir(); at = at.Dir() {
			if r := by[at]; r != nil {
				return r
			}
		}
		return nil
	}, nil
}

// named opens a remote once. The workspace's pipe.yaml says where a name leads, and only for one
// that it does not have, that of the other commit.
func (p *Project) named(ctx context.Context, project *spec.Project, name string) (store.Remote, error) {
	chosen, err := p.chosen()
	if err != nil {
		return nil, err
	}
	all := slices.Concat(p.spec.Remotes, project.Remotes)
	r := all[slices.IndexFunc(all, func(r spec.Remote) bool { return r.Name == name })] // spec.Parse has looked
	if *chosen == r {
		return p.remote, nil
	}
	i := slices.IndexFunc(p.owned, func(o owned) bool { return o.of == r })
	if i >= 0 {
		return p.owned[i].Remote, nil
	}
	opened, err := p.openAs(ctx, r)
	if err != nil {
		opened = remote.Unusable(r, err)
	}
	p.owned = append(p.owned, owned{opened, r})
	return opened, nil
}

// owned is a remote that outputs name, opened.
type owned struct {
	store.Remote
	of spec.Remote
}

// stores returns the main remote, and those of outputs that were opened.
func (p *Project) stores() []store.Remote {
	all := []store.Remote{p.remote}
	if p.home != nil && p.home != p.remote {
		all = append(all, p.home)
	}
	for _, o := range p.owned {
		all = append(all, o.Remote)
	}
	return all
}
