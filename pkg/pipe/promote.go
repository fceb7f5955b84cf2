package pipe

import (
	"context"
	"errors"
	"fmt"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Promote brings an environment to the newest release that another one has verified. It builds
// nothing, and needs pipe.yaml alone.
func (p *Project) Promote(ctx context.Context, from, to string, opt DeployOptions) (*Deployed, error) {
	opt.Envs = []string{to}
	if err := p.knownEnvironment(from); err != nil {
		return nil, err
	}
	targets, err := p.targetsOf(ctx, &opt)
	if err != nil {
		return nil, err
	}
	x, err := p.verifiedIn(ctx, from)
	if err != nil {
		return nil, err
	}
	r := &rollouts{p: p, opt: &opt, targets: targets}
	for _, t := range targets {
		t.origin, err = p.stored(ctx, t.env, x.Release, release.Want{Kind: release.KindPromote, From: from, Commit: x.Commit, MayGoBack: true}, &opt)
		if err != nil {
			return nil, err
		}
	}
	return p.rollout(ctx, r)
}

// knownEnvironment refuses the name of an environment that pipe.yaml does not have.
func (p *Project) knownEnvironment(name string) error {
	all, err := p.declared()
	if err == nil {
		_, err = all.Find(name)
	}
	return err
}

// Pinned is what Pin has written.
type Pinned struct {
	Env     string `json:"env"`              // whose pin it is
	File    string `json:"file"`             // in the project
	Release string `json:"release"`          // its name
	Commit  string `json:"commit,omitempty"` // that made it
}

// Pin writes the newest release that an environment has verified into the pin of another one, for a pull request.
func (p *Project) Pin(ctx context.Context, from, to string) (*Pinned, error) {
	all, err := p.declared()
	if err != nil {
		return nil, err
	}
	if _, err := all.Find(from); err != nil {
		return nil, err
	}
	c, err := all.Find(to)
	if err != nil {
		return nil, err
	}
	if c.Pin == "" {
		return nil, diag.New(diag.Usage, "%s has no pin", to).At(c.Place).Hinted("write pin: deploy/%s in its entry", to)
	}
	x, err := p.verifiedIn(ctx, from)
	if err != nil {
		return nil, err
	}
	line := fmt.Sprintf("%s  # %s #%d", x.Release, from, x.N)
	if x.Commit != "" {
		line += fmt.Sprintf(", %.7s", x.Commit)
	}
	return &Pinned{Env: to, File: string(c.Pin), Release: x.Release.String(), Commit: x.Commit}, p.writePin(ctx, c.Pin, line+"\n")
}

// writePin writes a pin, and makes the directory that it is in.
func (p *Project) writePin(ctx context.Context, at repopath.Path, line string) (err error) {
	h, err := p.hold(ctx, "promote --pin")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Release()) }()
	in, err := p.work.MakeHolder(at)
	if err == nil {
		err = in.Close()
	}
	if err == nil {
		err = p.write(string(at), []byte(line))
	}
	return err
}
