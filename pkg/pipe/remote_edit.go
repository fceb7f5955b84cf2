package pipe

import (
	"context"
	"errors"
	"slices"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/spec"
)

// RemoveRemote takes a remote out of pipe.yaml, and leaves what is stored in it. It returns the
// remotes that are left.
func (p *Project) RemoveRemote(ctx context.Context, name string) ([]RemoteInfo, error) {
	return p.editRemote(ctx, "remote remove", func(text string) (string, error) { return spec.RemoveRemote(text, name, p.options(p.file)) })
}

// RenameRemote gives a remote in pipe.yaml another name.
func (p *Project) RenameRemote(ctx context.Context, name, to string) ([]RemoteInfo, error) {
	i := slices.IndexFunc(p.spec.Remotes, func(r spec.Remote) bool { return r.Name == to })
	if i >= 0 && name != to {
		return nil, diag.New(diag.Usage, "remote %q already exists: %s", to, p.spec.Remotes[i].URL).At(p.spec.Remotes[i].Place).Hinted("pipe remote list")
	}
	return p.editRemote(ctx, "remote rename", func(text string) (string, error) { return spec.RenameRemote(text, name, to, p.options(p.file)) })
}

// DefaultRemote makes a remote the default: the first in pipe.yaml.
func (p *Project) DefaultRemote(ctx context.Context, name string) ([]RemoteInfo, error) {
	return p.editRemote(ctx, "remote default", func(text string) (string, error) { return spec.DefaultRemote(text, name, p.options(p.file)) })
}

// editRemote changes pipe.yaml, and says when that makes another remote the default: environments
// live in it.
func (p *Project) editRemote(ctx context.Context, verb string, change func(text string) (string, error)) (left []RemoteInfo, err error) {
	h, err := p.hold(ctx, verb)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.Release()) }()
	was := ""
	if len(p.spec.Remotes) > 0 {
		was = p.spec.Remotes[0].URL
	}
	if err := p.edit(ctx, change); err != nil {
		return nil, err
	}
	switch now := p.spec.Remotes; {
	case len(now) == 0:
		p.note("the project has no remote now: nothing is shared, and environments live on this machine (pipe remote add NAME URL)")
	case now[0].URL != was:
		p.note("the default remote is now " + now[0].Name + " (" + now[0].URL + "); environments are read from it and written to it")
	}
	return p.Remotes()
}
